/*
 * The filter contract, through the proxy: a filter of this test's own that does in each hook what the case says, and
 * leaves a trace of what it was asked. Order, suspending and resuming at every point, replies, bodies that are taken,
 * changed and gathered, trailers, deaths in between, and any order of all that.
 */
#define FILTERS_OF_TESTS FILTER(probe) FILTER(gather)
#include "filter/filter.c"

#include <ctype.h>

#include "rig.h"

/* ---- the probe ---- */

enum point { REQUEST, REQUEST_BODY, REQUEST_END, RESPONSE, RESPONSE_BODY, RESPONSE_END, POINTS };
enum { HELD_MAX = 64, PROBES = 4 };

enum act {
	PASS, STALL, STALL_AGAIN, ANSWER,
	TAKE,            /* bodies: hold the piece, pass it on at the end */
	SWALLOW,         /* bodies: hold the piece, give its credit back, pass it on at the end */
	UPPER,           /* bodies: pass on another slice with the text in upper case */
	TAKE_AND_STALL,   /* bodies: hold the piece and suspend; pass it on when resumed */
	TRAILER,         /* ends: add one */
	RANDOM,
};

struct probe {
	enum act act[POINTS];
	struct filter_ticket ticket;     /* of the last wait */
	bool waits;
	unsigned copies, dones;
};

struct probe_config {
	struct table_text name;          /* "a": probes[0] */
};

struct probe_state {
	struct probe *probe;
	struct filter_piece held[2][HELD_MAX];   /* of the request, of the response */
	unsigned held_n[2];
};

static struct probe probes[PROBES];
static char trace[1024];
static struct rng dice;

static void say(const struct probe *p, const char *what)
{
	const size_t at = strlen(trace);

	snprintf(trace + at, sizeof(trace) - at, "%s%c.%s", at > 0 ? " " : "", (char)('a' + (p - probes)), what);
}

static enum err probe_compile(const struct filter_source *from, struct builder *b, uint32_t *offset,
                              struct filter_problem *problem)
{
	const char *name = doc_str(from->spec, "name");
	const struct probe_config c = {.name = builder_text(b, name, strlen(name))};

	(void)problem;
	*offset = builder_put(b, &c, sizeof(c));
	return OK;
}

static enum err probe_verify(const void *block, size_t bytes, const void *config)
{
	return filter_verify_text(block, bytes, ((const struct probe_config *)config)->name);
}

static void *probe_copy(struct arena *a, const struct table *t, const void *config)
{
	struct probe_state *s = arena_get(a, sizeof(*s));

	if (s == NULL)
		return NULL;
	*s = (struct probe_state){.probe = &probes[*table_text(t, ((const struct probe_config *)config)->name) - 'a']};
	s->probe->copies++;
	return s;
}

static enum act act_of(const struct probe *p, enum point at)
{
	const enum act act = p->act[at];
	const bool body = at == REQUEST_BODY || at == RESPONSE_BODY;

	if (act != RANDOM)
		return act;
	switch (rng_below(&dice, 8)) {
	case 0:
		return STALL;
	case 1:
		return rng_below(&dice, 8) == 0 ? ANSWER : PASS;
	case 2:
		return body ? SWALLOW : PASS;
	case 3:
		return body ? TAKE_AND_STALL : PASS;
	default:
		return PASS;
	}
}

static void emit_held(struct filter_exchange *x, struct probe_state *s)
{
	const unsigned way = x->on_way_out;

	for (unsigned i = 0; i < s->held_n[way]; i++)
		filter_emit(x, s->held[way][i].slice, s->held[way][i].credit);
	s->held_n[way] = 0;
}

static enum filter_verdict wait_for(struct filter_exchange *x, struct probe_state *s)
{
	s->probe->ticket = x->ticket;
	s->probe->waits = true;
	return FILTER_SUSPEND;
}

static enum filter_verdict answer(struct filter_exchange *x)
{
	x->reply = (struct filter_reply){.status = 418, .body = TEXT("short and stout"), .flags = "UAEX"};
	return FILTER_REPLY;
}

static enum filter_verdict do_simple(struct filter_exchange *x, struct probe_state *s, enum point at, const char *what)
{
	const enum act act = x->local ? PASS : act_of(s->probe, at);

	say(s->probe, what);
	if (at == REQUEST_END || at == RESPONSE_END)
		emit_held(x, s);
	switch (act) {
	case STALL:
	case STALL_AGAIN:
		return wait_for(x, s);
	case ANSWER:
		return answer(x);
	case TRAILER:
		if (x->trailers == NULL) {
			x->trailers = arena_get(x->arena, sizeof(*x->trailers));
			assert_non_null(x->trailers);
			http_message_init(x->trailers);
		}
		assert_int_equal(http_add(x->trailers, x->arena, TEXT("x-probe"), TEXT("1")), OK);
		return FILTER_CONTINUE;
	default:
		return FILTER_CONTINUE;
	}
}

/* What it holds already goes first when there is no room for more. */
static enum filter_verdict hold(struct filter_exchange *x, struct probe_state *s, struct filter_piece *piece)
{
	const unsigned way = x->on_way_out;

	if (s->held_n[way] == HELD_MAX)
		emit_held(x, s);
	s->held[way][s->held_n[way]++] = *piece;
	return FILTER_TAKEN;
}

/* The text of the piece in a packet of our own, in upper case. */
static void emit_upper(struct filter_exchange *x, struct filter_piece *piece)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(x->shard->pools.payload);
	char *at = rte_pktmbuf_append(m, piece->slice.len);

	for (uint16_t i = 0; i < piece->slice.len; i++)
		at[i] = (char)toupper(slice_at(&piece->slice)[i]);
	filter_emit(x, (struct slice){.m = m, .off = (uint16_t)(at - (char *)m->buf_addr), .len = piece->slice.len},
	            piece->credit);
	slice_free(&piece->slice);
}

static enum filter_verdict do_body(struct filter_exchange *x, struct probe_state *s, enum point at,
                                   struct filter_piece *piece, const char *what)
{
	const enum act act = act_of(s->probe, at);

	say(s->probe, what);
	if (act == PASS || act == STALL || act == UPPER)
		emit_held(x, s);
	switch (act) {
	case STALL:
		return wait_for(x, s);
	case ANSWER:
		return answer(x);
	case TAKE:
		return hold(x, s, piece);
	case SWALLOW:
		filter_release(x, piece->credit);
		piece->credit = 0;
		return hold(x, s, piece);
	case TAKE_AND_STALL:
		(void)hold(x, s, piece);
		*piece = (struct filter_piece){0};
		return wait_for(x, s);
	case UPPER:
		emit_upper(x, piece);
		return FILTER_TAKEN;
	default:
		return FILTER_CONTINUE;
	}
}

static enum filter_verdict on_request(struct filter_exchange *x, void *copied)
{
	return do_simple(x, copied, REQUEST, "request");
}

static enum filter_verdict on_request_body(struct filter_exchange *x, void *copied, struct filter_piece *piece)
{
	return do_body(x, copied, REQUEST_BODY, piece, "body");
}

static enum filter_verdict on_request_end(struct filter_exchange *x, void *copied)
{
	return do_simple(x, copied, REQUEST_END, "end");
}

static enum filter_verdict on_response(struct filter_exchange *x, void *copied)
{
	const struct probe_state *s = copied;

	assert_non_null(x->response);
	if (s->probe->act[RESPONSE] == UPPER)
		assert_int_equal(http_add(x->response, x->arena, TEXT("x-probe"), TEXT("seen")), OK);
	return do_simple(x, copied, RESPONSE, "response");
}

static enum filter_verdict on_response_body(struct filter_exchange *x, void *copied, struct filter_piece *piece)
{
	return do_body(x, copied, RESPONSE_BODY, piece, "BODY");
}

static enum filter_verdict on_response_end(struct filter_exchange *x, void *copied)
{
	return do_simple(x, copied, RESPONSE_END, "END");
}

/* "answer": any text but null. */
static enum filter_verdict on_probe_resume(struct filter_exchange *x, void *copied, void *how)
{
	struct probe_state *s = copied;

	say(s->probe, "resume");
	s->probe->waits = false;
	if (how != NULL)
		return answer(x);
	if (s->probe->act[REQUEST] == STALL_AGAIN) {
		s->probe->act[REQUEST] = STALL;
		return wait_for(x, s);
	}
	emit_held(x, s);
	return FILTER_CONTINUE;
}

static void done(void *copied)
{
	struct probe_state *s = copied;

	for (unsigned way = 0; way < 2; way++) {
		for (unsigned i = 0; i < s->held_n[way]; i++)
			slice_free(&s->held[way][i].slice);
	}
	s->probe->dones++;
	s->probe->waits = false;
}

#define HOOKS \
	.config_bytes = sizeof(struct probe_config), .of_replies = true, \
	.compile = probe_compile, .verify = probe_verify, .copy = probe_copy, \
	.on_request = on_request, .on_request_body = on_request_body, .on_request_end = on_request_end, \
	.on_response = on_response, .on_response_body = on_response_body, .on_response_end = on_response_end, \
	.on_resume = on_probe_resume, .done = done
const struct filter filter_probe = {.name = "probe", .type = "Probe", .member = "probe", HOOKS};
const struct filter filter_gather = {.name = "gather", .type = "Gather", .member = "gather", .gathers = true, HOOKS};

/* ---- the world ---- */

#define PROBE(n) "{\"type\":\"Probe\",\"probe\":{\"name\":\"" n "\"}}"
#define GATHER(n) "{\"type\":\"Gather\",\"gather\":{\"name\":\"" n "\"}}"

static const struct fixture lab = {
	.listeners = {{"gw/http", "198.18.0.10", 80}},
	.clusters = {{.name = "web", .endpoints = {{"10.0.0.1", 8080}}}},
	.routes = {
		{.name = "web", .path = "/", .filters = "[" PROBE("a") "," PROBE("b") "]",
		 .backends = {{"web", 1, "[" PROBE("c") "]"}}},
		{.name = "gather", .path = "/gather", .filters = "[" PROBE("a") "," GATHER("b") "]",
		 .backends = {{"web", 1, "[" GATHER("c") "]"}}},
		{.name = "none", .path = "/none", .filters = "[" PROBE("a") "," PROBE("b") "]"},
	},
};
static const struct fixture bare = {.clusters = {{.name = "web", .endpoints = {{"10.0.0.1", 8080}}}}};

static int setup(void **state)
{
	(void)state;
	memset(probes, 0, sizeof(probes));
	trace[0] = '\0';
	rig_init(&lab);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_fini();
	for (unsigned i = 0; i < PROBES; i++)
		CHECK(probes[i].copies == probes[i].dones);
	return 0;
}

static void use(const struct fixture *f)
{
	rig_use(f);
	upstream_apply(rig.upstream);
}

static uint64_t counted(enum counter c)
{
	return rig_counted(c);
}

static struct http_stream *post_to(const char *path)
{
	return double_request("POST", "a.example", path, HTTP_BODY_CHUNKED, 0, "X: y");
}

static struct http_stream *post(void)
{
	return post_to("/");
}

static void respond(struct http_stream *up, uint32_t bytes)
{
	double_respond(up, 200, HTTP_BODY_CHUNKED, 0, "Server: s");
	double_give_body(up, bytes);
	double_give_end(up);
}

static void expect_trace(const char *want)
{
	if (strcmp(trace, want) != 0)
		fail_msg("trace:\n%s\nwanted:\n%s", trace, want);
}

/* ---- cases ---- */

static void test_order(void **state)
{
	struct http_stream *down = post(), *up;

	(void)state;
	expect_trace("a.request b.request c.request");
	double_give_body(down, 10);
	double_give_end(down);
	up = rig_up_any();
	assert_int_equal(up->sent, 10);
	assert_true(up->end_sent);
	respond(up, 20);
	assert_int_equal(down->sent, 20);
	assert_true(down->end_sent);
	expect_trace("a.request b.request c.request a.body b.body c.body a.end b.end c.end "
	             "c.response b.response a.response c.BODY b.BODY a.BODY c.END b.END a.END");
	double_ack(up, 10);
	double_ack(down, 20);
	assert_int_equal(down->owed, 0);
	assert_int_equal(up->owed, 0);
	double_settle();
	assert_int_equal(counted(C_filter_suspends) + counted(C_filter_replies) + counted(C_handles_dead), 0);
}

/* At each point, each of the three: everything before has been seen, nothing behind has, and all comes through. */
static void test_suspend_everywhere(void **state)
{
	static const char *const names[] = {"request", "request body", "request end", "response", "response body",
	                                    "response end"};

	(void)state;
	for (enum point at = REQUEST; at < POINTS; at++) {
		for (unsigned who = 0; who < 3; who++) {
			struct http_stream *down, *up;

			print_message("%s, %c\n", names[at], (char)('a' + who));
			memset(probes, 0, sizeof(probes));
			use(&lab);
			probes[who].act[at] = STALL;
			down = post();
			if (at == REQUEST)
				assert_null(rig_up_any());
			use(&bare);      /* what is still to come needs no tables */
			double_give_body(down, 3000);
			double_give_end(down);
			for (int i = 0; i < 4 && probes[who].waits && at <= REQUEST_END; i++)
				filter_resume(&probes[who].ticket, NULL);
			up = rig_up_any();
			assert_non_null(up);
			assert_int_equal(up->sent, 3000);
			assert_true(up->end_sent);
			respond(up, 3000);
			double_ack(up, 3000);
			if (at == RESPONSE)
				assert_int_equal(down->status, 0);
			if (at >= RESPONSE)
				double_settle(); /* the upstream's stream ends while the response waits */
			for (int i = 0; i < 4 && probes[who].waits; i++)
				filter_resume(&probes[who].ticket, NULL);
			assert_int_equal(down->status, 200);
			assert_non_null(strstr(down->head, "Server: s\n"));
			assert_int_equal(down->sent, 3000);
			assert_true(down->end_sent);
			double_settle();
			assert_int_equal(double_streams(), 0);
			assert_int_equal(probes[who].dones, 1);
			while (double_client(0) != NULL)
				double_client_close(double_client(0), OK);
			/* The wait is over, and so is the exchange. */
			filter_resume(&probes[who].ticket, NULL);
		}
	}
	assert_int_equal(counted(C_handles_dead), 18);
	/* Bodies of 3000 bytes come in three pieces, each of which is waited with. */
	assert_int_equal(counted(C_filter_suspends), 18 + 2 * 6);
}

static void test_resumed_twice_and_again(void **state)
{
	struct filter_ticket first;
	struct http_stream *down;

	(void)state;
	probes[1].act[REQUEST] = STALL_AGAIN;
	down = post();
	first = probes[1].ticket;
	filter_resume(&first, NULL);
	assert_true(probes[1].waits);
	filter_resume(&first, NULL);     /* that wait is over */
	assert_int_equal(counted(C_handles_dead), 1);
	assert_null(rig_up_any());
	filter_resume(&probes[1].ticket, NULL);
	assert_non_null(rig_up_any());
	expect_trace("a.request b.request b.resume b.resume c.request");
	double_close(down, ERR_CONN_RESET);
}

static void test_dies_while_suspended(void **state)
{
	(void)state;
	for (enum point at = REQUEST; at < POINTS; at++) {
		struct http_stream *down, *up;

		memset(probes, 0, sizeof(probes));
		probes[1].act[at] = STALL;
		down = post();
		double_give_body(down, 3000);
		up = rig_up_any();
		if (up != NULL) {
			double_give_end(down);
			respond(up, 3000);
		}
		assert_true(probes[1].waits);
		double_close(down, ERR_CONN_RESET);
		double_settle();
		assert_int_equal(probes[1].dones, 1);
		filter_resume(&probes[1].ticket, NULL);
		while (double_client(0) != NULL)
			double_client_close(double_client(0), OK);
	}
	assert_int_equal(counted(C_handles_dead), POINTS);
	assert_int_equal(double_mbufs(), 0);
}

static void test_replies(void **state)
{
	static const struct {
		const char *name;
		enum point at;
		bool resumed, cut;
		const char *trace;
	} cases[] = {
		{"at once", REQUEST, false, false, "a.request b.request b.response a.response"},
		{"after a wait", REQUEST, true, false, "a.request b.request b.resume b.response a.response"},
		{"in the body", REQUEST_BODY, false, false,
		 "a.request b.request c.request a.body b.body c.response b.response a.response"},
		{"at the end", REQUEST_END, false, false,
		 "a.request b.request c.request a.body b.body c.body a.end b.end c.response b.response a.response"},
		{"instead of the response", RESPONSE, false, false,
		 "a.request b.request c.request a.body b.body c.body a.end b.end c.end c.response b.response "
		 "c.response b.response a.response"},
		{"in the response's body", RESPONSE_BODY, false, true,
		 "a.request b.request c.request a.body b.body c.body a.end b.end c.end c.response b.response a.response "
		 "c.BODY b.BODY"},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct http_stream *down, *up;

		memset(probes, 0, sizeof(probes));
		trace[0] = '\0';
		probes[1].act[cases[i].at] = cases[i].resumed ? STALL : ANSWER;
		down = post();
		if (cases[i].resumed) {
			char how[] = "answer";

			filter_resume(&probes[1].ticket, how);
		}
		up = rig_up_any();
		double_give_body(down, 100);
		double_give_end(down);
		if (up != NULL && double_alive(up)) {
			double_respond(up, 200, HTTP_BODY_CHUNKED, 0, "");
			if (double_alive(up))
				double_give_body(up, 100);
		}
		expect_trace(cases[i].trace);
		assert_int_equal(double_alive(down), !cases[i].cut);
		if (!cases[i].cut) {
			assert_int_equal(down->status, 418);
			assert_string_equal(down->text, "short and stout");
		}
		double_settle();
		assert_int_equal(double_streams(), 0);
		while (double_client(0) != NULL)
			double_client_close(double_client(0), OK);
	}
	assert_int_equal(counted(C_filter_replies), LENGTH(cases));
}

static void test_bodies_are_changed(void **state)
{
	struct http_stream *down, *up;

	(void)state;
	dbl.any_bytes = true;
	probes[0].act[REQUEST_BODY] = UPPER;
	probes[1].act[RESPONSE_BODY] = UPPER;
	probes[1].act[REQUEST_BODY] = TAKE;
	probes[2].act[REQUEST_END] = TRAILER;
	probes[0].act[RESPONSE_END] = TRAILER;
	probes[0].act[RESPONSE] = UPPER;
	down = post();
	up = rig_up_any();
	double_give_body(down, 8);
	assert_int_equal(up->sent, 0);     /* b holds it until the end */
	double_give_end(down);
	assert_string_equal(up->text, "AHOVCJQX");
	assert_true(up->trailers_sent);
	respond(up, 4);
	assert_string_equal(down->text, "AHOV");
	assert_true(down->trailers_sent);
	assert_non_null(strstr(down->head, "x-probe: seen\n"));
	double_ack(up, 8);
	double_ack(down, 4);
	assert_int_equal(down->owed, 0);
	assert_int_equal(up->owed, 0);
	double_settle();
	assert_int_equal(double_streams(), 0);
}

/* A filter that swallows gives the credit back at once, one that keeps the credit stops the sender. */
static void test_credit_of_taken_pieces(void **state)
{
	struct http_stream *down;

	(void)state;
	probes[1].act[REQUEST_BODY] = SWALLOW;
	down = post();
	double_give_body(down, 1000);
	assert_int_equal(down->owed, 0);
	probes[1].act[REQUEST_BODY] = TAKE;
	double_give_body(down, 1000);
	assert_true(down->owed > 1000);
	double_give_end(down);
	assert_int_equal(rig_up_any()->sent, 2000);
	double_ack(rig_up_any(), 2000);
	assert_int_equal(down->owed, 0);
	double_close(down, ERR_CONN_RESET);
}

/* The head waits for the whole body: b gathers. */
static void test_gathering(void **state)
{
	struct http_stream *down, *up;

	(void)state;
	probes[1].act[REQUEST] = STALL;
	down = post_to("/gather");
	double_give_body(down, 3000);
	assert_null(rig_up_any());
	expect_trace("a.request b.request a.body b.body a.body b.body a.body b.body");
	double_give_end(down);
	up = rig_up_any();
	assert_non_null(up);
	assert_int_equal(up->sent, 3000);
	assert_true(up->end_sent);
	filter_resume(&probes[1].ticket, NULL);  /* that wait ended with the body */
	assert_int_equal(counted(C_handles_dead), 1);
	double_close(down, ERR_CONN_RESET);
	double_settle();
}

/* It answers when the body is too large; the last of all may gather; it may wait with the end too. */
static void test_gathering_ends(void **state)
{
	struct http_stream *down;

	(void)state;
	probes[2].act[REQUEST] = STALL;
	probes[2].act[REQUEST_BODY] = ANSWER;
	down = post_to("/gather");
	double_give_body(down, 10);
	assert_int_equal(down->status, 418);
	double_give_end(down);
	double_settle();
	probes[2].act[REQUEST_BODY] = PASS;
	down = post_to("/gather");
	double_give_end(down);
	assert_non_null(rig_up_any());
	assert_true(rig_up_any()->end_sent);
	double_close(down, ERR_CONN_RESET);
	double_settle();
	probes[2].act[REQUEST_END] = STALL;
	down = post_to("/gather");
	double_give_body(down, 100);
	double_give_end(down);
	assert_null(rig_up_any());
	filter_resume(&probes[2].ticket, NULL);
	assert_non_null(rig_up_any());
	assert_int_equal(rig_up_any()->sent, 100);
	assert_true(rig_up_any()->end_sent);
	double_close(down, ERR_CONN_RESET);
}

/* The gateway's own answers pass the filters that want to see them, as far as the request had come. */
static void test_local_replies_are_seen(void **state)
{
	struct http_stream *down;

	(void)state;
	probes[0].act[RESPONSE] = UPPER;
	down = double_request("GET", "a.example", "/none", HTTP_BODY_NONE, 0, "");
	assert_int_equal(down->status, 500);
	assert_non_null(strstr(down->head, "x-probe: seen\n"));
	expect_trace("a.request b.request b.response a.response");
	double_settle();
}

/* ---- any order ---- */

static void random_step(struct rng *r)
{
	struct http_stream *s = dbl.streams[rng_below(r, 64)];
	struct http_client *c = double_client(rng_below(r, double_clients() + 1));
	struct probe *p = &probes[rng_below(r, 3)];
	char how[] = "answer";

	trace[0] = '\0';
	switch (rng_below(r, 12)) {
	case 0:
		if (double_streams() < 40)
			post_to(rng_below(r, 4) == 0 ? "/gather" : "/");
		break;
	case 1:
	case 2:
	case 3:
		if (s == NULL || s->ops == NULL || !s->head_given || s->end_given || (!s->server && s->client == NULL) ||
		    (!s->server && s->message.body == HTTP_BODY_NONE))
			break;
		if (rng_below(r, 5) == 0)
			double_give_end(s);
		else
			double_give_body(s, 1 + rng_below(r, DOUBLE_PACKET_MAX));
		break;
	case 4:
		if (s != NULL && !s->server && s->head_sent && !s->head_given)
			double_respond(s, 200, rng_below(r, 4) == 0 ? HTTP_BODY_NONE : HTTP_BODY_CHUNKED, 0, "X: y");
		break;
	case 5:
		if (s != NULL)
			double_ack(s, rng_below(r, 3000));
		break;
	case 6:
		if (s != NULL)
			double_room(s, rng_below(r, 4) == 0 ? 0 : rng_below(r, 20000));
		break;
	case 7:
		if (s != NULL && rng_below(r, 10) == 0)
			double_close(s, ERR_CONN_RESET);
		break;
	case 8:
		if (c != NULL && c->state == DOUBLE_CONNECTING)
			double_open(c);
		break;
	case 9:
	case 10:
		if (p->ticket.resume != NULL)
			filter_resume(&p->ticket, rng_below(r, 20) == 0 ? how : NULL);
		break;
	default:
		double_advance(rng_below(r, 300) == 0 ? 400 * NS_PER_S : rng_below(r, 30) * NS_PER_MS);
		break;
	}
}

static void test_any_order(void **state)
{
	const char *from = getenv("SEED");
	const uint64_t first = from != NULL ? strtoull(from, NULL, 10) : 1;

	for (uint64_t seed = first; seed < first + (from != NULL ? 1 : 8); seed++) {
		struct rng r;

		rng_init(&r, seed);
		rng_init(&dice, seed);
		for (unsigned i = 0; i < 3; i++) {
			for (enum point at = REQUEST; at < POINTS; at++)
				probes[i].act[at] = RANDOM;
		}
		for (int i = 0; i < 6000; i++) {
			random_step(&r);
			if (rng_below(&r, 3) > 0)
				double_settle();
		}
		for (unsigned i = 0; i < DOUBLES_MAX; i++) {
			if (dbl.streams[i] != NULL && dbl.streams[i]->server)
				double_close(dbl.streams[i], ERR_CONN_RESET);
		}
		double_settle();
		fprintf(stderr, "# SEED=%lu: 2xx %lu, 4xx %lu, suspended %lu, dead %lu\n", (unsigned long)seed,
		        (unsigned long)counted(C_exchanges_2xx), (unsigned long)counted(C_exchanges_4xx),
		        (unsigned long)counted(C_filter_suspends), (unsigned long)counted(C_handles_dead));
		assert_int_equal(proxy_exchanges(rig.proxy), 0);
		assert_int_equal(double_mbufs(), 0);
		assert_true(counted(C_exchanges_2xx) > 5);
		assert_true(counted(C_filter_suspends) > 100);
		teardown(state);
		setup(state);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_order), TEST(test_suspend_everywhere), TEST(test_resumed_twice_and_again),
		TEST(test_dies_while_suspended), TEST(test_replies), TEST(test_bodies_are_changed),
		TEST(test_credit_of_taken_pieces), TEST(test_gathering), TEST(test_gathering_ends), TEST(test_local_replies_are_seen),
		TEST(test_any_order),
	};

	double_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
