/*
 * The manifests that we ship mean what they should: they load, are admitted, every Gateway is accepted and has
 * addresses, every route is accepted by its parents with all references resolved, and the status that is written
 * for them is admitted as it is, so that a second look finds nothing to write.
 */
#include "../model/world.h"
#include "control/admit/admit.h"
#include "control/compile/compile.h"
#include "control/resolve/book.h"
#include "control/status/status.h"
#include "mgmt-api/yaml/load.h"
#include "table/table.h"

#define NOW "2026-01-31T12:00:00Z"

struct row {
	const char *name;
	const char *files[4];
	uint32_t gateways, routes;
};

static const struct row rows[] = {
	{"lab", {"configs/lab.yaml"}, 1, 3},
	{"canary", {"configs/lab.yaml", "configs/examples/canary.yaml"}, 1, 5},
	{"teams", {"configs/lab.yaml", "configs/examples/teams.yaml"}, 2, 4},
	{"outside", {"configs/lab.yaml", "configs/examples/outside.yaml"}, 1, 4},
};

struct set {
	yyjson_mut_doc *doc;
	yyjson_mut_val *objects;
};

static void no_causes(const char *what, const struct causes *c)
{
	if (c->total > 0)
		fail_msg("%s: %s: %s", what, c->items[0].field, c->items[0].message);
}

/* Admits an object, which is the root of doc, and adds it to the set. */
static void add(struct set *s, const struct kind *kind, yyjson_mut_doc *doc, yyjson_val *old, bool status_only)
{
	const struct admission a = {.kind = kind, .old = old, .status_only = status_only, .now = NOW};
	struct causes causes;
	bool changed;

	causes_init(&causes);
	if (old == NULL)
		admit_identity(kind, doc, &causes);
	admit(&a, doc, &causes, &changed);
	no_causes("an object of ours", &causes);
	causes_fini(&causes);
	yyjson_mut_arr_append(s->objects, yyjson_mut_val_mut_copy(s->doc, yyjson_mut_doc_get_root(doc)));
}

static void add_file(struct set *s, const char *path)
{
	static char text[1 << 16];
	struct yaml_documents all;
	struct yaml_error error;
	FILE *f = fopen(path, "r");
	size_t n;

	if (f == NULL)
		fail_msg("%s cannot be opened", path);
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = '\0';
	for (char *at; (at = strstr(text, "${WORKERS}")) != NULL;) {
		at[0] = '2';
		memmove(at + 1, at + strlen("${WORKERS}"), strlen(at + strlen("${WORKERS}")) + 1);
	}
	if (yaml_load(text, strlen(text), &all, &error) != OK)
		fail_msg("%s:%u:%u: %s", path, error.line, error.column, error.text);
	for (size_t i = 0; i < all.n; i++) {
		yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
		const struct kind *kind =
			kind_find(yyjson_mut_get_str(yyjson_mut_obj_get(all.items[i].root, "apiVersion")),
				  yyjson_mut_get_str(yyjson_mut_obj_get(all.items[i].root, "kind")));

		assert_non_null(kind);
		yyjson_mut_doc_set_root(doc, yyjson_mut_val_mut_copy(doc, all.items[i].root));
		add(s, kind, doc, NULL, false);
		yyjson_mut_doc_free(doc);
	}
	yaml_documents_fini(&all);
}

static struct set set_new(void)
{
	struct set s = {.doc = yyjson_mut_doc_new(NULL)};

	s.objects = yyjson_mut_arr(s.doc);
	return s;
}

static struct snapshot *set_snapshot(struct set *s)
{
	char error[256] = "";
	size_t n;
	char *json = yyjson_mut_val_write(s->objects, 0, &n);
	struct snapshot *out = snapshot_from_json(json, n, error);

	if (out == NULL)
		fail_msg("%s", error);
	free(json);
	yyjson_mut_doc_free(s->doc);
	return out;
}

static void check_model(const struct row *row, const struct model *m)
{
	uint32_t attached = 0;

	assert_true(m->machine.accepted.ok);
	assert_int_equal(m->gateways_n, row->gateways);
	for (uint32_t i = 0; i < m->gateways_n; i++) {
		assert_string_equal(m->gateways[i].accepted.reason, "Accepted");
		assert_true(m->gateways[i].addressed.ok);
		assert_int_equal(m->gateways[i].addresses_n, 2);
	}
	for (uint32_t i = 0; i < m->routes_n; i++) {
		const struct model_route *r = &m->routes[i];

		attached += r->attached;
		for (uint32_t k = 0; k < r->parents_n; k++) {
			if (!r->parents[k].accepted.ok || !r->resolved_refs.ok || r->partially_invalid.reason != NULL)
				fail_msg("%s: %s: %s %s", row->name, r->object->name, r->parents[k].accepted.message,
				         r->resolved_refs.message);
		}
	}
	assert_int_equal(attached, row->routes);
	for (uint32_t i = 0; i < m->clusters_n; i++)
		assert_true(m->clusters[i]->endpoints_n > 0);
}

/* The world with the patches written the way control writes them: as the status subresource. */
static struct snapshot *write_status(struct snapshot *from, const struct status_patches *p)
{
	struct set s = set_new();
	size_t n, written = 0;

	for (size_t k = 0; kinds[k] != NULL; k++) {
		const struct object *const *list = snapshot_list(from, kinds[k]->name, &n);

		for (size_t i = 0; i < n; i++) {
			yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
			yyjson_mut_val *root = yyjson_val_mut_copy(doc, list[i]->root);
			bool patched = false;

			yyjson_mut_doc_set_root(doc, root);
			for (size_t j = 0; j < p->n; j++) {
				yyjson_doc *status;

				if (p->items[j].object != list[i])
					continue;
				status = yyjson_read(p->items[j].status, p->items[j].status_n, 0);
				yyjson_mut_obj_put(root, yyjson_mut_str(doc, "status"),
				                   yyjson_val_mut_copy(doc, yyjson_doc_get_root(status)));
				yyjson_doc_free(status);
				patched = true;
				written++;
			}
			if (patched)
				add(&s, list[i]->kind, doc, list[i]->root, true);
			else
				yyjson_mut_arr_append(s.objects, yyjson_mut_val_mut_copy(s.doc, root));
			yyjson_mut_doc_free(doc);
		}
	}
	assert_int_equal(written, p->n);
	return set_snapshot(&s);
}

/* What the names of the examples resolve to. */
static struct answers *names_known(void)
{
	static const char *const names[] = {"api.partner.example", "standby.partner.example"};
	struct addr a = addr_v4(__builtin_bswap32(0xc0000201));
	const struct reply reply[FAMILIES] = {{.kind = REPLY_ADDRESSES, .addrs = &a, .n = 1}, {.kind = REPLY_NONE}};
	struct book *b = book_new();
	struct answers *known;

	book_want(b, names, 2, 0);
	for (size_t i = 0; i < 2; i++)
		book_answer(b, names[i], reply, 0);
	known = book_answers(b);
	book_free(b);
	return known;
}

static void check_status(struct snapshot **s, const struct answers *known)
{
	static const struct publish_verdict live = {.state = PUBLISH_LIVE};
	size_t patches[2];

	for (int i = 0; i < 2; i++) {
		struct model *m = model_new(*s, known, NULL);
		struct status_patches p;
		struct snapshot *next;

		assert_int_equal(status_compute(m, &live, NOW, &p), OK);
		patches[i] = p.n;
		next = write_status(*s, &p);
		status_patches_fini(&p);
		model_free(m);
		snapshot_put(*s);
		*s = next;
	}
	assert_true(patches[0] > 4);
	assert_int_equal(patches[1], 0);
}

static void run_row(void **state)
{
	static const char class[] =
		"{\"apiVersion\":\"gateway.networking.k8s.io/v1\",\"kind\":\"GatewayClass\",\"metadata\":"
		"{\"name\":\"sluice\"},\"spec\":{\"controllerName\":\"sluice.internal/gateway-controller\"}}";
	const struct row *row = *state;
	yyjson_doc *class_doc = yyjson_read(class, strlen(class), 0);
	yyjson_mut_doc *doc = yyjson_doc_mut_copy(class_doc, NULL);
	struct set set = set_new();
	struct answers *known = names_known();
	const char *where = "";
	struct generation g;
	struct snapshot *s;
	struct model *m;

	add(&set, kind_by_name("GatewayClass"), doc, NULL, false);
	yyjson_mut_doc_free(doc);
	yyjson_doc_free(class_doc);
	for (size_t i = 0; i < sizeof(row->files) / sizeof(row->files[0]) && row->files[i] != NULL; i++)
		add_file(&set, row->files[i]);
	s = set_snapshot(&set);
	m = model_new(s, known, NULL);
	check_model(row, m);
	assert_int_equal(generation_compile(m, &g), OK);
	if (table_verify(g.table, g.bytes, &where) != OK)
		fail_msg("%s", where);
	generation_fini(&g);
	model_free(m);
	check_status(&s, known);
	snapshot_put(s);
	answers_put(known);
}

int main(void)
{
	enum { ROWS = sizeof(rows) / sizeof(rows[0]) };
	struct CMUnitTest tests[ROWS];

	for (size_t i = 0; i < ROWS; i++)
		tests[i] = (struct CMUnitTest){
			.name = rows[i].name, .test_func = run_row, .initial_state = (void *)(uintptr_t)&rows[i],
		};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
