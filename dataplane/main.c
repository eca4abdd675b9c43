/*
 * sluice-dataplane: options, signals, and starting anew. What it does is in worker/housekeeping.c.
 */
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

#include "worker/housekeeping.h"
#include "worker/profile.h"
#include "worker/stack.h"

enum { DRAIN_MS = 10000, MODE_DIR = 0750 };

static volatile sig_atomic_t stop;

static void on_stop(int signal)
{
	(void)signal;
	stop = 1;
}

static const char usage[] =
	"usage: sluice-dataplane --run DIR --state DIR [options]\n"
	"  --run DIR           sockets and counters (dataplane.sock, counters)\n"
	"  --state DIR         the last accepted generation\n"
	"  --access-log FILE   default: standard output\n"
	"  --drain-ms N        how long exchanges may go on after SIGTERM (default 10000)\n"
	"  --no-huge           do not use hugepages even if there are some\n"
	"  --profile FILE      sample where the workers' CPU time goes, write it at the end\n"
	"  --file-prefix NAME  EAL's, when several run on one machine\n";

static const struct option long_options[] = {
	{"run", required_argument, NULL, 'r'},       {"state", required_argument, NULL, 's'},
	{"access-log", required_argument, NULL, 'a'}, {"drain-ms", required_argument, NULL, 'd'},
	{"no-huge", no_argument, NULL, 'n'},         {"file-prefix", required_argument, NULL, 'f'},
	{"profile", required_argument, NULL, 'p'},   {"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

static void read_options(int argc, char **argv, struct housekeeping_options *o)
{
	char *end = NULL;
	int c;

	while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		switch (c) {
		case 'r': o->run_dir = optarg; break;
		case 's': o->state_dir = optarg; break;
		case 'a': o->access_log = optarg; break;
		case 'd':
			o->drain_ms = (unsigned)strtoul(optarg, &end, 10);
			if (*end || end == optarg)
				goto wrong;
			break;
		case 'n': o->machine.no_huge = true; break;
		case 'p': profile_open(optarg); break;
		case 'f': o->machine.file_prefix = optarg; break;
		case 'h':
			fputs(usage, stdout);
			exit(0);
		default: goto wrong;
		}
	}
	if (o->run_dir && o->state_dir && optind == argc)
		return;
wrong:
	fputs(usage, stderr);
	exit(2);
}

static void make_dir(const char *path)
{
	if (mkdir(path, MODE_DIR) < 0 && errno != EEXIST) {
		fprintf(stderr, "dataplane: %s: %s\n", path, strerror(errno));
		exit(1);
	}
}

/* Everything else is compiled for x86-64-v3; this function for any, so that it lives to say what is missing. */
__attribute__((target("arch=x86-64"), noinline)) static void check_cpu(void)
{
	static const char text[] = "dataplane: this CPU lacks AVX2, BMI or FMA: x86-64-v3 is needed "
	                           "(Intel Haswell, AMD Zen or later)\n";

	__builtin_cpu_init();
	if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
	    __builtin_cpu_supports("fma"))
		return;
	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
		_exit(1);
	_exit(1);
}

static void start_anew(char **argv, const cpu_set_t *cpus)
{
	/* EAL has pinned this thread to one CPU, and exec keeps that: the next start would see no other. */
	if (sched_setaffinity(0, sizeof(*cpus), cpus) != 0)
		fprintf(stderr, "dataplane: CPU affinity: %s\n", strerror(errno));
	/* The driver's sockets and the memory of EAL must not live on. */
	close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
	execv("/proc/self/exe", argv);
	fprintf(stderr, "dataplane: cannot start anew: %s\n", strerror(errno));
	exit(1);
}

int main(int argc, char **argv)
{
	struct housekeeping_options o = {.access_log = "-", .drain_ms = DRAIN_MS};
	enum housekeeping_end end;
	cpu_set_t cpus;

	check_cpu();
	if (sched_getaffinity(0, sizeof(cpus), &cpus) != 0)
		CPU_ZERO(&cpus);
	read_options(argc, argv, &o);
	stack_install();
	signal(SIGPIPE, SIG_IGN);
	signal(SIGTERM, on_stop);
	signal(SIGINT, on_stop);
	make_dir(o.run_dir);
	make_dir(o.state_dir);
	end = housekeeping_run(&o, &stop);
	if (end != HOUSEKEEPING_RESTART)
		return end == HOUSEKEEPING_STOPPED ? 0 : 1;
	start_anew(argv, &cpus);
}
