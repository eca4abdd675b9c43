/*
 * One exchange: what the files of this folder share. exchange.c orders the steps, ending.c ends them; request.c does
 * what happens to a request's head, chain.c runs the filters, try.c asks an upstream, retry.c says what is tried again,
 * times.c how long things may take, reply.c is what the gateway answers itself, body.c moves bodies, tunnel.c is what
 * follows an upgrade or CONNECT, log.c leaves the record. proxy.c has what all exchanges of a worker share.
 *
 * Memory: the object is from the proxy's pool; what it needs beyond (copies from the tables, header texts) is in the
 * arena of the client's stream, which lives longer than the exchange. The first function that is told so initialises
 * each field; there is no memset.
 */
#ifndef PROXY_EXCHANGE_H
#define PROXY_EXCHANGE_H

#include <string.h>

#include "base/shard.h"
#include "base/wheel.h"
#include "callout/callout.h"
#include "filter/filter.h"
#include "proxy/body.h"
#include "proxy/chain.h"
#include "proxy/proxy.h"
#include "route/route.h"

enum { EXCHANGE_MAGIC = 0x65786368, PEERS = 256, DATE_LINE = sizeof("date: Sun, 06 Nov 1994 08:49:37 GMT\r\n") - 1 };

enum exchange_state {
#define STATE(id, what) EXCHANGE_##id,
#include "proxy/states.def"
#undef STATE
	EXCHANGE_STATES
};

/* Why an exchange went wrong: what the client is told and the log says (reply.c). */
struct reason {
	uint16_t status;
	char flags[8];               /* Envoy's response flags */
	const char *body;
	const char *details;         /* Envoy's response code details, for the log; null: none */
};

struct exchange {
	uint32_t magic;
	uint8_t state;               /* enum exchange_state; written by exchange_set_state() only */
	uint8_t method;
	bool was_stale;              /* sent again because its pooled connection was dead */
	bool exhausted;              /* all retries are used up */
	bool in_budget;              /* counted as a retry of its cluster */
	uint8_t retries;             /* tries after the first */
	bool request_whole, response_whole;
	uint16_t status;             /* given to the client; 0: none */
	struct proxy *proxy;
	struct http_stream *down;    /* the client's; null after its end */
	struct http_stream *up;      /* the upstream's; null before it is ready and after its end */
	struct lease *lease;
	struct http_message *request;
	uint64_t request_bytes;      /* of its body, received so far */
	uint64_t active_ns;          /* when it last made progress */
	uint64_t cluster;            /* stable id */
	uint64_t failed_endpoint;    /* stable id: of the last try; 0: none */
	struct table_retry *retry;   /* the rule's, in the arena; null: it has none */
	struct session *session;     /* null: the rule has none */
	struct timer timer;          /* the request's timeout */
	struct timer try_timer;      /* that of one try, or the pause before the next */
	uint32_t request_timeout_ms, backend_timeout_ms;
	uint64_t start_ns, start_wall_us;
	uint64_t sent_ns;            /* the request's head was sent; 0: never */
	uint32_t upstream_us;        /* UINT32_MAX: no response */
	uint16_t upstream_port;
	uint16_t upstream_local_port;
	struct addr upstream;        /* zero: none */
	struct addr upstream_local;
	const char *details;         /* Envoy's response code details; static */
	char flags[8];
	struct text path;            /* as the client asked for it: filters may change the request's */
	struct text rule, request_id, forwarded_for;
	struct chain *chain;         /* the filters; null: there are none */
	const struct reason *no_backend; /* what is answered when the filters let the request through; or null */
	struct tuple client;
	struct body to_up, to_down;
};

/* Whom a client stays with (session.c). In the arena. */
struct session {
	uint64_t cluster, endpoint;  /* stable ids: what the client's token leads to; 0: nothing */
	uint32_t timeout_s;
	uint8_t kind;                /* enum table_session_kind */
	bool permanent;
	struct text name, path;
};

/* The text of a client address, made once for a run of requests. */
struct peer {
	struct addr addr;
	uint32_t len;                /* 0: empty */
	char text[ADDR_TEXT_MAX];
};

struct proxy {
	struct shard *shard;
	struct upstream *upstream;
	struct callouts *callouts;
	struct filter_callouts callouts_of_filters;
	struct pool exchanges;
	struct pool blocks;          /* of body queues */
	struct timer sweep;          /* exchanges without progress */
	uint32_t sweep_at;
	uint32_t draws;              /* cursor of balance_draw() */
	uint64_t date_s;             /* the second that `date` is of */
	char date[DATE_LINE];        /* "date: Sun, 06 Nov 1994 08:49:37 GMT", CR LF */
	struct peer peers[PEERS];
};

/* request.c: what happens to heads. */
void request_look(const struct exchange *x, struct route_host *host);   /* first of all: asks for what routing reads */
enum err request_prepare(struct exchange *x, struct route_host *host) MUST_CHECK; /* hop-by-hop off, our fields on */
/* The same for its trailers (null: none), of which the layer below has taken away what may not be there. */
enum err request_trailers(struct exchange *x, struct http_message *trailers) MUST_CHECK;
/*
 * Route, backend, filters: copies what is needed out of the tables. Null: the request goes on through its filters, to
 * x->cluster or x->no_backend. Else what it is answered at once.
 */
const struct reason *request_route(struct exchange *x, const struct route_host *host);
enum err interim_prepare(struct exchange *x, struct http_message *m) MUST_CHECK;
enum err response_prepare(struct exchange *x, struct http_message *m) MUST_CHECK;

/* exchange.c: what try.c and tunnel.c need of it. */
void exchange_set_state(struct exchange *x, enum exchange_state to); /* the only place that writes it */
extern const struct http_stream_ops exchange_up_ops;            /* of the upstream's stream */

/* ending.c */
void exchange_finish(struct exchange *x, bool whole);           /* the client's side is over: counts and logs */
void exchange_drop_upstream(struct exchange *x);                /* resets its stream if there is one; the lease goes */
void exchange_free(struct exchange *x);                         /* both streams are gone */
void exchange_cut(struct exchange *x, enum err why);            /* both sides; frees x */
void exchange_reply(struct exchange *x, const struct filter_reply *r, const char *flags); /* may free x */

/* tunnel.c */
bool tunnel_admit(struct http_message *m);                      /* false: asks for an upgrade that is refused */
/* The head that begins it is passed on; what came behind it and waits in to_down is for the caller to send. */
enum err tunnel_begin(struct exchange *x, const struct http_message *m) MUST_CHECK;
void tunnel_cut(struct exchange *x, const char *flags);         /* frees x */

/* session.c. `from`: the offset of the rule's; false: no memory. */
bool session_begin(struct exchange *x, const struct table *t, uint32_t from, uint32_t path_match_bytes);
/* The backend that the client's token leads to, or null; then x->session says which endpoint. */
const struct table_backend *session_backend(struct exchange *x, const struct table *t, const struct table_rule *r);
enum err session_mark(struct exchange *x, struct http_message *m) MUST_CHECK; /* a response of the leased endpoint */

/* retry.c: whether what failed is followed by another try; if so, it is counted as that. */
bool retry_stale(struct exchange *x, enum err why);
bool retry_connect(struct exchange *x, enum err why, uint64_t endpoint);
bool retry_status(struct exchange *x, uint16_t status);
bool retry_timeout(struct exchange *x);
bool retry_broken(struct exchange *x, enum err why);
uint64_t retry_pause_ns(struct exchange *x);
void retry_over(struct exchange *x);                            /* there will be no other try */

/* times.c */
void times_request(struct exchange *x);                         /* the request is whole */
void times_try(struct exchange *x);                             /* its request was sent, or is whole now */
void times_pause(struct exchange *x, uint64_t ns);
void times_end_try(struct exchange *x);
void times_end(struct exchange *x);
void times_sweep(struct proxy *p);                              /* there is an exchange that may fall idle */

/* May free x. */
void exchange_fail(struct exchange *x, const struct reason *why);

/* try.c. All but try_release() may free x. */
void try_begin(struct exchange *x, bool fresh);                 /* `fresh`: by a connection of its own */
void try_again(struct exchange *x, uint64_t pause_ns);          /* this one's connection is not used again */
void try_next(struct exchange *x);                              /* the pause is over */
void try_timed_out(struct exchange *x);
void try_release(struct exchange *x);                           /* gives back the lease, if there is one */

/* reply.c */
const struct reason *reason_of(enum err why, bool connected);
/* Why a client's request ended. Status and body are the HTTP layer's, if it was told anything at all (`refused`). */
const struct reason *reason_of_client(enum err why, bool head, bool refused);
const char *reason_details(const struct reason *why, bool responding);
extern const struct reason reason_large_head, reason_timeout, reason_idle_whole, reason_idle_request;
extern const struct reason reason_no_host, reason_underscore, reason_bad_path, reason_long_path, reason_normal_form;
extern const struct reason reason_no_memory, reason_overload, reason_protocol, reason_upgrade, reason_no_connect;
extern const struct reason reason_no_route, reason_no_backend, reason_no_endpoints, reason_no_endpoints_at_all;
/* Answers; the request's body is thrown away. An error: the client could not be told, the exchange must be cut. */
enum err local_reply_send(struct exchange *x, const struct filter_reply *r) MUST_CHECK;
struct text proxy_date_line(struct proxy *p);                   /* valid as long as the proxy */

/* refuse.c: answers 503 without an exchange: none is left. */
void proxy_refuse(struct proxy *p, struct http_stream *s);

/* exchange.c: by which filters find the exchange again. */
struct filter_ticket proxy_ticket(struct exchange *x);

/* log.c */
void exchange_log(struct exchange *x);
/* A request without an exchange; m: null when its head was not whole or not sound. */
void refused_log(struct proxy *p, const struct tls_conn *c, const struct http_message *m, struct http_refusal answer,
                 const struct reason *why);

static inline void exchange_progress(struct exchange *x)
{
	x->active_ns = x->proxy->shard->now_ns;
}

/* The response flags of the log; a second one is joined by a comma, if it fits. */
static inline void exchange_flag(struct exchange *x, const char *flags)
{
	size_t at = strlen(x->flags);
	const size_t n = flags != NULL ? strlen(flags) : 0;

	if (n == 0 || at + (at > 0) + n >= sizeof(x->flags))
		return;
	if (at > 0)
		x->flags[at++] = ',';
	memcpy(x->flags + at, flags, n + 1);
}

#endif
