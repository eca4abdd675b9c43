#include "tests/sim/tunnel.h"

enum { SLOW_MAX = 3000 };

static void put_bytes(struct peer *p, uint64_t key, uint64_t from, uint64_t to)
{
	uint8_t piece[4096];

	while (from < to) {
		const uint64_t n = to - from < sizeof(piece) ? to - from : sizeof(piece);

		for (uint64_t i = 0; i < n; i++)
			piece[i] = sim_byte(key, from + i);
		peer_put(p, piece, n);
		from += n;
	}
}

static uint64_t draw_bytes(struct hostile *h, const struct peer *p)
{
	const uint64_t n = body_size(h);

	/* Or who stalls would take hours. */
	return p->write_gap_ns > NS_PER_S && n > SLOW_MAX ? SLOW_MAX : n;
}

/* It ends at its end, by a FIN, or by a reset somewhere behind `from`, if it does not wait for the other half. */
static void draw_end(struct hostile *h, struct peer *p, struct entry *e, struct tunnel_half *mine, uint64_t from,
                     uint32_t resets)
{
	const uint64_t end = peer_end(p);

	if (chance(h, resets)) {
		mine->whole = false;
		e->excused = true;
		peer_cut(p, from + rng_u64(&h->rng) % (end - from + 1), true);
	} else if (!mine->waits) {
		peer_cut(p, end, false);
	}
}

void tunnel_ask(struct hostile *h, struct peer *p, struct entry *e, bool half_close)
{
	struct tunnel_half *up = &e->up;

	*up = (struct tunnel_half){.n = draw_bytes(h, p), .whole = true, .waits = !rng_below(&h->rng, 3)};
	if (!rng_below(&h->rng, 3))
		up->early_n = rng_u64(&h->rng) % (up->n + 1);
	if (half_close) {
		up->n = up->early_n;
		up->waits = false;
	}
	put_bytes(p, request_key(e), 0, up->early_n);
}

void tunnel_told(struct hostile *h, struct peer *p, struct entry *e, unsigned attempt)
{
	struct tunnel_half *up = &e->up;

	h->tunnels_told++;
	wire_tunnel(&p->in, answer_key(e, attempt));
	if (p->shut || p->cut_at <= peer_end(p))
		return; /* it ended its half before it knew */
	put_bytes(p, request_key(e), up->early_n, up->n);
	draw_end(h, p, e, up, p->sent, h->mood.client_cut);
}

void tunnel_open(struct hostile *h, struct peer *p, struct entry *e, unsigned attempt, uint64_t begin)
{
	struct tunnel_half *down = &e->down;

	h->tunnels_made++;
	*down = (struct tunnel_half){.n = draw_bytes(h, p), .whole = true, .waits = !rng_below(&h->rng, 3)};
	/* Two that wait for each other are cut when nothing has moved for too long: that is rarely of interest. */
	if (e->up.waits && down->waits && rng_below(&h->rng, 16))
		down->waits = false;
	e->excused = e->excused || (e->up.waits && down->waits);
	wire_tunnel(&p->in, request_key(e));
	put_bytes(p, answer_key(e, attempt), 0, down->n);
	draw_end(h, p, e, down, begin, h->mood.answer_cut);
	e->attempts[attempt].whole = down->whole;
}

const char *tunnel_wrong(struct peer *p, const struct entry *e, const struct tunnel_half *theirs)
{
	peer_cut(p, peer_end(p), false);
	/* Before the client knows of it, the request's time may run out: an upstream can be slow to say its 101. */
	if (p->reset)
		return e->excused || (e->site->excuses && e->status != 101) ? NULL : "a tunnel is reset";
	if (!theirs->whole)
		return "a tunnel ends in order where the other end was reset";
	return p->in.body_n == theirs->n ? NULL : "a tunnel ends in order, but not at its end";
}
