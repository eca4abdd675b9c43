#include "tests/sim/streams.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "tests/sim/ecn.h"
#include "tests/sim/host.h"
#include "tests/support/tcp_invariants.h"
#include "tests/support/table_fixture.h"

enum { PAIRS = 8, UNREAD = 16384, PORT = 7000 };
enum { OPTION_WINDOW_SCALE = 3, OPTION_SACK_PERMITTED = 4, OPTION_TIMESTAMPS = 8 };

struct streams;

/* One end of a connection, and its application. */
struct end {
	struct streams *streams;
	struct host *host;
	struct end *peer;
	struct tcp_conn *tcp;          /* null: not yet, or closed */
	uint64_t key;                  /* of what it writes */
	bool opened, shut, eof, closed, gone;
	enum err why;

	uint64_t to_write, written, acked;
	uint64_t got;                  /* delivered in order */
	struct rte_mbuf *unread[UNREAD];
	uint32_t unread_head, unread_tail, unread_credit;
	uint32_t head_read;            /* bytes of unread_head that it has read, and given the credit of */

	/* Habits. */
	uint32_t piece_max;            /* 0: as much as fits */
	uint64_t write_gap_ns, write_after_ns;
	uint64_t read_gap_ns, read_after_ns;
	uint32_t read_max;             /* bytes at a time; 0: whole packets */
	bool waits_for_eof;            /* ends its half only behind the peer's */
	bool holds_short;              /* tcp_more() while there is more to write */
	bool detaches;                 /* leaves as soon as it has written all */
	uint64_t gives_up_at;          /* aborts when so many bytes were written and delivered */
};

struct streams {
	struct sim *sim;
	struct link *link;
	struct host hosts[2];
	struct end ends[PAIRS][2];     /* [0] opens */
	unsigned pairs_n;
	uint64_t vanish_ns;            /* when hosts[1] vanishes; 0: never */
	struct ecn_watch ecn;
};

/* ---- the model ---- */

static void check_pair(struct end *e)
{
	struct sim *s = e->streams->sim;
	const struct end *p = e->peer;
	/* The peer heard everything, waited for 2 MSL, and forgot us, while nothing of its last ACKs came through. */
	const bool forgotten = e->why == ERR_CONN_RESET && e->shut && e->eof && p->closed && p->why == OK;
	const bool excused = forgotten || e->gone || p->gone || e->host->vanished || p->host->vanished;

	if (e->acked > p->got && !p->gone)
		sim_fail(s, "stream %" PRIu64 ": %" PRIu64 " bytes are acknowledged, %" PRIu64 " delivered", e->key, e->acked, p->got);
	if (p->got > e->written)
		sim_fail(s, "stream %" PRIu64 ": %" PRIu64 " bytes are delivered, %" PRIu64 " written", e->key, p->got, e->written);
	if (p->eof && !p->closed && (!e->shut || p->got != e->written))
		sim_fail(s, "stream %" PRIu64 ": it ends after %" PRIu64 " of %" PRIu64 " bytes", e->key, p->got, e->written);
	if (e->closed && e->why != OK && !excused)
		sim_fail(s, "stream %" PRIu64 ": closed by error %d, and nobody gave up", e->key, (int)e->why);
	if (e->closed && e->why == OK && !(e->shut && e->eof && e->acked == e->written))
		sim_fail(s, "stream %" PRIu64 ": closed in order, but not at its end", e->key);
}

static void check_all(struct streams *w)
{
	for (unsigned i = 0; i < w->pairs_n; i++)
		for (unsigned side = 0; side < 2; side++) {
			struct end *e = &w->ends[i][side];
			const bool looked_at = e->tcp && !e->host->vanished;
			const char *broken = looked_at ? invariant_broken(e->tcp, e->unread_credit) : NULL;

			check_pair(e);
			if (looked_at && !broken)
				broken = invariant_broken_in_queues(e->tcp, e->unread_credit);
			if (broken)
				sim_fail(w->sim, "stream %" PRIu64 ": %s: does not hold", e->key, broken);
		}
}

/* ---- the application ---- */

static bool due(struct end *e, uint64_t at_ns)
{
	if (e->streams->sim->now_ns >= at_ns)
		return true;
	actor_at(&e->host->actor, at_ns);
	return false;
}

static uint64_t pause_ns(struct end *e, uint64_t gap_ns)
{
	return gap_ns ? e->streams->sim->now_ns + rng_u64(&e->streams->sim->rng) % gap_ns : 0;
}

static bool write_piece(struct end *e)
{
	const uint64_t left = e->to_write - e->written;
	uint32_t n = e->piece_max ? 1 + rng_below(&e->streams->sim->rng, e->piece_max) : 1400;
	struct slice s;
	uint8_t *at;

	n = n < left ? n : (uint32_t)left;
	if (tcp_send_room(e->tcp) < n || !host_slice(e->host, (uint16_t)n, &s, &at))
		return false;
	for (uint32_t i = 0; i < n; i++)
		at[i] = sim_byte(e->key, e->written + i);
	if (e->holds_short)
		tcp_more(e->tcp, n < left);
	if (!tcp_send(e->tcp, s)) {
		slice_free(&s);
		return false;
	}
	e->written += n;
	e->write_after_ns = pause_ns(e, e->write_gap_ns);
	return true;
}

static void end_half(struct end *e)
{
	if (e->written < e->to_write || (e->waits_for_eof && !e->eof))
		return;
	e->shut = true;
	if (!e->detaches) {
		tcp_shutdown(e->tcp);
		return;
	}
	e->gone = true;
	tcp_detach(e->tcp);
	e->tcp = NULL;
}

static void drop_unread(struct end *e)
{
	for (; e->unread_head != e->unread_tail; e->unread_head++)
		rte_pktmbuf_free(e->unread[e->unread_head % UNREAD]);
	e->unread_credit = 0;
	e->head_read = 0;
}

/* Reads some of the first packet, or the rest of it; returns what that is worth. */
static uint32_t read_piece(struct end *e)
{
	struct rte_mbuf *m = e->unread[e->unread_head % UNREAD];
	uint32_t n = e->read_max ? 1 + rng_below(&e->streams->sim->rng, e->read_max) : m->data_len, cost;

	if (e->head_read + n < m->data_len) {
		e->head_read += n;
		return n;
	}
	cost = tcp_cost(m) - e->head_read;
	e->head_read = 0;
	e->unread_head++;
	rte_pktmbuf_free(m);
	return cost;
}

static void read_some(struct end *e)
{
	while (e->unread_head != e->unread_tail && due(e, e->read_after_ns)) {
		const uint32_t cost = read_piece(e);

		e->unread_credit -= cost;
		if (e->tcp)
			tcp_credit(e->tcp, cost);
		e->read_after_ns = pause_ns(e, e->read_gap_ns);
	}
}

static void give_up(struct end *e)
{
	e->gone = true;
	tcp_abort(e->tcp, ERR_CONN_ABORTED);
}

static void round_of(struct end *e)
{
	read_some(e);
	if (e->tcp && e->opened && e->written + e->got >= e->gives_up_at)
		give_up(e);
	while (e->tcp && e->opened && !e->shut && e->written < e->to_write && due(e, e->write_after_ns) && write_piece(e))
		;
	if (e->tcp && e->opened && !e->shut)
		end_half(e);
	if (!e->tcp)
		drop_unread(e);
}

static void on_round(void *up)
{
	struct host *h = up;
	struct streams *w = h->streams;

	for (unsigned i = 0; i < w->pairs_n; i++)
		round_of(&w->ends[i][h == &w->hosts[1]]);
}

/* ---- callbacks ---- */

static void begin(struct end *e)
{
	e->opened = true;
	/* Who only reads would wait for ever for a peer that vanished. */
	tcp_keepalive(e->tcp, 60000, 5000, 5);
	host_kick(e->host);
}

static void on_open(void *user)
{
	begin(user);
}

static void on_data(void *user, struct rte_mbuf *m)
{
	struct end *e = user;
	const uint8_t *at = rte_pktmbuf_mtod(m, const uint8_t *);

	for (uint32_t i = 0; i < m->data_len; i++)
		if (at[i] != sim_byte(e->peer->key, e->got + i)) {
			sim_fail(e->streams->sim, "stream %" PRIu64 ": byte %" PRIu64 " is wrong", e->peer->key, e->got + i);
			break;
		}
	if (e->eof)
		sim_fail(e->streams->sim, "stream %" PRIu64 ": bytes behind its end", e->peer->key);
	e->got += m->data_len;
	if (e->unread_tail - e->unread_head == UNREAD) {
		sim_fail(e->streams->sim, "stream %" PRIu64 ": more than any window allows", e->peer->key);
		rte_pktmbuf_free(m);
		return;
	}
	e->unread[e->unread_tail++ % UNREAD] = m;
	e->unread_credit += tcp_cost(m);
	host_kick(e->host);
}

static void on_eof(void *user)
{
	struct end *e = user;

	if (e->eof)
		sim_fail(e->streams->sim, "stream %" PRIu64 ": it ends twice", e->peer->key);
	e->eof = true;
	host_kick(e->host);
}

static void on_acked(void *user, uint32_t bytes)
{
	struct end *e = user;

	e->acked += bytes;
	host_kick(e->host);
}

static void on_closed(void *user, enum err why)
{
	struct end *e = user;

	sim_trace(e->streams->sim, "stream %" PRIu64 ": closed, error %d", e->key, (int)why);
	e->tcp = NULL;
	e->closed = true;
	e->why = why;
	host_kick(e->host);
}

static const struct tcp_user_ops ops = {
	.on_open = on_open, .on_data = on_data, .on_eof = on_eof, .on_acked = on_acked, .on_closed = on_closed,
};

static void on_accept(void *up, struct tcp_conn *c)
{
	struct streams *w = ((struct host *)up)->streams;

	for (unsigned i = 0; i < w->pairs_n; i++) {
		struct end *opener = &w->ends[i][0], *e = opener->peer;

		/* One that gave up while it opened may have been heard all the same. */
		if (!opener->tcp || tcp_tuple(opener->tcp)->local_port != tcp_tuple(c)->remote_port)
			continue;
		e->tcp = c;
		tcp_set_user(c, &ops, e);
		begin(e);
		return;
	}
	tcp_abort(c, ERR_CONN_ABORTED);
}

/* Who vanished, or gave a connection up, is told of marks in vain. */
static bool lives(void *arg, unsigned side, uint16_t local_port, uint16_t remote_port)
{
	const struct streams *w = arg;

	for (unsigned i = 0; i < w->pairs_n && !w->hosts[side].vanished; i++) {
		const struct tcp_conn *c = w->ends[i][side].tcp;

		if (c && tcp_tuple(c)->local_port == local_port && tcp_tuple(c)->remote_port == remote_port)
			return true;
	}
	return false;
}

/* ---- a run ---- */

static void draw_faults(struct sim *s, struct link_faults *f)
{
	struct rng *r = &s->rng;
	/* Each kind is absent in a third of the seeds, else up to 10 %. */
	uint32_t *const kinds[] = {&f->lose, &f->duplicate, &f->reorder, &f->corrupt};

	for (unsigned i = 0; i < 4; i++)
		*kinds[i] = rng_below(r, 3) ? rng_below(r, 1001) : 0;
	f->mark = rng_below(r, 3) ? rng_below(r, 3001) : 0;
	f->delay_ns = 1000 + rng_below(r, rng_below(r, 2) ? 2000000 : 100000000);
	f->jitter_ns = rng_below(r, 3) ? rng_below(r, 200000) : 0;
	f->reorder_ns = 100000 + rng_below(r, 20000000);
	f->hold_ns = rng_below(r, 2) ? rng_below(r, 50000000) : 0;
	if (!rng_below(r, 3))
		f->hop = (struct hop_faults){.mtu_min = 576, .change_every_ns = 1 + rng_u64(r) % (20 * NS_PER_S),
		                             .silent = !rng_below(r, 3), .lies = rng_below(r, 2) ? rng_below(r, 1000) : 0};
	if (!rng_below(r, 4)) {
		f->flap_every_ns = (1 + rng_below(r, 20)) * NS_PER_S;
		f->flap_ns = 1 + rng_u64(r) % (f->flap_every_ns / 4);
	}
	f->strip = (s->seed % 4 == 0 ? 1u << OPTION_SACK_PERMITTED : 0) | (s->seed % 5 == 0 ? 1u << OPTION_TIMESTAMPS : 0) |
	           (s->seed % 7 == 0 ? 1u << OPTION_WINDOW_SCALE : 0);
}

static void draw_habits(struct end *e, uint64_t bytes_max)
{
	struct rng *r = &e->streams->sim->rng;

	e->to_write = rng_below(r, 8) ? rng_u64(r) % bytes_max : 0;
	e->piece_max = rng_below(r, 3) ? 0 : 1 + rng_below(r, 1400);
	if (!rng_below(r, 4) && e->to_write < 100000)
		e->write_gap_ns = rng_u64(r) % (20 * NS_PER_MS);
	if (!rng_below(r, 4))
		e->read_gap_ns = rng_u64(r) % (rng_below(r, 2) ? 100 * NS_PER_MS : NS_PER_MS);
	if (!rng_below(r, 3) && e->peer->to_write < 100000)
		e->read_max = 1 + rng_below(r, 3000);
	e->waits_for_eof = rng_below(r, 2);
	e->holds_short = !rng_below(r, 3);
	e->detaches = !rng_below(r, 16);
	e->gives_up_at = rng_below(r, 8) ? UINT64_MAX : rng_u64(r) % (e->to_write + bytes_max / 2);
}

static void init(struct streams *w, struct sim *s)
{
	static const struct host_config configs[2] = {
		{"a", {2, 0, 0, 0, 0, 1}, "198.18.0.1/24", "2001:2:0:0::1/64", NULL, NULL},
		{"b", {2, 0, 0, 0, 0, 2}, "198.18.0.2/24", "2001:2:0:0::2/64", NULL, NULL},
	};
	struct link_faults faults = {0};
	const uint64_t bytes_max = rng_below(&s->rng, 8) ? 1 + rng_below(&s->rng, 60000) : 1000000;

	memset(w, 0, sizeof(*w));
	w->sim = s;
	draw_faults(s, &faults);
	w->link = link_new(s, "link", &faults);
	w->ecn = (struct ecn_watch){.sim = s, .lives = lives, .arg = w};
	w->link->tap = ecn_see;
	w->link->tap_in = ecn_hear;
	w->link->tap_arg = &w->ecn;
	for (unsigned side = 0; side < 2; side++) {
		struct host *h = &w->hosts[side];

		host_init(h, w->link, &configs[side]);
		h->streams = w;
		h->sending = (struct tcp_sending){.control = (uint8_t)rng_below(&s->rng, TCP_CONTROLS),
		                                  .pacing = rng_below(&s->rng, 2), .ecn = rng_below(&s->rng, 4) != 0};
		h->on_round = on_round;
		h->up = h;
	}
	w->hosts[1].on_accept = on_accept;
	hosts_settle(s);
	w->hosts[0].shard.isn_top = w->hosts[1].shard.isn_top = rng_below(&s->rng, 3) ? 0 : UINT32_MAX;
	w->pairs_n = 1 + rng_below(&s->rng, PAIRS);
	for (unsigned i = 0; i < w->pairs_n; i++) {
		for (unsigned side = 0; side < 2; side++) {
			struct end *e = &w->ends[i][side];

			*e = (struct end){.streams = w, .host = &w->hosts[side], .peer = &w->ends[i][!side], .key = 2 * i + side + 1};
			draw_habits(e, bytes_max);
		}
		/* Two that wait for each other's end would wait for ever. */
		if (w->ends[i][1].waits_for_eof)
			w->ends[i][0].waits_for_eof = false;
	}
	if (!rng_below(&s->rng, 10))
		w->vanish_ns = s->now_ns + rng_u64(&s->rng) % (2 * NS_PER_S);
}

static void fini(struct streams *w)
{
	for (unsigned i = 0; i < w->pairs_n; i++)
		for (unsigned side = 0; side < 2; side++)
			drop_unread(&w->ends[i][side]);
	link_port_drain(&w->hosts[0].port);
	link_port_drain(&w->hosts[1].port);
	link_free(w->link);
	host_fini(&w->hosts[0]);
	host_fini(&w->hosts[1]);
}

static void connect_all(struct streams *w)
{
	const char *target = rng_below(&w->sim->rng, 2) ? "198.18.0.2" : "2001:2::2";

	for (unsigned i = 0; i < w->pairs_n; i++) {
		struct end *e = &w->ends[i][0];
		const struct tcp_connect how = {.remote = fixture_addr(target), .remote_port = PORT, .connect_timeout_ms = 100000,
		                                .sending = w->hosts[0].sending, .ops = &ops, .user = e};

		CHECK(tcp_connect(w->hosts[0].tcp, &how, &e->tcp) == OK);
	}
	host_kick(&w->hosts[0]);
}

static bool over(const struct streams *w)
{
	for (unsigned side = 0; side < 2; side++)
		if (!w->hosts[side].vanished && tcp_conns(w->hosts[side].tcp))
			return false;
	return true;
}

static void run(struct streams *w)
{
	struct sim *s = w->sim;
	const uint64_t deadline_ns = s->now_ns + 7200 * NS_PER_S;

	while (!s->failed && !over(w)) {
		if (w->vanish_ns && s->now_ns >= w->vanish_ns)
			w->hosts[1].vanished = true;
		if (!sim_step(s) || s->now_ns > deadline_ns) {
			sim_fail(s, "stalled: connections are left: %u and %u", tcp_conns(w->hosts[0].tcp), tcp_conns(w->hosts[1].tcp));
			return;
		}
		check_all(w);
	}
}

static void check_clean(struct streams *w)
{
	const uint64_t rest_ns = w->sim->now_ns + 120 * NS_PER_S;
	char why[128];

	while (!w->sim->failed && w->sim->now_ns < rest_ns && sim_step(w->sim))
		;
	for (unsigned side = 0; side < 2 && !w->sim->failed; side++)
		if (!w->hosts[side].vanished && !host_clean(&w->hosts[side], why, sizeof(why)))
			sim_fail(w->sim, "%s", why);
}

void scenario_streams(struct sim *s, struct world *nothing)
{
	static struct streams w;

	(void)nothing;
	init(&w, s);
	connect_all(&w);
	run(&w);
	check_clean(&w);
	for (unsigned side = 0; side < 2; side++)
		ecn_check(&w.ecn, side, &w.hosts[side].counters, &w.hosts[!side].counters);
	if (!s->failed)
		fini(&w);
}
