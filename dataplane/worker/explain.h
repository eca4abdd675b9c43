/*
 * What the data plane would do with a request: {"op":"explain","method":"GET","host":"a.example","path":"/x?y=1",
 * "port":80,"headers":[{"name":"x","value":"y"}]}. One item per address that has listeners on that port, but one for
 * addresses that have the same single listener. It comes from the tables that workers read and from the code that
 * routes (route_explain), on the housekeeping thread, with regular expressions of its own.
 */
#ifndef WORKER_EXPLAIN_H
#define WORKER_EXPLAIN_H

#include "table/table.h"
#include "upstream/health.h"
#include "worker/desk.h"

/* health: null when nobody knows. */
void explain_answer(const struct table *t, const struct health *health, struct desk_question *q);

#endif
