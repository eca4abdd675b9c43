/* See step.h. */
#include "control/server/step.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/admit/admit.h"
#include "control/admit/rules.h"
#include "control/wipe.h"

enum { RV_TEXT = 24, VALUES_MAX = 100000 };

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
	result_tell(result, s->before ? 200 : 201, s->before ? "configured" : "created", o);
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
		result_tell(result, 200, "unchanged", s->before);
		return true;
	}
	if (s->before && is_finished(s->doc)) {
		result_tell(result, 200, "deleted", s->before);
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
		result_tell(result, 200, "unchanged", s->before);
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
	result_tell(result, 200, "deleted", s->before);
	if (is_namespace)
		delete_namespace(t, s->name);
	ledger_delete(t->ledger, s->before);
	return true;
}

/* ---- the whole ---- */

bool step_take(struct transaction *t, yyjson_val *object, struct result *result)
{
	struct step s = {0};
	bool ok = identify(t, &s, object);

	if (ok)
		ok = t->verb == VERB_DELETE ? delete_step(t, &s, result) : write_step(t, &s, result);
	step_fini(&s);
	return ok;
}

bool step_find(struct transaction *t, yyjson_val *object, struct result *result)
{
	struct step s = {0};
	bool ok = identify(t, &s, object);

	if (ok && !s.before)
		failure_not_found(&t->failure, s.kind, s.name);
	ok = ok && s.before;
	if (ok)
		result_tell(result, 200, "found", s.before);
	step_fini(&s);
	return ok;
}
