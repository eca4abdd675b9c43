/*
 * See transaction.h.
 *
 * Objects are taken one by one, Namespaces first (a file may name a namespace before it makes it).
 */
#include "control/server/transaction.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "control/server/step.h"
#include "control/server/tokens.h"
#include "control/wipe.h"

enum { RV_TEXT = 24 };

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

static enum validation validation_of(yyjson_val *root)
{
	const char *name = doc_str(root, "fieldValidation");

	if (strcmp(name, "Warn") == 0)
		return VALIDATE_WARN;
	return strcmp(name, "Ignore") == 0 ? VALIDATE_IGNORE : VALIDATE_STRICT;
}

/* ---- results ---- */

void result_tell(struct result *r, int code, const char *what, const struct object *o)
{
	*r = (struct result){.code = code, .what = what, .object = object_get(o)};
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

/* ---- writing ---- */

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

/* Namespaces come first: pass 0 takes them, pass 1 the others. Deletions are taken as they come. */
static bool is_of_pass(const struct transaction *t, yyjson_val *object)
{
	bool early = t->verb == VERB_DELETE || strcmp(doc_str(object, "kind"), "Namespace") == 0;

	return early == (t->pass == 0);
}

bool transaction_next(struct transaction *t)
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
	if (is_of_pass(t, object) && !step_take(t, object, &t->results[t->at])) {
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
	struct result found = {0};

	if (step_find(t, object, &found))
		new_results(t, 1)[t->results_n++] = found;
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
			result_tell(&t->results[t->results_n++], 200, "found", items[i]);
}

/* ---- who asks for what ---- */

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

void transaction_add_version(struct transaction *t, const char *name, uint64_t version)
{
	char text[RV_TEXT];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)version);
	yyjson_mut_obj_add_strcpy(t->reply, t->reply_root, name, text);
}

bool transaction_writes(const struct transaction *t)
{
	return t->verb == VERB_APPLY || t->verb == VERB_CREATE || t->verb == VERB_UPDATE || t->verb == VERB_DELETE;
}

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
		transaction_add_version(t, "resourceVersion", store_version(ledger_store(t->c->ledger)));
		transaction_add_version(t, "published", t->c->readiness.published);
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

/* ---- beginning and end ---- */

void transaction_begin(struct transaction *t, const struct request_context *c, struct ledger *l, yyjson_val *root)
{
	*t = (struct transaction){.c = c, .ledger = l, .root = root, .reply = yyjson_mut_doc_new(&wiping)};
	t->failure.index = -1;
	causes_init(&t->causes);
	t->reply_root = yyjson_mut_obj(t->reply);
	yyjson_mut_doc_set_root(t->reply, t->reply_root);
	t->verb = verb_of(doc_str(t->root, "verb"));
	t->validation = validation_of(t->root);
	t->status_only = strcmp(doc_str(t->root, "subresource"), "status") == 0;
	t->warnings = yyjson_mut_arr(t->reply);
	begin(t);
}

void transaction_fini(struct transaction *t)
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
