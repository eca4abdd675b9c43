/*
 *      callout_start         on_ready, head sent          response whole
 *   ---------------> LEASING ------------------> SENDING ----------------> (freed)
 *                       |                           |
 *                       +--- failed, too slow, too much, cut by its owner: freed, counted
 *
 * Packets stand in one ring in the order of the body: first those that were handed to the stream and not acknowledged
 * yet, of which only the length counts, then those that wait for the stream, for room in it, or for the connection.
 *
 * Who may free: every function that can cut ends by doing so. http and upstream promise not to call on_closed() and
 * on_failed() from within our calls; upstream_lease() may call on_ready() from within, which may free.
 */
#include "callout/callout.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/shard.h"

enum { CALLOUT_MAGIC = 0x63616c6c, ARENA_CHUNKS = 16 };

static_assert((LIMIT_callout_packets_each & (LIMIT_callout_packets_each - 1)) == 0, "the ring's size");

struct callout {
	uint32_t magic;
	bool whole;                  /* the owner has given all of the body */
	bool end_sent;
	bool answered;               /* the response is whole */
	struct callouts *callouts;
	struct lease *lease;
	struct http_stream *up;      /* null before it is ready */
	uint64_t active_ns;          /* when it last made progress */
	struct timer timer;
	struct arena arena;
	struct http_message head;
	struct http_message *trailers; /* null: none */
	uint32_t first, sent_n, waiting_n;
	struct slice ring[LIMIT_callout_packets_each];
};

struct callouts {
	struct shard *shard;
	struct upstream *upstream;
	struct pool pool;
	uint32_t packets;            /* in all rings */
};

static const struct lease_ops lease_ops;
static const struct http_stream_ops stream_ops;

static struct slice *ring_at(struct callout *c, uint32_t i)
{
	return &c->ring[(c->first + i) % LIMIT_callout_packets_each];
}

/* ---- the end ---- */

/* The stream is gone. */
static void free_callout(struct callout *c)
{
	struct callouts *all = c->callouts;

	if (c->lease != NULL)
		upstream_release(c->lease);
	timer_cancel(&all->shard->wheel, &c->timer);
	for (uint32_t i = 0; i < c->waiting_n; i++)
		slice_free(ring_at(c, c->sent_n + i));
	all->packets -= c->sent_n + c->waiting_n;
	arena_reset(&c->arena);
	c->magic = 0;
	pool_put(&all->pool, c);
	count(all->shard->counters, C_callouts_closed);
}

static void fail(struct callout *c, enum err why)
{
	count(c->callouts->shard->counters, C_callouts_failed);
	if (c->up != NULL)
		http_reset(c->up, why);
	free_callout(c);
}

static void on_timer(struct timer *t, uint64_t now_ns)
{
	struct callout *c = container_of(t, struct callout, timer);
	const uint64_t end_ns = c->active_ns + LIMIT_callout_s * NS_PER_S;

	CHECK_MAGIC(c, CALLOUT_MAGIC);
	if (now_ns < end_ns) {
		timer_arm(&c->callouts->shard->wheel, &c->timer, end_ns, on_timer);
		return;
	}
	count(c->callouts->shard->counters, C_limit_callout_s);
	fail(c, ERR_CONN_TIMEOUT);
}

static void progress(struct callout *c)
{
	c->active_ns = c->callouts->shard->now_ns;
}

/* ---- copies of messages ---- */

static bool copy_text(struct arena *a, struct text *t)
{
	if (t->len > 0)
		t->at = arena_text(a, t->at, t->len);
	return t->at != NULL || t->len == 0;
}

/* What is removed is left out; so is Expect. */
static bool copy_fields(struct arena *a, const struct http_message *from, struct http_message *to)
{
	to->fields = NULL;
	to->fields_n = to->fields_max = 0;
	for (unsigned i = 0; i < from->fields_n; i++) {
		struct http_field f = from->fields[i];

		if (f.removed || f.id == HTTP_FIELD_EXPECT)
			continue;
		if (!copy_text(a, &f.name) || !copy_text(a, &f.value) || http_add(to, a, f.name, f.value) != OK)
			return false;
	}
	return true;
}

static bool copy_head(struct callout *c, const struct http_message *from)
{
	struct http_message *to = &c->head;

	*to = *from;
	to->expect_continue = false;
	return copy_text(&c->arena, &to->method_text) && copy_text(&c->arena, &to->scheme) &&
	       copy_text(&c->arena, &to->authority) && copy_text(&c->arena, &to->path) &&
	       copy_fields(&c->arena, from, to);
}

/* ---- sending ---- */

/* False: it was cut. */
static bool flush(struct callout *c)
{
	enum err e = OK;

	if (c->up == NULL)
		return true;
	while (c->waiting_n > 0 && http_send_body(c->up, *ring_at(c, c->sent_n))) {
		c->sent_n++;
		c->waiting_n--;
	}
	if (c->waiting_n == 0 && c->whole && !c->end_sent) {
		e = http_send_end(c->up, c->trailers);
		c->end_sent = e == OK;
	}
	if (e == OK || e == ERR_FULL)
		return true;
	fail(c, e);
	return false;
}

static void on_ready(void *user, struct lease *l, struct http_stream *stream)
{
	struct callout *c = user;
	enum err e;

	CHECK_MAGIC(c, CALLOUT_MAGIC);
	CHECK(c->lease == l);
	progress(c);
	c->up = stream;
	e = http_send_head(stream, &c->head, c->head.body == HTTP_BODY_NONE);
	if (e != OK) {
		fail(c, e);
		return;
	}
	c->end_sent = c->head.body == HTTP_BODY_NONE;
	flush(c);
}

static void on_failed(void *user, struct lease *l, enum err why)
{
	struct callout *c = user;

	CHECK_MAGIC(c, CALLOUT_MAGIC);
	CHECK(c->lease == l);
	c->lease = NULL;
	fail(c, why);
}

/* ---- what the upstream says ---- */

static void on_head(void *user, struct http_message *m)
{
	progress(user);
	(void)m;
}

static void on_body(void *user, struct slice s, uint32_t credit)
{
	struct callout *c = user;

	CHECK_MAGIC(c, CALLOUT_MAGIC);
	progress(c);
	slice_free(&s);
	if (credit > 0)
		http_credit(c->up, credit);
}

static void on_end(void *user, struct http_message *trailers)
{
	struct callout *c = user;

	(void)trailers;
	CHECK_MAGIC(c, CALLOUT_MAGIC);
	c->answered = true;
	/* An answer before the request was whole: nobody wants its rest, and nobody calls that a failure. */
	if (!c->end_sent) {
		http_reset(c->up, ERR_CONN_ABORTED);
		free_callout(c);
	}
}

static void on_writable(void *user)
{
	struct callout *c = user;

	CHECK_MAGIC(c, CALLOUT_MAGIC);
	progress(c);
	flush(c);
}

static void on_sent(void *user, uint32_t bytes)
{
	struct callout *c = user;

	CHECK_MAGIC(c, CALLOUT_MAGIC);
	progress(c);
	while (bytes > 0 && c->sent_n > 0) {
		struct slice *s = ring_at(c, 0);
		const uint32_t n = s->len < bytes ? s->len : bytes;

		s->len = (uint16_t)(s->len - n);
		bytes -= n;
		if (s->len > 0)
			break;
		c->first++;
		c->sent_n--;
		c->callouts->packets--;
	}
}

static void on_closed(void *user, enum err why)
{
	struct callout *c = user;

	CHECK_MAGIC(c, CALLOUT_MAGIC);
	c->up = NULL;
	if (c->answered)
		free_callout(c);
	else
		fail(c, why);
}

static const struct lease_ops lease_ops = {.on_ready = on_ready, .on_failed = on_failed};

static const struct http_stream_ops stream_ops = {
	.on_head = on_head, .on_body = on_body, .on_end = on_end, .on_writable = on_writable, .on_sent = on_sent,
	.on_closed = on_closed,
};

/* ---- what the owner says ---- */

static struct callout *callout_new(struct callouts *all)
{
	struct callout *c = pool_get(&all->pool);

	if (c == NULL) {
		count(all->shard->counters, C_limit_callouts);
		return NULL;
	}
	c->magic = CALLOUT_MAGIC;
	c->whole = c->end_sent = c->answered = false;
	c->callouts = all;
	c->lease = NULL;
	c->up = NULL;
	c->active_ns = all->shard->now_ns;
	c->timer.prev = NULL;
	c->trailers = NULL;
	c->first = c->sent_n = c->waiting_n = 0;
	arena_init(&c->arena, &all->shard->chunks, ARENA_CHUNKS);
	count(all->shard->counters, C_callouts_opened);
	return c;
}

handle_t callout_start(struct callouts *all, uint64_t cluster, const struct http_message *head)
{
	struct callout *c = callout_new(all);
	handle_t h;
	const struct lease_wish wish = {.cluster = cluster};
	enum err e;

	if (c == NULL)
		return 0;
	h = pool_handle(&all->pool, c);
	if (!copy_head(c, head)) {
		fail(c, ERR_NO_MEMORY);
		return 0;
	}
	timer_arm(&all->shard->wheel, &c->timer, c->active_ns + LIMIT_callout_s * NS_PER_S, on_timer);
	e = upstream_lease(all->upstream, &wish, &lease_ops, &stream_ops, c, &c->lease);
	if (e == OK)
		return h; /* on_ready() may have come from within, so c may be gone */
	fail(c, e);
	return 0;
}

static struct callout *find(struct callouts *all, handle_t h)
{
	struct callout *c = h != 0 ? pool_find(&all->pool, h) : NULL;

	if (c == NULL && h != 0)
		count(all->shard->counters, C_handles_dead);
	return c;
}

void callout_body(struct callouts *all, handle_t h, const struct slice *s)
{
	struct callout *c = find(all, h);
	struct counters *counters = all->shard->counters;
	enum counter full;

	if (c == NULL || s->len == 0)
		return;
	CHECK(!c->whole);
	full = c->sent_n + c->waiting_n == LIMIT_callout_packets_each ? C_limit_callout_packets_each :
	       all->packets == LIMIT_callout_packets ? C_limit_callout_packets : COUNTERS;
	if (full != COUNTERS) {
		count(counters, full);
		fail(c, ERR_LIMIT);
		return;
	}
	*ring_at(c, c->sent_n + c->waiting_n) = slice_of(s->m, slice_at(s), s->len);
	c->waiting_n++;
	all->packets++;
	flush(c);
}

void callout_end(struct callouts *all, handle_t h, const struct http_message *trailers)
{
	struct callout *c = find(all, h);

	if (c == NULL || c->end_sent)
		return;
	c->whole = true;
	if (trailers != NULL) {
		c->trailers = arena_get(&c->arena, sizeof(*c->trailers));
		if (c->trailers != NULL)
			http_message_init(c->trailers);
		if (c->trailers == NULL || !copy_fields(&c->arena, trailers, c->trailers)) {
			fail(c, ERR_NO_MEMORY);
			return;
		}
	}
	flush(c);
}

void callout_cut(struct callouts *all, handle_t h)
{
	struct callout *c = find(all, h);

	if (c != NULL && !c->end_sent)
		fail(c, ERR_CONN_ABORTED);
}

/* ---- all of them ---- */

struct callouts *callouts_new(struct shard *s, struct upstream *u)
{
	struct callouts *all = calloc(1, sizeof(*all));

	CHECK(all != NULL);
	all->shard = s;
	all->upstream = u;
	pool_init(&all->pool, "callouts", sizeof(struct callout), LIMIT_callouts);
	return all;
}

void callouts_free(struct callouts *all)
{
	uint32_t at = 0;
	struct callout *c;

	if (all == NULL)
		return;
	/* Timers of those that are still alive must not fire into freed memory, and packets go back to their pools. */
	while ((c = pool_next(&all->pool, &at)) != NULL) {
		timer_cancel(&all->shard->wheel, &c->timer);
		for (uint32_t i = 0; i < c->waiting_n; i++)
			slice_free(ring_at(c, c->sent_n + i));
		arena_reset(&c->arena);
	}
	pool_fini(&all->pool);
	free(all);
}

uint32_t callouts_alive(const struct callouts *all)
{
	return pool_used(&all->pool);
}

/* ---- for filters ---- */

static handle_t start_for(void *owner, uint64_t cluster, const struct http_message *head)
{
	return callout_start(owner, cluster, head);
}

static void body_for(void *owner, handle_t callout, const struct slice *s)
{
	callout_body(owner, callout, s);
}

static void end_for(void *owner, handle_t callout, const struct http_message *trailers)
{
	callout_end(owner, callout, trailers);
}

static void cut_for(void *owner, handle_t callout)
{
	callout_cut(owner, callout);
}

struct filter_callouts callouts_for_filters(struct callouts *c)
{
	return (struct filter_callouts){
		.start = start_for, .body = body_for, .end = end_for, .cut = cut_for, .owner = c};
}
