#include "tests/sim/app.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/check.h"
#include "tests/support/table_fixture.h"

/* ---- reading ---- */

static const char *field(const struct reader *r, const char *name, char value[static 256])
{
	const size_t n = strlen(name);

	for (const char *line = strstr(r->head, "\r\n"); line && line[2]; line = strstr(line + 2, "\r\n")) {
		if (strncasecmp(line + 2, name, n) || line[2 + n] != ':')
			continue;
		const char *at = line + 3 + n;
		while (*at == ' ')
			at++;
		size_t len = strcspn(at, "\r");
		snprintf(value, 256, "%.*s", (int)(len < 255 ? len : 255), at);
		return value;
	}
	return NULL;
}

static void fail(struct app_conn *c, const char *what)
{
	sim_fail(c->app->sim, "%s connection %u exchange %" PRIu64 ": %s", c->host->actor.name, c->id, c->reader.exchange, what);
}

static void on_message_head(struct app_conn *c);
static void on_message_end(struct app_conn *c);

/* The head is whole: how is the body framed? */
static void begin_body(struct app_conn *c)
{
	struct reader *r = &c->reader;
	char value[256];

	on_message_head(c);
	r->body_n = 0;
	if (r->no_body) {
		on_message_end(c);
	} else if (field(r, "transfer-encoding", value)) {
		if (strcasecmp(value, "chunked") || field(r, "content-length", value))
			fail(c, "bad framing");
		r->state = READ_CHUNK_SIZE;
		r->head_n = 0;
	} else {
		r->left = field(r, "content-length", value) ? strtoull(value, NULL, 10) : 0;
		r->state = READ_BODY;
		if (!r->left)
			on_message_end(c);
	}
}

static void body_bytes(struct app_conn *c, const uint8_t *at, uint64_t n)
{
	struct reader *r = &c->reader;

	for (uint64_t i = 0; i < n && !r->refusal; i++)
		if (at[i] != sim_byte(r->exchange, r->body_n + i)) {
			char text[96];

			snprintf(text, sizeof(text), "body byte %" PRIu64 " is %02x, not %02x", r->body_n + i, at[i],
			         sim_byte(r->exchange, r->body_n + i));
			fail(c, text);
			return;
		}
	r->body_n += n;
	c->app->bytes_in += n;
}

/* One line of the chunked framing is complete in head. */
static void chunk_line(struct app_conn *c)
{
	struct reader *r = &c->reader;

	r->head[r->head_n] = 0;
	const bool empty = !strcmp(r->head, "\r\n");
	r->head_n = 0;
	switch (r->state) {
	case READ_CHUNK_SIZE:
		r->left = strtoull(r->head, NULL, 16);
		r->state = r->left ? READ_CHUNK : READ_TRAILER;
		break;
	case READ_CHUNK_END:
		if (!empty)
			fail(c, "no CRLF behind a chunk");
		r->state = READ_CHUNK_SIZE;
		break;
	default:
		if (empty)
			on_message_end(c);
		break;
	}
}

static void eat(struct app_conn *c, const uint8_t *at, uint32_t n)
{
	struct reader *r = &c->reader;

	while (n && c->tcp && !c->app->sim->failed) {
		if (r->state == READ_BODY || r->state == READ_CHUNK) {
			const uint32_t take = r->left < n ? (uint32_t)r->left : n;

			body_bytes(c, at, take);
			at += take;
			n -= take;
			r->left -= take;
			if (!r->left && r->state == READ_BODY)
				on_message_end(c);
			else if (!r->left)
				r->state = READ_CHUNK_END;
			continue;
		}
		if (r->head_n >= APP_LINE - 1) {
			fail(c, "endless head");
			return;
		}
		r->head[r->head_n++] = (char)*at++;
		n--;
		if (r->head[r->head_n - 1] != '\n')
			continue;
		if (r->state != READ_HEAD) {
			chunk_line(c);
		} else if (r->head_n >= 4 && !memcmp(r->head + r->head_n - 4, "\r\n\r\n", 4)) {
			r->head[r->head_n] = 0;
			begin_body(c);
		}
	}
}

/* ---- writing ---- */

static bool put(struct app_conn *c, const uint8_t *text, uint16_t n)
{
	struct slice s;
	uint8_t *at;

	if (c->app->unacked_max && c->unacked + n > c->app->unacked_max)
		return false;
	if (tcp_send_room(c->tcp) < n || !host_slice(c->host, n, &s, &at))
		return false;
	memcpy(at, text, n);
	if (tcp_send(c->tcp, s)) {
		c->unacked += n;
		return true;
	}
	slice_free(&s);
	return false;
}

/* A piece of the body, of a random size, with its chunk framing. */
static bool put_body(struct app_conn *c)
{
	struct writer *w = &c->writer;
	uint8_t piece[PACKET_PAYLOAD_MAX];
	const uint64_t left = w->body_n - w->body_at;
	uint32_t n = 1 + rng_below(&c->app->rng, 1900), at = 0;

	if (n > left)
		n = (uint32_t)left;
	if (w->chunked)
		at = (uint32_t)sprintf((char *)piece, "%x\r\n", n);
	for (uint32_t i = 0; i < n; i++)
		piece[at++] = sim_byte(w->exchange, w->body_at + i);
	if (w->chunked) {
		piece[at++] = '\r';
		piece[at++] = '\n';
	}
	if (!put(c, piece, (uint16_t)at))
		return false;
	w->body_at += n;
	c->app->bytes_out += n;
	return true;
}

static void pump(struct app_conn *c)
{
	struct writer *w = &c->writer;

	if (!c->tcp || !c->opened)
		return;
	if (w->head_n) {
		if (!put(c, (const uint8_t *)w->head, (uint16_t)w->head_n))
			return;
		w->head_n = 0;
	}
	while (w->body_at < w->body_n)
		if (!put_body(c))
			return;
	if (w->end_pending && put(c, (const uint8_t *)"0\r\n\r\n", 5))
		w->end_pending = false;
}

static bool written(const struct writer *w)
{
	return !w->head_n && w->body_at == w->body_n && !w->end_pending;
}

static void write_body(struct writer *w, uint64_t exchange, uint64_t bytes, bool chunked)
{
	w->exchange = exchange;
	w->body_at = 0;
	w->body_n = bytes;
	w->chunked = chunked;
	w->end_pending = chunked;
}

/* ---- client ---- */

static uint64_t body_size(struct app *a)
{
	if (a->body_min)
		return a->body_min + rng_below(&a->rng, a->body_max - a->body_min);
	switch (rng_below(&a->rng, 4)) {
	case 0:
		return 0;
	case 1:
		return rng_below(&a->rng, 200);
	case 2:
		return rng_below(&a->rng, 5000);
	default:
		return rng_below(&a->rng, a->body_max);
	}
}

static void ask(struct app_conn *c)
{
	struct app *a = c->app;
	struct writer *w = &c->writer;
	static const char modes[] = "llcc0h";
	const bool exact = a->upload || a->download;
	const char mode = exact ? 'l' : modes[rng_below(&a->rng, 6)];
	const bool post = exact ? a->upload > 0 : mode != 'h' && !a->bodiless && rng_below(&a->rng, 2);
	const bool chunked = post && !exact && rng_below(&a->rng, 2);
	const uint64_t up = exact ? a->upload : post ? body_size(a) : 0;

	c->exchange = ((uint64_t)c->id << 32 | c->requests_left) * 2;
	c->want_body = exact ? a->download : mode == '0' ? 0 : body_size(a);
	c->requests_left--;
	int n = snprintf(w->head, sizeof(w->head), "%s /x/%" PRIu64 "/%" PRIu64 "/%" PRIu64 "/%c HTTP/1.1\r\nHost: sim.example\r\n",
	                 mode == 'h' ? "HEAD" : post ? "POST" : "GET", c->exchange, up, c->want_body, mode);
	for (uint32_t i = rng_below(&a->rng, 8); i; i--)
		n += snprintf(w->head + n, sizeof(w->head) - (size_t)n, "x-pad-%u: %0*d\r\n", i, 1 + (int)rng_below(&a->rng, 60), 7);
	if (post)
		n += chunked ? snprintf(w->head + n, sizeof(w->head) - (size_t)n, "Transfer-Encoding: chunked\r\n")
		             : snprintf(w->head + n, sizeof(w->head) - (size_t)n, "Content-Length: %" PRIu64 "\r\n", up);
	n += snprintf(w->head + n, sizeof(w->head) - (size_t)n, "\r\n");
	w->head_n = (uint32_t)n;
	write_body(w, c->exchange, up, chunked);
	c->reader.exchange = c->exchange + 1;
	c->head = mode == 'h';
	c->reader.no_body = c->head || mode == '0';
	c->waiting = true;
	pump(c);
}

static void client_head(struct app_conn *c)
{
	int status = 0;

	if (!c->waiting)
		fail(c, "a response that nobody asked for");
	const bool read = sscanf(c->reader.head, "HTTP/1.1 %d", &status) == 1;

	c->reader.refusal = read && c->app->tolerant && status >= 500;
	c->app->refused += c->reader.refusal;
	if (c->reader.refusal)
		c->reader.no_body = c->head;
	if (!read || (status != 200 && status != 204 && !c->reader.refusal)) {
		c->app->statuses_bad++;
		c->reader.head[60] = 0;
		fail(c, c->reader.head);
	}
}

static void client_end(struct app_conn *c)
{
	if (!c->reader.no_body && !c->reader.refusal && c->reader.body_n != c->want_body)
		fail(c, "response body of a wrong length");
	c->waiting = false;
	c->app->requests_done++;
	c->next_ns = c->app->sim->now_ns + rng_below(&c->app->rng, c->gap_us + 1) * NS_PER_US;
}

static void client_round(struct app_conn *c)
{
	struct sim *s = c->app->sim;

	if (!c->tcp || !c->opened || c->waiting || c->shut)
		return;
	if (s->now_ns < c->next_ns) {
		actor_at(&c->host->actor, c->next_ns);
	} else if (c->requests_left && written(&c->writer)) {
		ask(c);
	} else if (!c->requests_left && written(&c->writer)) {
		c->shut = true;
		tcp_shutdown(c->tcp);
	}
}

/* ---- server ---- */

static void server_head(struct app_conn *c)
{
	uint64_t exchange = 0, up = 0, down = 0;
	char method[8], mode = 0;

	if (sscanf(c->reader.head, "%7s /x/%" SCNu64 "/%" SCNu64 "/%" SCNu64 "/%c HTTP/1.1", method, &exchange, &up, &down,
	           &mode) != 5) {
		fail(c, "request line");
		return;
	}
	c->exchange = exchange;
	c->reader.exchange = exchange;
	c->want_body = up;
	c->answer_body = down;
	c->answer_mode = mode;
}

static void server_end(struct app_conn *c)
{
	struct app *a = c->app;

	if (c->reader.body_n != c->want_body)
		fail(c, "request body of a wrong length");
	if (c->have_request)
		fail(c, "a request before the last was answered");
	c->have_request = true;
	c->answer_at_ns = a->sim->now_ns + (a->think_max_ns ? rng_u64(&a->rng) % a->think_max_ns : 0);
	if (c->answer_at_ns < a->hold_until_ns)
		c->answer_at_ns = a->hold_until_ns + rng_below(&a->rng, 1000000);
	actor_at(&c->host->actor, c->answer_at_ns);
}

static void answer(struct app_conn *c)
{
	struct writer *w = &c->writer;
	const bool chunked = c->answer_mode == 'c';
	int n;

	if (c->answer_mode == '0')
		n = snprintf(w->head, sizeof(w->head), "HTTP/1.1 204 No Content\r\nserver: sim\r\n\r\n");
	else if (chunked)
		n = snprintf(w->head, sizeof(w->head), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
	else
		n = snprintf(w->head, sizeof(w->head), "HTTP/1.1 200 OK\r\nContent-Length: %" PRIu64 "\r\n\r\n", c->answer_body);
	w->head_n = (uint32_t)n;
	write_body(w, c->exchange + 1, strchr("0h", c->answer_mode) ? 0 : c->answer_body, chunked);
	c->have_request = false;
	c->app->served++;
	pump(c);
}

static void server_round(struct app_conn *c)
{
	struct app *a = c->app;

	if (!c->tcp)
		return;
	if (c->have_request && a->sim->now_ns >= c->answer_at_ns && written(&c->writer))
		answer(c);
	else if (c->have_request)
		actor_at(&c->host->actor, c->answer_at_ns > a->sim->now_ns ? c->answer_at_ns : a->sim->now_ns + NS_PER_MS);
	if ((a->closing || c->eof) && !c->shut && !c->have_request && written(&c->writer)) {
		c->shut = true;
		tcp_shutdown(c->tcp);
	}
}

/* ---- both ---- */

static void on_message_head(struct app_conn *c)
{
	if (c->is_client)
		client_head(c);
	else
		server_head(c);
}

static void on_message_end(struct app_conn *c)
{
	c->reader.state = READ_HEAD;
	c->reader.head_n = 0;
	if (c->is_client)
		client_end(c);
	else
		server_end(c);
}

/* Reads what has arrived, unless this connection is a slow reader just now. */
static void read_some(struct app_conn *c)
{
	struct sim *s = c->app->sim;

	while (c->unread_head != c->unread_tail && c->tcp) {
		const uint64_t until_ns = c->app->stalled_until_ns > c->stall_until_ns ? c->app->stalled_until_ns
		                                                                       : c->stall_until_ns;

		if (s->now_ns < until_ns) {
			actor_at(&c->host->actor, until_ns);
			return;
		}
		struct rte_mbuf *m = c->unread[c->unread_head++ % APP_UNREAD];
		const uint32_t cost = tcp_cost(m);

		eat(c, rte_pktmbuf_mtod(m, const uint8_t *), m->data_len);
		rte_pktmbuf_free(m);
		if (c->tcp)
			tcp_credit(c->tcp, cost);
		if (!c->app->eager && !rng_below(&c->app->rng, 200))
			c->stall_until_ns = s->now_ns + rng_below(&c->app->rng, 30000000);
	}
}

static void on_open(void *user)
{
	struct app_conn *c = user;

	c->opened = true;
	/* A reset for which there was no memory is as good as lost: who waits must ask. */
	if (c->app->tolerant)
		tcp_keepalive(c->tcp, 5000, 1000, 5);
	host_kick(c->host);
}

static void on_data(void *user, struct rte_mbuf *m)
{
	struct app_conn *c = user;

	if (c->unread_tail - c->unread_head == APP_UNREAD) {
		fail(c, "more received than the window allows");
		rte_pktmbuf_free(m);
		return;
	}
	c->unread[c->unread_tail++ % APP_UNREAD] = m;
	host_kick(c->host);
}

static void on_eof(void *user)
{
	struct app_conn *c = user;

	c->eof = true;
	host_kick(c->host);
}

static void on_acked(void *user, uint32_t bytes)
{
	struct app_conn *c = user;

	c->unacked -= bytes;
	host_kick(c->host);
}

static void on_closed(void *user, enum err why)
{
	struct app_conn *c = user;

	if (why != OK && !c->app->tolerant) {
		char text[96];

		snprintf(text, sizeof(text), "closed: %s", err_name(why));
		fail(c, text);
	}
	if (c->is_client && (c->waiting || c->requests_left)) {
		c->app->broken++;
		if (!c->app->tolerant)
			fail(c, "closed by the gateway before the work was done");
	}
	c->tcp = NULL;
	c->app->conns_done++;
	while (c->unread_head != c->unread_tail)
		rte_pktmbuf_free(c->unread[c->unread_head++ % APP_UNREAD]);
}

static const struct tcp_user_ops conn_ops = {
	.on_open = on_open, .on_data = on_data, .on_eof = on_eof, .on_acked = on_acked, .on_closed = on_closed,
};

static void on_round(void *up)
{
	struct app *a = up;

	for (struct app_conn *c = a->conns; c && !a->sim->failed; c = c->next) {
		read_some(c);
		/* The other side is done: a client that still waits will never get its answer. */
		if (c->is_client && c->eof && c->unread_head == c->unread_tail && c->waiting && !a->tolerant)
			fail(c, "the gateway ended the connection while a response was due");
		if (c->is_client && c->eof && c->unread_head == c->unread_tail && a->tolerant && c->tcp && !c->shut) {
			c->shut = true;
			tcp_shutdown(c->tcp);
		}
		pump(c);
		if (c->is_client)
			client_round(c);
		else
			server_round(c);
	}
}

static struct app_conn *conn_new(struct app *a, bool is_client)
{
	struct app_conn *c = calloc(1, sizeof(*c));

	CHECK(c);
	c->app = a;
	c->host = a->host;
	c->is_client = is_client;
	c->next = a->conns;
	a->conns = c;
	return c;
}

static void on_accept(void *up, struct tcp_conn *tcp)
{
	struct app_conn *c = conn_new(up, false);

	c->tcp = tcp;
	c->opened = true;
	tcp_set_user(tcp, &conn_ops, c);
}

void app_connect(struct app *a)
{
	const uint32_t conns = a->conns_wanted;

	a->conns_wanted = 0;
	app_connect_more(a, conns);
}

void app_connect_more(struct app *a, uint32_t conns)
{
	const struct tcp_connect how = {.remote = fixture_addr(a->target), .remote_port = a->target_port,
	                                .connect_timeout_ms = 60000, .sending = a->host->sending, .ops = &conn_ops};

	for (uint32_t i = 0; i < conns; i++) {
		struct app_conn *c = conn_new(a, true);
		struct tcp_connect mine = how;

		c->id = ++a->conns_wanted;
		c->requests_left = a->requests_each;
		c->gap_us = rng_below(&a->rng, 20000);
		mine.user = c;
		const enum err e = tcp_connect(a->host->tcp, &mine, &c->tcp);
		if (e != OK)
			fail(c, err_name(e));
	}
	host_kick(a->host);
}

void app_close(struct app *a)
{
	a->closing = true;
	host_kick(a->host);
}

bool app_done(const struct app *a)
{
	return a->conns_done == a->conns_wanted;
}

static void init(struct app *a, struct host *h, uint64_t seed)
{
	*a = (struct app){.sim = h->actor.sim, .host = h, .body_max = 60000};
	rng_init(&a->rng, seed);
	h->up = a;
	h->on_round = on_round;
}

void app_client_init(struct app *a, struct host *h, uint64_t seed)
{
	init(a, h, seed);
}

void app_server_init(struct app *a, struct host *h, uint64_t seed)
{
	init(a, h, seed);
	h->on_accept = on_accept;
}

void app_free(struct app *a)
{
	for (struct app_conn *c; (c = a->conns);) {
		a->conns = c->next;
		while (c->unread_head != c->unread_tail)
			rte_pktmbuf_free(c->unread[c->unread_head++ % APP_UNREAD]);
		free(c);
	}
}
