#include "tcp/backlog.h"

#include "base/check.h"
#include "base/limits.h"
#include "base/siphash.h"

static_assert(LIMIT_tcp_syn_backlog <= UINT16_MAX, "a bucket may hold all");
static_assert(LIMIT_tcp_syn_source < LIMIT_tcp_syn_listener && LIMIT_tcp_syn_listener < LIMIT_tcp_syn_backlog,
              "one source leaves room in its listener, one listener in the backlog");

struct buckets {
	uint16_t *listener, *source;
};

static struct buckets find(struct backlog *b, const uint8_t *secret, const struct tuple *t)
{
	const struct {
		struct addr local;
		uint64_t port;
	} listener = {t->local, t->local_port};
	struct addr source = t->remote;

	static_assert(sizeof(listener) == 24, "no padding is hashed");
	if (!addr_is_v4(&source))
		source.w[2] = source.w[3] = 0;
	return (struct buckets){
		&b->listener[siphash(secret, &listener, sizeof(listener)) % BACKLOG_LISTENERS],
		&b->source[siphash(secret, &source, sizeof(source)) % BACKLOG_SOURCES],
	};
}

enum counter backlog_take(struct backlog *b, const uint8_t secret[static 16], const struct tuple *t)
{
	const struct buckets at = find(b, secret, t);

	if (b->all >= LIMIT_tcp_syn_backlog)
		return C_limit_tcp_syn_backlog;
	if (*at.listener >= LIMIT_tcp_syn_listener)
		return C_limit_tcp_syn_listener;
	if (*at.source >= LIMIT_tcp_syn_source)
		return C_limit_tcp_syn_source;
	b->all++;
	++*at.listener;
	++*at.source;
	return COUNTERS;
}

void backlog_give(struct backlog *b, const uint8_t secret[static 16], const struct tuple *t)
{
	const struct buckets at = find(b, secret, t);

	CHECK(b->all > 0 && *at.listener > 0 && *at.source > 0);
	b->all--;
	--*at.listener;
	--*at.source;
}
