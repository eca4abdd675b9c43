/*
 * sluice-dataplane: options, signals, and starting anew. What it does is in worker/housekeeping.c.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cpu.h"
#include "base/fault.h"
#include "worker/housekeeping.h"
#include "worker/profile.h"
#include "worker/stack.h"

enum { DRAIN_MS = 10000, DRAIN_MAX_MS = 3600000, MODE_DIR = 0750, EXIT_USAGE = 2 };

static volatile struct housekeeping_signals signals;

static void on_stop(int signal)
{
	(void)signal;
	signals.stop = 1;
}

static void on_reopen(int signal)
{
	(void)signal;
	signals.reopen = 1;
}

static const char usage[] =
	"usage: sluice-dataplane --run DIR --state DIR [OPTION]...\n"
	"  --run DIR           sockets and counters (dataplane.sock, counters)\n"
	"  --state DIR         the last accepted generation\n"
	"  --access-log FILE   default: standard output; SIGHUP opens it anew (logrotate)\n"
	"  --drain-ms N        how long exchanges may go on after SIGTERM (default 10000)\n"
	"  --no-huge           do not use hugepages even if there are some\n"
	"  --profile FILE      sample where the workers' CPU time goes, write it at the end\n"
	"  --file-prefix NAME  EAL's, when several run on one machine\n"
#ifdef SLUICE_FAULTS
	"  --fault NAME        SIGUSR1 plants it, the next takes it away (base/faults.def)\n"
#endif
	"  --help              this text\n";

static const struct option long_options[] = {
	{"run", required_argument, NULL, 'r'},       {"state", required_argument, NULL, 's'},
	{"access-log", required_argument, NULL, 'a'}, {"drain-ms", required_argument, NULL, 'd'},
	{"no-huge", no_argument, NULL, 'n'},         {"file-prefix", required_argument, NULL, 'f'},
	{"profile", required_argument, NULL, 'p'},   {"help", no_argument, NULL, 'h'},
#ifdef SLUICE_FAULTS
	{"fault", required_argument, NULL, 'F'},
#endif
	{NULL, 0, NULL, 0},
};

/* getopt has said what is wrong with an option that it does not know: `why` is null then. */
static _Noreturn void wrong(const char *why, const char *what)
{
	if (why)
		fprintf(stderr, "sluice-dataplane: %s%s\n", why, what);
	fputs(usage, stderr);
	exit(EXIT_USAGE);
}

#ifdef SLUICE_FAULTS
static const char *fault;

static void on_fault(int signal)
{
	static volatile sig_atomic_t planted;

	(void)signal;
	planted = !planted;
	fault_plant(planted ? fault : "none");
}

static void take_fault(const char *name)
{
	if (!fault_plant(name))
		wrong("no such fault: ", name);
	fault_plant("none");
	fault = name;
	signal(SIGUSR1, on_fault);
}
#else
static void take_fault(const char *name)
{
	(void)name;
}
#endif

static unsigned milliseconds(const char *text)
{
	char *end;
	unsigned long ms = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || ms > DRAIN_MAX_MS)
		wrong("--drain-ms: not a number of milliseconds up to 3600000: ", text);
	static_assert(DRAIN_MAX_MS == 3600000, "the text above");
	return (unsigned)ms;
}

static void read_options(int argc, char **argv, struct housekeeping_options *o)
{
	int c;

	while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		switch (c) {
		case 'r': o->run_dir = optarg; break;
		case 's': o->state_dir = optarg; break;
		case 'a': o->access_log = optarg; break;
		case 'd': o->drain_ms = milliseconds(optarg); break;
		case 'n': o->machine.no_huge = true; break;
		case 'p': profile_open(optarg); break;
		case 'f': o->machine.file_prefix = optarg; break;
		case 'F': take_fault(optarg); break;
		case 'h':
			fputs(usage, stdout);
			exit(0);
		default: wrong(NULL, NULL);
		}
	}
	if (optind < argc)
		wrong("unexpected argument: ", argv[optind]);
	if (!o->run_dir || !o->state_dir)
		wrong("missing: ", o->run_dir ? "--state DIR" : "--run DIR");
}

static void make_dir(const char *path)
{
	if (mkdir(path, MODE_DIR) < 0 && errno != EEXIST) {
		fprintf(stderr, "dataplane: %s: %s\n", path, strerror(errno));
		exit(1);
	}
}

static void start_anew(char **argv, const cpu_set_t *cpus)
{
	/* EAL has pinned this thread to one CPU, and exec keeps that: the next start would see no other. */
	if (sched_setaffinity(0, sizeof(*cpus), cpus) != 0)
		fprintf(stderr, "dataplane: CPU affinity: %s\n", strerror(errno));
	signal(SIGHUP, SIG_IGN); /* its handler would not live on; the next start opens the access log by name anyway */
	/* The driver's sockets and the memory of EAL must not live on. */
	close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
	execv("/proc/self/exe", argv);
	fprintf(stderr, "dataplane: cannot start anew: %s\n", strerror(errno));
	exit(1);
}

static int run(int argc, char **argv)
{
	struct housekeeping_options o = {.access_log = "-", .drain_ms = DRAIN_MS};
	enum housekeeping_end end;
	cpu_set_t cpus;

	if (sched_getaffinity(0, sizeof(cpus), &cpus) != 0)
		CPU_ZERO(&cpus);
	read_options(argc, argv, &o);
	stack_install();
	signal(SIGPIPE, SIG_IGN);
	signal(SIGTERM, on_stop);
	signal(SIGINT, on_stop);
	signal(SIGHUP, on_reopen);
	make_dir(o.run_dir);
	make_dir(o.state_dir);
	end = housekeeping_run(&o, &signals);
	if (end != HOUSEKEEPING_RESTART)
		return end == HOUSEKEEPING_STOPPED ? 0 : 1;
	start_anew(argv, &cpus);
	return 1;
}

CPU_ANY int main(int argc, char **argv)
{
	cpu_check("sluice-dataplane");
	return run(argc, argv);
}
