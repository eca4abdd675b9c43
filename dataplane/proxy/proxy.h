/*
 * The proxy of one worker: exchanges. One exchange = one request and its response: route, filters, balance, upstream,
 * body streaming both ways, timeouts, retries, local replies, the access log.
 *
 * An exchange holds no table pointer across rounds: at route time it copies what it still needs into its arena.
 */
#ifndef PROXY_PROXY_H
#define PROXY_PROXY_H

#include "http/http.h"
#include "table/table.h"
#include "upstream/upstream.h"

/* How often a request that got no connection is tried again when its rule says nothing (retry.c). */
enum { RETRY_CONNECT_TRIES = 2 };

struct pressure;
struct proxy;

struct proxy *proxy_new(struct shard *s, struct upstream *u);
void proxy_free(struct proxy *p);
void proxy_on_stream(struct proxy *p, struct http_stream *s);      /* http_up.on_stream */
void proxy_on_bad_request(struct proxy *p, struct tls_conn *c, enum err why, struct http_refusal answer);
void proxy_watch(const struct proxy *p, struct pressure *to);       /* boot: what of it may run short */
uint32_t proxy_exchanges(const struct proxy *p);                   /* alive */
uint32_t proxy_callouts(const struct proxy *p);                    /* requests of the gateway's own, alive */

/*
 * The second half of verifying a generation, after table_verify(): what the layers from http to proxy know better
 * (filters and their configs, balancers, field numbers). *where: as in table_verify().
 */
enum err proxy_verify(const struct table *t, const char **where) MUST_CHECK;

#endif
