/*
 * The housekeeping core: everything of the data plane that is slow, blocks, or belongs to no worker.
 *
 * It serves dataplane.sock (base/frame.h has the requests), publishes and frees generations, keeps the last one in the
 * state directory, has the access log written, watches the workers' heartbeats. Workers never wait for it, and it waits
 * for no worker, no client and no reader of the log.
 */
#ifndef WORKER_HOUSEKEEPING_H
#define WORKER_HOUSEKEEPING_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/counters.h"
#include "table/table.h"
#include "worker/machine.h"

struct housekeeping_options {
	const char *run_dir;
	const char *state_dir;
	const char *access_log;        /* a file, or "-" for standard output */
	unsigned drain_ms;             /* how long exchanges may go on after SIGTERM */
	struct machine_options machine;
};

enum housekeeping_end {
	HOUSEKEEPING_STOPPED,          /* asked to stop, drained */
	HOUSEKEEPING_RESTART,          /* start anew: the machine section changed, or starting failed */
	HOUSEKEEPING_FAILED,           /* a wrong directory or file: nothing to try again */
};

/* Set by signal handlers, looked at in every turn. */
struct housekeeping_signals {
	sig_atomic_t stop;
	sig_atomic_t reopen;           /* the access log: it was renamed */
};

/* Runs until signals->stop is set. EAL is started inside, by the first generation. */
enum housekeeping_end housekeeping_run(const struct housekeeping_options *o,
                                       volatile struct housekeeping_signals *signals);

#endif
