#include "tests/sim/far.h"

#include <inttypes.h>

#include "tests/sim/world.h"

enum { BODY = 8 << 20 };

/* The seed says which. */
static const struct {
	const char *name;
	uint32_t client_ms, server_ms; /* the delays, one way */
	bool up;
	uint32_t most_ms;
} rows[] = {
	{"download, a far client", 10, 0, false, 310},
	{"upload, a far client", 10, 0, true, 340},
	{"download, a far server", 0, 10, false, 440},
	{"upload, a far server", 0, 10, true, 390},
	{"download, both far", 10, 10, false, 570},
	{"upload, both far", 10, 10, true, 700},
	{"download, a client overseas", 100, 1, false, 2900},
	{"upload, a client overseas", 100, 1, true, 3800},
	{"download, by satellite", 300, 1, false, 10000},
	{"upload, by satellite", 300, 1, true, 15000},
};

/* The addresses are in use, the request is there. */
static bool begun(struct world *w)
{
	return world_count(w, C_exchanges_opened) > 0;
}

static bool done(struct world *w)
{
	return w->clients.requests_done > 0;
}

void scenario_far(struct sim *s, struct world *w)
{
	const struct world_options o = {.workers = 1, .pools_percent = 100, .bounded_sleep_ns = 20000};
	const unsigned row = (unsigned)((s->seed - 1) % (sizeof(rows) / sizeof(rows[0])));
	uint64_t took_ms;

	world_init(w, s, &o);
	w->client_link->faults.delay_ns = rows[row].client_ms * NS_PER_MS;
	w->server_link->faults.delay_ns = rows[row].server_ms * NS_PER_MS;
	/* Receivers are the question: senders have a plain slow start. */
	w->client.sending = w->server1.sending = w->server2.sending = (struct tcp_sending){.control = TCP_CONTROL_newreno};
	w->clients.eager = w->servers1.eager = w->servers2.eager = true;
	w->clients.conns_wanted = w->clients.requests_each = 1;
	*(rows[row].up ? &w->clients.upload : &w->clients.download) = BODY;
	w->clients.target = "198.18.0.10";
	w->clients.target_port = 80;
	app_connect(&w->clients);
	world_run(w, begun, 10 * NS_PER_S);
	took_ms = s->now_ns / NS_PER_MS;
	world_run(w, done, 100 * NS_PER_S);
	took_ms = s->now_ns / NS_PER_MS - took_ms;
	sim_trace(s, "%s: %" PRIu64 " ms", rows[row].name, took_ms);
	if (!s->failed && took_ms > rows[row].most_ms)
		sim_fail(s, "%s: %" PRIu64 " ms, %u at most", rows[row].name, took_ms, rows[row].most_ms);
	world_check_clean(w);
}
