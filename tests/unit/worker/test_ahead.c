/* Which frames a look ahead takes a Host from, and that it reads nothing beyond any of them. */
#include "../test.h"

#include <netinet/in.h>
#include <rte_ether.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "control/compile/compile.h"
#include "control/objects.h"
#include "worker/ahead.h"

#define GET "GET / HTTP/1.1\r\n"

/* A frame in a room of exactly its size, so that the address sanitizer sees a byte beyond it. */
struct frame {
	struct rte_mbuf m;
	uint8_t *room;
};

static void put16(uint8_t *at, unsigned v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

/* To 198.18.0.10 or 2001:2::10, port 80. */
static struct frame frame_new(bool v6, unsigned tcp_words, const char *text)
{
	uint8_t all[2048] = {0}, *tcp = all + RTE_ETHER_HDR_LEN + (v6 ? 40 : 20);
	const size_t head = (size_t)(tcp - all) + tcp_words * 4, n = head + strlen(text);
	struct frame f = {.room = malloc(n)};

	assert_true(f.room != NULL && n <= sizeof(all));
	put16(all + 12, v6 ? RTE_ETHER_TYPE_IPV6 : RTE_ETHER_TYPE_IPV4);
	if (v6) {
		all[RTE_ETHER_HDR_LEN] = 0x60;
		all[RTE_ETHER_HDR_LEN + 6] = IPPROTO_TCP;
		memcpy(all + RTE_ETHER_HDR_LEN + 24, (uint8_t[]){0x20, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10}, 16);
	} else {
		all[RTE_ETHER_HDR_LEN] = 0x45;
		all[RTE_ETHER_HDR_LEN + 9] = IPPROTO_TCP;
		memcpy(all + RTE_ETHER_HDR_LEN + 16, (uint8_t[]){198, 18, 0, 10}, 4);
	}
	put16(tcp + 2, 80);
	tcp[12] = (uint8_t)(tcp_words << 4);
	memcpy(all + head, text, strlen(text));
	memcpy(f.room, all, n);
	f.m = (struct rte_mbuf){.buf_addr = f.room, .data_len = (uint16_t)n, .pkt_len = (uint32_t)n, .nb_segs = 1};
	return f;
}

static const struct {
	const char *name;
	bool v6;
	unsigned tcp_words;
	const char *text;
	const char *host;            /* null: not found */
} cases[] = {
	{"behind the request line", false, 5, GET "Host: a.example\r\n\r\n", "a.example"},
	{"IPv6, options of TCP", true, 8, GET "Host: a.example\r\n\r\n", "a.example"},
	{"any case, no space, a port", false, 8, GET "hOST:a.example:80\r\n\r\n", "a.example:80"},
	{"behind three others", false, 8, GET "a: 1\r\nb: 2\r\nc: 3\r\nHost: a\r\n", "a"},
	{"further away it is left", false, 8, GET "a: 1\r\nb: 2\r\nc: 3\r\nd: 4\r\nHost: a\r\n", NULL},
	{"lines that end by LF, spaces", false, 8, "GET /\nHost:   a  \n", "a"},
	{"its line has not ended", false, 8, GET "Host: a.exam", NULL},
	{"none", false, 8, GET "Accept: a\r\n\r\n", NULL},
	{"an empty one", false, 8, GET "Host:\r\n\r\n", ""},
	{"a longer name", false, 8, GET "Hosts: a\r\n", NULL},
	{"the method is no method", false, 8, "\x16\x03\x01\nHost: a\n", NULL},
	{"no text", false, 8, "", NULL},
	{"a header of TCP that is too short", false, 4, GET "Host: a\r\n", NULL},
};

static void test_cases(void **state)
{
	(void)state;
	for (unsigned i = 0; i < LENGTH(cases); i++) {
		struct frame f = frame_new(cases[i].v6, cases[i].tcp_words, cases[i].text);
		struct addr local, want;
		struct text host;
		uint16_t port;
		const bool found = ahead_host(&f.m, &local, &port, &host);

		if (found != (cases[i].host != NULL))
			fail_msg("%s: %s", cases[i].name, found ? "found" : "not found");
		if (found && (host.len != strlen(cases[i].host) || memcmp(host.at, cases[i].host, host.len) != 0))
			fail_msg("%s: got %.*s", cases[i].name, (int)host.len, host.at);
		assert_int_equal(addr_parse(cases[i].v6 ? "2001:2::10" : "198.18.0.10", &want), OK);
		if (found && (!addr_equal(&local, &want) || port != 80))
			fail_msg("%s: another address", cases[i].name);
		free(f.room);
	}
}

/* ---- bursts, with a table that is worth it ---- */

enum { ROUTES = 4000 };

static struct generation compiled(void)
{
	static char json[ROUTES * 320 + 2048], error[256];
	size_t n = (size_t)snprintf(json, sizeof(json),
	        "[{\"apiVersion\":\"sluice.internal/v1alpha1\",\"kind\":\"Machine\",\"metadata\":{\"name\":\"self\"},\"spec\":{"
	        "\"workers\":1,\"ports\":[{\"name\":\"p\",\"device\":\"net_null0\"}],"
	        "\"addresses\":[{\"address\":\"198.18.0.1/24\",\"port\":\"p\"}],"
	        "\"vipPool\":[{\"first\":\"198.18.0.10\",\"last\":\"198.18.0.10\"},{\"first\":\"2001:2::10\",\"last\":\"2001:2::10\"}]}},"
	        "{\"apiVersion\":\"gateway.networking.k8s.io/v1\",\"kind\":\"GatewayClass\",\"metadata\":{\"name\":\"sluice\"},"
	        "\"spec\":{\"controllerName\":\"sluice.internal/gateway-controller\"}},"
	        "{\"apiVersion\":\"gateway.networking.k8s.io/v1\",\"kind\":\"Gateway\",\"metadata\":{\"namespace\":\"default\","
	        "\"name\":\"g\"},\"spec\":{\"gatewayClassName\":\"sluice\",\"listeners\":[{\"name\":\"http\",\"port\":80,"
	        "\"protocol\":\"HTTP\"}]}}");
	struct generation g;
	struct snapshot *s;
	struct model *m;

	for (unsigned i = 0; i < ROUTES; i++)
		n += (size_t)snprintf(json + n, sizeof(json) - n,
		        ",{\"apiVersion\":\"gateway.networking.k8s.io/v1\",\"kind\":\"HTTPRoute\",\"metadata\":{"
		        "\"namespace\":\"default\",\"name\":\"r%u\"},\"spec\":{\"parentRefs\":[{\"name\":\"g\"}],"
		        "\"hostnames\":[\"h%u.example\"],\"rules\":[{\"matches\":[{\"path\":{\"type\":\"PathPrefix\","
		        "\"value\":\"/a%u/b/c\"}}]}]}}", i, i, i);
	n += (size_t)snprintf(json + n, sizeof(json) - n, "]");
	s = snapshot_from_json(json, n, error);
	assert_non_null(s);
	m = model_new(s, NULL, NULL);
	assert_int_equal(generation_compile(m, &g), OK);
	model_free(m);
	snapshot_put(s);
	return g;
}

/* Whole frames, cut ones, and such with any byte changed: nothing is read that is not there, and nothing is changed. */
static void test_bursts(void **state)
{
	static const char *const texts[] = {GET "Host: h17.example\r\n\r\n", GET "Host: H3999.Example.:80\r\n\r\n", GET "Host: z\r\n",
	                                    GET "Host: [2001:2::10]\r\n\r\n", ""};
	struct generation g = compiled();
	unsigned seed = 1;

	(void)state;
	assert_true(g.bytes > 1 << 20);
	for (unsigned i = 0; i < 2000; i++) {
		struct frame f[8];
		struct rte_mbuf *m[LENGTH(f)];

		for (unsigned k = 0; k < LENGTH(f); k++) {
			f[k] = frame_new(k % 2 != 0, 5 + k, texts[(i + k) % LENGTH(texts)]);
			m[k] = &f[k].m;
			seed = seed * 1103515245 + 12345;
			if (i % 3 == 1)
				f[k].m.data_len = (uint16_t)((seed >> 16) % (f[k].m.data_len + 1u));
			if (i % 3 == 2)
				f[k].room[(seed >> 16) % f[k].m.data_len] = (uint8_t)(seed >> 8);
			if (i % 3 == 1)
				f[k].room = realloc(f[k].room, f[k].m.data_len > 0 ? f[k].m.data_len : 1u);
			f[k].m.buf_addr = f[k].room;
		}
		ahead_look(g.table, m, LENGTH(f));
		ahead_look(NULL, m, LENGTH(f));
		for (unsigned k = 0; k < LENGTH(f); k++)
			free(f[k].room);
	}
	generation_fini(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases), cmocka_unit_test(test_bursts)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
