#include "tcp/ports.h"

#include "tcp/conn.h"
#include "tcp/wait.h"

enum { PORTS = PORTS_LAST - PORTS_FIRST + 1, FREED_MAX = sizeof(((struct tcp_ports_full *)0)->freed) / 2 };

/* So many ports are looked at for a free one before one in TIME_WAIT is good enough. */
enum { NEAR = 128 };

/* Free. Else *wait becomes the first TIME_WAIT that was met and may be ended. */
static bool usable(const struct tcp *t, const struct tuple *tuple, struct tcp_wait **wait)
{
	bool waits = false;
	void *found;

	if (tuple_owner(tuple, t->shard->workers) != t->shard->worker)
		return false;
	found = table_tcp_find(&t->table, tuple, table_tcp_hash(&t->table, tuple), &waits);
	if (waits && !*wait && wait_reusable(t, found))
		*wait = found;
	return !found;
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

enum err ports_choose(struct tcp *t, struct tuple *tuple, uint32_t *iss)
{
	struct tcp_ports_full *full = find_full(t, tuple);
	const uint32_t start = rng_below(&t->shard->rng, PORTS), most = full ? NEAR : PORTS;
	struct tcp_wait *wait = NULL;

	*iss = 0;
	while (full && full->freed_n > 0) {
		tuple->local_port = full->freed[--full->freed_n];
		if (usable(t, tuple, &wait))
			return OK;
	}
	for (uint32_t i = 0; i < most && (!wait || i < NEAR); i++) {
		tuple->local_port = (uint16_t)(PORTS_FIRST + (start + i) % PORTS);
		if (usable(t, tuple, &wait))
			return OK;
	}
	if (wait) {
		tuple->local_port = wait->tuple.local_port;
		*iss = wait_reuse(t, wait);
		return OK;
	}
	if (!full)
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
