/*
 * See request.h.
 *
 * A transaction takes its objects one by one, Namespaces first (a file may name a namespace before it makes it). Each
 * step is: who is it (identity), what is there (ledger), may this verb (existence, preconditions), is it right (admit),
 * put it. The first failure rolls the whole request back.
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
#include "control/server/failure.h"
#include "control/server/tokens.h"
#include "control/wipe.h"

enum { DEPTH_MAX = 96, RV_TEXT = 24 };

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

struct transaction {
	const struct request_context *c;
	enum verb verb;
	enum validation validation;
	bool status_only;
	yyjson_val *root;
	yyjson_mut_doc *reply;
	yyjson_mut_val *warnings;
	struct failure failure;
	struct causes causes;
	int code;
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

static bool identify(struct transaction *t, struct step *s, yyjson_val *object)
{
	const char *api_version = doc_str(object, "apiVersion"), *kind = doc_str(object, "kind");
	yyjson_mut_val *metadata;

	if (!yyjson_is_obj(object)) {
		failure_set(&t->failure, 400, "BadRequest", "not an object");
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
	s->before = ledger_find(t->c->ledger, s->kind, s->namespace, s->name);
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

	if (!s->kind->namespaced || ledger_find(t->c->ledger, namespaces, "", s->namespace))
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

static yyjson_mut_val *opened_copy(struct transaction *t, const struct object *o)
{
	yyjson_mut_doc *doc;
	yyjson_mut_val *copy;

	if (ledger_open_object(t->c->ledger, o, &doc) != OK)
		return yyjson_mut_null(t->reply);
	copy = yyjson_mut_val_mut_copy(t->reply, yyjson_mut_doc_get_root(doc));
	yyjson_mut_doc_free(doc);
	return copy;
}

static void tell(struct transaction *t, yyjson_mut_val *result, int code, const char *what, const struct object *o)
{
	yyjson_mut_obj_add_int(t->reply, result, "code", code);
	yyjson_mut_obj_add_str(t->reply, result, "result", what);
	yyjson_mut_obj_add_val(t->reply, result, "object", opened_copy(t, o));
	if (code == 201)
		t->code = 201;
}

static bool open_before(struct transaction *t, struct step *s)
{
	if (!s->before)
		return true;
	if (ledger_open_object(t->c->ledger, s->before, &s->old_doc) == OK) {
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

static bool put(struct transaction *t, struct step *s, yyjson_mut_val *result)
{
	const struct object *o;
	enum err e = ledger_put(t->c->ledger, s->kind, s->doc, &o);

	if (e != OK) {
		failure_set(&t->failure, 507, "InsufficientStorage", "the store is full: %s",
		            s->before ? "delete objects first" : "nothing can be created until objects are deleted");
		return false;
	}
	tell(t, result, s->before ? 200 : 201, s->before ? "configured" : "created", o);
	return true;
}

static bool write_step(struct transaction *t, struct step *s, yyjson_mut_val *result)
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
		tell(t, result, 200, "unchanged", s->before);
		return true;
	}
	if (s->before && is_finished(s->doc)) {
		tell(t, result, 200, "deleted", s->before);
		ledger_delete(t->c->ledger, s->before);
		return true;
	}
	return put(t, s, result);
}

/* ---- deleting ---- */

static bool mark_deleted(struct transaction *t, struct step *s, yyjson_mut_val *result)
{
	yyjson_mut_val *metadata;

	if (doc_get(doc_get(s->before->root, "metadata"), "deletionTimestamp")) {
		tell(t, result, 200, "unchanged", s->before);
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
	const struct object **inside = ledger_namespace(t->c->ledger, name, &n);

	for (size_t i = 0; i < n; i++) {
		ledger_delete(t->c->ledger, inside[i]);
		object_put(inside[i]);
	}
	free(inside);
}

static bool delete_step(struct transaction *t, struct step *s, yyjson_mut_val *result)
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
	tell(t, result, 200, "deleted", s->before);
	if (is_namespace)
		delete_namespace(t, s->name);
	ledger_delete(t->c->ledger, s->before);
	return true;
}

/* ---- transactions ---- */

static bool take_step(struct transaction *t, yyjson_val *object, yyjson_mut_val *result)
{
	struct step s = {0};
	bool ok = identify(t, &s, object);

	if (ok)
		ok = t->verb == VERB_DELETE ? delete_step(t, &s, result) : write_step(t, &s, result);
	step_fini(&s);
	return ok;
}

/* Namespaces come first: pass 0 takes them, pass 1 the others. Deletions are taken as they come. */
static bool is_of_pass(const struct transaction *t, yyjson_val *object, int pass)
{
	bool early = t->verb == VERB_DELETE || strcmp(doc_str(object, "kind"), "Namespace") == 0;

	return early == (pass == 0);
}

static void run_writes(struct transaction *t, yyjson_mut_val *root)
{
	yyjson_val *objects = doc_get(t->root, "objects"), *object;
	yyjson_mut_val *results = yyjson_mut_obj_add_arr(t->reply, root, "results");
	size_t i, max;

	if (!yyjson_is_arr(objects)) {
		failure_set(&t->failure, 400, "BadRequest", "no objects");
		return;
	}
	for (i = 0, max = yyjson_arr_size(objects); i < max; i++)
		yyjson_mut_arr_add_obj(t->reply, results);
	for (int pass = 0; pass < 2; pass++) {
		yyjson_mut_val *result = yyjson_mut_arr_get_first(results);

		yyjson_arr_foreach(objects, i, max, object) {
			if (is_of_pass(t, object, pass) && !take_step(t, object, result)) {
				t->failure.index = (int)i;
				return;
			}
			result = result->next;
		}
	}
}

/* ---- reading Secrets ---- */

static void run_get(struct transaction *t, yyjson_mut_val *root)
{
	yyjson_val *object = yyjson_arr_get_first(doc_get(t->root, "objects"));
	yyjson_mut_val *results = yyjson_mut_obj_add_arr(t->reply, root, "results");
	struct step s = {0};

	if (identify(t, &s, object)) {
		if (s.before)
			tell(t, yyjson_mut_arr_add_obj(t->reply, results), 200, "found", s.before);
		else
			failure_not_found(&t->failure, s.kind, s.name);
	}
	step_fini(&s);
}

static void run_list(struct transaction *t, yyjson_mut_val *root)
{
	yyjson_val *object = yyjson_arr_get_first(doc_get(t->root, "objects"));
	const struct kind *kind = kind_find(doc_str(object, "apiVersion"), doc_str(object, "kind"));
	const char *namespace = doc_str(doc_get(object, "metadata"), "namespace");
	yyjson_mut_val *results = yyjson_mut_obj_add_arr(t->reply, root, "results");
	size_t n;

	if (!kind) {
		failure_set(&t->failure, 400, "BadRequest", "no such kind");
		return;
	}
	const struct object *const *items = snapshot_list(ledger_snapshot(t->c->ledger), kind->name, &n);

	for (size_t i = 0; i < n; i++)
		if (!*namespace || strcmp(items[i]->namespace, namespace) == 0)
			tell(t, yyjson_mut_arr_add_obj(t->reply, results), 200, "found", items[i]);
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

static void run(struct transaction *t, yyjson_mut_val *root)
{
	struct user user = who(t->c, t->root);
	uint64_t version = store_version(ledger_store(t->c->ledger));

	switch (t->verb) {
	case VERB_NONE:
		failure_set(&t->failure, 400, "BadRequest", "no such verb: \"%.40s\"", doc_str(t->root, "verb"));
		return;
	case VERB_AUTHENTICATE:
		run_authenticate(t, root, &user);
		return;
	case VERB_READY:
		add_version(t, root, "resourceVersion", version);
		add_version(t, root, "published", t->c->readiness.published);
		yyjson_mut_obj_add_bool(t->reply, root, "dataplane", t->c->readiness.dataplane);
		if (t->c->readiness.refusal[0])
			yyjson_mut_obj_add_strcpy(t->reply, root, "reason", t->c->readiness.refusal);
		return;
	case VERB_GET:
		if (may(t, user.role))
			run_get(t, root);
		break;
	case VERB_LIST:
		if (may(t, user.role))
			run_list(t, root);
		break;
	default:
		if (may(t, user.role))
			run_writes(t, root);
		break;
	}
	add_version(t, root, "resourceVersion", version + ledger_mark(t->c->ledger));
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

static void answer(struct transaction *t, struct reply *reply)
{
	yyjson_mut_val *root = yyjson_mut_obj(t->reply);
	size_t mark = ledger_mark(t->c->ledger);

	yyjson_mut_doc_set_root(t->reply, root);
	t->code = 200;
	t->verb = verb_of(doc_str(t->root, "verb"));
	t->validation = validation_of(t->root);
	t->status_only = strcmp(doc_str(t->root, "subresource"), "status") == 0;
	t->warnings = yyjson_mut_arr(t->reply);
	run(t, root);
	if (t->failure.code || doc_bool(t->root, "dryRun", false))
		ledger_rollback(t->c->ledger, mark);
	if (t->failure.code) {
		write_failure(&t->failure, reply);
		return;
	}
	yyjson_mut_obj_add_int(t->reply, root, "code", t->code);
	if (yyjson_mut_arr_size(t->warnings))
		yyjson_mut_obj_add_val(t->reply, root, "warnings", t->warnings);
	write_reply(t->reply, reply);
	reply->staged = ledger_mark(t->c->ledger) > mark;
}

static void refuse(struct reply *reply, int code, const char *reason, const char *message)
{
	struct failure f = {.index = -1};

	failure_set(&f, code, reason, "%s", message);
	write_failure(&f, reply);
	failure_fini(&f);
}

void request_answer(const struct request_context *c, char *text, size_t n, struct reply *reply)
{
	yyjson_read_err problem;
	yyjson_doc *doc;

	*reply = (struct reply){0};
	if (json_is_deep(text, n, DEPTH_MAX)) {
		refuse(reply, 400, "BadRequest", "the request is nested too deeply");
		return;
	}
	doc = yyjson_read_opts(text, n, 0, &wiping, &problem);
	if (!doc || !yyjson_is_obj(yyjson_doc_get_root(doc))) {
		refuse(reply, 400, "BadRequest", doc ? "the request is not an object" : problem.msg);
		yyjson_doc_free(doc);
		return;
	}
	struct transaction t = {.c = c, .root = yyjson_doc_get_root(doc), .reply = yyjson_mut_doc_new(&wiping)};

	t.failure.index = -1;
	causes_init(&t.causes);
	answer(&t, reply);
	failure_fini(&t.failure);
	causes_fini(&t.causes);
	yyjson_mut_doc_free(t.reply);
	yyjson_doc_free(doc);
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
