/*
 * Closing idle client connections when memory is short: those that have had no exchange for longest go first.
 *
 * No list is kept in that order, because every request would pay for it by touching its neighbours. Instead, while it
 * is called, http_shed() passes over the pool of connections, some per call, remembers the oldest ones of the pass, and
 * closes them at its end, those that have not been used meanwhile. Then the next pass begins.
 *
 * A connection that has received part of a head idles too: no exchange has begun, and its packets may be what is
 * missing. It is told 503.
 */
#include "base/pressure.h"
#include "http/h1.h"

enum { LOOKS = 256 };

static bool idle(const struct h1_conn *c)
{
	return c->role == H1_SERVER && c->state == H1_OPEN && !c->stream && !c->broken && !c->in_later &&
	       !h1_input_waits(c);
}

static void remember(struct shed_pass *p, struct shed_idle found)
{
	uint32_t i = p->n < SHED_OLDEST ? p->n++ : SHED_OLDEST - 1;

	for (; i > 0 && p->oldest[i - 1].since_ns > found.since_ns; i--)
		p->oldest[i] = p->oldest[i - 1];
	p->oldest[i] = found;
}

static void look(struct http *h, const struct h1_conn *c)
{
	struct shed_pass *p = &h->shed;

	if (!c || !idle(c) || (p->n == SHED_OLDEST && c->since_ns >= p->oldest[SHED_OLDEST - 1].since_ns))
		return;
	remember(p, (struct shed_idle){.conn = pool_handle(&h->conns, c), .since_ns = c->since_ns});
}

static void close_idle(struct http *h, const struct shed_idle *found)
{
	struct h1_conn *c = pool_find(&h->conns, found->conn);

	if (!c || !idle(c) || c->since_ns != found->since_ns)
		return;
	http_count(h, C_shed_client_conns);
	if (c->part.m || c->gather)
		h1_server_refuse(c, ERR_NO_MEMORY);
	else
		h1_leave(c);
}

void http_shed(struct http *h)
{
	struct shed_pass *p = &h->shed;

	if (h->shard->shed & (SHED_SEGMENTS | SHED_TEXT))
		h->text_shed_ns = h->shard->now_ns;
	http_enter(h);
	for (unsigned i = 0; i < LOOKS && p->at < h->conns.capacity; i++)
		look(h, pool_at(&h->conns, p->at++));
	if (p->at == h->conns.capacity) {
		for (uint32_t i = 0; i < p->n; i++)
			close_idle(h, &p->oldest[i]);
		p->at = p->n = 0;
	}
	http_leave(h);
}
