/*
 * One view of framing: every variant of tests/support/smuggle.c, whole and byte by byte, through the gateway. What the
 * upstream's side then holds is, to a reader of our own language only, whole requests with the gateway's framing and
 * nothing behind them, exactly as many as the gateway believes that it sent; or the start of one on a connection that
 * is not used again.
 *
 * `test_smuggling --list` prints the variants for tests/e2e/smuggling.py: one a line, in hexadecimal, then the name.
 */
#include "tests/unit/proxy/gateway.h"

#include "tests/support/smuggle.h"

static const struct fixture lab = {
	.listeners = {{"gw/http", "198.18.0.10", 80}},
	.clusters = {{.name = "web", .endpoints = {{"10.0.0.1", 8080}}}},
	.routes = {{.name = "web", .path = "/", .backends = {{"web", 1}}}},
};

enum outcome { REFUSED, HARMLESS, CUT, OUTCOMES };

static int setup(void **state)
{
	(void)state;
	gateway_open(&lab);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	gateway_close();
	return 0;
}

static enum outcome run(const struct smuggle *s, bool bytewise, char said[static 256])
{
	struct origin o = {.answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"};
	const uint64_t believed = counted(C_http_requests_received), replied = counted(C_local_replies);
	struct tcp_conn *c = gateway_client();
	uint64_t sent;
	unsigned answered = 0;

	gateway.refused = 0;
	for (size_t i = 0; i < s->n && !c->closed; i += bytewise ? 1 : s->n) {
		rig_input(c, s->bytes + i, bytewise ? 1 : s->n);
		/* Byte by byte the upstream is there before the body is: what is wrong in it is found with half of it sent. */
		if (bytewise)
			origin_open();
	}
	origin_serve(&o);
	rig_eof(c);
	origin_serve(&o);
	snprintf(said, 256, "%s", answers(c));
	for (const char *p = said; (p = strstr(p, "200 ")); p++)
		answered++;
	sent = counted(C_http_requests_received) - believed - (counted(C_local_replies) - replied);
	if (o.why[0] != '\0')
		fail_msg("%s: %s", s->name, o.why);
	if (o.partial_open != 0)
		fail_msg("%s: a connection with half a request is still open", s->name);
	if (o.whole != answered || o.whole + o.partial > sent)
		fail_msg("%s: the upstream saw %u requests and %u halves, the gateway sent %lu, the client got %s", s->name,
		         o.whole, o.partial, (unsigned long)sent, said);
	/* The smuggled request passes only as what it then is: one of the client's own, behind one that was answered. */
	if (o.whole == 1 && answered == 1 && strncmp(said, "200 ", 4) == 0 && strcmp(o.targets[0], "/smuggled") == 0)
		fail_msg("%s: /smuggled came first", s->name);
	gateway_end();
	return o.whole > 0 ? HARMLESS : o.partial > 0 ? CUT : REFUSED;
}

static void test_variants(void **state)
{
	unsigned n[OUTCOMES] = {0};

	(void)state;
	for (unsigned i = 0; i < smuggle_count(); i++) {
		struct smuggle s;
		char whole[256], bytewise[256];
		enum outcome a, b;

		smuggle_make(i, &s);
		a = run(&s, false, whole);
		b = run(&s, true, bytewise);
		n[b]++;
		if ((a == HARMLESS) != (b == HARMLESS) || strcmp(whole, bytewise) != 0)
			fail_msg("%s: whole %s, byte by byte %s", s.name, whole, bytewise);
	}
	fprintf(stderr, "# smuggling: %u variants, %u refused, %u harmless, %u cut in the middle\n", smuggle_count(), n[REFUSED],
	        n[HARMLESS], n[CUT]);
	assert_true(smuggle_count() >= 400 && n[REFUSED] > 400 && n[HARMLESS] > 50 && n[CUT] > 20);
}

static int list(void)
{
	for (unsigned i = 0; i < smuggle_count(); i++) {
		struct smuggle s;

		smuggle_make(i, &s);
		for (size_t k = 0; k < s.n; k++)
			printf("%02x", (unsigned char)s.bytes[k]);
		printf(" %s\n", s.name);
	}
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(test_variants, setup, teardown)};

	if (argc > 1 && strcmp(argv[1], "--list") == 0)
		return list();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
