#include "tests/bench/talk.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/rng.h"
#include "tests/bench/routes.h"
#include "tests/support/table_fixture.h"

struct stack clients, backends;

static char request[512], response[TALK_BODY_MAX + 256], body[TALK_BODY_MAX];
static uint16_t request_n, response_n;
static uint32_t body_n, routes;
static struct rng rng;
static uint64_t responses, wrong;

/* ---- what both ends say ---- */

/* With many routes, one for another of them each time. */
static void write_request(void)
{
	struct routes_request r = {.host = "shop.example.com", .path = "/api/v1/items/4711?page=2", .tenant = "blue"};

	if (routes > 0)
		routes_ask(&r, rng_below(&rng, routes));
	request_n = (uint16_t)snprintf(request, sizeof(request),
	        "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: bench/1.0\r\n"
	        "Accept: application/json\r\nAccept-Encoding: gzip, br\r\nx-tenant: %s\r\n\r\n", r.path, r.host, r.tenant);
}

static void write_messages(void)
{
	for (uint32_t i = 0; i < body_n; i++)
		body[i] = (char)('a' + i % 26);
	write_request();
	response_n = (uint16_t)snprintf(response, sizeof(response),
	        "HTTP/1.1 200 OK\r\nserver: backend\r\ncontent-type: application/json\r\ncontent-length: %u\r\n\r\n", body_n);
	memcpy(response + response_n, body, body_n);
	response_n = (uint16_t)(response_n + body_n);
}

/* ---- connections ---- */

struct conn {
	struct stack *stack;
	struct tcp_conn *tcp;
	bool client, stopping;
	uint32_t n;
	char text[8192];
};

static struct conn conns[TALK_CLIENTS_MAX];
static uint32_t conns_n, open_n;

static bool check_response(const char *text, uint32_t head, uint32_t n)
{
	return !memcmp(text, "HTTP/1.1 200 ", 13) && n == head + body_n && !memcmp(text + head, body, body_n);
}

static void ask_again(struct conn *c)
{
	if (routes > 0)
		write_request();
	stack_send(c->stack, c->tcp, request, request_n);
}

/* Takes whole messages from what has arrived. */
static void parse(struct conn *c)
{
	const char *end = memmem(c->text, c->n, "\r\n\r\n", 4);
	if (!end)
		return;
	const uint32_t head = (uint32_t)(end - c->text) + 4, whole = head + (c->client ? body_n : 0);

	if (c->n < whole)
		return;
	if (c->client) {
		responses++;
		wrong += !check_response(c->text, head, c->n);
		c->n = 0;
		if (!c->stopping)
			ask_again(c);
	} else {
		wrong += memcmp(c->text, routes > 0 ? "GET /team" : "GET /api/", 9) != 0 || c->n != head;
		c->n = 0;
		stack_send(c->stack, c->tcp, response, response_n);
	}
}

static void on_data(void *user, struct rte_mbuf *m)
{
	struct conn *c = user;

	CHECK(c->n + m->data_len <= sizeof(c->text));
	memcpy(c->text + c->n, rte_pktmbuf_mtod(m, void *), m->data_len);
	c->n += m->data_len;
	const uint32_t cost = tcp_cost(m);
	rte_pktmbuf_free(m);
	tcp_credit(c->tcp, cost);
	parse(c);
}

static void on_open(void *user)
{
	struct conn *c = user;

	open_n++;
	ask_again(c);
}

static void on_eof(void *user)
{
	struct conn *c = user;

	tcp_shutdown(c->tcp);
}

static void on_acked(void *user, uint32_t bytes)
{
	(void)user;
	(void)bytes;
}

static void on_closed(void *user, enum err why)
{
	struct conn *c = user;

	if (c->client && !c->stopping) {
		fprintf(stderr, "a client connection was closed: %s\n", err_name(why));
		exit(1);
	}
	c->tcp = NULL;
	if (!c->client)
		free(c);
}

static const struct tcp_user_ops ops = {.on_open = on_open, .on_data = on_data, .on_eof = on_eof, .on_acked = on_acked,
                                        .on_closed = on_closed};

static void on_accept(void *user, struct tcp_conn *tcp)
{
	struct conn *c = calloc(1, sizeof(*c));

	(void)user;
	CHECK(c);
	c->stack = &backends;
	c->tcp = tcp;
	tcp_set_user(tcp, &ops, c);
}

void talk_begin(uint32_t body_bytes, uint32_t routes_n)
{
	CHECK(body_bytes <= TALK_BODY_MAX);
	body_n = body_bytes;
	routes = routes_n;
	rng_init(&rng, 1);
	write_messages();
	backends.on_accept = on_accept;
}

void talk_connect(uint32_t n)
{
	CHECK(n <= TALK_CLIENTS_MAX);
	for (; conns_n < n; conns_n++) {
		struct conn *c = &conns[conns_n];
		struct tcp_connect how = {.remote = fixture_addr("198.18.0.10"), .remote_port = 80, .ops = &ops, .user = c};

		*c = (struct conn){.stack = &clients, .client = true};
		CHECK(tcp_connect(clients.tcp, &how, &c->tcp) == OK);
	}
}

bool talk_all_open(void)
{
	return open_n == conns_n;
}

uint64_t talk_responses(void)
{
	return responses;
}

uint64_t talk_wrong(void)
{
	return wrong;
}

/* ---- the tables ---- */

/* By control's compiler. */
static struct table *many(const char *const devices[2], size_t *bytes)
{
	char machine[2048];

	snprintf(machine, sizeof(machine),
	         "{'workers':1,'ports':[{'name':'client','device':'%s'},{'name':'backend','device':'%s'}],"
	         "'addresses':[{'address':'198.18.0.1/24','port':'client'},{'address':'198.18.1.1/24','port':'backend'}],"
	         "'vipPool':[{'first':'198.18.0.10','last':'198.18.0.10','port':'client'}]}",
	         devices[0], devices[1]);
	struct generation g = routes_compile(routes, machine,
	        ",'backendRefs':[{'group':'gateway.envoyproxy.io','kind':'Backend','name':'b','port':8080}]",
	        ",{'apiVersion':'gateway.envoyproxy.io/v1alpha1','kind':'Backend','metadata':{'namespace':'default','name':'b'},"
	        "'spec':{'endpoints':[{'ip':{'address':'198.18.1.11','port':8080}},{'ip':{'address':'198.18.1.11','port':8081}}]}}");
	struct table *t = aligned_alloc(TABLE_ALIGN, g.bytes);

	CHECK(t);
	memcpy(t, g.table, g.bytes);
	*bytes = g.bytes;
	generation_fini(&g);
	return t;
}

static struct table *few(const char *const devices[2], size_t *bytes)
{
	static char paths[48][32];
	struct fixture f = {
		.workers = 1, .resource_version = 1,
		.ports = {{.name = "client", .device = devices[0]}, {.name = "backend", .device = devices[1]}},
		.addresses = {{"198.18.0.1/24", 0, false}, {"198.18.0.10/24", 0, true}, {"198.18.1.1/24", 1, false}},
		.listeners = {{.name = "default/bench/http", .addr = "198.18.0.10", .port = 80}},
		.clusters = {{.name = "one", .endpoints = {{"198.18.1.11", 8080, 1}}},
	                     {.name = "two", .endpoints = {{"198.18.1.11", 8081, 1}}}},
		.routes = {{.path = "/api/v1/items", .hostname = "shop.example.com", .headers = {{"x-tenant", "blue"}},
	                    .backends = {{"one", 1, NULL}, {"two", 1, NULL}}},
	                   {.path = "/api/v1/items", .hostname = "shop.example.com", .backends = {{"one", 1, NULL}}},
	                   {.path = "/", .hostname = "*.example.com", .backends = {{"two", 1, NULL}}},
	                   {.path = "/", .backends = {{"one", 1, NULL}}}},
	};

	for (int i = 0; i < 48; i++) {
		snprintf(paths[i], sizeof(paths[i]), "/api/v1/thing-%d", i);
		f.routes[4 + i] = (struct fixture_route){.path = paths[i], .hostname = "shop.example.com",
		                                         .backends = {{"one", 1, NULL}}};
	}
	return fixture_table(&f, bytes);
}

struct table *talk_table(const char *const devices[2], size_t *bytes)
{
	return routes > 0 ? many(devices, bytes) : few(devices, bytes);
}
