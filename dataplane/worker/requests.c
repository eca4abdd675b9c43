#include "worker/requests.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/wheel.h"
#include "worker/desk.h"

struct writer {
	yyjson_mut_doc *d;
	yyjson_mut_val *items;
};

/* ---- counters ---- */

static void add_counter(const struct requests *v, struct writer *w, unsigned id)
{
	static const char *const kinds[] = {
		[COUNTER_EVENT] = "event", [COUNTER_DROP] = "drop", [COUNTER_LIMIT] = "limit",
	};
	const struct counter_description *c = &counter_descriptions[id];
	yyjson_mut_val *item = yyjson_mut_arr_add_obj(w->d, w->items), *each;
	uint64_t sum = 0;

	yyjson_mut_obj_add_str(w->d, item, "name", c->name);
	yyjson_mut_obj_add_str(w->d, item, "kind", kinds[c->kind]);
	yyjson_mut_obj_add_str(w->d, item, "help", c->help);
	each = yyjson_mut_obj_add_arr(w->d, item, "workers");
	for (uint16_t i = 0; i < v->machine->workers; i++) {
		uint64_t value = __atomic_load_n(&v->counters[i].cell[id], __ATOMIC_RELAXED);

		sum += value;
		yyjson_mut_arr_add_uint(w->d, each, value);
	}
	yyjson_mut_obj_add_uint(w->d, item, "value", sum);
}

/* What ports dropped belongs to no worker: an item with a list per port instead. */
static void add_missed(const struct requests *v, struct writer *w)
{
	yyjson_mut_val *item = yyjson_mut_arr_add_obj(w->d, w->items), *each;
	uint64_t sum = 0;

	yyjson_mut_obj_add_str(w->d, item, "name", "drop_port_rx_missed");
	yyjson_mut_obj_add_str(w->d, item, "kind", "drop");
	yyjson_mut_obj_add_str(w->d, item, "help", "frames that the ports dropped before a worker saw them");
	each = yyjson_mut_obj_add_arr(w->d, item, "ports");
	for (uint16_t p = 0; p < v->machine->ports_n; p++) {
		struct port *port = v->machine->port_list[p];
		uint64_t value = port->missed ? port->missed(port) : 0;

		sum += value;
		yyjson_mut_arr_add_uint(w->d, each, value);
	}
	yyjson_mut_obj_add_uint(w->d, item, "value", sum);
}

static void answer_stats(const struct requests *v, struct writer *w)
{
	for (unsigned id = 0; id < COUNTERS; id++)
		add_counter(v, w, id);
	add_missed(v, w);
}

static void answer_drops(const struct requests *v, struct writer *w)
{
	add_missed(v, w);
	for (unsigned id = 0; id < COUNTERS; id++)
		if (counter_descriptions[id].kind == COUNTER_DROP)
			add_counter(v, w, id);
}

static uint64_t cell(const struct requests *v, uint16_t worker, enum counter id)
{
	return __atomic_load_n(&v->counters[worker].cell[id], __ATOMIC_RELAXED);
}

static void answer_workers(const struct requests *v, struct writer *w)
{
	for (uint16_t i = 0; i < v->machine->workers; i++) {
		yyjson_mut_val *item = yyjson_mut_arr_add_obj(w->d, w->items);
		uint64_t useful = cell(v, i, C_worker_useful_ns);
		uint64_t all = useful + cell(v, i, C_worker_idle_ns) + cell(v, i, C_worker_asleep_ns);
		const struct {
			const char *name;
			uint64_t value;
		} numbers[] = {
			{"worker", i},
			{"rounds", cell(v, i, C_worker_rounds)},
			{"usefulRounds", cell(v, i, C_worker_useful_rounds)},
			{"usefulPerMille", all ? useful * 1000 / all : 0},
			{"asleepPerMille", all ? cell(v, i, C_worker_asleep_ns) * 1000 / all : 0},
			{"sleeps", cell(v, i, C_worker_sleeps)},
			{"wakes", cell(v, i, C_worker_wakes)},
			{"packetsIn", cell(v, i, C_port_rx_packets)},
			{"packetsOut", cell(v, i, C_port_tx_packets)},
			{"handedOver", cell(v, i, C_worker_handed_over)},
			{"takenOver", cell(v, i, C_worker_taken_over)},
			{"connections", cell(v, i, C_tcp_opened) - cell(v, i, C_tcp_closed)},
			{"exchanges", cell(v, i, C_exchanges_opened) - cell(v, i, C_exchanges_closed)},
			{"requests", cell(v, i, C_exchanges_closed)},
			{"generation", worker_generation(gateway_worker(v->gateway, i))},
			{"late100us", cell(v, i, C_worker_late_100us)},
			{"late1ms", cell(v, i, C_worker_late_1ms)},
			{"late5ms", cell(v, i, C_worker_late_5ms)},
			{"lateMaxUs", worker_late_max_ns(gateway_worker(v->gateway, i)) / NS_PER_US},
			{"hangs", cell(v, i, C_worker_hangs)},
		};

		for (unsigned n = 0; n < sizeof(numbers) / sizeof(numbers[0]); n++)
			yyjson_mut_obj_add_uint(w->d, item, numbers[n].name, numbers[n].value);
		yyjson_mut_obj_add_bool(w->d, item, "hung", v->hung[i]);
	}
}

/* ---- addresses ---- */

static void add_iface(const struct requests *v, struct writer *w, yyjson_mut_val *item, uint8_t iface)
{
	char text[32];

	yyjson_mut_obj_add_strcpy(w->d, item, "port",
	                          machine_iface_name(v->machine, gateway_table(v->gateway), iface, text));
}

static void add_mac(struct writer *w, yyjson_mut_val *item, const char *name, const struct rte_ether_addr *mac)
{
	const uint8_t *b = mac->addr_bytes;
	char text[18];

	snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4], b[5]);
	yyjson_mut_obj_add_strcpy(w->d, item, name, text);
}

static void add_address(const struct requests *v, struct writer *w, const struct ip_address_info *a)
{
	yyjson_mut_val *item = yyjson_mut_arr_add_obj(w->d, w->items);
	char text[ADDR_TEXT_MAX];

	yyjson_mut_obj_add_strcpy(w->d, item, "address", addr_print(&a->addr, text));
	add_iface(v, w, item, a->iface);
	yyjson_mut_obj_add_str(w->d, item, "kind", a->virtual ? "virtual" : "own");
	yyjson_mut_obj_add_str(w->d, item, "state", a->state);
	yyjson_mut_obj_add_bool(w->d, item, "usable", a->usable);
	yyjson_mut_obj_add_bool(w->d, item, "contested", a->contested);
	if (a->contested) {
		add_mac(w, item, "claimant", &a->claimant);
		yyjson_mut_obj_add_uint(w->d, item, "claimedMs", a->claimed_ms);
	}
}

static void walk_addresses(const struct requests *v, struct writer *w, bool contested_only)
{
	struct ip_address_info some[64];
	uint32_t at = 0;

	do {
		const unsigned n = ip_address_walk(gateway_link(v->gateway), v->now_ns, &at, some,
		                                   sizeof(some) / sizeof(some[0]));

		for (unsigned i = 0; i < n; i++)
			if (!contested_only || some[i].contested)
				add_address(v, w, &some[i]);
	} while (at != 0);
}

static void answer_addresses(const struct requests *v, struct writer *w)
{
	walk_addresses(v, w, false);
}

/* What control asks for again and again: usually none. */
static void answer_conflicts(const struct requests *v, struct writer *w)
{
	walk_addresses(v, w, true);
}

/* ---- walks ---- */

static void add_endpoint(struct writer *w, yyjson_mut_val *item, const char *name, const struct addr *a, uint16_t port)
{
	char text[ADDR_TEXT_MAX], both[ADDR_TEXT_MAX + 16];

	snprintf(both, sizeof(both), addr_is_v4(a) ? "%s:%u" : "[%s]:%u", addr_print(a, text), port);
	yyjson_mut_obj_add_strcpy(w->d, item, name, both);
}

static void add_flow(struct writer *w, uint16_t worker, const struct tcp_flow_info *f)
{
	yyjson_mut_val *item = yyjson_mut_arr_add_obj(w->d, w->items);
	const struct {
		const char *name;
		uint64_t value;
	} numbers[] = {
		{"worker", worker}, {"mss", f->mss}, {"pmtu", f->pmtu}, {"srttUs", f->srtt_us},
		{"rttvarUs", f->rttvar_us}, {"minRttUs", f->min_rtt_us}, {"rtoMs", f->rto_ms}, {"backoff", f->backoff},
		{"cwnd", f->cwnd_bytes}, {"ssthresh", f->ssthresh_bytes}, {"inFlight", f->flight_bytes},
		{"queued", f->queued_bytes}, {"sendWindow", f->snd_wnd_bytes}, {"receiveWindow", f->rcv_wnd_bytes},
		{"bytesIn", f->bytes_in}, {"bytesOut", f->bytes_out}, {"retransmits", f->retransmits},
		{"ageMs", f->age_ms}, {"pacingRate", f->pacing_rate},
		{"deliveryRate", f->delivery_rate}, {"sacked", f->sacked_bytes}, {"lost", f->lost_bytes},
	};

	yyjson_mut_obj_add_str(w->d, item, "protocol", "tcp");
	add_endpoint(w, item, "local", &f->tuple.local, f->tuple.local_port);
	add_endpoint(w, item, "remote", &f->tuple.remote, f->tuple.remote_port);
	yyjson_mut_obj_add_str(w->d, item, "state", f->state);
	yyjson_mut_obj_add_str(w->d, item, "side", f->active ? "upstream" : "client");
	for (unsigned n = 0; n < sizeof(numbers) / sizeof(numbers[0]); n++)
		yyjson_mut_obj_add_uint(w->d, item, numbers[n].name, numbers[n].value);
	yyjson_mut_obj_add_str(w->d, item, "congestionControl", f->control ? f->control : "");
	yyjson_mut_obj_add_bool(w->d, item, "ecn", f->ecn);
	yyjson_mut_obj_add_bool(w->d, item, "recovering", f->recovering);
	yyjson_mut_obj_add_bool(w->d, item, "reordering", f->reordering);
}

static void add_neigh(const struct requests *v, struct writer *w, const struct ip_neigh_info *n)
{
	yyjson_mut_val *item = yyjson_mut_arr_add_obj(w->d, w->items);
	char text[ADDR_TEXT_MAX];

	yyjson_mut_obj_add_strcpy(w->d, item, "address", addr_print(&n->addr, text));
	add_mac(w, item, "mac", &n->mac);
	add_iface(v, w, item, n->iface);
	yyjson_mut_obj_add_str(w->d, item, "state", n->state);
	yyjson_mut_obj_add_uint(w->d, item, "ageMs", n->age_ms);
	yyjson_mut_obj_add_bool(w->d, item, "gateway", n->gateway);
}

static void add_pool(struct writer *w, uint16_t worker, const struct pressure_info *p)
{
	yyjson_mut_val *item = yyjson_mut_arr_add_obj(w->d, w->items);

	yyjson_mut_obj_add_strcpy(w->d, item, "pool", p->name);
	yyjson_mut_obj_add_uint(w->d, item, "worker", worker);
	yyjson_mut_obj_add_uint(w->d, item, "used", p->used);
	yyjson_mut_obj_add_uint(w->d, item, "capacity", p->capacity);
}

static void add_entries(const struct requests *v, struct writer *w, uint16_t worker, const struct worker_walk *a)
{
	for (unsigned i = 0; i < a->n; i++)
		switch (a->kind) {
		case WORKER_WALK_FLOWS:
			add_flow(w, worker, &a->flows[i]);
			break;
		case WORKER_WALK_NEIGH:
			add_neigh(v, w, &a->neigh[i]);
			break;
		case WORKER_WALK_POOLS:
			add_pool(w, worker, &a->pools[i]);
			break;
		}
}

static void begin_walk(struct requests *v, const struct desk_question *q, enum worker_walk_kind kind, int64_t now_ms)
{
	struct requests_walk *walk = &v->walk;

	CHECK(!walk->of);
	walk->of = q;
	walk->kind = kind;
	walk->first = kind == WORKER_WALK_NEIGH ? IP_LINK_OWNER : 0;
	walk->end = kind == WORKER_WALK_NEIGH ? IP_LINK_OWNER + 1 : v->machine->workers;
	for (uint16_t w = walk->first; w < walk->end; w++)
		walk->told[w] = (struct requests_told){.items = yyjson_mut_arr(q->reply), .heard_ms = now_ms};
}

/* One worker, as far as it has come. A box that still holds an earlier question takes ours when that is answered. */
static void collect(struct requests *v, uint16_t w, yyjson_mut_doc *d, int64_t now_ms)
{
	struct requests_told *t = &v->walk.told[w];
	struct worker *worker = gateway_worker(v->gateway, w);
	const struct worker_walk *a;

	if (!t->asked)
		t->asked = worker_ask(worker, v->walk.kind, t->at);
	a = t->asked ? worker_answer(worker) : NULL;
	if (a) {
		add_entries(v, &(struct writer){d, t->items}, w, a);
		t->at = a->at;
		t->done = a->at == 0;
		t->heard_ms = now_ms;
		t->asked = !t->done && worker_ask(worker, v->walk.kind, t->at);
	} else if (v->hung[w] || now_ms - t->heard_ms >= REQUESTS_PATIENCE_MS) {
		t->done = t->silent = true;
	}
}

static void say_silent(const struct requests *v, uint16_t w, char *text, size_t size)
{
	size_t n = strlen(text);

	if (v->hung[w])
		snprintf(text + n, size - n, "%sworker %u hangs", n ? "; " : "", w);
	else
		snprintf(text + n, size - n, "%sworker %u did not answer within %d ms", n ? "; " : "", w,
		         REQUESTS_PATIENCE_MS);
}

/* Entries in the order of the workers; who said nothing is named. */
static void end_walk(struct requests *v, struct desk_question *q)
{
	yyjson_mut_val *items = yyjson_mut_arr(q->reply), *item;
	char silent[64 * LIMIT_workers] = "";
	unsigned told = 0;

	for (uint16_t w = v->walk.first; w < v->walk.end; w++) {
		while ((item = yyjson_mut_arr_remove_first(v->walk.told[w].items)))
			yyjson_mut_arr_append(items, item);
		if (v->walk.told[w].silent)
			say_silent(v, w, silent, sizeof(silent));
		else
			told++;
	}
	v->walk.of = NULL;
	if (told == 0) {
		desk_refuse(q, silent);
		return;
	}
	yyjson_mut_obj_add_bool(q->reply, q->root, "ok", true);
	if (silent[0])
		yyjson_mut_obj_add_strcpy(q->reply, q->root, "incomplete", silent);
	yyjson_mut_obj_add_val(q->reply, q->root, "items", items);
}

static bool go_on(struct requests *v, struct desk_question *q, enum worker_walk_kind kind, int64_t now_ms)
{
	bool done = true;

	if (!v->walk.of)
		begin_walk(v, q, kind, now_ms);
	if (v->walk.of != q)
		return false;
	for (uint16_t w = v->walk.first; w < v->walk.end; w++) {
		if (!v->walk.told[w].done)
			collect(v, w, q->reply, now_ms);
		done = done && v->walk.told[w].done;
	}
	if (done)
		end_walk(v, q);
	return done;
}

void requests_abandon(struct requests *v, const struct desk_question *q)
{
	if (v->walk.of == q)
		v->walk.of = NULL;
}

/* ---- what may be asked ---- */

static const struct {
	const char *op;
	void (*answer)(const struct requests *v, struct writer *w); /* null: a walk */
	enum worker_walk_kind kind;
} ops[] = {
	{"flows", NULL, WORKER_WALK_FLOWS},
	{"neigh", NULL, WORKER_WALK_NEIGH},
	{"addresses", answer_addresses, 0},
	{"conflicts", answer_conflicts, 0},
	{"pools", NULL, WORKER_WALK_POOLS},
	{"drops", answer_drops, 0},
	{"stats", answer_stats, 0},
	{"workers", answer_workers, 0},
};

bool requests_answer(struct requests *v, const char *op, struct desk_question *q, int64_t now_ms)
{
	for (unsigned i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		struct writer w = {q->reply, NULL};

		if (strcmp(op, ops[i].op) != 0)
			continue;
		if (!ops[i].answer)
			return go_on(v, q, ops[i].kind, now_ms);
		w.items = yyjson_mut_arr(q->reply);
		yyjson_mut_obj_add_bool(q->reply, q->root, "ok", true);
		v->now_ns = (uint64_t)now_ms * NS_PER_MS;
		ops[i].answer(v, &w);
		yyjson_mut_obj_add_val(q->reply, q->root, "items", w.items);
		return true;
	}
	desk_refuse(q, "no such op");
	return true;
}
