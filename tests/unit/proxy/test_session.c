/* Session persistence: a client stays with the endpoint that its token names, as far as the rule has it. */
#include "rig.h"

#define ROUTES(old, new) \
	.routes = { \
		{.name = "cookie", .path = "/c", .backends = {{"old", old}, {"new", new}}, .session = {"s"}}, \
		{.name = "header", .path = "/h", .backends = {{"old", old}, {"new", new}}, .session = {"X-Stay", true}}, \
		{.name = "permanent", .path = "/p", .backends = {{"old", old}, {"new", new}}, \
		 .session = {"s", false, true, 60}}, \
		{.name = "other", .path = "/o", .backends = {{"other", 1}}, .session = {"s"}, .retry = {{503}, 1, 0}}, \
	}

static const struct fixture lab = {
	.listeners = {{"gw/http", "198.18.0.10", 80}},
	.clusters = {
		{.name = "old", .endpoints = {{"10.0.0.1", 80}, {"10.0.0.2", 80}, {"10.0.0.3", 80}}},
		{.name = "new", .endpoints = {{"10.0.1.1", 80}, {"10.0.1.2", 80}}},
		{.name = "other", .endpoints = {{"10.0.2.1", 80}, {"10.0.2.2", 80}}},
	},
	ROUTES(1, 1),
};
/* The old backend gets nothing any more but those who stay with it; one of its endpoints is gone. */
static const struct fixture moved = {
	.listeners = {{"gw/http", "198.18.0.10", 80}},
	.clusters = {
		{.name = "old", .endpoints = {{"10.0.0.1", 80}, {"10.0.0.2", 80}}},
		{.name = "new", .endpoints = {{"10.0.1.1", 80}, {"10.0.1.2", 80}}},
		{.name = "other", .endpoints = {{"10.0.2.1", 80}, {"10.0.2.2", 80}}},
	},
	ROUTES(0, 1),
};

static int setup(void **state)
{
	(void)state;
	rig_init(&lab);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_fini();
	return 0;
}

/* One request and its answer; says who served it, and what the client was given. */
static const char *serve(const char *path, const char *fields, char given[static 256])
{
	static char who[ADDR_TEXT_MAX];
	struct http_stream *down = double_request("GET", "a.example", path, HTTP_BODY_NONE, 0, fields);
	struct http_stream *up = rig_up_one();
	const char *line;

	addr_print(&up->tuple.remote, who);
	double_respond(up, 200, HTTP_BODY_LENGTH, 0, "");
	line = strcasestr(down->head, "set-cookie: ");
	line = line != NULL ? line : strcasestr(down->head, "x-stay: ");
	snprintf(given, 256, "%.*s", line != NULL ? (int)strcspn(line, "\n") : 0, line != NULL ? line : "");
	double_settle();
	return who;
}

/* "set-cookie: s=TOKEN; ..." to "Cookie: a=b; s=TOKEN", "x-stay: TOKEN" as it is. */
static const char *brought(const char *given)
{
	static char text[300];

	if (strncasecmp(given, "x-stay", 6) == 0)
		snprintf(text, sizeof(text), "%s", given);
	else
		snprintf(text, sizeof(text), "Cookie: a=b; %.*s; c=d", (int)strcspn(given + 12, ";"), given + 12);
	return text;
}

static void test_stays(void **state)
{
	static const char *const paths[] = {"/c", "/h", "/p"};

	(void)state;
	for (size_t i = 0; i < LENGTH(paths); i++) {
		for (unsigned k = 0; k < 8; k++) {
			char given[256], again[256], who[ADDR_TEXT_MAX];

			rig_use(&lab);
			snprintf(who, sizeof(who), "%s", serve(paths[i], "", given));
			assert_true(given[0] != '\0');
			for (unsigned n = 0; n < 3; n++) {
				assert_string_equal(serve(paths[i], brought(given), again), who);
				assert_string_equal(again, ""); /* it has one */
			}
			rig_use(&moved);
			upstream_apply(rig.upstream);
			if (strcmp(who, "10.0.0.3") == 0) {
				serve(paths[i], brought(given), again);
				assert_true(again[0] != '\0'); /* gone: another */
			} else {
				assert_string_equal(serve(paths[i], brought(given), again), who);
			}
			/* Those who come now go to the new one. */
			assert_true(strncmp(serve(paths[i], "", again), "10.0.1.", 7) == 0);
			rig_use(&lab);
			upstream_apply(rig.upstream);
		}
	}
}

static void test_what_is_given(void **state)
{
	char given[256];

	(void)state;
	serve("/c/x", "", given);
	assert_int_equal(strspn(given + strlen("set-cookie: s="), "0123456789abcdef"), 40);
	assert_string_equal(given + strlen("set-cookie: s=") + 40, "; Path=/c; HttpOnly");
	serve("/p", "", given);
	assert_string_equal(given + strlen("set-cookie: s=") + 40, "; Path=/p; HttpOnly; Max-Age=60");
	serve("/h", "", given);
	assert_int_equal(strlen(given), strlen("X-Stay: ") + 40);
}

/* What leads to nothing is replaced: never an endpoint that the rule does not have. */
static void test_bad_tokens(void **state)
{
	char given[256], again[256], fields[400];
	static const char *const tokens[] = {
		"", "x", "0123", "000000000000000000000000000000000000000g", "0000000000000000000000000000000000000000",
		"ffffffffffffffffffffffffffffffffffffffff", "00000000000000000000000000000000000000000",
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(tokens); i++) {
		snprintf(fields, sizeof(fields), "Cookie: s=%s", tokens[i]);
		serve("/c", fields, given);
		assert_true(given[0] != '\0');
	}
	/* Another rule's token. */
	serve("/c", "", given);
	assert_true(strncmp(serve("/o", brought(given), again), "10.0.2.", 7) == 0);
	assert_true(again[0] != '\0');
	/* A cookie whose name ends or begins like ours. */
	serve("/c", "Cookie: xs=1; ss=2; s", given);
	assert_true(given[0] != '\0');
}

static void test_timeout(void **state)
{
	char given[256], again[256];

	(void)state;
	serve("/p", "", given);
	double_advance(59 * NS_PER_S);
	serve("/p", brought(given), again);
	assert_string_equal(again, "");
	double_advance(2 * NS_PER_S);
	serve("/p", brought(given), again);
	assert_true(again[0] != '\0');
	/* Without a timeout there is none. */
	serve("/c", "", given);
	double_advance(100000 * NS_PER_S);
	serve("/c", brought(given), again);
	assert_string_equal(again, "");
}

/* When its endpoint fails a client is moved, and told so. */
static void test_moves_when_it_fails(void **state)
{
	char given[256], who[ADDR_TEXT_MAX], other[ADDR_TEXT_MAX];
	struct http_stream *down, *up;

	(void)state;
	snprintf(who, sizeof(who), "%s", serve("/o", "", given));
	down = double_request("GET", "a.example", "/o", HTTP_BODY_NONE, 0, brought(given));
	up = rig_up_one();
	assert_string_equal(addr_print(&up->tuple.remote, other), who);
	double_respond(up, 503, HTTP_BODY_LENGTH, 0, "");
	double_settle();
	double_advance(100 * NS_PER_MS);
	up = rig_up_one();
	assert_string_not_equal(addr_print(&up->tuple.remote, other), who);
	double_respond(up, 200, HTTP_BODY_LENGTH, 0, "");
	assert_non_null(strcasestr(down->head, "set-cookie: s="));
	double_settle();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_stays), TEST(test_what_is_given), TEST(test_bad_tokens), TEST(test_timeout),
		TEST(test_moves_when_it_fails),
	};

	double_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
