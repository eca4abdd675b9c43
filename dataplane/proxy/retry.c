/*
 * Is a request that failed to be sent again, and when?
 *
 *                                      rule with `retry`                         without
 *   a pooled connection was stale      once, at once, not counted as a try       the same
 *   no connection could be made        yes                                       2 times, if there is another endpoint
 *   a status of the list came          yes                                       -
 *   backendRequest is over             yes                                       -
 *   the connection broke before any    when nothing was sent, or the method      -
 *   byte of the response               is idempotent (RFC 9110, 9.2.2)
 *
 * That is what the Gateway API asks for (GEP-1731): a request that a backend may have acted upon is not sent again
 * unless the user listed the status or limited the try. Without a list it is 503, as Envoy Gateway's default; without
 * `attempts`, 2.
 *
 * `attempts` counts tries beyond the first. In between lies the backoff, which is a minimum, and a random part that
 * doubles with each try up to ten times the backoff; of 25 ms when none is given. The next try goes to another
 * endpoint than the one that failed, when there is one, and takes what was kept of the body (body.h).
 *
 * Against storms: of the requests of a cluster that are in flight, a fifth may be retries (upstream/budget.c).
 */
#include "base/check.h"
#include "base/limits.h"
#include "proxy/exchange.h"

enum { BASE_MS = 25, GROWTH_MAX = 10, JITTER_MAX_MS = 60000, CODE_MIN = 400 };

static bool idempotent(uint8_t method)
{
	return method == HTTP_GET || method == HTTP_HEAD || method == HTTP_PUT || method == HTTP_DELETE ||
	       method == HTTP_OPTIONS || method == HTTP_TRACE;
}

static bool safe_to_repeat(const struct exchange *x)
{
	return !http_stream_response_begun(x->up) && (!http_stream_request_begun(x->up) || idempotent(x->method));
}

static bool broke(enum err why)
{
	return why == ERR_CONN_RESET || why == ERR_UPSTREAM_CLOSED || why == ERR_HTTP_TRUNCATED ||
	       why == ERR_CONN_TIMEOUT;
}

bool retry_stale(struct exchange *x, enum err why)
{
	if (!broke(why) || x->state != EXCHANGE_WAITING || x->was_stale || !lease_reused(x->lease))
		return false;
	if (!safe_to_repeat(x) || !body_replayable(&x->to_up))
		return false;
	x->was_stale = true;
	count(x->proxy->shard->counters, C_upstream_retries);
	count(x->proxy->shard->counters, C_upstream_stale);
	return true;
}

/* Errors of ours are not mended by another try. */
static bool is_connect_failure(enum err why)
{
	switch (why) {
	case ERR_NO_HEALTHY_UPSTREAM:
	case ERR_NOT_FOUND:
	case ERR_UPSTREAM_OVERFLOW:
	case ERR_NO_MEMORY:
	case ERR_LIMIT:
	case ERR_FULL:
	case ERR_SHUTDOWN:
		return false;
	default:
		return true;
	}
}

static bool listed(const struct table_retry *r, uint16_t status)
{
	const unsigned bit = status - (unsigned)CODE_MIN;

	return status >= CODE_MIN && bit < 64 * TABLE_RETRY_WORDS && (r->codes[bit / 64] >> (bit % 64) & 1) != 0;
}

static bool left(struct exchange *x)
{
	const unsigned max = x->retry != NULL ? x->retry->attempts : RETRY_CONNECT_TRIES;

	if (x->retries < max)
		return true;
	x->exhausted = x->retry != NULL;
	return false;
}

static bool in_budget(struct exchange *x)
{
	if (!x->in_budget && !upstream_retry_begin(x->proxy->upstream, x->cluster)) {
		count(x->proxy->shard->counters, C_limit_retry_percent);
		return false;
	}
	x->in_budget = true;
	return true;
}

static bool take(struct exchange *x, uint64_t endpoint)
{
	if (!left(x) || !body_replayable(&x->to_up) || !in_budget(x))
		return false;
	x->retries++;
	x->failed_endpoint = endpoint;
	count(x->proxy->shard->counters, C_upstream_retries);
	return true;
}

bool retry_connect(struct exchange *x, enum err why, uint64_t endpoint)
{
	if (!is_connect_failure(why))
		return false;
	if (x->retry == NULL && !upstream_has_other(x->proxy->upstream, x->cluster, endpoint))
		return false;
	return take(x, endpoint);
}

bool retry_status(struct exchange *x, uint16_t status)
{
	return x->retry != NULL && listed(x->retry, status) && take(x, lease_endpoint(x->lease));
}

bool retry_timeout(struct exchange *x)
{
	return x->retry != NULL && x->state == EXCHANGE_WAITING && take(x, lease_endpoint(x->lease));
}

bool retry_broken(struct exchange *x, enum err why)
{
	return x->retry != NULL && x->state == EXCHANGE_WAITING && broke(why) && safe_to_repeat(x) &&
	       take(x, lease_endpoint(x->lease));
}

uint64_t retry_pause_ns(struct exchange *x)
{
	const uint64_t floor_ms = x->retry != NULL ? x->retry->backoff_ms : 0;
	const uint64_t base_ms = floor_ms != 0 ? floor_ms : BASE_MS;
	const unsigned shift = x->retries < 5 ? x->retries - 1u : 4;
	uint64_t jitter_ms = base_ms << shift < GROWTH_MAX * base_ms ? base_ms << shift : GROWTH_MAX * base_ms;

	if (x->retry == NULL)
		return 0;
	if (jitter_ms > JITTER_MAX_MS)
		jitter_ms = JITTER_MAX_MS;
	return floor_ms * NS_PER_MS +
	       rng_below(&x->proxy->shard->rng, (uint32_t)(jitter_ms * 1000)) * NS_PER_US;
}

void retry_over(struct exchange *x)
{
	if (x->in_budget)
		upstream_retry_end(x->proxy->upstream, x->cluster);
	x->in_budget = false;
	body_let_go(&x->to_up);
}
