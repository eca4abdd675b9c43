/*
 * Pools of connections: reuse, limits, endpoints that come and go or cannot be reached, connections that die at every
 * moment.
 */
#include "tests/unit/test.h"

#include "tests/support/http_double.h"
#include "tests/support/table_fixture.h"
#include "upstream/private.h"
#include "upstream/upstream.h"

static const struct fixture two = {
	.clusters = {{.name = "web", .endpoints = {{"10.0.0.1", 80}, {"10.0.0.2", 80}}}, {.name = "empty"},
	             {.name = "one", .endpoints = {{"10.0.0.9", 80}}},
	             {.name = "few", .endpoints = {{"10.0.2.1", 80}, {"10.0.2.2", 80}}, .conns_max = 2, .pending_max = 3}},
};
static const struct fixture first_only = {
	.clusters = {{.name = "web", .endpoints = {{"10.0.0.1", 80}}}, {.name = "one", .endpoints =
	        {{"10.0.0.9", 80}}}},
};
static const struct fixture none = {.clusters = {{.name = "other", .endpoints = {{"10.0.0.3", 80}}}}};

static struct health *health;
static struct upstream *u;
static struct table *t;

static void use(const struct fixture *f)
{
	size_t bytes;

	/* What was kept of the old block would be read after free. */
	free(t);
	t = fixture_table(f, &bytes);
	dbl.shard.table = t;
}

static uint16_t reported_to;     /* the last report to another worker; 9: there was none */

static void on_report(void *up, uint16_t owner, const struct health_report *r)
{
	assert_ptr_equal(up, &reported_to);
	assert_int_equal(r->failures_eject, 3);
	reported_to = owner;
}

static int setup(void **state)
{
	(void)state;
	double_init(1);
	use(&two);
	reported_to = 9;
	health = health_new(1);
	u = upstream_new(&dbl.shard, NULL,
	                 &(struct upstream_up){.health = health, .on_report = on_report, .up = &reported_to});
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	upstream_free(u);
	health_free(health);
	free(t);
	t = NULL;
	double_fini();
	return 0;
}

/* ---- a user of leases ---- */

struct user {
	struct lease *lease;
	struct http_stream *stream;
	enum err failed;
	bool closed;
};

static void on_ready(void *user, struct lease *l, struct http_stream *s)
{
	struct user *x = user;

	assert_ptr_equal(x->lease, l);
	x->stream = s;
}

static void on_failed(void *user, struct lease *l, enum err why)
{
	struct user *x = user;

	assert_ptr_equal(x->lease, l);
	x->lease = NULL;
	x->failed = why;
}

static void on_closed(void *user, enum err why)
{
	struct user *x = user;

	(void)why;
	x->stream = NULL;
	x->closed = true;
	upstream_release(x->lease);
	x->lease = NULL;
}

static void on_end(void *user, struct http_message *m)
{
	(void)user;
	(void)m;
}

static void on_head(void *user, struct http_message *m)
{
	(void)user;
	(void)m;
}

static const struct lease_ops lease_ops = {.on_ready = on_ready, .on_failed = on_failed};
static const struct http_stream_ops stream_ops = {.on_closed = on_closed, .on_end = on_end, .on_head = on_head};

static enum err lease(struct user *x, const char *cluster, bool fresh)
{
	const struct lease_wish wish = {.cluster = fixture_cluster_id(cluster), .fresh = fresh};

	*x = (struct user){0};
	return upstream_lease(u, &wish, &lease_ops, &stream_ops, x, &x->lease);
}

/* A whole exchange on a lease that is ready. */
static void exchange(struct user *x)
{
	struct http_message m;

	http_message_init(&m);
	assert_non_null(x->stream);
	assert_int_equal(http_send_head(x->stream, &m, true), OK);
	double_respond(x->stream, 200, HTTP_BODY_NONE, 0, "");
	double_settle();
	assert_true(x->closed);
}

static void open_all(void)
{
	for (unsigned i = 0; i < DOUBLES_MAX; i++) {
		if (dbl.clients[i] != NULL && dbl.clients[i]->state == DOUBLE_CONNECTING)
			double_open(dbl.clients[i]);
	}
}

/* ---- the tests ---- */

static void test_reuse(void **state)
{
	struct user a, b;

	(void)state;
	assert_int_equal(lease(&a, "one", false), OK);
	assert_null(a.stream);
	assert_null(lease_tuple(a.lease));
	open_all();
	assert_non_null(a.stream);
	assert_false(lease_reused(a.lease));
	assert_int_equal(lease_tuple(a.lease)->remote_port, 80);
	assert_int_equal(lease_endpoint(a.lease), fixture_endpoint_id("10.0.0.9", 80));
	exchange(&a);
	assert_int_equal(lease(&b, "one", false), OK);
	assert_non_null(b.stream);
	assert_true(lease_reused(b.lease));
	assert_int_equal(dbl.connects, 1);
	assert_int_equal(dbl.counters.cell[C_upstream_reused], 1);
	exchange(&b);
	assert_int_equal(lease(&a, "one", true), OK);
	assert_null(a.stream);
	assert_int_equal(dbl.connects, 2);
	upstream_release(a.lease);
}

static void test_most_recently_used_first(void **state)
{
	struct user a, b, c;
	struct http_client *second;

	(void)state;
	assert_int_equal(lease(&a, "one", false), OK);
	assert_int_equal(lease(&b, "one", false), OK);
	open_all();
	second = b.stream->client;
	exchange(&a);
	exchange(&b);
	assert_int_equal(lease(&c, "one", false), OK);
	assert_ptr_equal(c.stream->client, second);
	exchange(&c);
}

static void test_round_robin_over_endpoints(void **state)
{
	struct user a[4];
	unsigned first = 0;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(lease(&a[i], "web", false), OK);
		first += lease_endpoint(a[i].lease) == fixture_endpoint_id("10.0.0.1", 80);
	}
	assert_int_equal(first, 2);
	for (unsigned i = 0; i < 4; i++)
		upstream_release(a[i].lease);
}

static void test_skip(void **state)
{
	const struct lease_wish only = {.cluster = fixture_cluster_id("one"),
	                                .skip_endpoint = fixture_endpoint_id("10.0.0.9", 80)};
	struct user a = {0};

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		const struct lease_wish wish = {.cluster = fixture_cluster_id("web"),
		                                .skip_endpoint = fixture_endpoint_id("10.0.0.1", 80)};

		assert_int_equal(upstream_lease(u, &wish, &lease_ops, &stream_ops, &a, &a.lease), OK);
		assert_int_equal(lease_endpoint(a.lease), fixture_endpoint_id("10.0.0.2", 80));
		upstream_release(a.lease);
	}
	/* The only endpoint is tried again. */
	assert_int_equal(upstream_lease(u, &only, &lease_ops, &stream_ops, &a, &a.lease), OK);
	upstream_release(a.lease);
	assert_false(upstream_has_other(u, only.cluster, only.skip_endpoint));
	assert_true(upstream_has_other(u, fixture_cluster_id("web"), fixture_endpoint_id("10.0.0.1", 80)));
}

/* This one, unless it is not there or has just failed. */
static void test_wanted(void **state)
{
	struct lease_wish wish = {.cluster = fixture_cluster_id("web"), .endpoint = fixture_endpoint_id("10.0.0.2", 80)};
	struct user a = {0};

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(upstream_lease(u, &wish, &lease_ops, &stream_ops, &a, &a.lease), OK);
		assert_int_equal(lease_endpoint(a.lease), wish.endpoint);
		upstream_release(a.lease);
	}
	wish.skip_endpoint = wish.endpoint;
	assert_int_equal(upstream_lease(u, &wish, &lease_ops, &stream_ops, &a, &a.lease), OK);
	assert_int_equal(lease_endpoint(a.lease), fixture_endpoint_id("10.0.0.1", 80));
	upstream_release(a.lease);
	wish.endpoint = 12345;
	assert_int_equal(upstream_lease(u, &wish, &lease_ops, &stream_ops, &a, &a.lease), OK);
	upstream_release(a.lease);
}

/* Three retries in any case, a fifth of what is in flight beyond. */
static void test_retry_budget(void **state)
{
	const uint64_t web = fixture_cluster_id("web");
	struct user users[40] = {0};

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		assert_true(upstream_retry_begin(u, web));
	assert_false(upstream_retry_begin(u, web));
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(lease(&users[i], "web", false), OK);
	assert_true(upstream_retry_begin(u, web));
	assert_false(upstream_retry_begin(u, web));
	upstream_retry_end(u, web);
	assert_true(upstream_retry_begin(u, web));
	for (unsigned i = 0; i < 20; i++)
		upstream_release(users[i].lease);
	assert_false(upstream_retry_begin(u, web));
	assert_false(upstream_retry_begin(u, 12345));
	upstream_retry_end(u, 12345);
}

static void test_errors(void **state)
{
	struct user a;

	(void)state;
	assert_int_equal(lease(&a, "nowhere", false), ERR_NOT_FOUND);
	assert_int_equal(lease(&a, "empty", false), ERR_NO_HEALTHY_UPSTREAM);
	dbl.connect_error = ERR_NO_PORTS;
	assert_int_equal(lease(&a, "one", false), ERR_NO_PORTS);
	dbl.connect_error = OK;
	assert_int_equal(upstream_conns(u), 0);
	assert_int_equal(lease(&a, "one", false), OK);
	assert_true(double_client(0)->how.impatient); /* ICMP's word ends the attempt: tests/wire/open/unreachable.wire */
	double_client_close(double_client(0), ERR_CONN_REFUSED);
	assert_int_equal(a.failed, ERR_CONN_REFUSED);
	assert_int_equal(upstream_conns(u), 0);
	assert_int_equal(dbl.counters.cell[C_upstream_connect_failures], 2);
}

static void test_released_while_connecting(void **state)
{
	struct user a, b;

	(void)state;
	assert_int_equal(lease(&a, "one", false), OK);
	upstream_release(a.lease);
	open_all();
	assert_int_equal(lease(&b, "one", false), OK);
	assert_non_null(b.stream);
	assert_int_equal(dbl.connects, 1);
	exchange(&b);
	/* One that nobody waits for and that fails. */
	assert_int_equal(lease(&a, "one", true), OK);
	upstream_release(a.lease);
	double_client_close(double_client(1), ERR_CONN_TIMEOUT);
	assert_int_equal(upstream_conns(u), 1);
	assert_int_equal(dbl.counters.cell[C_limit_upstream_connect_s], 1);
}

static void test_stale(void **state)
{
	struct user a, b;

	(void)state;
	assert_int_equal(lease(&a, "one", false), OK);
	open_all();
	exchange(&a);
	/* http tells that the peer closed: the next lease connects anew. */
	double_client_close(double_client(0), OK);
	assert_int_equal(upstream_conns(u), 0);
	assert_int_equal(lease(&b, "one", false), OK);
	assert_null(b.stream);
	open_all();
	exchange(&b);
	/* Found at the moment of use. */
	double_client(0)->refuses = true;
	assert_int_equal(lease(&a, "one", false), OK);
	assert_null(a.stream);
	assert_int_equal(dbl.counters.cell[C_upstream_stale], 1);
	open_all();
	exchange(&a);
}

static void test_refused_when_opened(void **state)
{
	struct user a;

	(void)state;
	assert_int_equal(lease(&a, "one", false), OK);
	double_client(0)->refuses = true;
	double_open(double_client(0));
	assert_null(a.stream);
	double_client_close(double_client(0), OK);
	assert_int_equal(a.failed, ERR_UPSTREAM_CLOSED);
}

static void test_reset_is_not_pooled(void **state)
{
	struct user a;

	(void)state;
	assert_int_equal(lease(&a, "one", false), OK);
	open_all();
	http_reset(a.stream, ERR_CONN_ABORTED);
	upstream_release(a.lease);
	double_settle();
	assert_int_equal(upstream_conns(u), 0);
}

static void test_idle_age(void **state)
{
	static struct user a[LIMIT_pool_idle / 4];

	(void)state;
	for (unsigned i = 0; i < LENGTH(a); i++)
		assert_int_equal(lease(&a[i], "one", false), OK);
	open_all();
	for (unsigned i = 0; i < LENGTH(a); i++)
		exchange(&a[i]);
	assert_int_equal(upstream_conns(u), LENGTH(a));
	double_advance(UINT64_C(3590) * NS_PER_S);
	assert_int_equal(upstream_conns(u), LENGTH(a));
	assert_int_equal(lease(&a[0], "one", false), OK);
	exchange(&a[0]);
	for (unsigned i = 0; i < 10; i++)
		double_advance(10 * NS_PER_S);
	assert_int_equal(upstream_conns(u), 1);
}

static void test_idle_limit(void **state)
{
	static struct user a[LIMIT_pool_idle + 5];

	(void)state;
	for (unsigned i = 0; i < LENGTH(a); i++)
		assert_int_equal(lease(&a[i], "one", false), OK);
	open_all();
	for (unsigned i = 0; i < LENGTH(a); i++)
		exchange(&a[i]);
	assert_int_equal(upstream_conns(u), LIMIT_pool_idle);
	assert_int_equal(dbl.counters.cell[C_limit_pool_idle], 5);
}

/* Memory is short: idle ones go, the one that idled longest first; those in use stay. */
static void test_shed(void **state)
{
	static struct user a[4];

	(void)state;
	for (unsigned i = 0; i < LENGTH(a); i++)
		assert_int_equal(lease(&a[i], "one", false), OK);
	open_all();
	upstream_shed(u);
	assert_int_equal(upstream_conns(u), LENGTH(a));
	for (unsigned i = 1; i < LENGTH(a); i++) {
		exchange(&a[i]);
		double_advance(NS_PER_S);
	}
	for (unsigned i = 1; i < LENGTH(a); i++) {
		const struct http_client *oldest = double_client(1);

		upstream_shed(u);
		assert_int_equal(upstream_conns(u), LENGTH(a) - i);
		double_settle();
		for (unsigned k = 0; k < double_clients(); k++)
			assert_ptr_not_equal(double_client(k), oldest);
	}
	upstream_shed(u);
	assert_int_equal(upstream_conns(u), 1);
	assert_int_equal(dbl.counters.cell[C_shed_upstream_conns], LENGTH(a) - 1);
	exchange(&a[0]);
}

static void test_endpoint_gone(void **state)
{
	struct user a, b, c;

	(void)state;
	assert_int_equal(lease(&a, "web", false), OK);
	assert_int_equal(lease(&b, "web", false), OK);
	open_all();
	exchange(&a);
	exchange(&b);
	/* Each endpoint has an idle connection; one of them is leased again, the other gets a second one. */
	assert_int_equal(lease(&a, "web", false), OK);
	assert_int_equal(lease(&b, "web", true), OK);
	open_all();
	assert_int_equal(upstream_conns(u), 3);
	use(&none);
	upstream_apply(u);
	double_advance(NS_PER_MS);
	/* Idle ones are closed, leased ones live on. */
	assert_int_equal(upstream_conns(u), 2);
	assert_int_equal(lease(&c, "web", false), ERR_NOT_FOUND);
	exchange(&a);
	assert_int_equal(upstream_conns(u), 1);
	exchange(&b);
	assert_int_equal(upstream_conns(u), 0);
	assert_int_equal(lease(&c, "web", false), ERR_NOT_FOUND);
}

static void test_endpoint_gone_and_back(void **state)
{
	struct user a, b;

	(void)state;
	assert_int_equal(lease(&a, "web", false), OK);
	open_all();
	use(&none);
	upstream_apply(u);
	double_advance(NS_PER_MS);
	use(&two);
	upstream_apply(u);
	assert_int_equal(lease(&b, "web", false), OK);
	upstream_release(b.lease);
	exchange(&a);
	assert_int_equal(upstream_conns(u), 2);
}

static void test_apply_keeps_pools(void **state)
{
	struct user a;

	(void)state;
	assert_int_equal(lease(&a, "one", false), OK);
	open_all();
	exchange(&a);
	for (int i = 0; i < 50; i++) {
		use(i % 2 ? &two : &first_only);
		upstream_apply(u);
		double_advance(NS_PER_MS);
		assert_int_equal(lease(&a, "one", false), OK);
		assert_non_null(a.stream);
		exchange(&a);
	}
	assert_int_equal(dbl.connects, 1);
}

static void test_weights_change(void **state)
{
	static const struct fixture heavy = {
		.clusters = {{.name = "web", .endpoints = {{"10.0.0.1", 80, 9}, {"10.0.0.2", 80, 1}}}}};
	unsigned first = 0;

	(void)state;
	use(&heavy);
	upstream_apply(u);
	for (unsigned i = 0; i < 100; i++) {
		struct user a;

		assert_int_equal(lease(&a, "web", true), OK);
		first += lease_endpoint(a.lease) == fixture_endpoint_id("10.0.0.1", 80);
		upstream_release(a.lease);
		double_client_close(double_client(0), ERR_CONN_TIMEOUT);
	}
	assert_int_equal(first, 90);
}

/* ---- a cluster that has as many connections as it may ---- */

static void test_waiting(void **state)
{
	struct user a, b, c, d;

	(void)state;
	assert_int_equal(lease(&a, "few", false), OK);
	assert_int_equal(lease(&b, "few", false), OK);
	open_all();
	assert_int_equal(lease(&c, "few", false), OK);
	assert_int_equal(lease(&d, "few", false), OK);
	upstream_flush(u);
	assert_int_equal(dbl.connects, 2);
	assert_null(c.stream);
	assert_int_equal(lease_endpoint(c.lease), 0);
	/* The first that becomes free is the oldest waiter's, at the end of the round. */
	exchange(&b);
	assert_null(c.stream);
	upstream_flush(u);
	assert_non_null(c.stream);
	assert_true(lease_reused(c.lease));
	assert_null(d.stream);
	/* One that comes now does not overtake; one that dies makes room for a new one. */
	assert_int_equal(lease(&b, "few", false), OK);
	assert_null(b.stream);
	double_client_close(a.stream->client, ERR_CONN_RESET);
	upstream_flush(u);
	assert_int_equal(dbl.connects, 3);
	open_all();
	assert_non_null(d.stream);
	exchange(&c);
	upstream_flush(u);
	assert_non_null(b.stream);
	exchange(&b);
	exchange(&d);
	assert_int_equal(upstream_conns(u), 2);
	assert_int_equal(dbl.counters.cell[C_upstream_waited], 3);
}

static void test_overflow(void **state)
{
	struct user busy[2], waiting[3], over;

	(void)state;
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(lease(&busy[i], "few", false), OK);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(lease(&waiting[i], "few", false), OK);
	assert_int_equal(lease(&over, "few", false), ERR_UPSTREAM_OVERFLOW);
	assert_null(over.lease);
	assert_int_equal(dbl.counters.cell[C_limit_cluster_pending], 1);
	assert_int_equal(dbl.counters.cell[C_limit_cluster_conns], 4);
	/* Other clusters are not touched by it. */
	assert_int_equal(lease(&over, "one", false), OK);
	upstream_release(over.lease);
	/* One gives up: there is room for another. */
	upstream_release(waiting[1].lease);
	assert_int_equal(lease(&waiting[1], "few", false), OK);
	for (unsigned i = 0; i < 3; i++)
		upstream_release(waiting[i].lease);
	for (unsigned i = 0; i < 2; i++)
		upstream_release(busy[i].lease);
}

/* All idle connections are at one endpoint and the other is picked: it gets one of those, or its place. */
static void test_full_but_idle(void **state)
{
	struct user a, b, c;

	(void)state;
	assert_int_equal(lease(&a, "few", false), OK);
	assert_int_equal(lease(&b, "few", false), OK);
	open_all();
	exchange(&a);
	exchange(&b);
	assert_int_equal(lease(&a, "few", false), OK);
	assert_int_equal(lease(&b, "few", false), OK);
	exchange(&a);
	assert_int_equal(lease(&c, "few", false), OK);
	assert_non_null(c.stream);
	assert_int_equal(dbl.connects, 2);
	exchange(&c);
	assert_int_equal(lease(&c, "few", true), OK);
	assert_null(c.stream);
	assert_int_equal(dbl.connects, 3);
	assert_int_equal(upstream_conns(u), 2);
	open_all();
	exchange(&c);
	exchange(&b);
}

/* Its cluster goes away, its endpoints do, or they come: nobody waits for ever. */
static void test_waiting_for_what_goes(void **state)
{
	static const struct fixture no_endpoints = {.clusters = {{.name = "few"}}};
	static const struct fixture more = {
		.clusters = {{.name = "few", .endpoints = {{"10.0.2.1", 80}}, .conns_max = 9, .pending_max = 3}}};
	static const struct {
		const char *name;
		const struct fixture *after;
		enum err failed;
	} cases[] = {
		{"cluster", &none, ERR_NO_HEALTHY_UPSTREAM},
		{"endpoints", &no_endpoints, ERR_NO_HEALTHY_UPSTREAM},
		{"the limit", &more, OK},
	};

	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct user a, b, c;

		teardown(state);
		setup(state);
		assert_int_equal(lease(&a, "few", false), OK);
		assert_int_equal(lease(&b, "few", false), OK);
		assert_int_equal(lease(&c, "few", false), OK);
		use(cases[i].after);
		upstream_apply(u);
		double_advance(NS_PER_MS);
		upstream_flush(u);
		if (c.failed != cases[i].failed || (c.lease == NULL) != (c.failed != OK))
			fail_msg("%s: %s", cases[i].name, err_name(c.failed));
		upstream_release(a.lease);
		upstream_release(b.lease);
		if (c.lease != NULL)
			upstream_release(c.lease);
	}
}

/* ---- endpoints that cannot be reached ---- */

#define OUTLIER {.connect_failures = 3, .ejection_ms = 1000, .ejection_max_ms = 4000, .panic_percent = 50}

static const struct fixture three = {
	.clusters = {{.name = "web", .endpoints = {{"10.0.0.1", 80}, {"10.0.0.2", 80}, {"10.0.0.3", 80}}, .outlier =
	              OUTLIER},
	             {.name = "other", .endpoints = {{"10.0.0.1", 80}}, .outlier = OUTLIER}}};

static struct http_client *connecting(void)
{
	for (unsigned i = 0; i < DOUBLES_MAX; i++) {
		if (dbl.clients[i] != NULL && dbl.clients[i]->state == DOUBLE_CONNECTING)
			return dbl.clients[i];
	}
	fail_msg("nobody connects");
	return NULL;
}

/* Requests in one round each; those to dead endpoints fail. Returns which endpoints got one, a bit for each. */
static unsigned try(const char *cluster, unsigned requests, unsigned dead)
{
	unsigned seen = 0;

	for (unsigned i = 0; i < requests; i++) {
		struct user a;
		unsigned last;

		assert_int_equal(lease(&a, cluster, true), OK);
		last = connecting()->how.remote.b[15];
		seen |= 1u << last;
		if (dead & 1u << last) {
			double_client_close(connecting(), ERR_CONN_REFUSED);
			assert_int_equal(a.failed, ERR_CONN_REFUSED);
		} else {
			open_all();
			exchange(&a);
		}
		upstream_flush(u);
	}
	return seen;
}

static void test_ejection(void **state)
{
	(void)state;
	use(&three);
	upstream_apply(u);
	assert_int_equal(try("web", 12, 1 << 2), 1 << 1 | 1 << 2 | 1 << 3);
	assert_int_equal(dbl.counters.cell[C_endpoints_ejected], 1);
	/* Not picked any more, for a second, whatever generation comes. */
	assert_int_equal(try("web", 12, 1 << 2), 1 << 1 | 1 << 3);
	use(&two);
	upstream_apply(u);
	use(&three);
	upstream_apply(u);
	assert_int_equal(try("web", 12, 1 << 2), 1 << 1 | 1 << 3);
	double_advance(990 * NS_PER_MS);
	assert_int_equal(try("web", 6, 1 << 2), 1 << 1 | 1 << 3);
	/* Then one request finds that it still is dead; now it is for two seconds. */
	double_advance(20 * NS_PER_MS);
	assert_int_equal(try("web", 6, 1 << 2), 1 << 1 | 1 << 2 | 1 << 3);
	assert_int_equal(dbl.counters.cell[C_endpoints_ejected], 2);
	double_advance(1900 * NS_PER_MS);
	assert_int_equal(try("web", 6, 1 << 2), 1 << 1 | 1 << 3);
	/* It is back. */
	double_advance(200 * NS_PER_MS);
	assert_int_equal(try("web", 6, 0), 1 << 1 | 1 << 2 | 1 << 3);
	assert_int_equal(dbl.counters.cell[C_upstream_connect_failures], 4);
	/* The same address in another cluster has a verdict of its own. */
	assert_int_equal(try("other", 3, 1 << 1), 1 << 1);
	assert_int_equal(try("web", 6, 0), 1 << 1 | 1 << 2 | 1 << 3);
}

/* Two of three: that is panic, all are picked, and the first that answers ends it. */
static void test_panic(void **state)
{
	(void)state;
	use(&three);
	upstream_apply(u);
	try("web", 12, 1 << 1 | 1 << 2);
	assert_int_equal(dbl.counters.cell[C_endpoints_ejected], 2);
	assert_int_equal(try("web", 12, 1 << 1 | 1 << 2), 1 << 1 | 1 << 2 | 1 << 3);
	assert_int_equal(dbl.counters.cell[C_cluster_panics], 1);
	assert_int_equal(dbl.counters.cell[C_endpoints_ejected], 2);
	try("web", 3, 1 << 1);
	assert_int_equal(dbl.counters.cell[C_endpoints_returned], 1);
	assert_int_equal(try("web", 12, 1 << 1), 1 << 2 | 1 << 3);
	/* The only endpoint of a cluster is always tried. */
	assert_int_equal(try("other", 12, 1 << 1), 1 << 1);
}

/* Without panic nobody is picked when all are ejected: 503 at once. */
static void test_all_ejected(void **state)
{
	static const struct fixture strict = {
		.clusters = {{.name = "web", .endpoints = {{"10.0.0.1", 80}}, .outlier = {.connect_failures = 1,
		              .ejection_ms = 1000, .ejection_max_ms = 1000}}}};
	struct user a;

	(void)state;
	use(&strict);
	upstream_apply(u);
	try("web", 1, 1 << 1);
	assert_int_equal(lease(&a, "web", false), ERR_NO_HEALTHY_UPSTREAM);
	double_advance(1001 * NS_PER_MS);
	assert_int_equal(lease(&a, "web", false), OK);
	upstream_release(a.lease);
}

/* Of several workers the owner of an endpoint is told, once per round. */
static void test_reports(void **state)
{
	unsigned told = 0;

	(void)state;
	health_free(health);
	upstream_free(u);
	dbl.shard.workers = 3;
	health = health_new(3);
	u = upstream_new(&dbl.shard, NULL,
	                 &(struct upstream_up){.health = health, .on_report = on_report, .up = &reported_to});
	use(&three);
	upstream_apply(u);
	for (unsigned i = 1; i <= 3; i++) {
		char addr[] = "10.0.0.0";
		uint16_t owner;

		addr[7] = (char)('0' + i);
		owner = health_owner(health, health_key(fixture_cluster_id("web"), fixture_endpoint_id(addr, 80)));
		reported_to = 9;
		try("web", 3, 1u << i);
		assert_int_equal(reported_to, owner == 0 ? 9 : owner);
		told += owner != 0;
	}
	assert_int_not_equal(told, 0);
	dbl.shard.workers = 1;
}

/* ---- each balancer, through the cluster ---- */

static void test_balancers(void **state)
{
	static const struct {
		const char *name;
		enum balancer_kind kind;
		uint16_t weights[3];
		unsigned busy;                /* requests that the first endpoint has in flight meanwhile */
		unsigned want[3], off;        /* of 300 requests, one after the other */
	} cases[] = {
		{"round robin", BALANCER_round_robin, {1, 1, 1}, 0, {100, 100, 100}, 0},
		{"round robin, weights", BALANCER_round_robin, {1, 2, 3}, 0, {50, 100, 150}, 1},
		{"round robin, busy", BALANCER_round_robin, {1, 1, 1}, 5, {100, 100, 100}, 0},
		{"random", BALANCER_random, {1, 1, 1}, 0, {100, 100, 100}, 30},
		{"random, weights", BALANCER_random, {1, 2, 3}, 0, {50, 100, 150}, 30},
		{"least request", BALANCER_least_request, {1, 1, 1}, 0, {100, 100, 100}, 30},
		{"least request, busy", BALANCER_least_request, {1, 1, 1}, 5, {0, 150, 150}, 30},
		{"least request, weights", BALANCER_least_request, {1, 2, 3}, 0, {50, 100, 150}, 1},
		{"least request, weights, busy", BALANCER_least_request, {2, 1, 1}, 1, {100, 100, 100}, 2},
	};

	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct fixture f = {.clusters = {{.name = "web", .balancer = (uint8_t)cases[i].kind}}};
		static const char *const addrs[] = {"10.0.0.1", "10.0.0.2", "10.0.0.3"};
		struct user busy[5], a;
		unsigned busy_n = 0, got[3] = {0};

		teardown(state);
		setup(state);
		for (unsigned k = 0; k < 3; k++) {
			f.clusters[0].endpoints[k] = (struct fixture_endpoint){addrs[k], 80, cases[i].weights[k]};
			if (k == 0) {
				/* A generation in which it is alone. */
				use(&f);
				upstream_apply(u);
				for (; busy_n < cases[i].busy; busy_n++)
					assert_int_equal(lease(&busy[busy_n], "web", true), OK);
			}
		}
		use(&f);
		upstream_apply(u);
		for (unsigned n = 0; n < 300; n++) {
			assert_int_equal(lease(&a, "web", true), OK);
			for (unsigned k = 0; k < 3; k++)
				got[k] += lease_endpoint(a.lease) == fixture_endpoint_id(addrs[k], 80);
			upstream_release(a.lease);
		}
		for (unsigned k = 0; k < 3; k++) {
			if (got[k] + cases[i].off < cases[i].want[k] || got[k] > cases[i].want[k] + cases[i].off)
				fail_msg("%s: %u %u %u", cases[i].name, got[0], got[1], got[2]);
		}
		while (busy_n > 0)
			upstream_release(busy[--busy_n].lease);
	}
}

/* ---- any order of events ---- */

enum { USERS = 24 };

static void random_step(struct user *users, struct rng *r)
{
	static const char *const names[] = {"web", "one", "empty", "other", "few"};
	struct user *x = &users[rng_below(r, USERS)];
	struct http_client *c = double_client(rng_below(r, double_clients() + 1));

	switch (rng_below(r, 9)) {
	case 0:
	case 1:
		if (x->lease == NULL && lease(x, names[rng_below(r, 5)], rng_below(r, 4) == 0) != OK)
			assert_null(x->lease);
		break;
	case 2:
		if (x->stream != NULL)
			exchange(x);
		break;
	case 3:
		if (x->lease == NULL)
			break;
		if (x->stream != NULL)
			http_reset(x->stream, ERR_CONN_ABORTED);
		upstream_release(x->lease);
		*x = (struct user){0};
		break;
	case 4:
		if (c != NULL && c->state == DOUBLE_CONNECTING)
			double_open(c);
		break;
	case 5:
		if (c != NULL && rng_below(r, 3) == 0)
			double_client_close(c, rng_below(r, 2) ? ERR_CONN_RESET : OK);
		break;
	case 6:
		if (c != NULL && rng_below(r, 3) == 0)
			c->refuses = true;
		break;
	case 7:
		use(rng_below(r, 3) == 0 ? &none : rng_below(r, 2) ? &two : &first_only);
		upstream_apply(u);
		break;
	default:
		double_advance(rng_below(r, 20) == 0 ? 4000 * NS_PER_S : NS_PER_MS);
		break;
	}
}

static void test_any_order(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 12; seed++) {
		static struct user users[USERS];
		struct rng r;

		rng_init(&r, seed);
		memset(users, 0, sizeof(users));
		for (int i = 0; i < 1000; i++) {
			random_step(users, &r);
			if (rng_below(&r, 2))
				double_settle();
			if (rng_below(&r, 2))
				upstream_flush(u);
		}
		for (unsigned i = 0; i < USERS; i++) {
			if (users[i].stream != NULL)
				http_reset(users[i].stream, ERR_CONN_ABORTED);
			if (users[i].lease != NULL)
				upstream_release(users[i].lease);
		}
		double_settle();
		upstream_flush(u);
		while (double_client(0) != NULL)
			double_client_close(double_client(0), OK);
		assert_int_equal(upstream_conns(u), 0);
		teardown(NULL);
		setup(NULL);
	}
}

/* ---- rows ---- */

#define FIVE(a) {a "1", 80}, {a "2", 80}, {a "3", 80}, {a "4", 80}, {a "5", 80}

static const struct fixture five = {.clusters = {{.name = "web", .endpoints = {FIVE("10.0.1.")}}}};
static const struct fixture ten = {.clusters = {{.name = "web", .endpoints = {FIVE("10.0.1."), FIVE("10.0.2.")}}}};
static const struct fixture fifteen = {
	.clusters = {{.name = "web", .endpoints = {FIVE("10.0.1."), FIVE("10.0.2."), FIVE("10.0.3.")}}},
};

enum { MEDIUM = 1, LARGE = 2 };

/* What other clusters take when they want as much as they can get: all but the spare. */
static void take_rows(unsigned class)
{
	while (u->rows[class].free_n > 1)
		assert_non_null(pool_get(&u->rows[class]));
}

/* The endpoints in use after the tables changed. */
static uint32_t row_after(const struct fixture *f)
{
	const struct cluster *c;

	use(f);
	upstream_apply(u);
	c = cluster_find(u, fixture_cluster_id("web"));
	assert_non_null(c);
	return c->row.n;
}

static void test_rows_run_out(void **state)
{
	static const struct {
		const char *name;
		const struct fixture *before, *after; /* the rows are taken between them */
		bool medium_taken, large_taken;
		uint32_t used, counted;
	} cases[] = {
		{"new, all free", NULL, &ten, false, false, 10, 0},
		{"new, a larger one is free", NULL, &ten, true, false, 10, 1},
		{"new, only small ones are free", NULL, &ten, true, true, 8, 1},
		{"small one needs no other", NULL, &five, true, true, 5, 0},
		{"grows, a larger one is free", &five, &ten, true, false, 10, 1},
		{"grows, only small ones are free", &five, &ten, true, true, 8, 1},
		{"grows within what it has", &ten, &fifteen, true, true, 15, 0},
		{"shrinks within what it has", &fifteen, &ten, true, true, 10, 0},
		{"shrinks to a small one", &ten, &five, true, true, 5, 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t used;

		teardown(state);
		setup(state);
		if (cases[i].before != NULL)
			row_after(cases[i].before);
		if (cases[i].medium_taken)
			take_rows(MEDIUM);
		if (cases[i].large_taken)
			take_rows(LARGE);
		used = row_after(cases[i].after);
		if (used != cases[i].used || dbl.counters.cell[C_limit_cluster_rows_medium] != cases[i].counted)
			fail_msg("%s: %u endpoints used", cases[i].name, used);
		for (unsigned class = 0; class < ROWS; class++)
			assert_true(u->rows[class].free_n > 0);
	}
}

/* The cluster that got less than it wanted serves, and gets the rest with the next generation that finds room. */
static void test_rows_come_back(void **state)
{
	struct balance_endpoint *other;
	struct user a;

	(void)state;
	other = pool_get(&u->rows[MEDIUM]);
	take_rows(MEDIUM);
	take_rows(LARGE);
	assert_int_equal(row_after(&ten), 8);
	assert_int_equal(lease(&a, "web", false), OK);
	open_all();
	exchange(&a);
	assert_int_equal(row_after(&ten), 8);
	pool_put(&u->rows[MEDIUM], other);
	assert_int_equal(row_after(&ten), 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_reuse, setup, teardown),
		cmocka_unit_test_setup_teardown(test_most_recently_used_first, setup, teardown),
		cmocka_unit_test_setup_teardown(test_round_robin_over_endpoints, setup, teardown),
		cmocka_unit_test_setup_teardown(test_skip, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wanted, setup, teardown),
		cmocka_unit_test_setup_teardown(test_retry_budget, setup, teardown),
		cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_released_while_connecting, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stale, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused_when_opened, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reset_is_not_pooled, setup, teardown),
		cmocka_unit_test_setup_teardown(test_idle_age, setup, teardown),
		cmocka_unit_test_setup_teardown(test_idle_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_shed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_endpoint_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_endpoint_gone_and_back, setup, teardown),
		cmocka_unit_test_setup_teardown(test_apply_keeps_pools, setup, teardown),
		cmocka_unit_test_setup_teardown(test_weights_change, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rows_run_out, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rows_come_back, setup, teardown),
		cmocka_unit_test_setup_teardown(test_waiting, setup, teardown),
		cmocka_unit_test_setup_teardown(test_overflow, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full_but_idle, setup, teardown),
		cmocka_unit_test_setup_teardown(test_waiting_for_what_goes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ejection, setup, teardown),
		cmocka_unit_test_setup_teardown(test_panic, setup, teardown),
		cmocka_unit_test_setup_teardown(test_all_ejected, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reports, setup, teardown),
		cmocka_unit_test_setup_teardown(test_balancers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_any_order, setup, teardown),
	};

	double_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
