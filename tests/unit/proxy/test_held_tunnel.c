/*
 * The head of a 101 that a filter holds up: what both peers say and do meanwhile, through http, proxy and upstream as they
 * are, with a filter of this test's own.
 */
#define FILTERS_OF_TESTS FILTER(hold)
#include "filter/filter.c"

#include "tests/unit/proxy/gateway.h"

/* ---- the filter: suspends with the response's head, and when told so with the request's end ---- */

static struct {
	struct filter_ticket response, end;
	bool at_end, at_response;
	unsigned bodies;
} hold;

static enum err compile(const struct filter_source *from, struct builder *b, uint32_t *offset,
                        struct filter_problem *problem)
{
	static const uint32_t nothing;

	(void)from;
	(void)problem;
	*offset = builder_put(b, &nothing, sizeof(nothing));
	return OK;
}

static enum err verify(const void *block, size_t bytes, const void *config)
{
	(void)block;
	(void)bytes;
	(void)config;
	return OK;
}

static void *copy(struct arena *a, const struct table *t, const void *config)
{
	(void)t;
	(void)config;
	return arena_get(a, 4);
}

static enum filter_verdict on_request_end(struct filter_exchange *x, void *copied)
{
	(void)copied;
	hold.end = x->ticket;
	return hold.at_end ? FILTER_SUSPEND : FILTER_CONTINUE;
}

static enum filter_verdict on_response(struct filter_exchange *x, void *copied)
{
	(void)copied;
	hold.response = x->ticket;
	return hold.at_response ? FILTER_SUSPEND : FILTER_CONTINUE;
}

static enum filter_verdict on_body(struct filter_exchange *x, void *copied, struct filter_piece *piece)
{
	(void)x;
	(void)copied;
	(void)piece;
	hold.bodies++;
	return FILTER_CONTINUE;
}

static enum filter_verdict on_resume(struct filter_exchange *x, void *copied, void *answer)
{
	(void)copied;
	if (answer == NULL)
		return FILTER_CONTINUE;
	x->reply = (struct filter_reply){.status = 403};
	return FILTER_REPLY;
}

const struct filter filter_hold = {
	.name = "hold", .type = "Hold", .member = "hold", .config_bytes = sizeof(uint32_t), .compile = compile,
	.verify = verify, .copy = copy, .on_request_end = on_request_end, .on_response = on_response,
	.on_request_body = on_body, .on_response_body = on_body, .on_resume = on_resume,
};

/* ---- cases ---- */

static const struct fixture lab = {
	.listeners = {{"gw/http", "198.18.0.10", 80}},
	.clusters = {{.name = "web", .endpoints = {{"10.0.0.1", 8080}}}},
	.routes = {{.name = "web", .path = "/", .backends = {{"web", 1}},
	            .filters = "[{\"type\":\"Hold\",\"hold\":{}}]"}},
};

#define UPGRADE " /chat HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
#define SWITCHING "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"

static int setup(void **state)
{
	(void)state;
	memset(&hold, 0, sizeof(hold));
	hold.at_response = true;
	gateway_open(&lab);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	gateway_close();
	return 0;
}

struct tunnel {
	struct tcp_conn *down, *up;
};

/* The upstream has said 101 and "one"; the client "two". */
static struct tunnel ask(const char *method)
{
	struct tunnel t = {.down = gateway_client()};

	say(t.down, method);
	say(t.down, UPGRADE);
	t.up = origin_conn();
	assert_non_null(t.up);
	gateway_tick(1);
	say(t.up, SWITCHING "one");
	say(t.down, "two");
	gateway_tick(1);
	return t;
}

static const char *behind_head(struct tcp_conn *c)
{
	const char *end;

	c->out[c->out_n] = '\0';
	end = strstr(c->out, "\r\n\r\n");
	return end != NULL ? end + 4 : "";
}

enum meanwhile { NOTHING, UP_FIN, UP_RST, UP_FIN_RST, DOWN_FIN, DOWN_RST };

static const struct {
	const char *name, *method;
	enum meanwhile what;
	bool refuses;                /* the filter then answers itself */
	const char *said;            /* to the client: answers() */
	const char *down, *up;       /* what came through to each */
	bool down_fin, up_fin;
	unsigned dead;               /* the filter goes on for nothing */
} cases[] = {
	{"both go on", "GET", NOTHING, false, "101 ", "one", "two", false, false, 0},
	{"HEAD is no different", "HEAD", NOTHING, false, "101 ", "one", "two", false, false, 0},
	{"the upstream has ended its side", "GET", UP_FIN, false, "101 x", "one", "two", true, false, 0},
	{"the upstream breaks off", "GET", UP_RST, false, "503 ", NULL, "", false, false, 1},
	{"the upstream ends, then breaks off", "GET", UP_FIN_RST, false, "503 ", NULL, "", false, false, 0},
	{"the client has ended its side", "GET", DOWN_FIN, false, "101 ", "one", "two", false, true, 0},
	{"the client breaks off", "GET", DOWN_RST, false, "", NULL, "", false, false, 1},
	{"the filter refuses", "GET", NOTHING, true, "403 ", NULL, "", false, false, 0},
};

static void do_meanwhile(struct tunnel *t, enum meanwhile what)
{
	if (what == UP_FIN || what == UP_FIN_RST)
		rig_eof(t->up);
	if (what == UP_RST || what == UP_FIN_RST)
		rig_closed(t->up, ERR_CONN_RESET);
	if (what == DOWN_FIN)
		rig_eof(t->down);
	if (what == DOWN_RST)
		rig_closed(t->down, ERR_CONN_RESET);
	gateway_tick(1);
}

static void test_held(void **state)
{
	static char refusal[] = "no";

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		const uint64_t dead = counted(C_handles_dead);
		struct tunnel t = ask(cases[i].method);

		assert_string_equal(answers(t.down), "");
		assert_string_equal(behind_head(t.up), "");
		do_meanwhile(&t, cases[i].what);
		filter_resume(&hold.response, cases[i].refuses ? refusal : NULL);
		gateway_tick(1);
		if (strcmp(answers(t.down), cases[i].said) != 0)
			fail_msg("%s: said %s", cases[i].name, answers(t.down));
		if (cases[i].down != NULL && strcmp(behind_head(t.down), cases[i].down) != 0)
			fail_msg("%s: to the client \"%s\"", cases[i].name, behind_head(t.down));
		if (strcmp(behind_head(t.up), cases[i].up) != 0)
			fail_msg("%s: to the upstream \"%s\"", cases[i].name, behind_head(t.up));
		if (t.down->shut != cases[i].down_fin || (t.up->shut && !t.up->closed) != cases[i].up_fin)
			fail_msg("%s: FIN %d %d", cases[i].name, t.down->shut, t.up->shut);
		if (counted(C_handles_dead) - dead != cases[i].dead)
			fail_msg("%s: dead handles", cases[i].name);
		assert_int_equal(hold.bodies, 0);
		gateway_end();
	}
}

/* A wait with the request's end is over with the 101: what it would pass on is no end of the tunnel. */
static void test_end_of_request_held(void **state)
{
	struct tunnel t;

	(void)state;
	hold.at_end = true;
	hold.at_response = false;
	t = ask("GET");
	assert_string_equal(answers(t.down), "101 ");
	filter_resume(&hold.end, NULL);
	gateway_tick(1);
	assert_int_equal(counted(C_handles_dead), 1);
	assert_false(t.up->shut);
	say(t.down, " three");
	gateway_tick(1);
	assert_string_equal(behind_head(t.up), "two three");
	gateway_end();
}

/* Nobody wakes the filter: the exchange ends like any that idles. */
static void test_forgotten(void **state)
{
	struct tunnel t = ask("GET");

	(void)state;
	for (unsigned s = 0; s < LIMIT_stream_idle_s + 2 && t.down->out_n == 0; s++)
		gateway_tick(1000);
	assert_string_equal(answers(t.down), "504 ");
	filter_resume(&hold.response, NULL);
	assert_int_equal(counted(C_handles_dead), 1);
	gateway_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_held, setup, teardown),
		cmocka_unit_test_setup_teardown(test_end_of_request_held, setup, teardown),
		cmocka_unit_test_setup_teardown(test_forgotten, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
