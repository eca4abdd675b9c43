/* See fresh.h. */
#include "control/fresh.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "control/admit/admit.h"
#include "control/clock.h"

static const struct {
	const char *kind;
	const char *name;
	const char *json;
} objects[] = {
	{"Namespace", "default", "{\"metadata\":{\"name\":\"default\"}}"},
	{"GatewayClass", "sluice", "{\"metadata\":{\"name\":\"sluice\"},"
	 "\"spec\":{\"controllerName\":\"sluice.internal/gateway-controller\",\"description\":\"This box\"}}"},
};

static enum err make(struct ledger *l, const struct kind *kind, const char *json, const char *now)
{
	struct admission a = {.kind = kind, .now = now};
	yyjson_doc *parsed = yyjson_read(json, strlen(json), 0);
	yyjson_mut_doc *doc = yyjson_doc_mut_copy(parsed, NULL);
	const struct object *o;
	struct causes causes;
	bool changed;
	enum err e;

	causes_init(&causes);
	admit(&a, doc, &causes, &changed);
	CHECK(causes.total == 0);
	e = ledger_put(l, kind, doc, &o);
	yyjson_mut_doc_free(doc);
	yyjson_doc_free(parsed);
	return e;
}

bool fresh_box(struct ledger *l, char error[static 256])
{
	int64_t wall_ms = clock_wall_ms();
	char now[CLOCK_TEXT_MAX];
	enum err e = OK;

	clock_text(wall_ms, now);
	for (size_t i = 0; i < sizeof(objects) / sizeof(objects[0]) && e == OK; i++) {
		const struct kind *kind = kind_by_name(objects[i].kind);

		if (!ledger_find(l, kind, "", objects[i].name))
			e = make(l, kind, objects[i].json, now);
	}
	if (e == OK)
		e = ledger_commit(l, wall_ms);
	/* A full store that lacks them still serves what it has. */
	if (e != OK && e != ERR_FULL) {
		snprintf(error, 256, "the store does not take the first objects: %s", err_text(e));
		return false;
	}
	ledger_rollback(l, 0);
	return true;
}
