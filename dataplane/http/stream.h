/*
 * What every version of HTTP shares below http.h: the layer of one worker, streams, and who is called when.
 *
 * Depth: every way into the layer from below (data, acknowledgements, timers) is bracketed by http_enter() and
 * http_leave(). What must not happen under a caller's feet (telling a stream's user that it is gone, starting the
 * next pipelined request, freeing a connection) is put off by http_later() and done when the outermost bracket closes,
 * or, when a user called from outside of any bracket, by a timer that is due at once.
 */
#ifndef HTTP_STREAM_H
#define HTTP_STREAM_H

#include "base/shard.h"
#include "http/http.h"

enum { HTTP_STREAM_MAGIC = 0x48535452, STREAM_ARENA_CHUNKS = 16, STREAM_HELD = 2 };

/* Where the versions of HTTP differ. */
struct stream_class {
	enum err (*send_head)(struct http_stream *s, const struct http_message *m, bool end);
	bool (*send_body)(struct http_stream *s, struct slice body);
	enum err (*send_text)(struct http_stream *s, struct text body);
	enum err (*send_end)(struct http_stream *s, const struct http_message *trailers);
	void (*credit)(struct http_stream *s, uint32_t credit);
	void (*enough)(struct http_stream *s);
	bool (*want)(struct http_stream *s, uint32_t credit);
	void (*forget_head)(struct http_stream *s);
	void (*reset)(struct http_stream *s, enum err why);
	struct tls_conn *(*conn)(const struct http_stream *s);
};

/* A packet that received text points into, and what it still costs the sender. */
struct held {
	struct rte_mbuf *m;
	uint32_t cost;
};

struct http_stream {
	uint32_t magic;
	uint32_t owed;                    /* credit of body slices that the user has not given back */
	const struct stream_class *class;
	void *conn;                       /* of the class */
	const struct http_stream_ops *ops;
	void *user;
	bool request_begun, response_begun;
	bool want_writable;               /* http_send_body() or http_send_end() refused */
	bool head_request;                /* HEAD: the response has no body, whatever it says */
	uint8_t interim_n;
	uint8_t request_version;          /* server: 10 or 11 */
	struct http_refusal refused;      /* server: for http_stream_refused() */
	bool expects;                     /* server: the client waits for 100 and has not got it */
	bool upgrade;                     /* the request asks for another protocol: 101 may come */
	bool connect;                     /* the request asks for a tunnel: 2xx is one */
	uint64_t framing_bytes;           /* sent: everything but body */
	uint64_t base_bytes;              /* the connection's count of queued bytes when this stream began to send */
	uint64_t reported_bytes;          /* of on_sent() */
	struct arena arena;
	struct held held[STREAM_HELD];    /* under the received head, under the trailers */
	void *big;                        /* 64 KB of text when the head did not fit elsewhere */
	char *gathered;                   /* client: the buffer of an interim response's head, for the next head */
	/* Up to here zero in a new stream. */
	struct http_message message;      /* the received one */
	struct http_message trailers;
};

struct h1_conn;

/* One pass over all connections for those that idle longest (shed.c). */
enum { SHED_OLDEST = 32 };
struct shed_pass {
	uint32_t at;                      /* index in the pool of connections, or place in TCP */
	uint32_t n;
	struct shed_idle {
		union {
			handle_t conn;
			uint32_t place;   /* dormant ones: in TCP */
		};
		uint64_t since_ns;
	} oldest[SHED_OLDEST];            /* oldest first */
};

struct http {
	struct shard *shard;
	struct tls *tls;
	struct http_up up;
	struct pool conns, streams, bigs;
	struct h1_conn *later, **later_last;
	struct timer later_timer;
	uint64_t text_shed_ns;            /* when received text was last dropped for want of memory (pressure.h) */
	uint32_t depth;
	bool draining;
	struct shed_pass shed, shed_dormant;
	uint32_t dormant_hand;            /* of the next object that dormant_look() looks at */
	uint32_t drain_at;                /* of the next place that dormant_drain() looks at */
	struct timer drain_timer;
};

/* A stream without a user; null when there is none left (counted). */
struct http_stream *stream_new(struct http *h, const struct stream_class *class, void *conn);
/* Frees it and returns the credit that it still owes for body slices and held packets. */
uint32_t stream_free(struct http *h, struct http_stream *s);

static inline void http_enter(struct http *h)
{
	h->depth++;
}

void http_leave_slow(struct http *h);

static inline void http_leave(struct http *h)
{
	if (h->depth == 1 && h->later)
		http_leave_slow(h);
	h->depth--;
}

static inline void http_count(struct http *h, enum counter id)
{
	count(h->shard->counters, id);
}

/* What a client is told about a request that was refused for this reason. */
uint16_t http_refusal_status(enum err why);

#endif
