/*
 * The filter contract. A filter is one file (filter/<name>.c) plus one line in filters.def. The file holds its
 * config layout (a struct in the tables), how control compiles it from the manifest, and what it does.
 *
 * An exchange has the filters of its rule, then those of the chosen backend. When it is routed, copy() takes out of
 * the tables what the filter needs (they may be gone at the next round); from then on the filter sees that copy, which
 * is also where it keeps what it knows of this exchange. Requests pass the filters in order, responses in reverse.
 *
 *                 on_request    on_request_body*    on_request_end
 *     client ---> a ---> b ---> c ---> upstream
 *     client <--- a <--- b <--- c <--- upstream
 *                 on_response   on_response_body*   on_response_end
 *
 * A hook that is null has nothing to do. A head passes all filters before it is sent on. A filter that changes the
 * length of a body says so in the head (message->body = HTTP_BODY_CHUNKED; framing fields are the http layer's). The
 * end of a message comes to everybody, whether it had a body or not; x->trailers may be null, and a filter may put
 * some there.
 *
 * Bodies. A piece is a slice (immutable: other packets may share its memory) with the credit that is owed to its sender
 * (http.h). CONTINUE passes it on. TAKEN: the filter owns slice and credit from now on; it passes on what it likes by
 * filter_emit(), in the hooks of the same direction, and gives back by filter_release() credit that it passes on with
 * nothing. What it holds is for the filter to bound, by a line in limits.def; and who holds tcp_recv_start or more
 * while it waits for the rest must say so (http_want()), or the sender's window closes over it.
 *
 * Suspending. A filter that has to wait takes the ticket (x->ticket) and returns SUSPEND; filter_resume() with that
 * ticket, in a later call of the same worker, leads to its on_resume(), which decides anew. What comes behind the
 * suspended thing waits, and credit with it. A ticket is an index and a generation count: for an exchange or a wait
 * that is over, filter_resume() is a no-op that is counted (handles_dead). So a filter whose exchange may die while
 * a job runs needs nothing but its ticket; what must be given back is given back in done().
 *
 * The head of a 101 (Upgrade) passes the filters as any other; the bytes of the tunnel behind it do not, and waits with
 * the request's end are over with it.
 *
 * A filter that must see the body before the head may go on sets `gathers`: while its head is suspended, the body
 * comes to it and piles up behind it, and when its hook for the end returns CONTINUE the head goes on.
 *
 * REPLY answers with x->reply; once the response's head is on its way to the client, it cuts the exchange off.
 */
#ifndef FILTER_FILTER_H
#define FILTER_FILTER_H

#include "base/doc.h"
#include "base/pool.h"
#include "http/http.h"
#include "table/builder.h"
#include "table/table.h"

enum filter_kind {
#define FILTER(id) FILTER_##id,
#include "filter/filters.def"
#undef FILTER
	FILTERS
};

enum filter_verdict {
	FILTER_CONTINUE,
	FILTER_REPLY,     /* the filter has filled in x->reply: answer with it */
	FILTER_SUSPEND,   /* filter_resume() will follow */
	FILTER_TAKEN,     /* hooks of bodies: the piece is the filter's now */
};

enum { FILTER_REPLY_FIELDS = 8 };

struct filter_field {
	struct text name, value;   /* static, or as long as the request */
};

struct filter_reply {
	uint16_t status;
	uint16_t fields_n;         /* at most FILTER_REPLY_FIELDS */
	struct filter_field *fields; /* in the arena; null: none */
	struct text body;          /* lives in the arena or is static */
	struct text location;      /* a redirect's target; empty: none */
	const char *details;       /* response code details, for the log */
	const char *flags;         /* response flags, for the log ("RL"); null: none */
};

struct filter_ticket {
	void (*resume)(void *owner, handle_t exchange, uint32_t turn, void *answer);
	void *owner;
	handle_t exchange;
	uint32_t turn;             /* which wait of the exchange */
};

struct filter_piece {
	struct slice slice;
	uint32_t credit;
};

struct filter_exchange;

/* What the exchange does for a filter, in its hooks. */
struct filter_doors {
	void (*emit)(struct filter_exchange *x, struct filter_piece piece);
	void (*release)(struct filter_exchange *x, uint32_t credit);
};

/* Requests of the gateway's own, as filters see them (callout/callout.h). */
struct filter_callouts {
	handle_t (*start)(void *owner, uint64_t cluster, const struct http_message *head); /* 0: it could not be */
	void (*body)(void *owner, handle_t callout, const struct slice *s);
	void (*end)(void *owner, handle_t callout, const struct http_message *trailers);
	void (*cut)(void *owner, handle_t callout);
	void *owner;
};

/* What a filter sees of an exchange. */
struct filter_exchange {
	struct shard *shard;             /* clock, timers, randomness, counters */
	struct arena *arena;             /* lives until done() */
	struct http_message *request;
	struct http_message *response;   /* null on the way in */
	bool on_way_out;                 /* the hook that runs, or the wait that is over, is of the response */
	bool local;                      /* the response is the gateway's own */
	struct http_message *trailers;   /* hooks of ends; null: none */
	const struct tuple *client;      /* local: the address and port the request came to */
	uint32_t path_match_bytes;       /* of the prefix that matched */
	struct filter_reply reply;
	struct filter_ticket ticket;     /* of the hook that runs */
	const struct filter_doors *doors;
	const struct filter_callouts *callouts;
};

/* Where compiling failed: becomes the route's condition. */
struct filter_problem {
	char path[96];             /* "requestRedirect.statusCode" */
	char message[192];
};

/* What a filter is compiled from: a manifest's words, and what control has found behind its references. */
struct filter_source {
	const char *type;          /* struct filter.type */
	yyjson_val *spec;          /* the filter's own object (filter.requestHeaderModifier) */
	uint64_t cluster;          /* stable id of its backendRef's cluster; 0: none */
	struct text text;          /* of the object that it refers to; null: none */
};

typedef enum filter_verdict filter_head_hook(struct filter_exchange *x, void *copied);
typedef enum filter_verdict filter_body_hook(struct filter_exchange *x, void *copied, struct filter_piece *piece);

struct filter {
	const char *name;          /* as in filters.def */
	const char *type;          /* HTTPRouteFilter.type: "RequestHeaderModifier" */
	const char *member;        /* of the HTTPRouteFilter with its spec: "requestHeaderModifier" */
	uint32_t config_bytes;     /* of the config struct in the tables */
	bool gathers;              /* a suspended head does not hold up the body before this filter */
	bool of_replies;           /* on_response sees the gateway's own answers too, and cannot suspend then */

	/* Control: writes the config into *offset. from->spec is an object. */
	enum err (*compile)(const struct filter_source *from, struct builder *b, uint32_t *offset,
	                    struct filter_problem *problem);
	/* Verifier: everything in the config of an untrusted block (the struct itself is known to be inside). */
	enum err (*verify)(const void *block, size_t bytes, const void *config);
	/*
	 * Data plane. Copies what the hooks need out of the tables, and is where they keep what they know of an
	 * exchange; null: out of memory.
	 */
	void *(*copy)(struct arena *a, const struct table *t, const void *config);
	filter_head_hook *on_request, *on_request_end, *on_response, *on_response_end;
	filter_body_hook *on_request_body, *on_response_body;
	/* CONTINUE, REPLY, or SUSPEND once more. `answer`: what filter_resume() was given; good during the call. */
	enum filter_verdict (*on_resume)(struct filter_exchange *x, void *copied, void *answer);
	/* The exchange is over, at whatever point: gives back what `copied` holds beyond the arena. */
	void (*done)(void *copied);
};

/* In hooks of one direction: passes a piece on to the next filter. */
static inline void filter_emit(struct filter_exchange *x, struct slice slice, uint32_t credit)
{
	x->doors->emit(x, (struct filter_piece){.slice = slice, .credit = credit});
}

/* In the same hooks: the sender may send that much more, while the filter holds what it has taken. */
static inline void filter_release(struct filter_exchange *x, uint32_t credit)
{
	x->doors->release(x, credit);
}

/* The wait is over. Not from within a hook. */
static inline void filter_resume(const struct filter_ticket *t, void *answer)
{
	t->resume(t->owner, t->exchange, t->turn, answer);
}

extern const struct filter *const filter_list[]; /* FILTERS of them */
const struct filter *filter_by_type(const char *type);      /* or null */

/*
 * Control: compiles with the filter of the type. INVALID with *problem filled in: an unknown type, a missing spec, or
 * what the filter refuses.
 */
enum err filter_compile(const struct filter_source *from, struct builder *b, struct table_filter *out,
                        struct filter_problem *problem) MUST_CHECK;
/* Of an HTTPRouteFilter object ({"type":"RequestRedirect","requestRedirect":{...}}); references are not resolved. */
struct filter_source filter_source(yyjson_val *filter);
enum err filter_refuse(struct filter_problem *problem, const char *path, const char *format, ...)
	__attribute__((format(printf, 3, 4)));   /* fills in, returns INVALID */

/* Data plane: answers 503, because there is no memory to do what was asked for. */
enum filter_verdict filter_no_memory(struct filter_exchange *x);

/* The verifier of a rule's or backend's list of filters, after table_verify(). */
enum err filter_verify(const struct table *t, struct table_list filters, const char **where) MUST_CHECK;

/* For copy functions: a text out of the tables, "" when it is empty; its `at` is null when there is no memory. */
struct text filter_copy_text(struct arena *a, const struct table *t, struct table_text from);

/* For verify functions: checks that a text or list lies in the block. */
enum err filter_verify_text(const void *block, size_t bytes, struct table_text t);
enum err filter_verify_list(size_t bytes, struct table_list l, size_t item_bytes);

#endif
