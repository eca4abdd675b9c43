/*
 * HTTP/1 (RFC 9112): one connection, either role, and the steps that it is made of.
 *
 *   h1_scan.c    finds the end of a header section and refuses forbidden bytes, incrementally
 *   h1_parse.c   a whole header section to a message (llhttp, and our rules for framing)
 *   h1_target.c  whom a request is for: its target and Host
 *   h1_chunk.c   takes chunked bodies apart
 *   h1_write.c   messages to packets
 *   h1_input.c   received packets to heads, body slices, trailers
 *   h1_output.c  the sending half of streams
 *   h1_server.c, h1_client.c   what differs by role: when the next message may begin, and what an end means
 *
 * A connection carries one stream at a time. On the server the next request is not even parsed before the response to
 * the one before is queued: its packets wait, uncredited, in the connection. So responses cannot get out of order,
 * and a client that pipelines without reading is stopped by its own window.
 *
 * After a 101, or 2xx to CONNECT, the stream is a tunnel (RX_TUNNEL, TX_TUNNEL): no framing in either direction, each
 * ends with a FIN, and the connection with both.
 *
 * Slow peers. A header section has LIMIT_http_header_s seconds. Whatever else makes a client hold on to a connection is
 * measured in windows of H1_WINDOW_MS: a request's body must arrive at LIMIT_http_body_rate on average (unless it is us
 * who hold it up, a response has begun, or 100 is waited for), and what waits to be sent must be taken at
 * LIMIT_http_read_rate. The connection's timer fires at the end of each window while there is something to measure, and
 * sleeps when there is not.
 *
 *              on_open                   head is whole              both messages are whole
 *   OPENING ------------> OPEN, no stream ------------> OPEN, stream ------------+
 *                          ^   |                             |                    |
 *                          |   | idle, drained               | broken             | may be kept
 *                          |   v                             v                    |
 *                          |  LINGER (FIN sent, reading to the end) ---> DEAD     |
 *                          +------------------------------------------------------+
 */
#ifndef HTTP_H1_H
#define HTTP_H1_H

#include "base/check.h"
#include "base/limits.h"
#include "http/stream.h"

enum {
	H1_MAGIC = 0x48314331,
	H1_GATHER_SMALL = ARENA_PIECE_MAX,
	H1_GATHER_BIG = 65536,
	/* Room that a connection's send buffer must have before a message is begun on it: its head then always fits. */
	H1_HEAD_ROOM = LIMIT_http_header_bytes + 16384,
	/* Kept free by http_send_body() so that the last chunk always fits. */
	H1_END_ROOM = 64,
	/* on_writable() comes when that much is free. */
	H1_WRITABLE_ROOM = 32768,

	/* Milliseconds. */
	H1_HEADER_TIMEOUT_MS = LIMIT_http_header_s * 1000,
	H1_IDLE_TIMEOUT_MS = LIMIT_http_idle_s * 1000,
	H1_WINDOW_MS = 60 * 1000,                /* over which a client's rates are measured */
	H1_LINGER_TIMEOUT_MS = 5 * 1000,         /* after our FIN, for the peer's */
};

static_assert((int)H1_GATHER_BIG > (int)LIMIT_http_header_bytes, "a whole header section fits");
static_assert((int)H1_HEAD_ROOM < (int)LIMIT_tcp_send_start, "a head must be able to be sent");

enum h1_role { H1_SERVER, H1_CLIENT };
enum h1_state { H1_OPENING, H1_OPEN, H1_LINGER, H1_DEAD };
enum h1_rx { RX_HEAD, RX_LENGTH, RX_CHUNKED, RX_TRAILERS, RX_UNTIL_CLOSE, RX_TUNNEL, RX_WHOLE };
enum h1_tx { TX_HEAD, TX_NO_BODY, TX_LENGTH, TX_CHUNKED, TX_UNTIL_CLOSE, TX_TUNNEL, TX_WHOLE };

/* Received bytes that nobody took yet: [off, off + len) of m, one reference, and the cost still to be assigned. */
struct input {
	struct rte_mbuf *m;
	uint16_t off, len;
	uint32_t cost;
};

static inline const char *input_at(const struct input *in)
{
	return (const char *)in->m->buf_addr + in->off;
}

static inline void input_skip(struct input *in, uint32_t n)
{
	in->off = (uint16_t)(in->off + n);
	in->len = (uint16_t)(in->len - n);
}

/* Pipelined packets, in a chunk of the shard's pool. */
struct h1_queue {
	uint32_t first, n;
	struct input items[LIMIT_http_queued_mbufs];
};
static_assert(sizeof(struct h1_queue) <= ARENA_CHUNK, "a queue is one chunk");

/* Where the scan of a header section stands. Offsets count from the section's start. */
struct h1_scan {
	uint32_t at;            /* everything before is looked at */
	uint32_t line;          /* start of the line that `at` is in */
	uint32_t first_line;    /* length of the first line, CR LF included; 0 while it is not whole */
	uint32_t end;           /* length of the section, the empty line included; 0 while it is not whole */
	uint32_t lines;         /* whole lines before the empty one */
};

enum h1_chunk_state {
	CHUNK_SIZE_FIRST, CHUNK_SIZE, CHUNK_EXTENSION, CHUNK_SIZE_LF, CHUNK_DATA, CHUNK_DATA_CR, CHUNK_DATA_LF,
};

struct h1_chunk {
	uint8_t state;          /* enum h1_chunk_state */
	uint8_t digits;
	uint16_t extension_bytes; /* of the whole body */
	uint64_t left;          /* of the size being read, then of the data */
};

/* Where a connection stood when the present window began. */
struct h1_window {
	uint64_t received_bytes, queued_bytes, acked_bytes;
	uint64_t since_ns;
	uint32_t stream;        /* the number of its stream */
};

struct h1_conn {
	uint32_t magic;
	uint8_t role;           /* enum h1_role */
	uint8_t state;          /* enum h1_state */
	uint8_t rx;             /* enum h1_rx */
	uint8_t tx;             /* enum h1_tx */
	bool keep_alive;        /* another exchange may follow the present one */
	bool eof;               /* the peer sent FIN */
	bool in_later;
	bool consuming;
	bool broken;            /* to be cut for `why` when control is back in the layer */
	bool starved;           /* server: the next request waits for room in the send buffer */
	bool used;              /* client: has carried a stream before the present one */
	bool chunk_open;        /* sending: a chunk's data was sent, its CR LF was not */
	bool asleep;            /* server: the timer is not due at the end of a window */
	uint8_t lead;           /* server: how much of an empty line before the request was skipped */
	uint8_t heads_n;        /* server: requests begun at heads_ns */
	struct http *http;
	struct tls_conn *tls;
	struct http_stream *stream;

	/* Receiving. */
	uint64_t rx_left;       /* RX_LENGTH */
	struct h1_chunk chunk;
	struct input part;      /* the start of a header section, alone so far */
	char *gather;           /* the start of a header section that came in several packets */
	uint32_t gather_len, gather_max;
	void *big;              /* gather is in it */
	struct h1_scan scan;
	struct arena arena;     /* server: of the stream to come */
	struct h1_queue *queue;

	/* Sending. */
	struct rte_mbuf *text;  /* has room for more framing of the present message */
	uint64_t tx_left;       /* TX_LENGTH */
	uint64_t queued_bytes, acked_bytes;
	uint64_t received_bytes; /* of bodies */
	uint32_t streams;       /* server: begun so far */
	uint32_t promised;      /* a chunk header for that many bytes was sent and its data was refused */

	enum err why;
	struct h1_conn *later_next;
	struct timer timer;
	uint64_t since_ns;      /* of the present state */
	uint64_t heads_ns;
	struct h1_window window;
	const struct http_client_ops *client_ops;
	void *client_user;
};

static inline struct h1_conn *h1_of(const struct http_stream *s)
{
	return s->conn;
}

/* h1_scan.c: looks at text[0..len), of which scan->at bytes were looked at before. AGAIN: not whole yet. */
enum err h1_scan(struct h1_scan *scan, const char *text, uint32_t len) MUST_CHECK;

/* h1_parse.c: the section is whole (scan->end bytes) and stays where it is as long as the message is used. */
enum err h1_parse_request(struct http_message *m, struct arena *a, const char *at,
                          const struct h1_scan *scan) MUST_CHECK;
/* m is initialised, or was an interim response's of the same stream: its array of fields serves again. */
enum err h1_parse_response(struct http_message *m, struct arena *a, const char *at, const struct h1_scan *scan,
                           bool head_request) MUST_CHECK;
enum err h1_parse_trailers(struct http_message *m, struct arena *a, const char *at,
                           const struct h1_scan *scan) MUST_CHECK;

/* h1_target.c: hosts: how many fields of that name there are, `host` the last of them. */
enum err h1_read_target(struct http_message *m, struct arena *a, struct text target) MUST_CHECK;
enum err h1_read_host(struct http_message *m, struct http_field *host, unsigned hosts) MUST_CHECK;

/*
 * h1_chunk.c: looks at text and says how much of it is framing (*framing, at the front) and how much of what follows is
 * body (*body). AGAIN: all of text was framing. OK with *body == 0: the last chunk; trailers follow.
 */
enum err h1_chunk(struct h1_chunk *c, const char *text, uint32_t len, uint32_t *framing, uint32_t *body) MUST_CHECK;

/* h1_write.c: each queues all or nothing. */
enum err h1_write_request(struct h1_conn *c, const struct http_message *m) MUST_CHECK;
enum err h1_write_response(struct h1_conn *c, const struct http_message *m, enum h1_tx tx, bool close) MUST_CHECK;
enum err h1_write_piece(struct h1_conn *c, struct text piece) MUST_CHECK;     /* framing, or copied body text */
enum err h1_write_trailers(struct h1_conn *c, const struct http_message *trailers) MUST_CHECK;
void h1_drop_text(struct h1_conn *c);

/* h1_input.c */
void h1_input(struct h1_conn *c, struct input in);      /* takes in */
void h1_consume_queue(struct h1_conn *c);
void h1_input_clear(struct h1_conn *c);                 /* everything that waits is dropped, its credit given back */
bool h1_input_waits(const struct h1_conn *c);
void h1_gather_clear(struct h1_conn *c);
void h1_finish(struct h1_conn *c, struct http_message *trailers); /* the received message is whole */

/* h1_output.c */
extern const struct stream_class h1_class;
void h1_acked(struct h1_conn *c, uint32_t bytes);

/* h1_conn.c */
struct h1_conn *h1_get(struct http *h, enum h1_role role); /* null: none left (counted) */
void h1_put(struct h1_conn *c);                         /* now; nobody may be using it */
struct h1_conn *h1_new(struct http *h, enum h1_role role); /* as h1_get(), and counts one that opens */
void h1_free(struct h1_conn *c);                        /* as h1_put(), and counts one that has closed */
void h1_later(struct h1_conn *c);
void h1_settle(struct h1_conn *c);                      /* what was put off: by http_leave() */
void h1_break(struct h1_conn *c, enum err why);         /* cut later: safe under any caller */
void h1_cut(struct h1_conn *c, enum err why);           /* now: tells the stream, aborts */
void h1_linger(struct h1_conn *c);                      /* FIN, then read to the end */
void h1_leave(struct h1_conn *c);                       /* FIN, and nothing more from this connection */
void h1_stream_close(struct h1_conn *c, enum err why);  /* tells the user, frees the stream */
void h1_release_head(struct h1_conn *c, struct http_stream *s); /* frees what is under the received head */
void h1_credit(struct h1_conn *c, uint32_t credit);
void h1_enough(struct h1_conn *c);
void h1_due(struct h1_conn *c, uint32_t in_ms);         /* the timer fires at the latest then */
void h1_wake(struct h1_conn *c, uint64_t due_ns);       /* looks at the connection again then */
extern const struct tls_user_ops h1_tls_ops;

/* h1_server.c */
void h1_server_head(struct h1_conn *c, const char *at, struct held under);
void h1_server_refuse(struct h1_conn *c, enum err why);
void h1_server_watch(struct h1_conn *c);                /* the end of a window: is the client too slow? */
bool h1_server_measured(const struct h1_conn *c);       /* is there something to measure? */
void h1_server_settle(struct h1_conn *c);
void h1_server_next(struct h1_conn *c);
bool h1_server_ready(struct h1_conn *c);                /* may the next request be begun now? */

/* h1_client.c */
void h1_client_head(struct h1_conn *c, const char *at, struct held under);
void h1_client_settle(struct h1_conn *c);

#endif
