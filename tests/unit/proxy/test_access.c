/* Access log lines, byte for byte. */
#include "../test.h"

#include <stdio.h>
#include <string.h>

#include "proxy/access.h"

struct texts {
	const char *method, *path, *authority, *agent, *id, *forwarded, *rule;
};

static const struct {
	const char *name;
	struct access_record r;
	const char *upstream;
	struct texts t;
	const char *line;
} cases[] = {
	{"a request", {.start_wall_us = 1460751420310000, .request_bytes = 0, .response_bytes = 154, .duration_us =
	               226999,
	               .upstream_us = 100000, .status = 200, .version = 11, .upstream_port = 8080}, "10.0.35.28",
	 {"GET", "/api/v1/locations", "nsq2http", "nsq2http", "cc21d9b0-cf5c-432b-8c7e-98aeb7988cd2", "10.0.0.1", "r"},
	 "[2016-04-15T20:17:00.310Z] \"GET /api/v1/locations HTTP/1.1\" 200 - 0 154 226 100 \"10.0.0.1\" \"nsq2http\" "
	 "\"cc21d9b0-cf5c-432b-8c7e-98aeb7988cd2\" \"nsq2http\" \"10.0.35.28:8080\"\n"},
	{"nothing is known", {.duration_us = UINT32_MAX, .upstream_us = UINT32_MAX, .flags = "DPE", .status = 400},
	 NULL,
	 {"", "", "", "", "", "", ""},
	 "[1970-01-01T00:00:00.000Z] \"- - -\" 400 DPE 0 0 - - \"-\" \"-\" \"-\" \"-\" \"-\"\n"},
	{"IPv6, HTTP/2, full flags", {.status = 503, .version = 20, .flags = "12345678", .upstream_port = 80,
	                             .response_bytes = UINT64_MAX}, "2001:2::1",
	 {"POST", "/", "a", "", "", "", ""},
	 "[1970-01-01T00:00:00.000Z] \"POST / HTTP/2\" 503 12345678 0 18446744073709551615 0 0 \"-\" \"-\" \"-\" \"a\" "
	 "\"[2001:2::1]:80\"\n"},
	{"control bytes", {.status = 200, .version = 10}, NULL, {"GET", "/", "a", "x\ny\x7f\t", "", "", ""},
	 "[1970-01-01T00:00:00.000Z] \"GET / HTTP/1.0\" 200 - 0 0 0 0 \"-\" \"x\\x0ay\\x7f\\x09\" \"-\" \"a\" \"-\"\n"},
};

static size_t fill(unsigned char *room, size_t i)
{
	const struct texts *t = &cases[i].t;
	struct access_record *r = (struct access_record *)(void *)room;
	const char *texts[] = {t->method, t->path, t->authority, t->agent, t->id, t->forwarded, t->rule};
	uint16_t *lengths[] = {&r->method_len, &r->path_len, &r->authority_len, &r->user_agent_len, &r->request_id_len,
	                       &r->forwarded_for_len, &r->rule_len};
	size_t n = sizeof(*r);

	memcpy(r, &cases[i].r, sizeof(*r));
	if (cases[i].upstream)
		assert_int_equal(addr_parse(cases[i].upstream, &r->upstream), OK);
	for (unsigned k = 0; k < LENGTH(texts); k++) {
		*lengths[k] = (uint16_t)strlen(texts[k]);
		memcpy(room + n, texts[k], *lengths[k]);
		n += *lengths[k];
	}
	return n;
}

static void test_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		_Alignas(8) unsigned char room[1024];
		char line[1024];
		size_t bytes = fill(room, i), n = access_print((void *)room, bytes, line, sizeof(line) - 1);

		line[n] = '\0';
		assert_string_equal(line, cases[i].line);
	}
}

/* A line that does not fit is cut, stays one line, and nothing is written behind it. */
static void test_bounds(void **state)
{
	_Alignas(8) unsigned char room[1024];
	size_t bytes = fill(room, 0);

	(void)state;
	for (size_t size = 1; size < 200; size++) {
		char line[256];
		size_t n;

		memset(line, 'Z', sizeof(line));
		n = access_print((void *)room, bytes, line, size);
		assert_in_range(n, 1, size);
		assert_int_equal(line[n - 1], '\n');
		assert_null(memchr(line, '\n', n - 1));
		assert_int_equal(line[size], 'Z');
	}
	/* Lengths that lie: nothing is printed. */
	assert_int_equal(access_print((void *)room, bytes - 1, (char[64]){0}, 64), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
