#include "tcp/ports.h"

#include "tcp/conn.h"

enum { PORTS = PORTS_LAST - PORTS_FIRST + 1, FREED_MAX = sizeof(((struct tcp_ports_full *)0)->freed) / 2 };

static bool usable(const struct tcp *t, const struct tuple *tuple)
{
	bool wait;

	return tuple_owner(tuple, t->shard->workers) == t->shard->worker &&
	       !table_tcp_find(&t->table, tuple, table_tcp_hash(&t->table, tuple), &wait);
}

static struct tcp_ports_full *find_full(struct tcp *t, const struct tuple *tuple)
{
	for (unsigned i = 0; t->ports_full_n > 0 && i < TCP_PORTS_FULL; i++) {
		struct tcp_ports_full *f = &t->ports_full[i];

		if (f->used && f->remote_port == tuple->remote_port && addr_equal(&f->remote, &tuple->remote) &&
		    addr_equal(&f->local, &tuple->local))
			return f;
	}
	return NULL;
}

static void forget(struct tcp *t, struct tcp_ports_full *f)
{
	f->used = false;
	t->ports_full_n--;
}

static void remember(struct tcp *t, const struct tuple *tuple)
{
	struct tcp_ports_full *f = &t->ports_full[t->ports_full_next++ % TCP_PORTS_FULL];

	if (!f->used)
		t->ports_full_n++;
	*f = (struct tcp_ports_full){
		.local = tuple->local, .remote = tuple->remote, .remote_port = tuple->remote_port, .used = true,
	};
}

enum err ports_choose(struct tcp *t, struct tuple *tuple)
{
	struct tcp_ports_full *full = find_full(t, tuple);
	const uint32_t start = rng_below(&t->shard->rng, PORTS);

	while (full && full->freed_n > 0) {
		tuple->local_port = full->freed[--full->freed_n];
		if (usable(t, tuple))
			return OK;
	}
	if (full)
		return ERR_NO_PORTS;
	for (uint32_t i = 0; i < PORTS; i++) {
		tuple->local_port = (uint16_t)(PORTS_FIRST + (start + i) % PORTS);
		if (usable(t, tuple))
			return OK;
	}
	remember(t, tuple);
	return ERR_NO_PORTS;
}

void ports_freed(struct tcp *t, const struct tuple *tuple)
{
	struct tcp_ports_full *full = find_full(t, tuple);

	if (!full)
		return;
	/* So many are free again that a search is short. */
	if (full->freed_n == FREED_MAX)
		forget(t, full);
	else
		full->freed[full->freed_n++] = tuple->local_port;
}
