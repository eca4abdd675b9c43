/*
 * Closing idle client connections when memory is short: those that have had no exchange for longest go first.
 *
 * No list is kept in that order, because every request would pay for it by touching its neighbours. Instead, while it
 * is called, http_shed() passes over the pool of connections, some per call, remembers the oldest ones of the pass, and
 * closes them at its end, those that have not been used meanwhile. Then the next pass begins.
 *
 * A connection that has received part of a head idles too: no exchange has begun, and its packets may be what is
 * missing. It is told 503.
 *
 * Dormant ones (dormant.h) hold nothing but their place in TCP, so they go only when such places are short. There may
 * be a million: a pass over all of them would take a second, so each is over a sector, and closes the oldest of that.
 */
#include "base/pressure.h"
#include "http/dormant.h"

enum { LOOKS = 256, SECTOR = 65536 };

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

static bool among_oldest(const struct shed_pass *p, uint64_t since_ns)
{
	return p->n < SHED_OLDEST || since_ns < p->oldest[SHED_OLDEST - 1].since_ns;
}

static void look(struct http *h, const struct h1_conn *c)
{
	struct shed_pass *p = &h->shed;

	if (c && idle(c) && among_oldest(p, c->since_ns))
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

static void look_at_place(struct http *h, uint32_t place)
{
	const struct tcp_conn *c = tcp_kept_at(tls_below(h->tls), place);

	if (c && among_oldest(&h->shed_dormant, tcp_heard_ns(c)))
		remember(&h->shed_dormant, (struct shed_idle){.place = place, .since_ns = tcp_heard_ns(c)});
}

static void close_dormant(struct http *h, const struct shed_idle *found)
{
	struct tcp_conn *c = tcp_kept_at(tls_below(h->tls), found->place);

	if (!c || tcp_heard_ns(c) != found->since_ns)
		return;
	http_count(h, C_shed_client_conns);
	dormant_close(c);
}

static void shed_dormant(struct http *h)
{
	const uint32_t all = tcp_kept_places(tls_below(h->tls));
	struct shed_pass *p = &h->shed_dormant;

	for (unsigned i = 0; i < LOOKS && p->at < all; i++) {
		look_at_place(h, p->at++);
		if (p->at % SECTOR == 0 || p->at == all) {
			for (uint32_t k = 0; k < p->n; k++)
				close_dormant(h, &p->oldest[k]);
			p->n = 0;
		}
	}
	p->at = p->at == all ? 0 : p->at;
}

void http_shed(struct http *h)
{
	struct shed_pass *p = &h->shed;

	if (h->shard->shed & (SHED_SEGMENTS | SHED_TEXT))
		h->text_shed_ns = h->shard->now_ns;
	http_enter(h);
	if (tcp_crowded(tls_below(h->tls)))
		shed_dormant(h);
	for (unsigned i = 0; i < LOOKS && p->at < h->conns.capacity; i++)
		look(h, pool_at(&h->conns, p->at++));
	if (p->at == h->conns.capacity) {
		for (uint32_t i = 0; i < p->n; i++)
			close_idle(h, &p->oldest[i]);
		p->at = p->n = 0;
	}
	http_leave(h);
}
