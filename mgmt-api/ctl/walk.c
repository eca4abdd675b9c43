/*
 * flows, neigh, addresses, pools, drops, stats, workers: asked of the data plane itself, over its own socket
 * (base/frame.h), so that they answer when control and the API are away.
 *
 * What an item holds is the data plane's affair. -o wide shows every member as a column, in the order in which they
 * come; the plain table is a choice of them (below), and leaves out counters that are zero; flows -i has another
 * choice: what `ss -ti` shows.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/frame.h"
#include "mgmt-api/ctl/ctl.h"
#include "mgmt-api/ctl/grid.h"

struct columns {
	const char *names[GRID_COLUMNS_MAX];
	size_t n;
};

static const struct view {
	const char *op;
	const char *columns[GRID_COLUMNS_MAX];  /* none: all */
	const char *skip_zero;                  /* items whose member of this name is 0 are left out */
	const char *info[GRID_COLUMNS_MAX];     /* the columns with -i */
} views[] = {
	{"flows",
	 {"local", "remote", "state", "side", "worker", "srttUs", "cwnd", "inFlight", "bytesIn", "bytesOut",
	  "retransmits", "ageMs"},
	 NULL,
	 {"local", "remote", "state", "congestionControl", "mss", "pmtu", "srttUs", "rttvarUs", "minRttUs", "rtoMs",
	  "backoff", "cwnd", "ssthresh", "inFlight", "sacked", "lost", "queued", "sendWindow", "receiveWindow",
	  "bytesIn", "bytesOut", "retransmits", "recovering", "reordering", "pacingRate", "deliveryRate", "ecn"}},
	{"neigh", {NULL}, NULL, {NULL}},
	{"addresses", {"address", "port", "kind", "state", "contested", "claimant"}, NULL, {NULL}},
	{"pools", {NULL}, NULL, {NULL}},
	{"drops", {"name", "value", "help"}, "value", {NULL}},
	{"stats", {"name", "value", "help"}, "value", {NULL}},
	{"workers",
	 {"worker", "usefulPerMille", "asleepPerMille", "packetsIn", "packetsOut", "handedOver", "connections",
	  "exchanges", "requests", "generation", "late1ms", "late5ms", "lateMaxUs", "hangs", "hung"},
	 NULL,
	 {NULL}},
};

static const struct view *view_find(const char *op)
{
	for (size_t i = 0; i < sizeof(views) / sizeof(views[0]); i++)
		if (strcmp(views[i].op, op) == 0)
			return &views[i];
	return NULL;
}

char *dataplane_ask(const struct options *o, const char *request, size_t *n)
{
	return dataplane_ask_with(o, request, -1, n);
}

char *dataplane_ask_with(const struct options *o, const char *request, int pass_fd, size_t *n)
{
	unsigned timeout_ms = o->client.timeout_s * 1000;
	char path[108], *reply;
	int fd = -1, passed;
	enum err e;

	if (snprintf(path, sizeof(path), "%s/dataplane.sock", o->client.run) < (int)sizeof(path))
		fd = frame_connect(path, timeout_ms);
	if (fd < 0) {
		fprintf(stderr, "error: %s: %s: is the data plane running?\n", path, strerror(errno));
		return NULL;
	}
	e = frame_send(fd, request, strlen(request), pass_fd, timeout_ms);
	if (e == OK)
		e = frame_recv(fd, FRAME_BYTES_MAX, &reply, n, &passed, timeout_ms);
	close(fd);
	if (e == OK)
		return reply;
	fprintf(stderr, "error: the data plane does not answer: %s\n", err_text(e));
	return NULL;
}

static void column_add(struct columns *c, const char *name)
{
	for (size_t k = 0; k < c->n; k++)
		if (strcmp(c->names[k], name) == 0)
			return;
	if (c->n < GRID_COLUMNS_MAX)
		c->names[c->n++] = name;
}

static void columns_find(struct columns *c, const char *const *chosen, yyjson_val *items)
{
	size_t i, n, j, m;
	yyjson_val *item, *key, *value;

	for (const char *const *name = chosen; *name != NULL; name++)
		column_add(c, *name);
	if (c->n > 0)
		return;
	yyjson_arr_foreach(items, i, n, item) {
		yyjson_obj_foreach(item, j, m, key, value) {
			(void)value;
			column_add(c, yyjson_get_str(key));
		}
	}
}

/* "bytesIn" is BYTES IN. */
static void header_add(struct grid *g, const char *name)
{
	char text[128];
	size_t n = 0;

	for (; *name != '\0' && n < sizeof(text) - 2; name++) {
		if (*name >= 'A' && *name <= 'Z')
			text[n++] = ' ';
		text[n++] = (char)(*name >= 'a' && *name <= 'z' ? *name - 'a' + 'A' : *name);
	}
	text[n] = '\0';
	grid_add(g, text);
}

static void cell_add(struct grid *g, yyjson_val *value)
{
	char *text;

	if (value == NULL || yyjson_is_null(value) || yyjson_is_str(value)) {
		grid_add(g, yyjson_get_str(value));
		return;
	}
	text = yyjson_val_write(value, 0, NULL);
	grid_add(g, text);
	free(text);
}

static void print(const struct options *o, const char *op, yyjson_val *items)
{
	static const struct view everything = {0};
	const struct view *view = o->output == OUTPUT_WIDE ? &everything : view_find(op);
	struct columns c = {0};
	size_t i, n;
	yyjson_val *item;
	struct grid g;

	columns_find(&c, o->info ? view->info : view->columns, items);
	if (c.n == 0)
		return;
	grid_init(&g, c.n);
	for (size_t k = 0; k < c.n; k++) {
		g.right[k] = yyjson_is_num(doc_get(yyjson_arr_get_first(items), c.names[k]));
		if (!o->no_headers)
			header_add(&g, c.names[k]);
	}
	yyjson_arr_foreach(items, i, n, item)
		for (size_t k = 0; k < c.n; k++)
			if (view->skip_zero == NULL || doc_int(item, view->skip_zero, 1) != 0)
				cell_add(&g, doc_get(item, c.names[k]));
	grid_print(&g, stdout);
	grid_fini(&g);
}

int walk_run_command(const struct command *self, const struct options *o)
{
	int code = CTL_DONE;
	yyjson_val *root;
	yyjson_doc *doc;
	char request[64], *reply, *text;
	size_t n;

	if (o->arguments_n > 0)
		return usage_error(self, "unexpected argument \"%s\"", o->arguments[0]);
	if (o->client.server != NULL)
		return usage_error(self, "only works on the box itself (with --run)");
	if (o->output == OUTPUT_YAML || o->output == OUTPUT_NAME)
		return usage_error(self, "-o: only json and wide");
	snprintf(request, sizeof(request), "{\"op\":\"%s\"}", self->name);
	reply = dataplane_ask(o, request, &n);
	if (reply == NULL)
		return CTL_NO_ANSWER;
	doc = yyjson_read(reply, n, 0);
	root = yyjson_doc_get_root(doc);
	if (!doc_bool(root, "ok", false)) {
		fprintf(stderr, "error: the data plane refused: %s\n", doc_str(root, "reason"));
		code = CTL_FAILED;
	} else if (o->output == OUTPUT_JSON) {
		text = yyjson_val_write(doc_get(root, "items"), YYJSON_WRITE_PRETTY, NULL);
		CHECK(text != NULL);
		puts(text);
		free(text);
	} else {
		print(o, self->name, doc_get(root, "items"));
	}
	if (doc_str(root, "incomplete")[0] != '\0') {
		fprintf(stderr, "error: incomplete: %s\n", doc_str(root, "incomplete"));
		code = CTL_NO_ANSWER;
	}
	yyjson_doc_free(doc);
	free(reply);
	return code;
}
