/*
 * sluice-api: the management API. Serves HTTPS on the management address and HTTP on a Unix socket, reads the store,
 * asks control to write. It owns nothing but its certificate, so it may die and be started again at any time.
 *
 *   sluice-api [--run DIR] [--state DIR] [--listen ADDRESS:PORT]...
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cpu.h"
#include "base/frame.h"
#include "mgmt-api/api/auth.h"
#include "mgmt-api/api/certificate.h"
#include "mgmt-api/api/server.h"
#include "mgmt-api/api/source.h"

enum { LISTEN_MAX = 8, EXIT_USAGE = 2 };

struct options {
	const char *run;
	const char *state;
	struct listen_address listen[LISTEN_MAX];
	unsigned listen_n;
};

static const char usage[] =
	"usage: sluice-api [OPTION]...\n"
	"  --run DIR             sockets of this box (default /run/sluice)\n"
	"  --state DIR           state of this box (default /var/lib/sluice): store/, and api/ with certificates\n"
	"  --listen ADDRESS:PORT serve HTTPS there; may be given several times (default: only the local socket)\n"
	"  --help                this text\n";

static const struct option long_options[] = {
	{"run", required_argument, NULL, 'r'},
	{"state", required_argument, NULL, 's'},
	{"listen", required_argument, NULL, 'l'},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

static void options_read(struct options *o, int argc, char **argv)
{
	int option;

	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		switch (option) {
		case 'r':
			o->run = optarg;
			break;
		case 's':
			o->state = optarg;
			break;
		case 'l':
			if (o->listen_n == LISTEN_MAX || !listen_address_parse(optarg, &o->listen[o->listen_n++])) {
				fprintf(stderr, "sluice-api: --listen %s: not an ADDRESS:PORT, or too many\n", optarg);
				exit(EXIT_USAGE);
			}
			break;
		case 'h':
			fputs(usage, stdout);
			exit(0);
		default:
			fputs(usage, stderr);
			exit(EXIT_USAGE);
		}
	}
	if (optind != argc) {
		fprintf(stderr, "sluice-api: unexpected argument: %s\n%s", argv[optind], usage);
		exit(EXIT_USAGE);
	}
}

static void path_join(char out[static PATH_MAX], const char *directory, const char *name)
{
	if (snprintf(out, PATH_MAX, "%s/%s", directory, name) < PATH_MAX)
		return;
	fprintf(stderr, "sluice-api: %s: path too long\n", directory);
	exit(1);
}

static struct server *local_start(struct api *api, const struct options *o)
{
	char path[PATH_MAX], error[256];
	struct server *server;
	int fd;

	if (mkdir(o->run, 0755) < 0 && errno != EEXIST) {
		fprintf(stderr, "sluice-api: %s: %s\n", o->run, strerror(errno));
		exit(1);
	}
	path_join(path, o->run, "api.sock");
	fd = frame_listen(path, 0600);
	if (fd < 0) {
		fprintf(stderr, "sluice-api: %s: %s\n", path, strerror(errno));
		exit(1);
	}
	server = server_start_local(api, fd, error);
	if (server == NULL) {
		fprintf(stderr, "sluice-api: %s\n", error);
		exit(1);
	}
	return server;
}

static struct server *https_start(struct api *api, const struct options *o, const struct listen_address *address)
{
	struct certificate certificate;
	struct server *server = NULL;
	char path[PATH_MAX], error[256];

	path_join(path, o->state, "api");
	if (certificate_load(path, address->text, &certificate, error)) {
		server = server_start_https(api, address, certificate.key, certificate.chain, error);
		certificate_fini(&certificate);
	}
	if (server == NULL) {
		fprintf(stderr, "sluice-api: %s:%u: %s\n", address->text, address->port, error);
		exit(1);
	}
	fprintf(stderr, "sluice-api: https on %s port %u\n", address->text, server_port(server));
	return server;
}

static void signals_block(sigset_t *wanted)
{
	sigemptyset(wanted);
	sigaddset(wanted, SIGTERM);
	sigaddset(wanted, SIGINT);
	pthread_sigmask(SIG_BLOCK, wanted, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/* Tokens and the server's key are in memory: no core files, and nobody looks into it (but the leak checker). */
static void hide_memory(void)
{
#ifndef SLUICE_ASAN
	prctl(PR_SET_DUMPABLE, 0);
#endif
}

static int run(int argc, char **argv)
{
	struct options o = {.run = "/run/sluice", .state = "/var/lib/sluice"};
	struct server *servers[LISTEN_MAX + 1];
	char control[PATH_MAX], store[PATH_MAX];
	struct api api = {0};
	unsigned servers_n = 0;
	sigset_t wanted;
	int got;

	options_read(&o, argc, argv);
	hide_memory();
	signals_block(&wanted);
	path_join(control, o.run, "control.sock");
	if (strlen(control) >= sizeof(api.control_path)) {
		fprintf(stderr, "sluice-api: %s: longer than a socket's path may be\n", control);
		return 1;
	}
	strcpy(api.control_path, control);
	if (mkdir(o.state, 0750) < 0 && errno != EEXIST) {
		fprintf(stderr, "sluice-api: %s: %s\n", o.state, strerror(errno));
		return 1;
	}
	api.auth = auth_new(control);
	path_join(store, o.state, "store");
	api.source = source_new(store);
	servers[servers_n++] = local_start(&api, &o);
	for (unsigned i = 0; i < o.listen_n; i++)
		servers[servers_n++] = https_start(&api, &o, &o.listen[i]);
	sigwait(&wanted, &got);
	while (servers_n > 0)
		server_stop(servers[--servers_n]);
	source_free(api.source);
	auth_free(api.auth);
	return 0;
}

CPU_ANY int main(int argc, char **argv)
{
	cpu_check("sluice-api");
	return run(argc, argv);
}
