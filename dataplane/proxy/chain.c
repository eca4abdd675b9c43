/* See the header for the model, and filter/filter.h for what filters are promised. */
#include "proxy/chain.h"

#include "base/check.h"
#include "base/limits.h"
#include "proxy/exchange.h"
#include "proxy/pieces.h"

enum { CHAIN_STAGES = 32 };
enum { WITH_HEAD, WITH_REST };

/* One stage in one direction. */
struct side {
	struct pieces queue;
	uint32_t turns[2];           /* the waits that it is suspended for: with the head, with what follows; 0: none */
	bool seen;                   /* the hook has seen the first piece of the queue (it suspended with it) */
	bool end;                    /* the end of the message has come to it and waits */
	bool ending;                 /* the hook has seen the end (it suspended with it) */
};

struct stage {
	const struct filter *filter;
	void *copied;
	struct side sides[WAYS];
};

struct place {
	enum way way;
	uint32_t p;                  /* position on the way: 0 is met first */
};

struct chain {
	struct exchange *x;
	struct filter_exchange fx;
	uint8_t n;
	uint8_t passed[WAYS];        /* how many stages the head has passed */
	bool begun[WAYS], through[WAYS]; /* the head came to the first stage, was passed on by the last */
	bool kept;                   /* the response's head is a copy in the arena */
	bool bodies[WAYS];           /* some stage wants to see bodies or ends */
	bool dropped[WAYS];
	uint8_t trouble;             /* enum chain_step: REPLY, FAILED; GO: none */
	enum err error;
	uint32_t turns;
	struct place here;           /* whose hook runs */
	struct http_message *trailers[WAYS];
	struct stage stages[];
};

/* ---- who is where ---- */

static struct stage *stage_at(struct chain *c, enum way way, uint32_t p)
{
	return &c->stages[way == WAY_IN ? p : c->n - 1u - p];
}

static filter_head_hook *head_hook(const struct stage *s, enum way way)
{
	return way == WAY_IN ? s->filter->on_request : s->filter->on_response;
}

static filter_body_hook *body_hook(const struct stage *s, enum way way)
{
	return way == WAY_IN ? s->filter->on_request_body : s->filter->on_response_body;
}

static filter_head_hook *end_hook(const struct stage *s, enum way way)
{
	return way == WAY_IN ? s->filter->on_request_end : s->filter->on_response_end;
}

static struct body *body_of(struct chain *c, enum way way)
{
	return way == WAY_IN ? &c->x->to_up : &c->x->to_down;
}

/* Its head is suspended, what follows is not. */
static bool gathering(const struct stage *s, enum way way)
{
	return s->filter->gathers && s->sides[way].turns[WITH_HEAD] != 0;
}

static bool blocked(struct chain *c, enum way way, uint32_t p)
{
	const struct stage *s = stage_at(c, way, p);

	return s->sides[way].turns[WITH_REST] != 0 || (p >= c->passed[way] && !gathering(s, way));
}

/* ---- queues ---- */

static void give_back(struct chain *c, enum way way, uint32_t credit)
{
	struct http_stream *from = body_of(c, way)->from;

	if (credit > 0 && from != NULL)
		http_credit(from, credit);
}

static void discard(struct chain *c, enum way way, struct filter_piece *piece)
{
	if (piece->slice.m != NULL)
		slice_free(&piece->slice);
	give_back(c, way, piece->credit);
}

static void fail(struct chain *c, enum err why)
{
	if (c->trouble == CHAIN_GO) {
		c->trouble = CHAIN_FAILED;
		c->error = why;
	}
}

/* There was no block (which the pool counts) for a piece that has to wait. */
static void lose(struct chain *c, enum way way, struct filter_piece piece)
{
	fail(c, ERR_NO_MEMORY);
	discard(c, way, &piece);
}

static void clear(struct chain *c, enum way way, struct side *side)
{
	while (pieces_any(&side->queue)) {
		struct filter_piece piece = pieces_take(&side->queue, &c->x->proxy->blocks);

		discard(c, way, &piece);
	}
	side->seen = side->end = side->ending = false;
}

/* ---- hooks ---- */

/* Hooks nest: one that emits runs those behind it. */
struct call {
	struct place here;
	uint32_t turn;
};

static struct call enter(struct chain *c, enum way way, uint32_t p)
{
	const struct call before = {.here = c->here, .turn = c->fx.ticket.turn};

	c->here = (struct place){.way = way, .p = p};
	c->fx.ticket.turn = ++c->turns;
	c->fx.trailers = c->trailers[way];
	c->fx.on_way_out = way == WAY_OUT;
	return before;
}

static void leave(struct chain *c, struct call before)
{
	c->trailers[c->here.way] = c->fx.trailers;
	c->here = before.here;
	c->fx.ticket.turn = before.turn;
	c->fx.trailers = c->trailers[before.here.way];
	c->fx.on_way_out = before.here.way == WAY_OUT;
}

/* What a hook has decided, but for TAKEN. True: what it looked at goes on. */
static bool decide(struct chain *c, struct side *side, unsigned with, enum filter_verdict v)
{
	switch (v) {
	case FILTER_CONTINUE:
		return true;
	case FILTER_SUSPEND:
		count(c->fx.shard->counters, C_filter_suspends);
		side->turns[with] = c->fx.ticket.turn;
		return false;
	default:
		CHECK(v == FILTER_REPLY);
		if (c->trouble == CHAIN_GO)
			c->trouble = CHAIN_REPLY;
		return false;
	}
}

static void out_of_chain(struct chain *c, enum way way, struct filter_piece piece)
{
	struct body *b = body_of(c, way);
	enum err e;

	/* A message that was announced without a body has none, whatever a filter makes of it. */
	if (b->end_sent) {
		discard(c, way, &piece);
		return;
	}
	e = body_push(b, piece.slice, piece.credit);
	if (e != OK)
		fail(c, e);
}

static void pass(struct chain *c, enum way way, uint32_t p, struct filter_piece piece);

/* The piece goes through the stage at p, which is not blocked. */
static void run(struct chain *c, enum way way, uint32_t p, struct filter_piece piece)
{
	struct stage *s = stage_at(c, way, p);
	struct side *side = &s->sides[way];
	filter_body_hook *hook = body_hook(s, way);
	struct call before;
	enum filter_verdict v;
	bool goes_on;

	if (hook == NULL) {
		pass(c, way, p + 1, piece);
		return;
	}
	before = enter(c, way, p);
	v = hook(&c->fx, s->copied, &piece);
	goes_on = v != FILTER_TAKEN && decide(c, side, WITH_REST, v);
	leave(c, before);
	if (v == FILTER_TAKEN)
		return;
	if (goes_on)
		pass(c, way, p + 1, piece);
	else if (v != FILTER_SUSPEND || piece.slice.m == NULL)
		discard(c, way, &piece);
	else if (pieces_put_back(&side->queue, &c->x->proxy->blocks, piece))
		side->seen = true;
	else
		lose(c, way, piece);
}

static void pass(struct chain *c, enum way way, uint32_t p, struct filter_piece piece)
{
	struct side *side;

	if (c->dropped[way] || c->trouble != CHAIN_GO) {
		discard(c, way, &piece);
		return;
	}
	if (p == c->n) {
		out_of_chain(c, way, piece);
		return;
	}
	side = &stage_at(c, way, p)->sides[way];
	if (!pieces_any(&side->queue) && !blocked(c, way, p))
		run(c, way, p, piece);
	else if (!pieces_put(&side->queue, &c->x->proxy->blocks, piece))
		lose(c, way, piece);
}

/* A filter that gathers has seen the whole body: its head goes on. */
static void end_gathering(struct chain *c, enum way way, struct stage *s)
{
	if (!gathering(s, way))
		return;
	s->sides[way].turns[WITH_HEAD] = 0;
	c->passed[way]++;
}

/* False: the end has to wait. */
static bool run_end(struct chain *c, enum way way, uint32_t p)
{
	struct stage *s = stage_at(c, way, p);
	struct side *side = &s->sides[way];
	filter_head_hook *hook = end_hook(s, way);
	const struct call before = enter(c, way, p);
	const enum filter_verdict v = hook != NULL ? hook(&c->fx, s->copied) : FILTER_CONTINUE;
	bool goes_on;

	side->ending = v == FILTER_SUSPEND;
	goes_on = decide(c, side, WITH_REST, v);
	leave(c, before);
	return goes_on;
}

/* The end of the message comes to the stage at p and goes on from there. */
static void pass_end(struct chain *c, enum way way, uint32_t p)
{
	enum err e;

	for (; p < c->n; p++) {
		struct stage *s = stage_at(c, way, p);
		struct side *side = &s->sides[way];

		side->end = true;
		if (c->trouble != CHAIN_GO || pieces_any(&side->queue) || blocked(c, way, p))
			return;
		if (!side->ending && !run_end(c, way, p))
			return;
		side->end = side->ending = false;
		end_gathering(c, way, s);
	}
	e = body_end(body_of(c, way), c->trailers[way], c->fx.arena);
	if (e != OK)
		fail(c, e);
}

/* ---- what exchange.c says ---- */

static enum chain_step step_of(struct chain *c, enum way way)
{
	if (c->trouble != CHAIN_GO)
		return c->trouble;
	/* The head that a filter held up while it gathered. */
	if (c->begun[way] && !c->through[way] &&
	    (c->passed[way] == c->n || stage_at(c, way, c->passed[way])->sides[way].turns[WITH_HEAD] == 0))
		return CHAIN_HEAD;
	return CHAIN_GO;
}

/* The upstream's stream, and the head with it, may end while a filter is suspended. */
static enum chain_step wait_with_head(struct chain *c, enum way way)
{
	enum err e = OK;

	if (way == WAY_OUT && !c->kept)
		c->fx.response = http_message_copy(c->fx.response, c->fx.arena, &e);
	if (e != OK) {
		fail(c, e);
		return c->trouble;
	}
	c->kept = c->kept || way == WAY_OUT;
	return CHAIN_WAIT;
}

enum chain_step chain_head(struct chain *c, enum way way, struct http_message *m)
{
	if (way == WAY_OUT && !c->begun[way]) {
		c->fx.response = m;
		/* What goes through a tunnel is no body of a response. */
		c->bodies[way] = c->bodies[way] && !m->tunnel;
	}
	c->begun[way] = true;
	for (; c->passed[way] < c->n; c->passed[way]++) {
		struct stage *s = stage_at(c, way, c->passed[way]);
		filter_head_hook *hook = head_hook(s, way);
		struct call before;
		bool goes_on;

		if (hook == NULL)
			continue;
		before = enter(c, way, c->passed[way]);
		goes_on = decide(c, &s->sides[way], WITH_HEAD, hook(&c->fx, s->copied));
		leave(c, before);
		if (!goes_on)
			return c->trouble != CHAIN_GO ? c->trouble : wait_with_head(c, way);
	}
	c->through[way] = true;
	return CHAIN_GO;
}

enum chain_step chain_body(struct chain *c, enum way way, struct slice s, uint32_t credit)
{
	const struct filter_piece piece = {.slice = s, .credit = credit};

	if (c->bodies[way])
		pass(c, way, 0, piece);
	else
		out_of_chain(c, way, piece);
	return step_of(c, way);
}

enum chain_step chain_whole(struct chain *c, enum way way, struct http_message *trailers)
{
	enum err e = OK;

	if (c->dropped[way])
		return CHAIN_GO;
	c->trailers[way] = trailers;
	pass_end(c, way, c->bodies[way] ? 0 : c->n);
	/* Trailers that wait outlive the stream that they came from. */
	if (!body_of(c, way)->whole && c->trailers[way] != NULL && c->trailers[way] == trailers)
		c->trailers[way] = http_message_copy(trailers, c->fx.arena, &e);
	if (e != OK)
		fail(c, e);
	return step_of(c, way);
}

/* From the last stage to the first: what is behind is older. */
enum chain_step chain_drain(struct chain *c, enum way way)
{
	for (uint32_t p = c->n; p-- > 0;) {
		struct side *side = &stage_at(c, way, p)->sides[way];

		while (pieces_any(&side->queue) && !blocked(c, way, p) && c->trouble == CHAIN_GO) {
			const bool seen = side->seen;
			const struct filter_piece piece = pieces_take(&side->queue, &c->x->proxy->blocks);

			side->seen = false;
			if (seen)
				pass(c, way, p + 1, piece);
			else
				run(c, way, p, piece);
		}
		if (side->end && !pieces_any(&side->queue) && !blocked(c, way, p))
			pass_end(c, way, p);
	}
	return step_of(c, way);
}

void chain_drop(struct chain *c, enum way way)
{
	c->dropped[way] = true;
	for (uint32_t i = 0; i < c->n; i++) {
		struct side *side = &c->stages[i].sides[way];

		clear(c, way, side);
		side->turns[WITH_HEAD] = side->turns[WITH_REST] = 0;
	}
}

enum err chain_local(struct chain *c, struct http_message *m)
{
	const uint32_t reached = c->passed[WAY_IN] < c->n ? c->passed[WAY_IN] + 1u : c->n;
	const struct filter_reply kept = c->fx.reply;
	enum err e = OK;

	c->fx.response = m;
	c->fx.local = true;
	for (uint32_t i = reached; i-- > 0;) {
		struct stage *s = &c->stages[i];

		enum filter_verdict v = FILTER_CONTINUE;

		if (s->filter->of_replies && s->filter->on_response != NULL)
			v = s->filter->on_response(&c->fx, s->copied);
		CHECK(v != FILTER_SUSPEND);
		/* An answer is not answered with another one: the filter was out of memory. */
		if (v != FILTER_CONTINUE)
			e = ERR_NO_MEMORY;
	}
	c->fx.reply = kept;
	c->fx.response = NULL;
	return e;
}

struct http_message *chain_response(const struct chain *c)
{
	return c->fx.response;
}

const struct filter_reply *chain_reply(const struct chain *c)
{
	return &c->fx.reply;
}

enum err chain_error(const struct chain *c)
{
	return c->error;
}

/* ---- waking ---- */

static struct stage *waiting(struct chain *c, uint32_t turn, struct place *at)
{
	for (uint32_t p = 0; p < c->n; p++) {
		for (enum way way = WAY_IN; way < WAYS; way++) {
			struct stage *s = stage_at(c, way, p);
			const struct side *side = &s->sides[way];

			if (side->turns[WITH_HEAD] != turn && side->turns[WITH_REST] != turn)
				continue;
			*at = (struct place){.way = way, .p = p};
			return s;
		}
	}
	return NULL;
}

static enum chain_step wake(struct chain *c, struct stage *s, struct place at, unsigned with, void *answer)
{
	struct side *side = &s->sides[at.way];
	const struct call before = enter(c, at.way, at.p);
	bool goes_on;

	side->turns[with] = 0;
	goes_on = decide(c, side, with, s->filter->on_resume(&c->fx, s->copied, answer));
	leave(c, before);
	if (!goes_on)
		return c->trouble != CHAIN_GO ? c->trouble : CHAIN_WAIT;
	if (with == WITH_REST)
		return chain_drain(c, at.way);
	c->passed[at.way]++;
	return CHAIN_HEAD;
}

bool chain_wake(struct chain *c, uint32_t turn, void *answer, enum way *way, enum chain_step *step)
{
	struct place at;
	struct stage *s = turn != 0 ? waiting(c, turn, &at) : NULL;

	if (s == NULL)
		return false;
	*way = at.way;
	*step = wake(c, s, at, s->sides[at.way].turns[WITH_HEAD] == turn ? WITH_HEAD : WITH_REST, answer);
	return true;
}

/* ---- what filters say ---- */

static struct chain *chain_of(struct filter_exchange *fx)
{
	return container_of(fx, struct chain, fx);
}

static void emit(struct filter_exchange *fx, struct filter_piece piece)
{
	struct chain *c = chain_of(fx);

	pass(c, c->here.way, c->here.p + 1, piece);
}

static void release(struct filter_exchange *fx, uint32_t credit)
{
	struct chain *c = chain_of(fx);

	give_back(c, c->here.way, credit);
}

static const struct filter_doors doors = {.emit = emit, .release = release};

/* ---- beginning and end ---- */

static bool add(struct chain *c, const struct table *t, struct table_list filters)
{
	const struct table_filter *f = TABLE_LIST(t, filters, struct table_filter);

	for (uint32_t i = 0; i < filters.n; i++) {
		const struct filter *filter = filter_list[f[i].kind];
		struct stage *s = &c->stages[c->n];

		*s = (struct stage){.filter = filter};
		s->copied = filter->copy(c->fx.arena, t, table_at(t, f[i].config));
		if (s->copied == NULL)
			return false;
		c->n++;
		c->bodies[WAY_IN] |= filter->on_request_body != NULL || filter->on_request_end != NULL;
		c->bodies[WAY_OUT] |= filter->on_response_body != NULL || filter->on_response_end != NULL;
	}
	return true;
}

struct chain *chain_new(struct exchange *x, uint32_t path_match_bytes, struct table_list rule,
                        struct table_list backend)
{
	struct shard *shard = x->proxy->shard;
	struct arena *a = http_stream_arena(x->down);
	const uint32_t n = rule.n + backend.n;
	struct chain *c = NULL;

	if (n <= CHAIN_STAGES)
		c = arena_get(a, sizeof(*c) + n * sizeof(c->stages[0]));
	if (c == NULL)
		return NULL;
	*c = (struct chain){
		.x = x,
		.fx = {.shard = shard, .arena = a, .request = x->request, .client = &x->client,
		       .path_match_bytes = path_match_bytes, .ticket = proxy_ticket(x), .doors = &doors,
		       .callouts = &x->proxy->callouts_of_filters},
	};
	if (add(c, shard->table, rule) && add(c, shard->table, backend))
		return c;
	chain_end(c);
	return NULL;
}

void chain_end(struct chain *c)
{
	chain_drop(c, WAY_IN);
	chain_drop(c, WAY_OUT);
	for (uint32_t i = 0; i < c->n; i++) {
		if (c->stages[i].filter->done != NULL)
			c->stages[i].filter->done(c->stages[i].copied);
	}
}
