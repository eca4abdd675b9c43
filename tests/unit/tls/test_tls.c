/* The pass-through: order of callbacks, suspension, re-buffering with its bound, completions for the dead. */
#include <string.h>

#include "base/limits.h"
#include "base/shard.h"
#include "tests/unit/dpdk.h"
#include "tests/unit/test.h"
#include "tls/tls.h"

struct tcp_conn {
	const struct tcp_user_ops *ops;
	void *user;
	bool aborted, detached;
	enum err why;
	uint32_t credit;
};

struct tcp {
	struct tcp_conn conn;
};

static struct shard shard;
static struct counters counters;
static struct tcp tcp;
static struct tls *tls;
static char events[4096];
static struct slice got[256];
static unsigned got_n;
static bool abort_at_open, abort_at_data;
static struct tls_conn *conn;

enum err tcp_connect(struct tcp *t, const struct tcp_connect *how, struct tcp_conn **out)
{
	if (how->remote_port == 0)
		return ERR_NO_PORTS;
	t->conn = (struct tcp_conn){.ops = how->ops, .user = how->user};
	*out = &t->conn;
	return OK;
}

void tcp_set_user(struct tcp_conn *c, const struct tcp_user_ops *ops, void *user)
{
	c->ops = ops;
	c->user = user;
}

bool tcp_send(struct tcp_conn *c, struct slice s)
{
	(void)c;
	slice_free(&s);
	return true;
}

void tcp_send_short(struct tcp_conn *c)
{
	(void)c;
}

uint32_t tcp_send_room(const struct tcp_conn *c)
{
	(void)c;
	return 1000;
}

void tcp_more(struct tcp_conn *c, bool more)
{
	(void)c;
	(void)more;
}

void tcp_shutdown(struct tcp_conn *c)
{
	(void)c;
}

void tcp_abort(struct tcp_conn *c, enum err why)
{
	c->aborted = true;
	c->why = why;
	if (c->ops)
		c->ops->on_closed(c->user, why);
}

void tcp_detach(struct tcp_conn *c)
{
	c->detached = true;
}

void tcp_enough(struct tcp_conn *c)
{
	assert_non_null(c);
}

bool tcp_want(struct tcp_conn *c, uint32_t n)
{
	return c != NULL && n > 0;
}

void tcp_credit(struct tcp_conn *c, uint32_t n)
{
	c->credit += n;
}

static void on_open(void *user)
{
	(void)user;
	strcat(events, "open ");
	if (abort_at_open)
		tls_abort(conn, ERR_CONN_ABORTED);
}

static void on_data(void *user, struct slice s, uint32_t credit)
{
	(void)user;
	assert_int_equal(credit, tcp_cost(s.m));
	assert_int_equal(s.len, 1);
	assert_null(s.m->next);
	strncat(events, slice_at(&s), 1);
	strcat(events, " ");
	got[got_n++] = s;
	if (abort_at_data)
		tls_abort(conn, ERR_CONN_ABORTED);
}

static void on_eof(void *user)
{
	(void)user;
	strcat(events, "eof ");
}

static void on_acked(void *user, uint32_t bytes)
{
	(void)user;
	(void)bytes;
	strcat(events, "acked ");
}

static void on_closed(void *user, enum err why)
{
	(void)user;
	(void)why;
	strcat(events, "closed ");
}

static const struct tls_user_ops ops = {
	.on_open = on_open, .on_data = on_data, .on_eof = on_eof, .on_acked = on_acked, .on_closed = on_closed,
};

static void give(char byte)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(shard.pools.rx);

	assert_non_null(m);
	*rte_pktmbuf_append(m, 1) = byte;
	tcp.conn.ops->on_data(tcp.conn.user, m);
}

static void start(uint16_t rounds)
{
	const struct tls_options options = {.suspend_rounds = rounds};

	*events = 0;
	got_n = 0;
	abort_at_open = abort_at_data = false;
	memset(&counters, 0, sizeof(counters));
	memset(&tcp, 0, sizeof(tcp));
	tls = tls_new(&shard, &tcp, &options);
}

static void end(void)
{
	tls_free(tls);
	while (got_n)
		slice_free(&got[--got_n]);
	assert_int_equal(rte_mempool_in_use_count(shard.pools.rx), 0);
}

static void test_inline(void **state)
{
	(void)state;
	start(0);
	conn = tls_accept(tls, &tcp.conn, &ops, NULL);
	assert_non_null(conn);
	give('a');
	tcp.conn.ops->on_acked(tcp.conn.user, 1);
	tcp.conn.ops->on_eof(tcp.conn.user);
	tls_credit(conn, 5);
	assert_int_equal(tcp.conn.credit, 5);
	tcp.conn.ops->on_closed(tcp.conn.user, OK);
	assert_string_equal(events, "open a acked eof closed ");
	assert_false(tls_waiting(tls));
	end();
}

static void test_suspended(void **state)
{
	(void)state;
	start(3);
	conn = tls_accept(tls, &tcp.conn, &ops, NULL);
	assert_int_equal(tls_send_room(conn), 0);
	give('a');
	give('b');
	tcp.conn.ops->on_eof(tcp.conn.user);
	tls_run(tls);
	tls_run(tls);
	assert_string_equal(events, "");
	assert_true(tls_waiting(tls));
	tls_run(tls);
	assert_string_equal(events, "open a b eof ");
	assert_false(tls_waiting(tls));
	give('c');
	assert_string_equal(events, "open a b eof c ");
	assert_int_equal(tls_send_room(conn), 1000);
	assert_int_equal(counters.cell[C_tls_suspended], 1);
	end();
}

static void test_bounded(void **state)
{
	(void)state;
	start(1);
	conn = tls_accept(tls, &tcp.conn, &ops, NULL);
	for (unsigned i = 0; i < 1000 && !tcp.conn.aborted; i++)
		give('a');
	assert_true(tcp.conn.aborted);
	assert_int_equal(tcp.conn.why, ERR_LIMIT);
	assert_string_equal(events, "closed ");
	tls_run(tls);
	assert_int_equal(counters.cell[C_handles_dead], 1);
	assert_int_equal(counters.cell[C_limit_tls_opening_bytes], 1);
	end();
}

static void test_dies_suspended(void **state)
{
	(void)state;
	start(1);
	conn = tls_accept(tls, &tcp.conn, &ops, NULL);
	give('a');
	tcp.conn.ops->on_closed(tcp.conn.user, ERR_CONN_RESET);
	tls_run(tls);
	assert_string_equal(events, "closed ");
	assert_int_equal(counters.cell[C_handles_dead], 1);
	end();
}

static void test_aborted_by_its_user(void **state)
{
	(void)state;
	for (int data = 0; data < 2; data++) {
		start(1);
		abort_at_open = !data;
		abort_at_data = data;
		conn = tls_accept(tls, &tcp.conn, &ops, NULL);
		give('a');
		give('b');
		tls_run(tls);
		assert_string_equal(events, data ? "open a closed " : "open closed ");
		end();
	}
}

static void test_connect(void **state)
{
	struct tcp_connect how = {.remote_port = 1};

	(void)state;
	start(1);
	assert_int_equal(tls_connect(tls, &how, &ops, NULL, &conn), OK);
	tls_run(tls);
	assert_string_equal(events, "");
	tcp.conn.ops->on_open(tcp.conn.user);
	tls_run(tls);
	assert_string_equal(events, "open ");
	tls_detach(conn);
	assert_true(tcp.conn.detached);
	how.remote_port = 0;
	assert_int_equal(tls_connect(tls, &how, &ops, NULL, &conn), ERR_NO_PORTS);
	end();
}

static void test_refused_by_crypto(void **state)
{
	(void)state;
	start(100);
	conn = tls_accept(tls, &tcp.conn, &ops, NULL);
	tls_job_done(tls, 12345, OK);
	assert_int_equal(counters.cell[C_handles_dead], 1);
	end();
}

static int setup(void **state)
{
	(void)state;
	dpdk_start();
	shard.counters = &counters;
	return packet_pools_init(&shard.pools, "tls", 0, 10);
}

static int teardown(void **state)
{
	(void)state;
	packet_pools_fini(&shard.pools);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_inline), cmocka_unit_test(test_suspended), cmocka_unit_test(test_bounded),
		cmocka_unit_test(test_dies_suspended), cmocka_unit_test(test_aborted_by_its_user),
		cmocka_unit_test(test_connect), cmocka_unit_test(test_refused_by_crypto),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
