/*
 * sluice-control: the keeper of the objects.
 *
 *   sluice-control --run DIR --state DIR [--after-restore]
 *
 * The run directory holds the sockets (control.sock is ours, dataplane.sock is who we publish to), the state directory
 * the store, the key that seals Secrets and the administrator's token. It may be killed at any time: what it
 * acknowledged is on disk, and at the next start it compiles what is there and compares it with what the data plane
 * serves.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/check.h"
#include "base/cpu.h"
#include "control/fresh.h"
#include "control/reconcile.h"
#include "control/server/server.h"
#include "control/server/tokens.h"

enum { ROUND_MS = 1000, SOCKET_PATH_MAX = 108, EXIT_USAGE = 2 };

static volatile sig_atomic_t stopping;

struct settings {
	const char *run;
	const char *state;
	bool after_restore;
};

static void on_signal(int number)
{
	(void)number;
	stopping = 1;
}

static const char usage[] =
	"usage: sluice-control [OPTION]...\n"
	"  --run DIR             sockets of this box (default /run/sluice)\n"
	"  --state DIR           state of this box (default /var/lib/sluice): the store, its key, the admin's token\n"
	"  --after-restore       the state was restored from a copy: versions go on far past anything given out\n"
	"  --help                this text\n";

static const struct option long_options[] = {
	{"run", required_argument, NULL, 'r'},
	{"state", required_argument, NULL, 's'},
	{"after-restore", no_argument, NULL, 'a'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

/* getopt has said what is wrong with an option that it does not know: `why` is null then. */
static _Noreturn void wrong(const char *why, const char *what)
{
	if (why)
		fprintf(stderr, "sluice-control: %s%s\n", why, what);
	fputs(usage, stderr);
	exit(EXIT_USAGE);
}

static void parse(int argc, char **argv, struct settings *out)
{
	int option;

	*out = (struct settings){.run = "/run/sluice", .state = "/var/lib/sluice"};
	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		switch (option) {
		case 'r': out->run = optarg; break;
		case 's': out->state = optarg; break;
		case 'a': out->after_restore = true; break;
		case 'h':
			fputs(usage, stdout);
			exit(0);
		default: wrong(NULL, NULL);
		}
	}
	if (optind < argc)
		wrong("unexpected argument: ", argv[optind]);
	if (strlen(out->run) >= SOCKET_PATH_MAX - sizeof("/dataplane.sock"))
		wrong("--run: a socket's path would be too long: ", out->run);
}

/* Keys pass through our memory: no core dump, and nobody may look into it (but the leak checker of the asan flavour).
 */
static void hide_memory(void)
{
	struct rlimit none = {0};

	setrlimit(RLIMIT_CORE, &none);
#ifndef SLUICE_ASAN
	prctl(PR_SET_DUMPABLE, 0);
#endif
}

static void catch_signals(void)
{
	struct sigaction stop = {.sa_handler = on_signal}, ignore = {.sa_handler = SIG_IGN};

	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGINT, &stop, NULL);
	sigaction(SIGPIPE, &ignore, NULL);
}

static bool prepare(struct ledger *l, const struct settings *settings, char error[static 256])
{
	if (settings->after_restore && store_advance(ledger_store(l)) != OK) {
		snprintf(error, 256, "the store does not take the new epoch");
		return false;
	}
	return tokens_prepare(ledger_store(l), settings->state, error) && fresh_box(l, error);
}

static int serve(struct ledger *l, const struct settings *settings)
{
	char error[256], path[SOCKET_PATH_MAX], names[PATH_MAX];
	struct reconciler *reconciler;
	struct server *server;

	snprintf(path, sizeof(path), "%s/dataplane.sock", settings->run);
	snprintf(names, sizeof(names), "%s/names", settings->state);
	reconciler = reconciler_new(path, names);
	snprintf(path, sizeof(path), "%s/control.sock", settings->run);
	server = server_new(l, reconciler, path, error);
	if (!server) {
		fprintf(stderr, "sluice-control: %s\n", error);
		reconciler_free(reconciler);
		return 1;
	}
	while (!stopping && server_round(server, ROUND_MS))
		;
	server_free(server);
	reconciler_free(reconciler);
	return stopping ? 0 : 1;
}

static int run(int argc, char **argv)
{
	struct settings settings;
	struct ledger *l;
	char error[256] = "";
	int status = 1;

	parse(argc, argv, &settings);
	umask(0027);
	hide_memory();
	catch_signals();
	if (mkdir(settings.run, 0755) != 0 && errno != EEXIST) {
		fprintf(stderr, "sluice-control: %s: %s\n", settings.run, strerror(errno));
		return 1;
	}
	l = ledger_open(settings.state, STORE_MAP_BYTES, error);
	if (l && prepare(l, &settings, error))
		status = serve(l, &settings);
	else
		fprintf(stderr, "sluice-control: %s\n", error);
	ledger_close(l);
	return status;
}

CPU_ANY int main(int argc, char **argv)
{
	cpu_check("sluice-control");
	return run(argc, argv);
}
