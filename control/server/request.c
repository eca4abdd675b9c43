/*
 * See request.h.
 *
 * A transaction takes its objects one by one, Namespaces first (a file may name a namespace before it makes it). Each
 * step is: who is it (identity), what is there (ledger), may this verb (existence, preconditions), is it right (admit),
 * put it. The first failure rolls the whole request back.
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

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "control/admit/admit.h"
#include "control/admit/rules.h"
#include "control/admit/walk.h"
#include "control/clock.h"
#include "control/server/failure.h"
#include "control/server/tokens.h"
#include "control/wipe.h"

enum { DEPTH_MAX = 96, RV_TEXT = 24, TRIES = 3, VALUES_MAX = 100000 };

enum verb {
	VERB_NONE,
	VERB_AUTHENTICATE,
	VERB_READY,
	VERB_APPLY,
	VERB_CREATE,
	VERB_UPDATE,
	VERB_DELETE,
	VERB_GET,
	VERB_LIST
};
enum validation { VALIDATE_STRICT, VALIDATE_WARN, VALIDATE_IGNORE };

enum phase { PHASE_LOOK, PHASE_PARSE, PHASE_STEPS, PHASE_STAGE, PHASE_REPLY, PHASE_DONE };

/* What became of one object. */
struct result {
	int code;                       /* 0: nothing yet */
	const char *what;
	const struct object *object;    /* owned */
};

struct transaction {
	const struct request_context *c;
	struct ledger *ledger;          /* the context's, or a draft above it */
	enum verb verb;
	enum validation validation;
	bool status_only;
	yyjson_val *root;
	yyjson_mut_doc *reply;          /* all of it but the results */
	yyjson_mut_val *reply_root;
	yyjson_mut_val *warnings;
	struct result *results;         /* null: the verb has none */
	size_t results_n;
	struct failure failure;
	struct causes causes;
	/* where it is: Namespaces in pass 0, the others in pass 1 */
	int pass;
	size_t at;
	yyjson_arr_iter iter;
};

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

static const struct {
	const char *name;
	enum verb verb;
} verbs[] = {
	{"authenticate", VERB_AUTHENTICATE}, {"ready", VERB_READY}, {"apply", VERB_APPLY}, {"create", VERB_CREATE},
	{"update", VERB_UPDATE}, {"delete", VERB_DELETE}, {"get", VERB_GET}, {"list", VERB_LIST},
};

static enum verb verb_of(const char *name)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(verbs[i].name, name) == 0)
			return verbs[i].verb;
	return VERB_NONE;
}

/* ---- one object ---- */


/* What one object of the request is about. Names are copies: admission may change the document under them. */
struct step {
	const struct kind *kind;
	yyjson_mut_doc *doc;
	yyjson_mut_doc *old_doc;        /* the stored one, opened */
	yyjson_doc *old;                /* the same, as admission reads it */
	char namespace[256];
	char name[256];
	char version[RV_TEXT];          /* precondition; "" none */
	char uid[64];
	const struct object *before;
};

static void step_fini(struct step *s)
{
	yyjson_mut_doc_free(s->doc);
	yyjson_mut_doc_free(s->old_doc);
	yyjson_doc_free(s->old);
}

static bool copy_text(char *to, size_t room, const char *from)
{
	return (size_t)snprintf(to, room, "%s", from) < room;
}

/* No step may take long, so an object has its bound too: the next value lies right behind its last one. */
static bool is_too_large(yyjson_val *object)
{
	return unsafe_yyjson_get_next(object) - object > VALUES_MAX;
}

static bool identify(struct transaction *t, struct step *s, yyjson_val *object)
{
	const char *api_version = doc_str(object, "apiVersion"), *kind = doc_str(object, "kind");
	yyjson_mut_val *metadata;

	if (!yyjson_is_obj(object)) {
		failure_set(&t->failure, 400, "BadRequest", "not an object");
		return false;
	}
	if (is_too_large(object)) {
		failure_set(&t->failure, 413, "RequestEntityTooLarge", "the object has more than %d values",
			    VALUES_MAX);
		return false;
	}
	s->kind = kind_find(api_version, kind);
	if (!s->kind) {
		failure_set(&t->failure, 400, "BadRequest", "no kind \"%.80s\" in version \"%.120s\"", kind,
			    api_version);
		return false;
	}
	s->doc = yyjson_mut_doc_new(&wiping);
	yyjson_mut_doc_set_root(s->doc, yyjson_val_mut_copy(s->doc, object));
	admit_identity(s->kind, s->doc, &t->causes);
	metadata = yyjson_mut_obj_get(yyjson_mut_doc_get_root(s->doc), "metadata");
	/* Texts that are cut are longer than any name may be, which is one of the causes. */
	copy_text(s->name, sizeof(s->name), mut_text(metadata, "name"));
	copy_text(s->namespace, sizeof(s->namespace), mut_text(metadata, "namespace"));
	if (t->causes.total) {
		failure_invalid(&t->failure, s->kind, s->name, &t->causes);
		return false;
	}
	if (!copy_text(s->version, sizeof(s->version), mut_text(metadata, "resourceVersion")) ||
	    !copy_text(s->uid, sizeof(s->uid), mut_text(metadata, "uid"))) {
		failure_set(&t->failure, 400, "BadRequest", "metadata: resourceVersion or uid is too long");
		return false;
	}
	s->before = ledger_find(t->ledger, s->kind, s->namespace, s->name);
	return true;
}

static bool meets_preconditions(struct transaction *t, const struct step *s)
{
	char current[RV_TEXT];

	snprintf(current, sizeof(current), "%llu", (unsigned long long)s->before->resource_version);
	if (*s->version && strcmp(s->version, current) != 0)
		failure_conflict(&t->failure, s->kind, s->name,
				 "the object has been modified; please apply your changes to the "
				 "latest version and try again");
	else if (*s->uid && strcmp(s->uid, doc_str(doc_get(s->before->root, "metadata"), "uid")) != 0)
		failure_conflict(&t->failure, s->kind, s->name,
				 "the UID in the precondition is not that of the object");
	return t->failure.code == 0;
}

static bool may_exist(struct transaction *t, const struct step *s)
{
	if (s->before && t->verb == VERB_CREATE)
		failure_exists(&t->failure, s->kind, s->name);
	else if (!s->before && (t->verb != VERB_CREATE && t->verb != VERB_APPLY))
		failure_not_found(&t->failure, s->kind, s->name);
	else if (!s->before && t->verb == VERB_APPLY && *s->version)
		failure_conflict(&t->failure, s->kind, s->name,
				 "resourceVersion is given, and the object does not exist");
	else if (!s->before && *s->version)
		failure_set(&t->failure, 400, "BadRequest",
			    "resourceVersion should not be set on objects to be created");
	return t->failure.code == 0 && (!s->before || meets_preconditions(t, s));
}

static bool has_namespace(struct transaction *t, const struct step *s)
{
	const struct kind *namespaces = kind_by_name("Namespace");

	if (!s->kind->namespaced || ledger_find(t->ledger, namespaces, "", s->namespace))
		return true;
	failure_not_found(&t->failure, namespaces, s->namespace);
	return false;
}

/* Strictness: unknown fields are refused, warned of, or dropped in silence. Anything else is refused. */
static bool is_accepted(struct transaction *t, const struct step *s)
{
	size_t kept = 0;

	for (size_t i = 0; i < t->causes.n; i++) {
		struct cause *c = &t->causes.items[i];
		bool tolerated = c->reason == CAUSE_UNKNOWN_FIELD && t->validation != VALIDATE_STRICT;

		if (tolerated) {
			if (t->validation == VALIDATE_WARN)
				yyjson_mut_arr_add_strcpy(t->reply, t->warnings, c->message);
			free(c->field);
			free(c->message);
			t->causes.total--;
		} else {
			t->causes.items[kept++] = *c;
		}
	}
	t->causes.n = kept;
	if (t->causes.total == 0)
		return true;
	failure_invalid(&t->failure, s->kind, s->name, &t->causes);
	return false;
}

static void tell(struct result *r, int code, const char *what, const struct object *o)
{
	*r = (struct result){.code = code, .what = what, .object = object_get(o)};
}

static bool open_before(struct transaction *t, struct step *s)
{
	if (!s->before)
		return true;
	if (ledger_open_object(t->ledger, s->before, &s->old_doc) == OK) {
		s->old = yyjson_mut_doc_imut_copy(s->old_doc, &wiping);
		return true;
	}
	failure_set(&t->failure, 500, "InternalError", "Secret \"%s\" cannot be opened: the seal's key is another one",
	            s->name);
	return false;
}

/* An object that waits for its finalizers goes when the last one is taken away. */
static bool is_finished(yyjson_mut_doc *doc)
{
	yyjson_mut_val *metadata = yyjson_mut_obj_get(yyjson_mut_doc_get_root(doc), "metadata");

	return yyjson_mut_obj_get(metadata, "deletionTimestamp") &&
	       yyjson_mut_arr_size(yyjson_mut_obj_get(metadata, "finalizers")) == 0;
}

static bool put(struct transaction *t, struct step *s, struct result *result)
{
	const struct object *o;
	enum err e = ledger_put(t->ledger, s->kind, s->doc, &o);

	if (e != OK) {
		failure_set(&t->failure, 507, "InsufficientStorage", "the store is full: %s",
		            s->before ? "delete objects first" : "nothing can be created until objects are deleted");
		return false;
	}
	tell(result, s->before ? 200 : 201, s->before ? "configured" : "created", o);
	return true;
}

static bool write_step(struct transaction *t, struct step *s, struct result *result)
{
	struct admission a = {.kind = s->kind, .status_only = t->status_only, .now = t->c->now};
	bool changed;

	if (!may_exist(t, s) || !has_namespace(t, s) || !open_before(t, s))
		return false;
	if (t->status_only && !s->kind->has_status) {
		failure_not_found(&t->failure, s->kind, s->name);
		return false;
	}
	a.old = s->old ? yyjson_doc_get_root(s->old) : NULL;
	admit(&a, s->doc, &t->causes, &changed);
	if (!is_accepted(t, s))
		return false;
	if (!changed) {
		tell(result, 200, "unchanged", s->before);
		return true;
	}
	if (s->before && is_finished(s->doc)) {
		tell(result, 200, "deleted", s->before);
		ledger_delete(t->ledger, s->before);
		return true;
	}
	return put(t, s, result);
}

/* ---- deleting ---- */

static bool mark_deleted(struct transaction *t, struct step *s, struct result *result)
{
	yyjson_mut_val *metadata;

	if (doc_get(doc_get(s->before->root, "metadata"), "deletionTimestamp")) {
		tell(result, 200, "unchanged", s->before);
		return true;
	}
	if (!open_before(t, s))
		return false;
	yyjson_mut_doc_free(s->doc);
	s->doc = s->old_doc;
	s->old_doc = NULL;
	metadata = yyjson_mut_obj_get(yyjson_mut_doc_get_root(s->doc), "metadata");
	yyjson_mut_obj_add_strcpy(s->doc, metadata, "deletionTimestamp", t->c->now);
	return put(t, s, result);
}

static void delete_namespace(struct transaction *t, const char *name)
{
	size_t n;
	const struct object **inside = ledger_namespace(t->ledger, name, &n);

	for (size_t i = 0; i < n; i++) {
		ledger_delete(t->ledger, inside[i]);
		object_put(inside[i]);
	}
	free(inside);
}

static bool delete_step(struct transaction *t, struct step *s, struct result *result)
{
	bool is_namespace = strcmp(s->kind->name, "Namespace") == 0;

	if (!may_exist(t, s))
		return false;
	if (is_namespace && strcmp(s->name, "default") == 0) {
		failure_forbidden(&t->failure, s->kind, s->name, "this namespace may not be deleted");
		return false;
	}
	if (yyjson_arr_size(doc_at(s->before->root, "metadata.finalizers")) > 0)
		return mark_deleted(t, s, result);
	tell(result, 200, "deleted", s->before);
	if (is_namespace)
		delete_namespace(t, s->name);
	ledger_delete(t->ledger, s->before);
	return true;
}

/* ---- transactions ---- */

static bool take_step(struct transaction *t, yyjson_val *object, struct result *result)
{
	struct step s = {0};
	bool ok = identify(t, &s, object);

	if (ok)
		ok = t->verb == VERB_DELETE ? delete_step(t, &s, result) : write_step(t, &s, result);
	step_fini(&s);
	return ok;
}

/* Namespaces come first: pass 0 takes them, pass 1 the others. Deletions are taken as they come. */
static bool is_of_pass(const struct transaction *t, yyjson_val *object)
{
	bool early = t->verb == VERB_DELETE || strcmp(doc_str(object, "kind"), "Namespace") == 0;

	return early == (t->pass == 0);
}

static struct result *new_results(struct transaction *t, size_t n)
{
	t->results = calloc(n + 1, sizeof(t->results[0]));
	CHECK(t->results);
	return t->results;
}

static void forget_results(struct transaction *t)
{
	for (size_t i = 0; i < t->results_n; i++)
		object_put(t->results[i].object);
	free(t->results);
	t->results = NULL;
	t->results_n = 0;
}

static void begin_writes(struct transaction *t)
{
	yyjson_val *objects = doc_get(t->root, "objects");

	if (!yyjson_is_arr(objects)) {
		failure_set(&t->failure, 400, "BadRequest", "no objects");
		return;
	}
	t->results_n = yyjson_arr_size(objects);
	new_results(t, t->results_n);
	t->pass = 0;
	t->at = 0;
	t->iter = yyjson_arr_iter_with(objects);
}

/* The next object; false when there is none left, or one has failed. */
static bool write_next(struct transaction *t)
{
	yyjson_val *object = yyjson_arr_iter_next(&t->iter);

	if (!object && t->pass == 0) {
		t->pass = 1;
		t->at = 0;
		t->iter = yyjson_arr_iter_with(doc_get(t->root, "objects"));
		object = yyjson_arr_iter_next(&t->iter);
	}
	if (!object)
		return false;
	if (is_of_pass(t, object) && !take_step(t, object, &t->results[t->at])) {
		t->failure.index = (int)t->at;
		return false;
	}
	t->at++;
	return true;
}

/* ---- reading Secrets ---- */

static void run_get(struct transaction *t)
{
	yyjson_val *object = yyjson_arr_get_first(doc_get(t->root, "objects"));
	struct step s = {0};

	if (identify(t, &s, object)) {
		if (s.before)
			tell(&new_results(t, 1)[t->results_n++], 200, "found", s.before);
		else
			failure_not_found(&t->failure, s.kind, s.name);
	}
	step_fini(&s);
}

static void run_list(struct transaction *t)
{
	yyjson_val *object = yyjson_arr_get_first(doc_get(t->root, "objects"));
	const struct kind *kind = kind_find(doc_str(object, "apiVersion"), doc_str(object, "kind"));
	const char *namespace = doc_str(doc_get(object, "metadata"), "namespace");
	size_t n;

	if (!kind) {
		failure_set(&t->failure, 400, "BadRequest", "no such kind");
		return;
	}
	const struct object *const *items = snapshot_list(ledger_snapshot(t->c->ledger), kind->name, &n);

	new_results(t, n);
	for (size_t i = 0; i < n; i++)
		if (!*namespace || strcmp(items[i]->namespace, namespace) == 0)
			tell(&t->results[t->results_n++], 200, "found", items[i]);
}

/* ---- requests ---- */

static struct user who(const struct request_context *c, yyjson_val *root)
{
	struct user local = {.role = ROLE_ADMIN, .name = "local"};

	if (doc_bool(root, "local", false)) {
		if (c->peer != 0 && c->peer != geteuid())
			local.role = ROLE_NONE;
		return local;
	}
	return tokens_find(ledger_store(c->ledger), doc_str(root, "token"));
}

static bool may(struct transaction *t, enum role role)
{
	if (role == ROLE_NONE)
		failure_set(&t->failure, 401, "Unauthorized", "Unauthorized");
	else if (role < ROLE_EDITOR)
		failure_set(&t->failure, 403, "Forbidden", "the role does not allow this");
	return t->failure.code == 0;
}

static void run_authenticate(struct transaction *t, yyjson_mut_val *root, const struct user *user)
{
	yyjson_mut_val *value, *groups;

	if (user->role == ROLE_NONE) {
		failure_set(&t->failure, 401, "Unauthorized", "Unauthorized");
		return;
	}
	value = yyjson_mut_obj_add_obj(t->reply, root, "user");
	yyjson_mut_obj_add_strcpy(t->reply, value, "name", user->name);
	groups = yyjson_mut_obj_add_arr(t->reply, value, "groups");
	yyjson_mut_arr_add_str(t->reply, groups, "system:authenticated");
	yyjson_mut_obj_add_str(t->reply, value, "role", role_name(user->role));
}

static void add_version(struct transaction *t, yyjson_mut_val *root, const char *name, uint64_t version)
{
	char text[RV_TEXT];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)version);
	yyjson_mut_obj_add_strcpy(t->reply, root, name, text);
}

static bool is_write(enum verb verb)
{
	return verb == VERB_APPLY || verb == VERB_CREATE || verb == VERB_UPDATE || verb == VERB_DELETE;
}

/* All of it but the steps of a write. */
static void begin(struct transaction *t)
{
	struct user user = who(t->c, t->root);

	switch (t->verb) {
	case VERB_NONE:
		failure_set(&t->failure, 400, "BadRequest", "no such verb: \"%.40s\"", doc_str(t->root, "verb"));
		break;
	case VERB_AUTHENTICATE:
		run_authenticate(t, t->reply_root, &user);
		break;
	case VERB_READY:
		add_version(t, t->reply_root, "resourceVersion", store_version(ledger_store(t->c->ledger)));
		add_version(t, t->reply_root, "published", t->c->readiness.published);
		yyjson_mut_obj_add_bool(t->reply, t->reply_root, "dataplane", t->c->readiness.dataplane);
		if (t->c->readiness.refusal[0])
			yyjson_mut_obj_add_strcpy(t->reply, t->reply_root, "reason", t->c->readiness.refusal);
		break;
	case VERB_GET:
		if (may(t, user.role))
			run_get(t);
		break;
	case VERB_LIST:
		if (may(t, user.role))
			run_list(t);
		break;
	default:
		if (may(t, user.role))
			begin_writes(t);
		break;
	}
}

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

static enum validation validation_of(yyjson_val *root)
{
	const char *name = doc_str(root, "fieldValidation");

	if (strcmp(name, "Warn") == 0)
		return VALIDATE_WARN;
	return strcmp(name, "Ignore") == 0 ? VALIDATE_IGNORE : VALIDATE_STRICT;
}

static void refuse(struct reply *reply, int code, const char *reason, const char *message)
{
	struct failure f = {.index = -1};

	failure_set(&f, code, reason, "%s", message);
	write_failure(&f, reply);
	failure_fini(&f);
}

/* ---- a transaction from its beginning to its end ---- */

static void transaction_init(struct request *r)
{
	struct transaction *t = &r->t;

	*t = (struct transaction){.c = &r->context, .root = yyjson_doc_get_root(r->doc),
	                          .reply = yyjson_mut_doc_new(&wiping)};
	t->ledger = r->sliced && r->tries < TRIES ? ledger_draft(r->context.ledger) : r->context.ledger;
	t->failure.index = -1;
	causes_init(&t->causes);
	t->reply_root = yyjson_mut_obj(t->reply);
	yyjson_mut_doc_set_root(t->reply, t->reply_root);
	t->verb = verb_of(doc_str(t->root, "verb"));
	t->validation = validation_of(t->root);
	t->status_only = strcmp(doc_str(t->root, "subresource"), "status") == 0;
	t->warnings = yyjson_mut_arr(t->reply);
	r->tries++;
	r->mark = ledger_mark(r->context.ledger);
	begin(t);
}

static void transaction_fini(struct transaction *t)
{
	if (!t->c)
		return;
	forget_results(t);
	failure_fini(&t->failure);
	causes_fini(&t->causes);
	yyjson_mut_doc_free(t->reply);
	if (t->ledger != t->c->ledger)
		ledger_draft_free(t->ledger);
	*t = (struct transaction){0};
}

/* ---- the reply ---- */

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
	return r->t.failure.code == 0 && is_write(r->t.verb) ? PHASE_STEPS : PHASE_STAGE;
}

static enum phase parse(struct request *r)
{
	yyjson_read_err problem;

	r->doc = yyjson_read_opts(r->text, r->n, 0, &wiping, &problem);
	if (!r->doc || !yyjson_is_obj(yyjson_doc_get_root(r->doc))) {
		refuse(&r->reply, 400, "BadRequest", r->doc ? "the request is not an object" : problem.msg);
		return PHASE_STAGE;
	}
	transaction_init(r);
	return after_beginning(r);
}

/* Without a draft all steps are taken at once: what is staged in the ledger goes into this round's commit. */
static enum phase take_steps(struct request *r, int64_t until_ms)
{
	bool draft = r->t.ledger != r->context.ledger;

	if (!draft)
		r->mark = ledger_mark(r->context.ledger);
	while (write_next(&r->t))
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
		transaction_init(r);
		r->phase = after_beginning(r);
		return false;
	}
	if (t->verb != VERB_AUTHENTICATE && t->verb != VERB_READY)
		add_version(t, t->reply_root, "resourceVersion", store_version(ledger_store(l)) + ledger_mark(l));
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
