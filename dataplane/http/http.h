/*
 * HTTP: messages and streams, the same for HTTP/1 and HTTP/2. One stream carries one request and its response.
 *
 * A message's head is a list of fields that point into memory that lives as long as its owner says: received heads
 * live until the stream's end (in the stream's arena or in mbufs that it holds); sent heads are serialised during
 * http_send_head() and not kept.
 *
 * Bodies are slices: they are passed on, never copied, and never framed (chunks are taken off and put on here).
 * Back-pressure: every received body slice carries a credit that the user gives back by http_credit() when the other
 * side took the bytes; http_send_body() refuses when the connection's send buffer is full, on_writable() follows.
 * Credit is counted in packet memory, not in bytes of text: the first slice from a packet carries the whole packet's
 * cost, later ones of the same packet carry 0, so a slice's credit says nothing about its length. What a stream still
 * owes when it ends is given back for it.
 *
 * Upgrade (RFC 9110, 7.8), HTTP/1 only: a request whose `upgrade` is set asks for another protocol, a response of 101
 * with `upgrade` set agrees. With the 101 the stream becomes a tunnel: bytes go both ways by the functions for bodies,
 * unframed and with the same credit; on_end() comes a second time and is then the peer's FIN; http_send_end() sends
 * ours; the stream ends when both have ended. What a client sends before the 101 is held in its connection. A 101 that
 * was not asked for is an error in either direction. CONNECT (RFC 9110, 9.3.6), HTTP/1.1 only, is such a request too,
 * and every 2xx agrees; a connection does not outlive a CONNECT that comes to nothing, since what the client has sent
 * behind it was not meant as a request.
 *
 * Calls and callbacks: on_head(), on_body() and on_end() may call any function on any stream, also http_reset() on
 * their own. on_closed() and the callbacks of clients never come from within a call that the user makes: they come
 * later in the same round. After http_send_end() (or http_send_head() with end) a stream still lives until on_closed().
 *
 * Parsing: llhttp in strict mode, with our own checks before and after it (RFC 9110, 9112); who judges what is said in
 * h1_parse.c.
 */
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/packet.h"
#include "tls/tls.h"

/* A piece of text, not ended by NUL. 12 bytes, so that 144 fields fit into one piece of an arena. */
struct text {
	const char *at;
	uint32_t len;
} __attribute__((packed, aligned(4)));
#define TEXT(literal) ((struct text){.at = (literal), .len = sizeof(literal) - 1})

enum http_field_flag {
	HTTP_FIELD_HOP = 1,      /* hop-by-hop (RFC 9110, 7.6.1) */
	HTTP_FIELD_FRAMING = 2,  /* how the message is delimited or the connection used: written by this layer alone */
	HTTP_FIELD_KEPT = 4,     /* not removed when Connection names it: the gateway or its users rely on it */
};

/* Field names that the gateway itself looks at get a number while parsing (http/fields.def). */
enum http_field_id {
	HTTP_FIELD_OTHER,
#define FIELD(id, name, flags) HTTP_FIELD_##id,
#include "http/fields.def"
#undef FIELD
	HTTP_FIELDS
};

struct http_field {
	struct text name;        /* as received; compare case-insensitively, or by id */
	struct text value;       /* without surrounding white space */
	uint16_t id;             /* enum http_field_id */
	bool removed;            /* skipped by everyone: removal leaves the array in place */
	bool line;               /* name, ": ", value, CR LF lie together, as received or made so: sent as they are */
};

enum http_method {
	HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_PUT, HTTP_DELETE, HTTP_CONNECT, HTTP_OPTIONS, HTTP_TRACE, HTTP_PATCH,
	HTTP_METHOD_OTHER,
};

enum http_body { HTTP_BODY_NONE, HTTP_BODY_LENGTH, HTTP_BODY_CHUNKED, HTTP_BODY_UNTIL_CLOSE };

struct http_message {
	uint16_t status;         /* responses; 0 in requests */
	uint8_t method;          /* requests: enum http_method */
	uint8_t version;         /* 10, 11, 20 */
	uint8_t body;            /* enum http_body: how the body is (to be) delimited */
	bool expect_continue;
	bool keep_alive;         /* the sender lets the connection live */
	bool trailers_welcome;   /* requests: TE says trailers */
	bool tunnel;             /* responses: the head is the last of HTTP on this stream (101, 2xx to CONNECT) */
	uint64_t content_length; /* HTTP_BODY_LENGTH */
	struct text method_text;
	struct text scheme;      /* "http", "https" */
	struct text authority;   /* Host or :authority, port included */
	struct text path;        /* origin form, query included: "/a?b" or "*"; of CONNECT, which has none, "/" */
	struct text reason;      /* responses, HTTP/1 */
	struct text upgrade;     /* the value of Upgrade, when Connection names it; empty: no other protocol is meant */
	struct http_field *fields; /* in order */
	uint16_t fields_n;
	uint16_t fields_max;
};

/*
 * Fields. Lookups skip removed ones. Names and values are referenced, not copied (they must live as long as the
 * message); the arena is for the array of fields when it must grow.
 */
struct http_field *http_find(const struct http_message *m, enum http_field_id id);      /* the first, or null */
struct http_field *http_find_name(const struct http_message *m, struct text lower_name);
enum err http_add(struct http_message *m, struct arena *a, struct text name, struct text value) MUST_CHECK;
/* The same of a whole line, "name: value CR LF", known to be clean: it is sent as it is, with its neighbours. */
enum err http_add_line(struct http_message *m, struct arena *a, enum http_field_id id, struct text line) MUST_CHECK;
/* Replaces all of that name. */
enum err http_set(struct http_message *m, struct arena *a, struct text name, struct text value) MUST_CHECK;
void http_remove(struct http_message *m, struct text name);
/* Removes hop-by-hop fields (RFC 9110, 7.6.1): the fixed ones and those that Connection names, but for names that no
 * sender may take away (Host and the like). To be called before the gateway adds fields of its own. */
void http_remove_hop_by_hop(struct http_message *m);
/* With all its texts; removed fields are left out. Null with *e: no memory. */
struct http_message *http_message_copy(const struct http_message *from, struct arena *a, enum err *e);
void http_message_init(struct http_message *m);                      /* empty; fields come from the arena as added */
bool text_equal(struct text a, struct text b);
bool text_equal_nocase(struct text a, struct text b);
enum http_field_id http_field_id(struct text name);                  /* case-insensitive */
extern const uint8_t http_flags_of_fields[HTTP_FIELDS];
static inline unsigned http_field_flags(unsigned id)                 /* enum http_field_flag */
{
	return http_flags_of_fields[id];
}
/* The next element of a comma-separated list, without white space around it; false at the end. */
bool http_list_next(struct text *rest, struct text *element);
enum http_method http_method(struct text name);
const char *http_reason(uint16_t status);

struct http;
struct http_stream;
struct http_client;      /* one connection to an upstream */

struct http_stream_ops {
	void (*on_head)(void *user, struct http_message *m);         /* request, or response (1xx too: then again) */
	void (*on_body)(void *user, struct slice s, uint32_t credit); /* takes s; credit is owed for it */
	void (*on_end)(void *user, struct http_message *trailers);   /* the message is whole; trailers may be null */
	void (*on_writable)(void *user);                             /* after http_send_body() refused */
	void (*on_sent)(void *user, uint32_t bytes);                 /* body bytes acknowledged by the peer's TCP */
	/*
	 * The stream is gone and must be forgotten. Last call. OK: the response was whole (on a server stream: wholly
	 * queued for the client; the rest of a request that was still under way is thrown away with the connection).
	 */
	void (*on_closed)(void *user, enum err why);
};

/* What the layer itself answers. */
struct http_refusal {
	uint16_t status;         /* 0: it does not */
	uint16_t body_bytes;
};

struct http_up {
	/* A client connection's new stream, before its on_head(): the callee sets the user, or resets the stream. */
	void (*on_stream)(void *up, struct http_stream *s);
	/*
	 * The head of a request was refused, or did not arrive in time: the layer itself answers and closes; this is
	 * for the log. There is no stream. (A body that breaks the rules ends its stream by
	 * on_closed(why); the layer answers too if no response had begun.)
	 */
	void (*on_bad_request)(void *up, struct tls_conn *c, enum err why, struct http_refusal answer);
	void *up;
};

struct http *http_new(struct shard *s, struct tls *tls, const struct http_up *up);
void http_free(struct http *h);

/* A client connection (from the worker's on_accept). */
void http_serve(struct http *h, struct tcp_conn *c);
/* Closes client connections in order: idle ones now, others after the response in progress. */
void http_drain(struct http *h);

/* Boot: what of it may run short. */
struct pressure;
void http_watch(const struct http *h, struct pressure *p);
/* Closes client connections that idle, oldest first, a few per call: memory is short (http/shed.c). */
void http_shed(struct http *h);

/* Upstream connections. */
struct http_client_ops {
	void (*on_open)(void *user);
	void (*on_idle)(void *user);                      /* the last stream ended, the connection can be used again */
	void (*on_closed)(void *user, enum err why);      /* gone, must be forgotten; streams were told first */
};
enum err http_connect(struct http *h, const struct tcp_connect *how, const struct http_client_ops *ops, void *user,
                      struct http_client **out) MUST_CHECK;    /* how->ops and how->user are not used */
/* A stream for one request; null when the connection cannot take one (busy HTTP/1), or closes (want of memory too). */
struct http_stream *http_client_stream(struct http_client *c, const struct http_stream_ops *ops, void *user);
void http_client_close(struct http_client *c);                   /* in order; no more callbacks; its stream is told */
bool http_client_reused(const struct http_client *c);            /* has carried a stream before the current one */
/* For safe retries: whether any byte of the response has arrived, and whether any of the request was sent. */
bool http_stream_response_begun(const struct http_stream *s);
bool http_stream_request_begun(const struct http_stream *s);

/* While on_closed() runs: what the layer itself answers, when no response had begun. */
struct http_refusal http_stream_refused(const struct http_stream *s);
void http_set_stream_user(struct http_stream *s, const struct http_stream_ops *ops, void *user);
struct arena *http_stream_arena(struct http_stream *s);          /* freed with the stream */
struct tls_conn *http_stream_conn(const struct http_stream *s);

/*
 * Sends the head of a request or response; m->body says how the body will come and is adjusted to what the
 * connection can do (HTTP/1.0 peers get no chunks). Hop-by-hop fields are the caller's business except framing:
 * Content-Length, Transfer-Encoding, Connection, Keep-Alive, Upgrade (from m->upgrade: in requests, and in responses
 * of 101 and 426), TE (from m->trailers_welcome) and Host (from m->authority) are written here and nowhere else.
 * `end`: no body follows (the response to HEAD still says m->content_length, or HTTP_BODY_CHUNKED).
 *
 * A status below 200 is an interim response (100 after m->expect_continue, 103); more heads follow. It is left out
 * for HTTP/1.0 clients and when the send buffer is nearly full.
 *
 * An error leaves the stream as it was: the caller resets it (or sends something smaller).
 */
enum err http_send_head(struct http_stream *s, const struct http_message *m, bool end) MUST_CHECK;
bool http_send_body(struct http_stream *s, struct slice body) MUST_CHECK; /* false: full, nothing taken */
enum err http_send_text(struct http_stream *s, struct text body) MUST_CHECK; /* copied, any length: local replies */
/* FULL: on_writable() follows, call again. A body shorter than announced closes the connection, visibly truncated. */
enum err http_send_end(struct http_stream *s, const struct http_message *trailers) MUST_CHECK;
void http_credit(struct http_stream *s, uint32_t credit);
void http_enough(struct http_stream *s);                /* what came has to wait: more would only wait too */
/* The user is going to keep slices of so much credit, and wants more to come. False: memory is short, it may not. */
bool http_want(struct http_stream *s, uint32_t credit) MUST_CHECK;
/* The received head is not needed any more: its memory goes back, its texts must not be looked at again. */
void http_forget_head(struct http_stream *s);
/* Cuts the stream: HTTP/1 closes the connection (visibly truncated if a response was under way). on_closed() is
 * not called; the owner of a client connection is told by its own on_closed(). */
void http_reset(struct http_stream *s, enum err why);

#endif
