/* Backends that are names: endpoints from what the names resolve to, and what is said of them. */
#include "tests/unit/model/world.h"

#include "control/model/model.h"
#include "control/resolve/book.h"

#define V4 "'addresses':[{'address':'198.18.1.1/24','port':'p'}]"
#define V6 "'addresses':[{'address':'2001:2::1/64','port':'p'}]"
#define BOTH "'addresses':[{'address':'198.18.1.1/24','port':'p'},{'address':'2001:2::1/64','port':'p'}]"
#define PORTS "'ports':[{'name':'p','device':'d'}],"
#define X80 "{'fqdn':{'hostname':'x.example','port':80}}"

struct known {
	const char *v4, *v6;             /* null: the question failed; "": there are none */
};

static const struct {
	const char *name;
	const char *machine, *endpoints;
	struct known first, second;      /* what x.example was and is; both null: never asked for */
	const char *want;                /* addresses and ports */
	bool ok;
	const char *message;
} cases[] = {
	{"an address", BOTH, X80, {"192.0.2.1", ""}, {"192.0.2.1", ""}, " 192.0.2.1 80", true, "All names are resolved."},
	{"several, in order", BOTH, X80, {"192.0.2.3 192.0.2.1", ""}, {"192.0.2.3 192.0.2.1", ""},
	 " 192.0.2.1 80 192.0.2.3 80", true, "All names are resolved."},
	{"IPv4 is preferred", BOTH, X80, {"192.0.2.1", "2001:db8::1"}, {"192.0.2.1", "2001:db8::1"}, " 192.0.2.1 80",
	 true, "All names are resolved."},
	{"IPv6 when there is no other", BOTH, X80, {"", "2001:db8::1"}, {"", "2001:db8::1"}, " 2001:db8::1 80", true,
	 "All names are resolved."},
	{"IPv6 when the machine has no other", V6, X80, {"192.0.2.1", "2001:db8::1"}, {"192.0.2.1", "2001:db8::1"},
	 " 2001:db8::1 80", true, "All names are resolved."},
	{"a family that the machine has not", V4, X80, {"", "2001:db8::1"}, {"", "2001:db8::1"}, "", true,
	 "All names are resolved."},
	{"two ports", BOTH, X80 ",{'fqdn':{'hostname':'x.example.','port':81}}", {"192.0.2.1", ""}, {"192.0.2.1", ""},
	 " 192.0.2.1 80 192.0.2.1 81", true, "All names are resolved."},
	{"never asked for", BOTH, X80, {NULL, NULL}, {NULL, NULL}, "", false, "x.example has not been resolved yet."},
	{"never there", BOTH, X80, {"", ""}, {"", ""}, "", false, "x.example has never been resolved: not there."},
	{"gone: the last addresses are kept", BOTH, X80, {"192.0.2.1", ""}, {"", ""}, " 192.0.2.1 80", true,
	 "x.example keeps its last addresses: not there."},
	{"one of two is not there", BOTH, X80 ",{'fqdn':{'hostname':'y.example','port':80}}", {"192.0.2.1", ""},
	 {"192.0.2.1", ""}, " 192.0.2.1 80", false, "y.example has not been resolved yet."},
};

static void reply_of(const char *texts, struct reply *out, struct addr addrs[static 4])
{
	char copy[128], *rest = NULL;

	*out = (struct reply){.kind = REPLY_FAILED, .why = "failed"};
	if (texts == NULL)
		return;
	*out = (struct reply){.kind = texts[0] != '\0' ? REPLY_ADDRESSES : REPLY_NONE, .addrs = addrs, .why = "not there"};
	snprintf(copy, sizeof(copy), "%s", texts);
	for (char *text = strtok_r(copy, " ", &rest); text != NULL; text = strtok_r(NULL, " ", &rest))
		assert_int_equal(addr_parse(text, &addrs[out->n++]), OK);
}

static void answer(struct book *b, const struct known *k)
{
	struct addr addrs[FAMILIES][4];
	struct reply reply[FAMILIES];

	if (k->v4 == NULL && k->v6 == NULL)
		return;
	reply_of(k->v4, &reply[FAMILY_V4], addrs[FAMILY_V4]);
	reply_of(k->v6, &reply[FAMILY_V6], addrs[FAMILY_V6]);
	book_answer(b, "x.example", reply, 0);
}

static struct answers *answers_of(const struct known *first, const struct known *second)
{
	static const char *const names[] = {"x.example", "y.example"};
	struct book *b = book_new();
	struct answers *a;

	book_want(b, names, 2, 0);
	answer(b, first);
	answer(b, second);
	a = book_answers(b);
	book_free(b);
	return a;
}

static void check(size_t i, const struct model *m)
{
	char got[256] = "";
	size_t used = 0;

	assert_int_equal(m->clusters_n, 1);
	for (uint32_t k = 0; k < m->clusters[0]->endpoints_n; k++) {
		const struct table_endpoint *e = &m->clusters[0]->endpoints[k];
		char text[ADDR_TEXT_MAX];

		used += (size_t)snprintf(got + used, sizeof(got) - used, " %s %u", addr_print(&e->addr, text), e->port);
	}
	if (strcmp(got, cases[i].want) != 0)
		fail_msg("%s: endpoints%s", cases[i].name, got);
	assert_true(m->upstreams[0].accepted.ok);
	if (m->upstreams[0].resolved.ok != cases[i].ok || strcmp(m->upstreams[0].resolved.message, cases[i].message) != 0)
		fail_msg("%s: %s", cases[i].name, m->upstreams[0].resolved.message);
	assert_string_equal(m->names[0], "x.example");
	assert_int_equal(m->machine.nameservers_n, 1);
	assert_int_equal(m->machine.nameservers[0].b[15], 53);
}

static void test_hosts(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct answers *known = answers_of(&cases[i].first, &cases[i].second);
		char machine[1024], backend[1024];
		const char *objects[] = {
			machine, CLASS, GATEWAY("gw", "01", HTTP),
			ROUTE("r", "01", RULES("{'backendRefs':[{'group':'gateway.envoyproxy.io','kind':'Backend','name':'b'}]}")),
			backend, NULL};
		struct snapshot *s;
		struct model *m;

		snprintf(machine, sizeof(machine),
		         MACHINE_WITH("%s%s,'vipPool':[{'first':'198.18.0.10','last':'198.18.0.12'}],"
				      "'nameservers':['192.0.2.53']"), PORTS, cases[i].machine);
		snprintf(backend, sizeof(backend), BACKEND_WITH("b", "'endpoints':[%s]"), cases[i].endpoints);
		s = world_new(objects, NULL);
		m = model_new(s, known, NULL);
		check(i, m);
		model_free(m);
		snapshot_put(s);
		answers_put(known);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_hosts)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
