#include "tcp/cookie.h"

#include <stdatomic.h>
#include <string.h>

#include "base/siphash.h"
#include "tcp/conn.h"
#include "tcp/isn.h"
#include "tcp/segment.h"

enum {
	EPOCH_SHIFT = 36,       /* of nanoseconds: 69 s */
	EPOCH_MASK = 3, AGE_MAX = 1,
	MSS_AT = 29, EPOCH_AT = 27, MAC_MASK = (1 << EPOCH_AT) - 1,
	SCALE_MASK = 15, SACK_OK = 16, TS_BITS = 5, TS_MASK = (1 << TS_BITS) - 1,
};

static_assert((int)WSCALE_MAX < (int)SCALE_MASK, "the mask itself means that there is none");

/* What peers send: Ethernet without and with tunnels, IPv6's least, the defaults, and jumbo frames. */
static const uint16_t mss_values[1 << (32 - MSS_AT)] = {MSS_MIN, MSS_DEFAULT_V4, 1024, MSS_DEFAULT_V6, 1360, 1440, 1460,
                                                        8900};

static uint32_t epoch_now(const struct tcp *t)
{
	return (uint32_t)(t->shard->now_ns >> EPOCH_SHIFT);
}

static uint64_t draw(const struct tcp *t, uint32_t epoch, uint32_t half)
{
	const _Atomic uint64_t *fresh = t->shard->fresh;
	struct {
		uint8_t before[16];
		uint64_t fresh[2], epoch, half;
	} input = {.epoch = epoch, .half = half};

	/* The length keeps it apart from what isn.c and backlog.c make with this key. */
	static_assert(sizeof(input) == 48, "no padding is hashed");
	memcpy(input.before, t->cookies.now, sizeof(input.before));
	for (unsigned i = 0; fresh && i < 2; i++)
		input.fresh[i] = atomic_load_explicit(&fresh[i], memory_order_relaxed);
	return siphash(t->shard->secret, &input, sizeof(input));
}

/* An epoch has begun: the secret of the one just before is good for one more. */
static void rotate(struct tcp *t, uint32_t epoch)
{
	struct cookie_secrets *s = &t->cookies;
	const uint64_t next[2] = {draw(t, epoch, 0), draw(t, epoch, 1)};

	s->before_known = s->known && epoch - s->epoch == 1;
	memcpy(s->before, s->now, sizeof(s->before));
	memcpy(s->now, next, sizeof(s->now));
	s->epoch = epoch;
	s->known = true;
}

/* Null: no cookie of that epoch is good now. */
static const uint8_t *secret_of(const struct tcp *t, uint32_t epoch)
{
	const struct cookie_secrets *s = &t->cookies;

	if (s->known && epoch == s->epoch)
		return s->now;
	return s->before_known && epoch == s->epoch - 1 ? s->before : NULL;
}

static uint32_t mac(const uint8_t secret[static 16], const struct tuple *tuple, uint32_t peer_iss, uint32_t mss)
{
	const struct {
		struct addr local, remote;
		uint16_t local_port, remote_port;
		uint32_t peer_iss;
		uint64_t mss;
	} input = {tuple->local, tuple->remote, tuple->local_port, tuple->remote_port, peer_iss, mss};

	static_assert(sizeof(input) == 48, "no padding is hashed");
	return (uint32_t)siphash(secret, &input, sizeof(input)) & MAC_MASK;
}

/* The largest that does not exceed what the peer takes. */
static uint32_t mss_index(const struct segment *syn)
{
	const uint16_t defaults = addr_is_v4(&syn->tuple->remote) ? MSS_DEFAULT_V4 : MSS_DEFAULT_V6;
	const uint16_t mss = syn->mss ? syn->mss : defaults;
	uint32_t i = sizeof(mss_values) / sizeof(mss_values[0]) - 1;

	while (i > 0 && mss_values[i] > mss)
		i--;
	return i;
}

/* Not later than the clock, so that the connection's timestamps go on from it. */
static uint32_t timestamp(const struct tcp *t, const struct segment *syn)
{
	const uint32_t now = t->now_ms + isn_ts_offset(t->shard, syn->tuple);
	const uint32_t scale = syn->wscale == WSCALE_NONE ? SCALE_MASK : syn->wscale & SCALE_MASK;
	const uint32_t said = scale | (syn->sack_ok ? SACK_OK : 0);
	const uint32_t tsval = (now & ~(uint32_t)TS_MASK) | said;

	return seq_gt(tsval, now) ? tsval - (TS_MASK + 1) : tsval;
}

struct cookie cookie_make(struct tcp *t, const struct segment *syn)
{
	const uint32_t epoch = epoch_now(t), mss = mss_index(syn);

	if (!t->cookies.known || epoch != t->cookies.epoch)
		rotate(t, epoch);
	return (struct cookie){
		.iss = mss << MSS_AT | (epoch & EPOCH_MASK) << EPOCH_AT |
		       mac(t->cookies.now, syn->tuple, syn->seq, mss),
		.tsval = timestamp(t, syn),
	};
}

bool cookie_read(const struct tcp *t, const struct segment *g, struct segment *syn)
{
	const uint32_t iss = g->ack - 1, peer_iss = g->seq - 1, now = epoch_now(t);
	const uint32_t age = (now - (iss >> EPOCH_AT)) & EPOCH_MASK, mss = iss >> MSS_AT;
	const uint8_t scale = g->tsecr & SCALE_MASK;
	const uint8_t *secret = age <= AGE_MAX ? secret_of(t, now - age) : NULL;

	if (!secret || (iss & MAC_MASK) != mac(secret, g->tuple, peer_iss, mss))
		return false;
	*syn = (struct segment){
		.tuple = g->tuple,
		.seq = peer_iss,
		.flags = SEGMENT_SYN,
		.mss = mss_values[mss],
		.ts = g->ts,
		.tsval = g->tsval,
		.wscale = g->ts && scale <= WSCALE_MAX ? scale : WSCALE_NONE,
		.sack_ok = g->ts && g->tsecr & SACK_OK,
	};
	return true;
}
