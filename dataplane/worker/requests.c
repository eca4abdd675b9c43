#include "worker/requests.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { WALK_DEADLINE_MS = 2000, WALK_STEP_US = 50 };

struct writer {
	yyjson_mut_doc *d;
	yyjson_mut_val *items;
};

/* ---- counters ---- */

static void add_counter(const struct requests_view *v, struct writer *w, unsigned id)
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
static void add_missed(const struct requests_view *v, struct writer *w)
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

static void answer_stats(const struct requests_view *v, struct writer *w, yyjson_mut_val *root)
{
	(void)root;
	for (unsigned id = 0; id < COUNTERS; id++)
		add_counter(v, w, id);
	add_missed(v, w);
}

static void answer_drops(const struct requests_view *v, struct writer *w, yyjson_mut_val *root)
{
	(void)root;
	add_missed(v, w);
	for (unsigned id = 0; id < COUNTERS; id++)
		if (counter_descriptions[id].kind == COUNTER_DROP)
			add_counter(v, w, id);
}

static uint64_t cell(const struct requests_view *v, uint16_t worker, enum counter id)
{
	return __atomic_load_n(&v->counters[worker].cell[id], __ATOMIC_RELAXED);
}

static void answer_workers(const struct requests_view *v, struct writer *w, yyjson_mut_val *root)
{
	(void)root;
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
			{"hangs", cell(v, i, C_worker_hangs)},
		};

		for (unsigned n = 0; n < sizeof(numbers) / sizeof(numbers[0]); n++)
			yyjson_mut_obj_add_uint(w->d, item, numbers[n].name, numbers[n].value);
		yyjson_mut_obj_add_bool(w->d, item, "hung", v->hung[i]);
	}
}

/* ---- walks ---- */

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

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
		{"worker", worker}, {"mss", f->mss}, {"srttUs", f->srtt_us}, {"rtoMs", f->rto_ms},
		{"cwnd", f->cwnd_bytes}, {"ssthresh", f->ssthresh_bytes}, {"inFlight", f->flight_bytes},
		{"queued", f->queued_bytes}, {"sendWindow", f->snd_wnd_bytes}, {"receiveWindow", f->rcv_wnd_bytes},
		{"bytesIn", f->bytes_in}, {"bytesOut", f->bytes_out}, {"retransmits", f->retransmits},
		{"ageMs", f->age_ms},
	};

	yyjson_mut_obj_add_str(w->d, item, "protocol", "tcp");
	add_endpoint(w, item, "local", &f->tuple.local, f->tuple.local_port);
	add_endpoint(w, item, "remote", &f->tuple.remote, f->tuple.remote_port);
	yyjson_mut_obj_add_str(w->d, item, "state", f->state);
	yyjson_mut_obj_add_str(w->d, item, "side", f->active ? "upstream" : "client");
	for (unsigned n = 0; n < sizeof(numbers) / sizeof(numbers[0]); n++)
		yyjson_mut_obj_add_uint(w->d, item, numbers[n].name, numbers[n].value);
}

static void add_neigh(const struct requests_view *v, struct writer *w, const struct ip_neigh_info *n)
{
	yyjson_mut_val *item = yyjson_mut_arr_add_obj(w->d, w->items);
	char text[ADDR_TEXT_MAX], mac[18];
	const uint8_t *b = n->mac.addr_bytes;

	snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4], b[5]);
	yyjson_mut_obj_add_strcpy(w->d, item, "address", addr_print(&n->addr, text));
	yyjson_mut_obj_add_strcpy(w->d, item, "mac", mac);
	yyjson_mut_obj_add_strcpy(w->d, item, "port",
	                          n->iface < v->machine->ports_n ? v->machine->names[n->iface] : "?");
	yyjson_mut_obj_add_str(w->d, item, "state", n->state);
	yyjson_mut_obj_add_uint(w->d, item, "ageMs", n->age_ms);
	yyjson_mut_obj_add_bool(w->d, item, "gateway", n->gateway);
}

static const struct worker_walk *ask(struct worker *w, enum worker_walk_kind kind, uint32_t at, int64_t deadline_ms)
{
	const struct worker_walk *a;

	while (!worker_ask(w, kind, at))
		if (now_ms() > deadline_ms)
			return NULL;
		else
			usleep(WALK_STEP_US);
	while (!(a = worker_answer(w)))
		if (now_ms() > deadline_ms)
			return NULL;
		else
			usleep(WALK_STEP_US);
	return a;
}

/* False when the worker did not tell all of it in time. */
static bool walk(const struct requests_view *v, struct writer *w, uint16_t worker, enum worker_walk_kind kind,
                 int64_t deadline_ms)
{
	uint32_t at = 0;

	do {
		const struct worker_walk *a = ask(gateway_worker(v->gateway, worker), kind, at, deadline_ms);

		if (!a)
			return false;
		for (unsigned i = 0; i < a->n; i++)
			if (kind == WORKER_WALK_FLOWS)
				add_flow(w, worker, &a->flows[i]);
			else
				add_neigh(v, w, &a->neigh[i]);
		at = a->at;
	} while (at != 0);
	return true;
}

static void answer_flows(const struct requests_view *v, struct writer *w, yyjson_mut_val *root)
{
	int64_t deadline_ms = now_ms() + WALK_DEADLINE_MS;

	for (uint16_t i = 0; i < v->machine->workers; i++)
		if (!walk(v, w, i, WORKER_WALK_FLOWS, deadline_ms))
			yyjson_mut_obj_add_bool(w->d, root, "incomplete", true);
}

static void answer_neigh(const struct requests_view *v, struct writer *w, yyjson_mut_val *root)
{
	if (!walk(v, w, IP_LINK_OWNER, WORKER_WALK_NEIGH, now_ms() + WALK_DEADLINE_MS))
		yyjson_mut_obj_add_bool(w->d, root, "incomplete", true);
}

static const struct {
	const char *op;
	void (*answer)(const struct requests_view *v, struct writer *w, yyjson_mut_val *root);
} ops[] = {
	{"flows", answer_flows},
	{"neigh", answer_neigh},
	{"drops", answer_drops},
	{"stats", answer_stats},
	{"workers", answer_workers},
};

bool requests_answer(const struct requests_view *v, const char *op, yyjson_mut_doc *d, yyjson_mut_val *root)
{
	for (unsigned i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
		if (strcmp(op, ops[i].op) == 0) {
			struct writer w = {d, yyjson_mut_arr(d)};

			yyjson_mut_obj_add_bool(d, root, "ok", true);
			ops[i].answer(v, &w, root);
			yyjson_mut_obj_add_val(d, root, "items", w.items);
			return true;
		}
	return false;
}
