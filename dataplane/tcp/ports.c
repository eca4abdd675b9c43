#include "tcp/ports.h"

#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "tcp/conn.h"
#include "tcp/wait.h"

enum {
	LOOKS = 128,           /* at random ports, of which a quarter is free or more */
	LOOKS_OF_MAP = 64,     /* at the next ones, until all are in the map */
	WORDS = sizeof(((struct port_map *)0)->free) / sizeof(uint64_t),
};

static_assert((int)LOOKS <= (int)PORTS_LOOKS_MAX, "what ports.h promises");
static_assert((int)PORTS_LOOKS_MAX % (int)LOOKS_OF_MAP == 0, "and with a map");
static_assert(sizeof(struct tcp_destination) <= 64, "a cache line");

/* ---- whose ports are a worker's ---- */

static uint32_t bucket_of(const struct tuple *t)
{
	return tuple_hash(t) % TUPLE_BUCKETS;
}

static uint32_t buckets_owned(const struct shard *s)
{
	return s->worker < TUPLE_BUCKETS ? (TUPLE_BUCKETS - 1u - s->worker) / s->workers + 1 : 0;
}

/* All but the first port of each are gone when that fault is planted. */
static uint32_t depth(void)
{
	return FAULT(few_ports) ? 1 : PORTS_OF_BUCKET;
}

/* How many ports a destination has. */
static uint32_t share(const struct tcp *t)
{
	return buckets_owned(t->shard) * depth();
}

/* The n-th port of a destination. */
static uint16_t port_at(const struct tcp *t, const struct tcp_destination *d, uint32_t n)
{
	const uint32_t owned = t->shard->worker + n / depth() * t->shard->workers;

	return t->ports.of_bucket[owned ^ d->bucket][n % depth()];
}

static bool port_free(const struct tcp *t, const struct tcp_destination *d, uint16_t port)
{
	struct tuple tuple = d->tuple;
	bool waits;

	tuple.local_port = port;
	return !table_tcp_find(&t->table, &tuple, table_tcp_hash(&t->table, &tuple), &waits);
}

void ports_init(struct ports *p, const struct shard *s)
{
	const uint32_t conns = LIMIT_tcp_conns + LIMIT_tcp_time_wait, owned = buckets_owned(s);
	uint32_t n[TUPLE_BUCKETS] = {0};

	p->of_bucket = malloc(TUPLE_BUCKETS * sizeof(*p->of_bucket));
	CHECK(p->of_bucket != NULL);
	for (uint32_t port = PORTS_FIRST; port <= PORTS_LAST; port++) {
		const uint32_t b = bucket_of(&(struct tuple){.local_port = (uint16_t)port});

		CHECK(n[b] < PORTS_OF_BUCKET);
		p->of_bucket[b][n[b]++] = (uint16_t)port;
	}
	pool_init(&p->destinations, "tcp_destinations", sizeof(struct tcp_destination), LIMIT_tcp_destinations);
	table_tcp_init(&p->table, LIMIT_tcp_destinations, s->secret);
	p->table.conns = p->destinations.objects;
	p->table.conn_tuple = offsetof(struct tcp_destination, tuple);
	/* Who has a map has used half of its ports: there are never more of them. */
	pool_init(&p->maps, "tcp_port_maps", sizeof(struct port_map),
	          2 * conns / ((owned ? owned : 1) * PORTS_OF_BUCKET) + 1);
}

void ports_fini(struct ports *p)
{
	pool_fini(&p->maps);
	pool_fini(&p->destinations);
	table_tcp_fini(&p->table);
	free(p->of_bucket);
}

/* ---- destinations ---- */

static struct tcp_destination *destination(const struct tcp *t, const struct tuple *tuple)
{
	struct tuple key = *tuple;
	bool unused;

	key.local_port = 0;
	return table_tcp_find(&t->ports.table, &key, table_tcp_hash(&t->ports.table, &key), &unused);
}

static struct tcp_destination *destination_new(struct tcp *t, const struct tuple *tuple)
{
	struct tcp_destination *d = pool_get(&t->ports.destinations);

	if (!d) {
		tcp_count(t, C_limit_tcp_destinations);
		return NULL;
	}
	*d = (struct tcp_destination){.tuple = *tuple};
	d->tuple.local_port = 0;
	d->bucket = (uint8_t)bucket_of(&d->tuple);
	table_tcp_put(&t->ports.table, table_tcp_hash(&t->ports.table, &d->tuple), d, false);
	return d;
}

static struct port_map *map_of(const struct tcp *t, const struct tcp_destination *d)
{
	return d->map ? pool_at(&t->ports.maps, d->map - 1u) : NULL;
}

static void map_end(struct tcp *t, struct tcp_destination *d)
{
	if (d->map)
		pool_put(&t->ports.maps, map_of(t, d));
	d->map = 0;
}

/* The map of a destination that has used much, else null. */
static struct port_map *map_wanted(struct tcp *t, struct tcp_destination *d)
{
	struct port_map *m = map_of(t, d);

	if (m || d->used < share(t) / 4 * 3)
		return m;
	m = pool_get(&t->ports.maps);
	if (m) {
		memset(m, 0, sizeof(*m));
		d->map = (uint16_t)((uint32_t)pool_handle(&t->ports.maps, m) + 1);
	}
	return m;
}

static void mark(struct port_map *m, uint16_t port, bool is_free)
{
	const uint64_t bit = UINT64_C(1) << port % 64;

	m->free[port / 64] = is_free ? m->free[port / 64] | bit : m->free[port / 64] & ~bit;
}

static void look(struct tcp *t, const struct tcp_destination *d, struct port_map *m)
{
	const uint32_t all = share(t);

	for (uint32_t i = 0; i < LOOKS_OF_MAP && m->looked < all; i++) {
		const uint16_t port = port_at(t, d, m->looked++);

		if (port_free(t, d, port))
			mark(m, port, true);
	}
}

/* The first free one from a port on, around the end; 0: none. */
static uint16_t free_from(const struct port_map *m, uint32_t from)
{
	uint32_t word = from / 64;
	uint64_t bits = m->free[word] & UINT64_MAX << from % 64;

	for (uint32_t i = 0; i < WORDS && !bits; i++) {
		word = (word + 1) % WORDS;
		bits = m->free[word];
	}
	return bits ? (uint16_t)(word * 64 + (uint32_t)__builtin_ctzll(bits)) : 0;
}

/* ---- a port ---- */

static uint16_t choose_in_map(struct tcp *t, const struct tcp_destination *d, struct port_map *m)
{
	uint16_t port;

	for (unsigned looks = 0; looks < PORTS_LOOKS_MAX; looks += LOOKS_OF_MAP) {
		look(t, d, m);
		while ((port = free_from(m, rng_below(&t->shard->rng, 65536))) != 0) {
			mark(m, port, false);
			/* Else it is a peer's now, who has connected to us from there. */
			if (port_free(t, d, port))
				return port;
		}
	}
	/* Peers have some, and may have given them back. */
	if (m->looked == share(t))
		m->looked = 0;
	return 0;
}

/* Of a destination that has used fewer than all; 0: none is found. */
static uint16_t choose_free(struct tcp *t, struct tcp_destination *d)
{
	const uint32_t all = share(t);
	struct port_map *m = map_wanted(t, d);

	if (m)
		return choose_in_map(t, d, m);
	for (unsigned i = 0; i < LOOKS; i++) {
		const uint16_t port = port_at(t, d, rng_below(&t->shard->rng, all));

		if (port_free(t, d, port))
			return port;
	}
	return 0;
}

/* A port that TIME_WAIT holds; 0: none may be taken. */
static uint16_t choose_waiting(struct tcp *t, struct tcp_destination *d, uint32_t *iss)
{
	struct tcp_wait *w = d->wait_first;
	uint16_t port;

	if (!w || !wait_reusable(t, w))
		return 0;
	port = w->tuple.local_port;
	*iss = wait_reuse(t, w);
	if (d->map)
		mark(map_of(t, d), port, false);
	return port;
}

enum err ports_choose(struct tcp *t, struct tuple *tuple, uint32_t *iss)
{
	struct tcp_destination *d = destination(t, tuple);
	uint16_t port = 0;

	*iss = 0;
	if (!d && !(d = destination_new(t, tuple)))
		return ERR_LIMIT;
	if (d->used < share(t))
		port = choose_free(t, d);
	d->used++; /* before a TIME_WAIT ends, which may be the last one of this destination */
	if (!port)
		port = choose_waiting(t, d, iss);
	tuple->local_port = port;
	if (port)
		return OK;
	tcp_count(t, C_tcp_no_ports);
	ports_freed(t, tuple);
	return ERR_NO_PORTS;
}

void ports_freed(struct tcp *t, const struct tuple *tuple)
{
	struct tcp_destination *d = destination(t, tuple);

	CHECK(d != NULL && d->used > 0);
	d->used--;
	if (d->used < share(t) / 2)
		map_end(t, d);
	if (d->map && tuple->local_port)
		mark(map_of(t, d), tuple->local_port, true);
	if (d->used > 0)
		return;
	map_end(t, d);
	table_tcp_remove(&t->ports.table, table_tcp_hash(&t->ports.table, &d->tuple), d, false);
	pool_put(&t->ports.destinations, d);
}

/* ---- TIME_WAIT, all of the same duration: a list in order of expiry ---- */

void ports_wait(struct tcp *t, struct tcp_wait *w)
{
	struct tcp_destination *d = destination(t, &w->tuple);

	CHECK(d != NULL);
	w->next_port = NULL;
	w->prev_port = d->wait_last;
	*(d->wait_last ? &d->wait_last->next_port : &d->wait_first) = w;
	d->wait_last = w;
}

void ports_wait_over(struct tcp *t, struct tcp_wait *w)
{
	struct tcp_destination *d = destination(t, &w->tuple);

	CHECK(d != NULL);
	*(w->prev_port ? &w->prev_port->next_port : &d->wait_first) = w->next_port;
	*(w->next_port ? &w->next_port->prev_port : &d->wait_last) = w->prev_port;
}
