/* Access log lines, byte for byte. */
#include "../test.h"

#include <stdio.h>
#include <string.h>

#include "base/doc.h"
#include "base/rng.h"
#include "proxy/access.h"

struct texts {
	const char *method, *path, *authority, *agent, *id, *forwarded, *rule, *details;
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
	 {"GET", "/api/v1/locations", "nsq2http", "nsq2http", "cc21d9b0-cf5c-432b-8c7e-98aeb7988cd2", "10.0.0.1", "r", ""},
	 "[2016-04-15T20:17:00.310Z] \"GET /api/v1/locations HTTP/1.1\" 200 - 0 154 226 100 \"10.0.0.1\" \"nsq2http\" "
	 "\"cc21d9b0-cf5c-432b-8c7e-98aeb7988cd2\" \"nsq2http\" \"10.0.35.28:8080\"\n"},
	{"nothing is known", {.duration_us = UINT32_MAX, .upstream_us = UINT32_MAX, .flags = "DPE", .status = 400},
	 NULL,
	 {"", "", "", "", "", "", "", ""},
	 "[1970-01-01T00:00:00.000Z] \"- - -\" 400 DPE 0 0 - - \"-\" \"-\" \"-\" \"-\" \"-\"\n"},
	{"IPv6, HTTP/2, full flags", {.status = 503, .version = 20, .flags = "12345678", .upstream_port = 80,
	                             .response_bytes = UINT64_MAX}, "2001:2::1",
	 {"POST", "/", "a", "", "", "", "", ""},
	 "[1970-01-01T00:00:00.000Z] \"POST / HTTP/2\" 503 12345678 0 18446744073709551615 0 0 \"-\" \"-\" \"-\" \"a\" "
	 "\"[2001:2::1]:80\"\n"},
	{"quotes and what is not UTF-8", {.status = 200, .version = 11}, NULL,
	 {"GET", "/\"a\\", "a", "\xc3\xa9 \xff\xc3\xc0\x80\xed\xa0\x80", "", "", "", ""},
	 "[1970-01-01T00:00:00.000Z] \"GET /\\x22a\\x5c HTTP/1.1\" 200 - 0 0 0 0 \"-\" "
	 "\"\xc3\xa9 \\xff\\xc3\\xc0\\x80\\xed\\xa0\\x80\" \"-\" \"a\" \"-\"\n"},
	{"control bytes", {.status = 200, .version = 10}, NULL, {"GET", "/", "a", "x\ny\x7f\t", "", "", "", ""},
	 "[1970-01-01T00:00:00.000Z] \"GET / HTTP/1.0\" 200 - 0 0 0 0 \"-\" \"x\\x0ay\\x7f\\x09\" \"-\" \"a\" \"-\"\n"},
};

static size_t fill_from(unsigned char *room, const struct access_record *from, const char *upstream,
                        const struct texts *t)
{
	struct access_record *r = (struct access_record *)(void *)room;
	const char *texts[] = {t->method, t->path, t->authority, t->agent, t->id, t->forwarded, t->rule, t->details};
	uint16_t *lengths[] = {&r->method_len, &r->path_len, &r->authority_len, &r->user_agent_len, &r->request_id_len,
	                       &r->forwarded_for_len, &r->rule_len, &r->details_len};
	size_t n = sizeof(*r);

	memcpy(r, from, sizeof(*r));
	if (upstream)
		assert_int_equal(addr_parse(upstream, &r->upstream), OK);
	for (unsigned k = 0; k < LENGTH(texts); k++) {
		*lengths[k] = (uint16_t)strlen(texts[k]);
		memcpy(room + n, texts[k], *lengths[k]);
		n += *lengths[k];
	}
	return n;
}

static size_t fill(unsigned char *room, size_t i)
{
	return fill_from(room, &cases[i].r, cases[i].upstream, &cases[i].t);
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

/* The same records in JSON. */
static void test_json(void **state)
{
	static const struct {
		const char *name;
		struct access_record r;
		const char *upstream;
		struct texts t;
		const char *line;
	} json[] = {
		{"a request",
		 {.start_wall_us = 1460751420310000, .response_bytes = 154, .duration_us = 226999, .upstream_us = 100000,
		  .status = 200, .version = 11, .upstream_port = 8080, .upstream_local_port = 40001,
		  .client = {.local_port = 80, .remote_port = 40000}},
		 "10.0.35.28",
		 {"GET", "/api?a=\"b\"", "nsq2http:80", "agent", "cc21d9b0", "10.0.0.1", "httproute/d/r/rule/0",
		  "via_upstream"},
		 "{\"start_time\":\"2016-04-15T20:17:00.310Z\",\"method\":\"GET\","
		 "\"x-envoy-origin-path\":\"/api?a=\\\"b\\\"\",\"protocol\":\"HTTP/1.1\",\"response_code\":200,"
		 "\"response_flags\":\"-\",\"response_code_details\":\"via_upstream\","
		 "\"connection_termination_details\":null,\"upstream_transport_failure_reason\":null,"
		 "\"bytes_received\":0,\"bytes_sent\":154,\"duration\":226,\"x-envoy-upstream-service-time\":100,"
		 "\"x-forwarded-for\":\"10.0.0.1\",\"user-agent\":\"agent\",\"x-request-id\":\"cc21d9b0\","
		 "\":authority\":\"nsq2http:80\",\"upstream_host\":\"10.0.35.28:8080\","
		 "\"upstream_cluster\":\"httproute/d/r/rule/0\",\"upstream_local_address\":\"10.0.35.1:40001\","
		 "\"downstream_local_address\":\"10.0.35.1:80\",\"downstream_remote_address\":\"10.0.35.1:40000\","
		 "\"requested_server_name\":null,\"route_name\":\"httproute/d/r/rule/0\"}\n"},
		{"nothing is known",
		 {.duration_us = UINT32_MAX, .upstream_us = UINT32_MAX, .flags = "DPE", .status = 400}, NULL,
		 {"", "", "", "\x01\x7f\\\n\xff\xc3\xa9", "", "", "", ""},
		 "{\"start_time\":\"1970-01-01T00:00:00.000Z\",\"method\":null,\"x-envoy-origin-path\":null,"
		 "\"protocol\":null,\"response_code\":400,\"response_flags\":\"DPE\",\"response_code_details\":null,"
		 "\"connection_termination_details\":null,\"upstream_transport_failure_reason\":null,"
		 "\"bytes_received\":0,\"bytes_sent\":0,\"duration\":null,\"x-envoy-upstream-service-time\":null,"
		 "\"x-forwarded-for\":null,\"user-agent\":\"\\u0001\\u007f\\\\\\u000a\\ufffd\xc3\xa9\","
		 "\"x-request-id\":null,\":authority\":null,\"upstream_host\":null,\"upstream_cluster\":null,"
		 "\"upstream_local_address\":null,\"downstream_local_address\":null,"
		 "\"downstream_remote_address\":null,\"requested_server_name\":null,\"route_name\":null}\n"},
	};
	static char line[ACCESS_JSON_MIN + 1];

	(void)state;
	for (size_t i = 0; i < LENGTH(json); i++) {
		_Alignas(8) unsigned char room[1024];
		struct access_record *r = (struct access_record *)(void *)room;
		const size_t bytes = fill_from(room, &json[i].r, json[i].upstream, &json[i].t);
		size_t n;

		if (json[i].upstream != NULL) {
			assert_int_equal(addr_parse("10.0.35.1", &r->upstream_local), OK);
			r->client.local = r->client.remote = r->upstream_local;
		}
		n = access_print_json(r, bytes, line, ACCESS_JSON_MIN);
		line[n] = '\0';
		if (strcmp(line, json[i].line) != 0)
			fail_msg("%s: %s", json[i].name, line);
	}
}

/* Whatever a client sends: the line is JSON, one line, and the texts in it are the client's as far as they are text. */
static void test_json_of_anything(void **state)
{
	static struct { struct access_record r; char texts[ACCESS_TEXTS * ACCESS_TEXT_MAX]; } room;
	static char line[ACCESS_JSON_MIN];
	struct rng rng;

	(void)state;
	rng_init(&rng, 1);
	for (int i = 0; i < 3000; i++) {
		uint16_t *const lengths[ACCESS_TEXTS] = {
			&room.r.method_len, &room.r.path_len, &room.r.authority_len, &room.r.user_agent_len,
			&room.r.request_id_len, &room.r.forwarded_for_len, &room.r.rule_len, &room.r.details_len};
		const unsigned kind = rng_below(&rng, 4);
		size_t n = 0, printed;
		yyjson_doc *doc;

		memset(&room.r, 0, sizeof(room.r));
		for (unsigned k = 0; k < ACCESS_TEXTS; k++) {
			*lengths[k] = (uint16_t)(kind == 3 ? ACCESS_TEXT_MAX : rng_below(&rng, 40));
			for (unsigned b = 0; b < *lengths[k]; b++)
				room.r.texts[n++] = kind == 0 ? (char)rng_u64(&rng) : kind == 1 ? (char)rng_below(&rng, 32) :
					kind == 2 ? "\"\\\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80{}"[rng_below(&rng, 13)] : '\x01';
		}
		printed = access_print_json(&room.r, sizeof(room.r) + n, line, sizeof(line));
		assert_in_range(printed, 2, sizeof(line));
		assert_null(memchr(line, '\n', printed - 1));
		doc = yyjson_read(line, printed, 0);
		if (doc == NULL)
			fail_msg("not JSON: %.*s", (int)printed, line);
		assert_int_equal(yyjson_obj_size(yyjson_doc_get_root(doc)), 24);
		yyjson_doc_free(doc);
		printed = access_print(&room.r, sizeof(room.r) + n, line, sizeof(line));
		assert_null(memchr(line, '\n', printed - 1));
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
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_json_of_anything),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
