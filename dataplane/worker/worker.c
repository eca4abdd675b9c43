/*
 * The loop, and how the layers are wired to each other.
 *
 *   rings ----+                                       +--> on_tcp ---> tcp --> tls --> http --> proxy --> upstream
 *   ports ----+--> ip_input --(mine)------------------+--> on_icmp_error                          |
 *                     |                                                                           v
 *                     +--(another worker's)--> hand_over_put --> its ring      ports <-- ip <-- tcp_flush
 *
 * A round takes what lies in rings and ports, at most one burst of each, and runs every packet to the packets it
 * causes before it looks at the next. So nothing is queued between layers but what protocols themselves queue. Then
 * timers, then the handshake budget, then what was gathered is sent: ACKs by tcp_flush(), frames by port_tx_flush(),
 * frames of others by hand_over_flush(). Last, the round says that it holds no table any more.
 */
#include <rte_pause.h>
#include <rte_prefetch.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/fault.h"
#include "worker/ahead.h"
#include "worker/gateway.h"

enum {
	TIMERS_PER_ROUND = 64,
	CHUNKS_MIN = 256,
	LOOK_ROUNDS = 8,         /* a power of 2: rounds between two looks at the pools, while nothing is shed */
};

/* ---- handing over ---- */

/* Gives the gathered frames to the ring of `to`; what does not fit is dropped and counted. */
static void push(struct worker *w, uint16_t to)
{
	struct hand_over *out = &w->out[to];
	struct rte_ring *ring = w->gateway->rings[to][w->shard.worker];
	unsigned done = rte_ring_sp_enqueue_burst(ring, (void **)out->m, out->n, NULL);

	count_n(w->shard.counters, C_worker_handed_over, done);
	if (unlikely(done < out->n)) {
		count_n(w->shard.counters, DROP_worker_ring_full, out->n - done);
		count_n(w->shard.counters, C_limit_hand_over_ring, out->n - done);
		rte_pktmbuf_free_bulk(out->m + done, out->n - done);
	}
	out->n = 0;
	w->pushed |= UINT64_C(1) << to;
}

void hand_over_put(struct worker *w, struct rte_mbuf *m, uint16_t to)
{
	CHECK_SLOW(to < w->shard.workers && to != w->shard.worker);
	w->out[to].m[w->out[to].n++] = m;
	if (w->out[to].n == WORKER_BURST)
		push(w, to);
}

void hand_over_flush(struct worker *w)
{
	for (uint16_t to = 0; to < w->shard.workers; to++)
		if (w->out[to].n)
			push(w, to);
	while (w->pushed) {
		unsigned to = (unsigned)__builtin_ctzll(w->pushed);

		w->pushed &= w->pushed - 1;
		if (!FAULT(wake_lost))
			gateway_kick(w->gateway, (uint16_t)to);
	}
}

static uint16_t relay_tx(struct port *p, uint16_t queue, struct rte_mbuf **m, uint16_t n)
{
	struct relay *r = container_of(p, struct relay, port);

	(void)queue;
	for (uint16_t i = 0; i < n; i++) {
		packet_meta(m[i])->kind = PACKET_TRANSMIT;
		packet_meta(m[i])->iface = r->iface;
		hand_over_put(r->worker, m[i], r->via);
	}
	return n;
}

static uint16_t relay_rx(struct port *p, uint16_t queue, struct rte_mbuf **m, uint16_t n)
{
	(void)p;
	(void)queue;
	(void)m;
	(void)n;
	return 0;
}

/* ---- what the layers call up for ---- */

static void on_tcp(void *up, const struct ip_datagram *d)
{
	struct worker *w = up;

	tcp_input(w->tcp, d);
}

static void on_icmp_error(void *up, const struct ip_icmp_error *e)
{
	struct worker *w = up;

	tcp_icmp_error(w->tcp, e);
}

static void on_hand_over(void *up, struct rte_mbuf *m, uint16_t worker)
{
	hand_over_put(up, m, worker);
}

static_assert((int)TABLE_CONTROLS == (int)TCP_CONTROLS && (int)TABLE_NEWRENO == (int)TCP_CONTROL_newreno &&
              (int)TABLE_CUBIC == (int)TCP_CONTROL_cubic, "the tables' numbers of congestion controls are TCP's");

static bool accepts(void *up, const struct tuple *t, struct tcp_sending *sending)
{
	struct worker *w = up;
	const struct table_bind *b;

	if (!w->shard.table || w->draining)
		return false;
	b = table_find_bind(w->shard.table, &t->local, t->local_port);
	if (b)
		*sending = (struct tcp_sending){.control = b->sending.control, .pacing = b->sending.pacing,
		                                .ecn = b->sending.ecn};
	return b != NULL;
}

static void on_accept(void *up, struct tcp_conn *c)
{
	struct worker *w = up;

	http_serve(w->http, c);
}

static void on_stream(void *up, struct http_stream *s)
{
	struct worker *w = up;

	proxy_on_stream(w->proxy, s);
}

static void on_bad_request(void *up, struct tls_conn *c, enum err why, struct http_refusal answer)
{
	struct worker *w = up;

	proxy_on_bad_request(w->proxy, c, why, answer);
}

/* A report travels as a packet would; one that finds no mbuf is lost, others will follow. */
static void on_report(void *up, uint16_t owner, const struct health_report *r)
{
	struct worker *w = up;
	struct rte_mbuf *m = rte_pktmbuf_alloc(w->shard.pools.header);

	if (!m) {
		count(w->shard.counters, C_limit_header_mbufs);
		return;
	}
	*packet_meta(m) = (struct packet_meta){.kind = PACKET_REPORT};
	memcpy(rte_pktmbuf_append(m, sizeof(*r)), r, sizeof(*r));
	hand_over_put(w, m, owner);
}

/* ---- making and unmaking ---- */

static void attach_port(struct worker *w, uint8_t iface)
{
	struct port *real = w->gateway->ports[iface];
	struct relay *r = &w->relays[iface];

	w->tx[iface] = (struct port_tx){.port = real, .shard = &w->shard, .queue = w->shard.worker};
	if (w->shard.worker < real->queues)
		return;
	r->port = *real;
	r->port.tx_burst = relay_tx;
	r->port.rx_burst = relay_rx;
	r->worker = w;
	r->iface = iface;
	r->via = w->shard.worker % real->queues;
	w->tx[iface].port = &r->port;
}

static bool make_layers(struct worker *w)
{
	const struct gateway_options *o = &w->gateway->options;
	struct ip_up ip_up = {.on_tcp = on_tcp, .on_icmp_error = on_icmp_error, .on_hand_over = on_hand_over, .up = w};
	struct tcp_up tcp_up = {.accepts = accepts, .on_accept = on_accept, .up = w};
	struct http_up http_up = {.on_stream = on_stream, .on_bad_request = on_bad_request, .up = w};
	struct upstream_up upstream_up = {.health = w->gateway->health, .on_report = on_report, .up = w};
	struct tls_options tls_options = {.suspend_rounds = o->tls_suspend_rounds};

	return (w->ip = ip_new(&w->shard, w->gateway->link, w->tx, o->ports_n, &ip_up)) &&
	       (w->tcp = tcp_new(&w->shard, w->ip, &tcp_up)) &&
	       (w->tls = tls_new(&w->shard, w->tcp, &tls_options)) &&
	       (w->http = http_new(&w->shard, w->tls, &http_up)) &&
	       (w->upstream = upstream_new(&w->shard, w->http, &upstream_up)) &&
	       (w->proxy = proxy_new(&w->shard, w->upstream));
}

/* The rx pool first: its step is told to others. Several bursts of every port have to fit while text is shed. */
static void watch_pools(struct worker *w)
{
	const struct packet_pools *pools = &w->shard.pools;
	const uint32_t floor = 2u * PORT_BURST * w->gateway->options.ports_n;
	struct pressure *p = &w->pressure;

	pressure_watch_mbufs(p, &(struct pressure_mbufs){pools->rx, pools->rings.rx, floor, C_limit_rx_mbufs});
	pressure_watch_mbufs(p, &(struct pressure_mbufs){pools->header, pools->rings.tx, 0, COUNTERS});
	pressure_watch_mbufs(p, &(struct pressure_mbufs){pools->payload, 0, 0, COUNTERS});
	pressure_watch_mbufs(p, &(struct pressure_mbufs){pools->reference, pools->rings.tx, 0, COUNTERS});
	pressure_watch(p, &w->shard.chunks);
	tcp_watch(w->tcp, p);
	tls_watch(w->tls, p);
	http_watch(w->http, p);
	upstream_watch(w->upstream, p);
	proxy_watch(w->proxy, p);
}

static bool make_shard(struct worker *w, uint16_t index, const char *name)
{
	const struct gateway_options *o = &w->gateway->options;
	uint32_t chunks = (uint32_t)((uint64_t)LIMIT_arena_chunks * o->pools_percent / 100);
	struct shard *s = &w->shard;

	s->worker = index;
	s->workers = o->workers;
	s->counters = &o->counters[index];
	s->tcp_conns = o->tcp_conns;
	memcpy(s->secret, o->secret, sizeof(s->secret));
	s->fresh = w->gateway->fresh;
	rng_init(&s->rng, o->seed + index * UINT64_C(0x9e3779b97f4a7c15));
	wheel_init(&s->wheel, 0);
	pool_init(&s->chunks, "arena chunks", ARENA_CHUNK, chunks > CHUNKS_MIN ? chunks : CHUNKS_MIN);
	pool_count_empty(&s->chunks, s->counters, C_limit_arena_chunks);
	s->access_log = logring_new(LIMIT_log_ring_bytes);
	if (o->pools)
		s->pools = o->pools[index];
	return s->access_log && (o->pools || packet_pools_init(&s->pools, name, SOCKET_ID_ANY, o->pools_percent) == OK);
}

struct worker *worker_new(struct gateway *g, uint16_t index, const char *name)
{
	struct worker *w = aligned_alloc(RTE_CACHE_LINE_SIZE, RTE_ALIGN_CEIL(sizeof(*w), RTE_CACHE_LINE_SIZE));

	if (!w)
		return NULL;
	memset(w, 0, sizeof(*w));
	w->gateway = g;
	if (!make_shard(w, index, name)) {
		worker_free(w);
		return NULL;
	}
	for (uint8_t p = 0; p < g->options.ports_n; p++)
		attach_port(w, p);
	if (!make_layers(w)) {
		worker_free(w);
		return NULL;
	}
	watch_pools(w);
	return w;
}

void worker_close(struct worker *w)
{
	if (w->proxy)
		proxy_free(w->proxy);
	if (w->upstream)
		upstream_free(w->upstream);
	if (w->http)
		http_free(w->http);
	if (w->tls)
		tls_free(w->tls);
	if (w->tcp)
		tcp_free(w->tcp);
	if (w->ip)
		ip_free(w->ip);
	w->proxy = NULL;
	w->upstream = NULL;
	w->http = NULL;
	w->tls = NULL;
	w->tcp = NULL;
	w->ip = NULL;
	for (unsigned p = 0; p < LIMIT_ports; p++) {
		rte_pktmbuf_free_bulk(w->tx[p].m, w->tx[p].n);
		w->tx[p].n = 0;
	}
	for (unsigned to = 0; to < LIMIT_workers; to++) {
		rte_pktmbuf_free_bulk(w->out[to].m, w->out[to].n);
		w->out[to].n = 0;
	}
}

void worker_free(struct worker *w)
{
	worker_close(w);
	logring_free(w->shard.access_log);
	if (!w->gateway->options.pools)
		packet_pools_fini(&w->shard.pools);
	pool_fini(&w->shard.chunks);
	free(w);
}

/* ---- the round ---- */

static void take_generation(struct worker *w)
{
	const struct generation *n = atomic_load_explicit(&w->gateway->current, memory_order_acquire);

	if (FAULT(stale_generation) && w->shard.table)
		return;
	w->shard.table = n ? n->table : NULL;
	w->shard.regexes = n ? regex_set_of(n->regexes, w->shard.worker) : NULL;
	if (likely(!n || n->serial == atomic_load_explicit(&w->serial, memory_order_relaxed)))
		return;
	ip_apply(w->ip);
	upstream_apply(w->upstream);
	atomic_store_explicit(&w->serial, n->serial, memory_order_relaxed);
	count(w->shard.counters, C_worker_generations);
}

static void take_report(struct worker *w, struct rte_mbuf *m)
{
	upstream_take_report(w->upstream, rte_pktmbuf_mtod(m, const struct health_report *));
	rte_pktmbuf_free(m);
}

static void take_message(struct worker *w, struct rte_mbuf *m)
{
	if (packet_meta(m)->kind == PACKET_TRANSMIT)
		port_tx_put(&w->tx[packet_meta(m)->iface], m);
	else if (packet_meta(m)->kind == PACKET_REPORT)
		take_report(w, m);
	else
		ip_take_over(w->ip, m);
}

static unsigned take_rings(struct worker *w)
{
	struct rte_mbuf *m[WORKER_BURST];
	unsigned all = 0;

	for (uint16_t from = 0; from < w->shard.workers; from++) {
		struct rte_ring *ring = w->gateway->rings[w->shard.worker][from];
		unsigned n = ring ? rte_ring_sc_dequeue_burst(ring, (void **)m, WORKER_BURST, NULL) : 0;

		for (unsigned i = 0; i < n; i++)
			rte_prefetch0(rte_pktmbuf_mtod(m[i], void *));
		for (unsigned i = 0; i < n; i++)
			take_message(w, m[i]);
		if (n)
			w->taken_from |= UINT64_C(1) << from;
		all += n;
	}
	if (all)
		count_n(w->shard.counters, C_worker_taken_over, all);
	return all;
}

static void take_frames(struct worker *w, uint8_t iface, struct rte_mbuf **m, unsigned n)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < n; i++)
		rte_prefetch0(rte_pktmbuf_mtod(m[i], void *));
	ahead_look(w->shard.table, m, n);
	for (unsigned i = 0; i < n; i++) {
		*packet_meta(m[i]) =
			(struct packet_meta){.kind = PACKET_INPUT, .iface = iface, .rx_ns = w->shard.now_ns};
		bytes += m[i]->pkt_len;
		ip_input(w->ip, m[i], iface);
	}
	count_n(w->shard.counters, C_port_rx_packets, n);
	count_n(w->shard.counters, C_port_rx_bytes, bytes);
}

static unsigned take_ports(struct worker *w)
{
	struct rte_mbuf *m[PORT_BURST];
	unsigned all = 0;

	for (uint8_t p = 0; p < w->gateway->options.ports_n; p++) {
		struct port *port = w->gateway->ports[p];
		unsigned n = w->shard.worker < port->queues ? port->rx_burst(port, w->shard.worker, m, PORT_BURST) : 0;

		if (n == 0)
			continue;
		take_frames(w, p, m, n);
		all += n;
	}
	return all;
}

/*
 * Packets that were handed over are held here but taken from the sender's rx pool: when that is short, its worker can
 * do nothing, we can.
 */
static uint8_t shed_for_others(const struct worker *w)
{
	uint8_t shed = 0;

	for (uint64_t from = w->taken_from; from; from &= from - 1)
		shed |= atomic_load_explicit(&w->gateway->rx_sheds[__builtin_ctzll(from)], memory_order_relaxed);
	return shed;
}

/* A connection's receive buffer may grow to its part of what is free of the first half of rx_mbufs. */
static uint32_t recv_max(const struct pressure_pool *rx)
{
	const uint32_t kept = rx->capacity / 2, spare = rx->free_n > kept ? rx->free_n - kept : 0;

	return spare / LIMIT_tcp_recv_share * PACKET_ROOM;
}

static void look_at_pools(struct worker *w)
{
	_Atomic uint8_t *told = &w->gateway->rx_sheds[w->shard.worker];
	uint8_t shed = pressure_look(&w->pressure, rte_lcore_id(), w->shard.counters);

	if (unlikely(w->pressure.pools[0].shed != atomic_load_explicit(told, memory_order_relaxed)))
		atomic_store_explicit(told, w->pressure.pools[0].shed, memory_order_relaxed);
	shed |= shed_for_others(w);
	w->shard.shed = shed;
	w->shard.recv_max = shed ? 0 : recv_max(&w->pressure.pools[0]);
	if (likely(!shed))
		w->taken_from = 0;
}

static void flush(struct worker *w)
{
	upstream_flush(w->upstream);
	tcp_flush(w->tcp);
	for (unsigned p = 0; p < w->gateway->options.ports_n; p++)
		port_tx_flush(&w->tx[p]);
	hand_over_flush(w);
}

static void begin(struct worker *w, uint64_t now_ns, uint64_t wall_us)
{
	if (unlikely(!w->online))
		worker_unpark(w);
	w->shard.now_ns = now_ns;
	w->shard.wall_us = wall_us;
	take_generation(w);
	ip_turn(w->ip);
	if (unlikely(w->shard.shed) ||
	    (atomic_load_explicit(&w->heartbeat, memory_order_relaxed) & (LOOK_ROUNDS - 1)) == 0)
		look_at_pools(w);
	if (unlikely(w->shard.shed & SHED_IDLE)) {
		http_shed(w->http);
		upstream_shed(w->upstream);
	}
	if (unlikely(!w->draining && atomic_load_explicit(&w->drain, memory_order_relaxed))) {
		w->draining = true;
		http_drain(w->http);
	}
}

static void end(struct worker *w, unsigned handled)
{
	while (FAULT(worker_hangs) && w->shard.worker + 1 == w->shard.workers)
		rte_pause();
	walk_run(w);
	/* Whoever reads the table between rounds is wrong: it may be gone. */
	if (!FAULT(stale_generation)) {
		w->shard.table = NULL;
		w->shard.regexes = NULL;
	}
	rte_rcu_qsbr_quiescent(w->gateway->rounds, w->shard.worker);
	count(w->shard.counters, C_worker_rounds);
	if (handled)
		count(w->shard.counters, C_worker_useful_rounds);
	atomic_store_explicit(&w->heartbeat, atomic_load_explicit(&w->heartbeat, memory_order_relaxed) + 1,
	                      memory_order_relaxed);
}

unsigned worker_round(struct worker *w, uint64_t now_ns, uint64_t wall_us)
{
	unsigned handled;

	begin(w, now_ns, wall_us);
	handled = take_rings(w);
	handled += take_ports(w);
	handled += wheel_advance(&w->shard.wheel, now_ns, TIMERS_PER_ROUND);
	tls_run(w->tls);
	flush(w);
	end(w, handled);
	return handled;
}

/* ---- sleeping ---- */

bool worker_waiting(const struct worker *w)
{
	const struct generation *n = atomic_load_explicit(&w->gateway->current, memory_order_acquire);

	for (uint16_t from = 0; from < w->shard.workers; from++) {
		const struct rte_ring *ring = w->gateway->rings[w->shard.worker][from];

		if (ring && !rte_ring_empty(ring))
			return true;
	}
	return (n && n->serial != atomic_load_explicit(&w->serial, memory_order_relaxed)) ||
	       (!w->draining && atomic_load_explicit(&w->drain, memory_order_relaxed)) ||
	       atomic_load_explicit(&w->walk_state, memory_order_relaxed) == WALK_ASKED;
}

bool worker_sleepable(struct worker *w, uint64_t *until_ns)
{
	*until_ns = wheel_next_ns(&w->shard.wheel);
	/* Others may give back what it lacks, and wait for it to notice. */
	if (unlikely(w->shard.shed) && *until_ns > w->shard.now_ns + NS_PER_MS)
		*until_ns = w->shard.now_ns + NS_PER_MS;
	return *until_ns > w->shard.now_ns && !tls_waiting(w->tls) && !worker_waiting(w);
}

bool worker_park(struct worker *w)
{
	struct sleeper *me = &w->gateway->sleepers[w->shard.worker];

	atomic_store_explicit(&me->asleep, 1, memory_order_relaxed);
	/* The other half of gateway_kick(): either it sees the flag, or we see what it has put. */
	atomic_thread_fence(memory_order_seq_cst);
	if (worker_waiting(w) || tls_waiting(w->tls) || wheel_next_ns(&w->shard.wheel) <= w->shard.now_ns) {
		atomic_store_explicit(&me->asleep, 0, memory_order_relaxed);
		return false;
	}
	rte_rcu_qsbr_thread_offline(w->gateway->rounds, w->shard.worker);
	w->online = false;
	count(w->shard.counters, C_worker_sleeps);
	return true;
}

void worker_unpark(struct worker *w)
{
	struct sleeper *me = &w->gateway->sleepers[w->shard.worker];

	if (w->online)
		return;
	rte_rcu_qsbr_thread_online(w->gateway->rounds, w->shard.worker);
	w->online = true;
	if (atomic_exchange(&me->asleep, 0) == 0 && atomic_load_explicit(&w->heartbeat, memory_order_relaxed))
		count(w->shard.counters, C_worker_wakes);
}

/* ---- seen from outside ---- */

void worker_drain(struct worker *w)
{
	atomic_store_explicit(&w->drain, true, memory_order_relaxed);
	gateway_kick(w->gateway, w->shard.worker);
}

struct shard *worker_shard(struct worker *w)
{
	return &w->shard;
}

struct port_tx *worker_tx(struct worker *w, uint8_t port)
{
	CHECK(port < w->gateway->options.ports_n);
	return &w->tx[port];
}

uint64_t worker_generation(const struct worker *w)
{
	return atomic_load_explicit(&w->serial, memory_order_relaxed);
}

uint64_t worker_heartbeat(const struct worker *w)
{
	return atomic_load_explicit(&w->heartbeat, memory_order_relaxed);
}

void worker_late(struct worker *w, uint64_t late_ns)
{
	enum counter bucket = late_ns < NS_PER_MS ? C_worker_late_100us
	                    : late_ns < 5 * NS_PER_MS ? C_worker_late_1ms : C_worker_late_5ms;

	CHECK(late_ns >= WORKER_LATE_NS);
	count(w->shard.counters, bucket);
	count_n(w->shard.counters, C_worker_late_ns, late_ns);
	if (late_ns > atomic_load_explicit(&w->late_max_ns, memory_order_relaxed))
		atomic_store_explicit(&w->late_max_ns, late_ns, memory_order_relaxed);
}

uint64_t worker_late_max_ns(const struct worker *w)
{
	return atomic_load_explicit(&w->late_max_ns, memory_order_relaxed);
}
