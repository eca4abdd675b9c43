/* What dataplane.sock is asked, beyond publishing: looks at the running gateway. Items are JSON objects. */
#ifndef WORKER_REQUESTS_H
#define WORKER_REQUESTS_H

#include "base/counters.h"
#include "base/doc.h"
#include "worker/machine.h"
#include "worker/worker.h"

struct requests_view {
	struct gateway *gateway;
	const struct machine *machine;
	const struct counters *counters;  /* one per worker */
	const bool *hung;                 /* one per worker */
};

/* Fills root for op; false: no such op. */
bool requests_answer(const struct requests_view *v, const char *op, yyjson_mut_doc *d, yyjson_mut_val *root);

#endif
