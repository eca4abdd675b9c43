/*
 * Many routes, for benches, and requests for one of them: each route has a hostname and a path of its own, every second one
 * a header condition, every fourth a regular expression for it. They are compiled as control does.
 */
#ifndef BENCH_ROUTES_H
#define BENCH_ROUTES_H

#include "control/compile/compile.h"
#include "http/http.h"
#include "route/regex.h"

/* What the requests for route i say. */
struct routes_request {
	char host[64], path[128], tenant[32];
};

/* machine: the spec of the Machine, backends: a rule's member "backendRefs" with its comma in front, and `objects` behind
 * them, all with ' for "; any may be "". Stops the program when they do not compile. */
struct generation routes_compile(unsigned routes, const char *machine, const char *backends, const char *objects);
void routes_ask(struct routes_request *r, unsigned i);

/* The block as the data plane keeps it (worker/block.h), to be closed by block_close(). */
const struct table *routes_serve(const struct table *from, size_t bytes);

/* A request for route i as it lies after parsing: texts behind each other. */
struct routes_asked {
	struct routes_request text;
	struct http_field fields[4];
	struct http_message m;
};
void routes_asked(struct routes_asked *a, unsigned i);

/*
 * What is read for one of thousands of routes comes from memory, if others use the caches as well. How much of the last
 * level cache is left for us is the machine's and its neighbours' affair, and changes by the minute; this does not: the
 * whole block is taken out of all caches, then ROUTES_COOL_LOOKUPS lookups bring back what all requests read.
 */
enum { ROUTES_COOL_LOOKUPS = 256 };
void routes_cool(const struct table *t, struct regex *const *regexes, unsigned routes);

#endif
