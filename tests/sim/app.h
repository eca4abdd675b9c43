/*
 * The HTTP/1.1 of clients and servers in the simulator: small, and sharing nothing with the gateway's.
 *
 * A request names what it wants: "GET /x/<exchange>/<request body bytes>/<response body bytes>/<mode>", mode: l =
 * Content-Length, c = chunked, 0 = no body (204), h = HEAD. Bodies are sim_byte(exchange, offset) (responses: of
 * exchange + 1), so each side knows every byte that it may see.
 */
#ifndef SIM_APP_H
#define SIM_APP_H

#include "tests/sim/host.h"

/* APP_UNREAD: what fits into the largest receive buffer, with its reserve, and a power of 2. */
enum { APP_LINE = 8192, APP_UNREAD = 4096 };

/* Reads one message at a time from a byte stream: head lines, then the body by its framing. */
struct reader {
	enum { READ_HEAD, READ_BODY, READ_CHUNK_SIZE, READ_CHUNK, READ_CHUNK_END, READ_TRAILER } state;
	char head[APP_LINE];
	uint32_t head_n;
	uint64_t left;         /* of the body or chunk */
	uint64_t body_n;       /* body bytes so far */
	uint64_t exchange;     /* whose bytes the body must be */
	bool no_body;          /* responses to HEAD */
	bool refusal;          /* a 5xx response: its body is any text */
};

/* Where a connection's output comes from: a head, then body bytes computed as there is room. */
struct writer {
	char head[1024];
	uint32_t head_n;
	uint64_t exchange, body_at, body_n;
	bool chunked, end_pending;
};

struct app;

struct app_conn {
	struct app *app;
	struct host *host;
	struct tcp_conn *tcp;  /* null: closed */
	struct reader reader;
	struct writer writer;
	struct rte_mbuf *unread[APP_UNREAD]; /* received, not yet read (a slow reader) */
	uint32_t unread_head, unread_tail;
	bool is_client, eof, shut, opened;
	uint32_t unacked;      /* bytes given to TCP */
	/* client */
	uint32_t id, requests_left, gap_us;
	uint64_t next_ns;      /* when the next request, or the next slow read, may happen */
	bool waiting;          /* a response is due */
	bool head;             /* to HEAD */
	uint64_t exchange;     /* of the request in progress */
	uint64_t want_body;    /* response body bytes expected */
	uint64_t stall_until_ns;
	/* server */
	bool have_request;
	uint64_t answer_at_ns;
	uint64_t answer_body;
	char answer_mode;
	struct app_conn *next;
};

struct app {
	struct sim *sim;
	struct host *host;
	struct app_conn *conns;
	struct rng rng;
	bool tolerant;          /* memory is short: a 5xx response (and without it an end) is an answer */
	uint64_t refused, broken; /* such answers */
	uint64_t stalled_until_ns; /* nobody reads before */
	bool eager;             /* nobody ever reads late */
	uint32_t unacked_max;   /* what each connection gives to TCP ahead of time; 0: as much as it takes */
	/* what clients do */
	uint32_t conns_wanted, requests_each;
	uint32_t body_min, body_max; /* a minimum: every body is that large */
	bool bodiless;          /* requests have no bodies: refusing one would end its connection */
	uint64_t upload, download; /* one of them set: bodies of exactly so many bytes, with their length */
	const char *target;     /* the VIP */
	uint16_t target_port;
	uint64_t requests_done, bytes_in, bytes_out, statuses_bad;
	uint32_t conns_done;
	/* what servers do */
	uint64_t think_max_ns;
	uint64_t hold_until_ns; /* answers wait until then (suspended exchanges) */
	uint64_t served;
	bool closing;           /* servers: close idle connections now */
};

void app_client_init(struct app *a, struct host *h, uint64_t seed);
void app_server_init(struct app *a, struct host *h, uint64_t seed);
void app_connect(struct app *a);       /* opens the clients' connections */
void app_connect_more(struct app *a, uint32_t conns);
void app_close(struct app *a);         /* servers: shut down every connection */
bool app_done(const struct app *a);    /* clients: all requests answered, all connections closed */
void app_free(struct app *a);

#endif
