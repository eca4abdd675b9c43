/*
 * See request.h.
 *
 * What a request asks for is its transaction's (transaction.h), each object a step (step.h); the first failure rolls
 * the whole request back.
 *
 * A long request takes its steps over several rounds, into a draft of its own. When all are taken the draft is merged;
 * where somebody else has changed meanwhile what it was made from, all steps are taken anew. The last try is taken in
 * one go, so that no request is overtaken for ever.
 *
 *   LOOK (is it deep?) > PARSE > STEPS ... > STAGE > REPLY ... > DONE
 *                                  ^-----------+ overtaken
 *
 * The reply is written last, also in slices: only then the objects have their versions. Each is written as it is kept.
 */
#include "control/server/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "control/admit/walk.h"
#include "control/clock.h"
#include "control/server/transaction.h"
#include "control/wipe.h"

enum { DEPTH_MAX = 96, TRIES = 3 };

enum phase { PHASE_LOOK, PHASE_PARSE, PHASE_STEPS, PHASE_STAGE, PHASE_REPLY, PHASE_DONE };

struct request {
	struct request_context context;
	char now[CLOCK_TEXT_MAX];
	char *text;
	size_t n;
	bool sliced;                    /* into a draft */
	enum phase phase;
	int tries;
	size_t mark;                    /* of the ledger before it */
	yyjson_doc *doc;
	struct transaction t;
	enum err committed;
	struct reply reply;             /* as far as it is written */
	size_t reply_room;
	size_t told;                    /* results that are in it */
};

/* ---- the reply ---- */

static void write_reply(yyjson_mut_doc *doc, struct reply *reply)
{
	reply->json = yyjson_mut_write_opts(doc, 0, &wiping, &reply->n, NULL);
	CHECK(reply->json);
}

static void write_failure(const struct failure *f, struct reply *reply)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(&wiping);
	yyjson_mut_val *root = yyjson_mut_obj(doc);

	yyjson_mut_doc_set_root(doc, root);
	yyjson_mut_obj_add_int(doc, root, "code", f->code);
	if (f->index >= 0)
		yyjson_mut_obj_add_int(doc, root, "failed", f->index);
	yyjson_mut_obj_add_val(doc, root, "status", failure_status(f, doc));
	write_reply(doc, reply);
	yyjson_mut_doc_free(doc);
}

static void refuse(struct reply *reply, int code, const char *reason, const char *message)
{
	struct failure f = {.index = -1};

	failure_set(&f, code, reason, "%s", message);
	write_failure(&f, reply);
	failure_fini(&f);
}

/* Room doubles; what is left behind is wiped. */
static void put_bytes(struct request *r, const char *bytes, size_t n)
{
	if (r->reply.n + n > r->reply_room) {
		r->reply_room = 2 * (r->reply.n + n);
		r->reply.json = wiping_grow(r->reply.json, r->reply_room);
	}
	memcpy(r->reply.json + r->reply.n, bytes, n);
	r->reply.n += n;
}

/* The object as it is kept; a Secret opened, or null when that cannot be. */
static void put_object(struct request *r, const struct object *o)
{
	bool sealed = strcmp(o->kind->name, "Secret") == 0;
	yyjson_mut_doc *opened = NULL;
	size_t n = strlen("null");
	char *text = NULL;

	if (!sealed) {
		text = yyjson_val_write_opts(o->root, 0, &wiping, &n, NULL);
		CHECK(text);
	} else if (ledger_open_object(r->context.ledger, o, &opened) == OK) {
		text = yyjson_mut_write_opts(opened, 0, &wiping, &n, NULL);
		CHECK(text);
	}
	put_bytes(r, text ? text : "null", n);
	wiping_free(text);
	yyjson_mut_doc_free(opened);
}

static void put_result(struct request *r, const struct result *result)
{
	char head[64];
	int n = snprintf(head, sizeof(head), "%s{\"code\":%d,\"result\":\"%s\",\"object\":",
	                 r->told ? "," : "{\"results\":[", result->code, result->what);

	CHECK(n > 0 && n < (int)sizeof(head));
	put_bytes(r, head, (size_t)n);
	put_object(r, result->object);
	put_bytes(r, "}", 1);
	r->told++;
}

/* The other members are those of the document, whose brace is left out when there are members before it. */
static void put_rest(struct request *r)
{
	struct transaction *t = &r->t;
	struct reply rest;
	int code = 200;

	for (size_t i = 0; i < t->results_n; i++)
		code = t->results[i].code == 201 ? 201 : code;
	yyjson_mut_obj_add_int(t->reply, t->reply_root, "code", code);
	if (yyjson_mut_arr_size(t->warnings))
		yyjson_mut_obj_add_val(t->reply, t->reply_root, "warnings", t->warnings);
	write_reply(t->reply, &rest);
	if (t->results && !r->told)
		put_bytes(r, "{\"results\":[", strlen("{\"results\":["));
	if (t->results)
		put_bytes(r, "],", 2);
	put_bytes(r, rest.json + (t->results != NULL), rest.n - (t->results != NULL));
	wiping_free(rest.json);
}

/* ---- from its beginning to its end ---- */

static void begin(struct request *r)
{
	struct ledger *l = r->context.ledger;

	r->mark = ledger_mark(l);
	l = r->sliced && r->tries < TRIES ? ledger_draft(l) : l;
	r->tries++;
	transaction_begin(&r->t, &r->context, l, yyjson_doc_get_root(r->doc));
}

struct request *request_new(const struct request_context *c, char *text, size_t n, bool sliced)
{
	struct request *r = calloc(1, sizeof(*r));

	CHECK(r);
	r->context = *c;
	r->context.now = r->now;
	snprintf(r->now, sizeof(r->now), "%s", c->now);
	r->text = text;
	r->n = n;
	r->sliced = sliced;
	return r;
}

void request_free(struct request *r)
{
	if (!r)
		return;
	transaction_fini(&r->t);
	yyjson_doc_free(r->doc);
	wiping_free(r->reply.json);
	free(r);
}

static enum phase look(struct request *r)
{
	if (!json_is_deep(r->text, r->n, DEPTH_MAX))
		return PHASE_PARSE;
	refuse(&r->reply, 400, "BadRequest", "the request is nested too deeply");
	return PHASE_STAGE;
}

static enum phase after_beginning(const struct request *r)
{
	return r->t.failure.code == 0 && transaction_writes(&r->t) ? PHASE_STEPS : PHASE_STAGE;
}

static enum phase parse(struct request *r)
{
	yyjson_read_err problem;

	r->doc = yyjson_read_opts(r->text, r->n, 0, &wiping, &problem);
	if (!r->doc || !yyjson_is_obj(yyjson_doc_get_root(r->doc))) {
		refuse(&r->reply, 400, "BadRequest", r->doc ? "the request is not an object" : problem.msg);
		return PHASE_STAGE;
	}
	begin(r);
	return after_beginning(r);
}

/* Without a draft all steps are taken at once: what is staged in the ledger goes into this round's commit. */
static enum phase take_steps(struct request *r, int64_t until_ms)
{
	bool draft = r->t.ledger != r->context.ledger;

	if (!draft)
		r->mark = ledger_mark(r->context.ledger);
	while (transaction_next(&r->t))
		if (draft && clock_monotonic_ms() >= until_ms)
			return PHASE_STEPS;
	return PHASE_STAGE;
}

bool request_step(struct request *r, int64_t until_ms)
{
	if (r->phase == PHASE_LOOK)
		r->phase = look(r);
	else if (r->phase == PHASE_PARSE)
		r->phase = parse(r);
	else if (r->phase == PHASE_STEPS)
		r->phase = take_steps(r, until_ms);
	return r->phase >= PHASE_STAGE;
}

bool request_stage(struct request *r)
{
	struct transaction *t = &r->t;
	struct ledger *l = r->context.ledger;

	CHECK(r->phase == PHASE_STAGE);
	r->phase = PHASE_REPLY;
	if (!t->c)
		return true;
	if (t->ledger != l)
		r->mark = ledger_mark(l);
	if (t->ledger != l && t->failure.code == 0 && !ledger_merge(t->ledger)) {
		transaction_fini(t);
		begin(r);
		r->phase = after_beginning(r);
		return false;
	}
	if (t->verb != VERB_AUTHENTICATE && t->verb != VERB_READY)
		transaction_add_version(t, "resourceVersion", store_version(ledger_store(l)) + ledger_mark(l));
	if (t->failure.code || doc_bool(t->root, "dryRun", false))
		ledger_rollback(l, r->mark);
	r->reply.staged = ledger_mark(l) > r->mark;
	return true;
}

void request_settle(struct request *r, enum err committed)
{
	CHECK(r->phase == PHASE_REPLY);
	r->committed = committed;
}

bool request_reply(struct request *r, int64_t until_ms, struct reply *reply)
{
	struct transaction *t = &r->t;

	CHECK(r->phase == PHASE_REPLY);
	if (r->committed != OK && r->reply.staged) {
		request_answer_lost(r->committed, &r->reply);
	} else if (t->failure.code) {
		write_failure(&t->failure, &r->reply);
	} else if (t->c) {
		while (r->told < t->results_n) {
			put_result(r, &t->results[r->told]);
			if (clock_monotonic_ms() >= until_ms)
				return false;
		}
		put_rest(r);
	}
	r->phase = PHASE_DONE;
	*reply = r->reply;
	r->reply = (struct reply){0};
	return true;
}

void request_answer_lost(enum err e, struct reply *reply)
{
	wiping_free(reply->json);
	*reply = (struct reply){0};
	if (e == ERR_FULL)
		refuse(reply, 507, "InsufficientStorage", "the store is full: nothing was changed");
	else
		refuse(reply, 500, "InternalError", "the store could not be written: nothing was changed");
}
