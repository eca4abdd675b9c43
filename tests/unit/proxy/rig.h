/*
 * A proxy between doubles of HTTP streams, over the real routing, filters, balancing and pools, on the tables of one
 * fixture: for tests of what happens to one exchange. Included once per test program.
 */
#ifndef TEST_PROXY_RIG_H
#define TEST_PROXY_RIG_H

#include "tests/unit/test.h"

#include "proxy/proxy.h"
#include "tests/support/http_double.h"
#include "tests/support/logged.h"
#include "tests/support/table_fixture.h"
#include "upstream/health.h"
#include "upstream/upstream.h"

static struct {
	struct proxy *proxy;
	struct health *health;
	struct upstream *upstream;
	struct table *table;
	struct logring *log;
} rig;

static inline void rig_on_stream(struct http_stream *s)
{
	proxy_on_stream(rig.proxy, s);
}

static inline void rig_use(const struct fixture *f)
{
	size_t bytes;

	free(rig.table);
	rig.table = fixture_table(f, &bytes);
	dbl.shard.table = rig.table;
}

static inline void rig_init(const struct fixture *f)
{
	double_init(1);
	dbl.on_stream = rig_on_stream;
	rig.log = logring_new(1 << 16);
	dbl.shard.access_log = rig.log;
	rig_use(f);
	rig.health = health_new(1);
	rig.upstream = upstream_new(&dbl.shard, NULL, &(struct upstream_up){.health = rig.health});
	rig.proxy = proxy_new(&dbl.shard, rig.upstream);
}

/* All peers go away. */
static inline void rig_end(void)
{
	for (unsigned i = 0; i < DOUBLES_MAX; i++) {
		if (dbl.streams[i] != NULL && dbl.streams[i]->server)
			double_close(dbl.streams[i], ERR_CONN_RESET);
	}
	double_settle();
	while (double_client(0) != NULL)
		double_client_close(double_client(0), OK);
}

/* Ends what a test has left, and looks whether everything came back. */
static inline void rig_fini(void)
{
	rig_end();
	CHECK(proxy_exchanges(rig.proxy) == 0);
	proxy_free(rig.proxy);
	upstream_free(rig.upstream);
	health_free(rig.health);
	logring_free(rig.log);
	free(rig.table);
	rig.table = NULL;
	double_fini();
}

static inline uint64_t rig_counted(enum counter c)
{
	return dbl.counters.cell[c];
}

/* The upstream's connection nth in order of their opening, its handshake done, and the stream on it. */
static inline struct http_stream *rig_up(unsigned nth)
{
	struct http_client *c = double_client(nth);

	assert_non_null(c);
	if (c->state == DOUBLE_CONNECTING)
		double_open(c);
	assert_non_null(c->stream);
	return c->stream;
}

/* The first stream to an upstream that there is, its connection opened if need be; or null. */
static inline struct http_stream *rig_up_any(void)
{
	for (unsigned i = 0; i < DOUBLES_MAX; i++) {
		struct http_client *c = dbl.clients[i];

		if (c == NULL || c->state == DOUBLE_DYING)
			continue;
		if (c->state == DOUBLE_CONNECTING)
			double_open(c);
		if (c->stream != NULL)
			return c->stream;
	}
	return NULL;
}

static inline struct http_stream *rig_up_one(void)
{
	struct http_stream *up = rig_up_any();

	assert_non_null(up);
	return up;
}

/* The newest record of the log. */
static inline const struct access_record *rig_logged(void)
{
	const struct access_record *r = logged_newest(rig.log);

	assert_non_null(r);
	return r;
}

static inline void assert_has(const char *head, const char *line)
{
	if (strstr(head, line) == NULL)
		fail_msg("no \"%s\" in:\n%s", line, head);
}

static inline void assert_has_not(const char *head, const char *line)
{
	if (strcasestr(head, line) != NULL)
		fail_msg("\"%s\" in:\n%s", line, head);
}

#endif
