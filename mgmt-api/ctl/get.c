/* get KIND[,KIND...] [NAME]: as a table by the kinds' printer columns (made by the server), or whole objects. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "mgmt-api/ctl/ctl.h"
#include "mgmt-api/ctl/grid.h"
#include "mgmt-api/yaml/emit.h"

#define ACCEPT_TABLE "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"

static void upper_case(char *text)
{
	for (; *text != '\0'; text++)
		if (*text >= 'a' && *text <= 'z')
			*text = (char)(*text - 'a' + 'A');
}

static void cell_add(struct grid *g, yyjson_val *cell)
{
	char *text;

	if (yyjson_is_str(cell) || yyjson_is_null(cell) || cell == NULL) {
		grid_add(g, yyjson_get_str(cell));
		return;
	}
	text = yyjson_val_write(cell, 0, NULL);
	grid_add(g, text);
	free(text);
}

/* Which of the Table's columns are shown? Those of priority 0, and all of them in wide output. */
static size_t choose(const struct options *o, yyjson_val *definitions, bool shown[static GRID_COLUMNS_MAX])
{
	size_t i, n, chosen = 0;
	yyjson_val *d;

	yyjson_arr_foreach(definitions, i, n, d) {
		if (i >= GRID_COLUMNS_MAX - 1)
			break;
		shown[i] = o->output == OUTPUT_WIDE || doc_int(d, "priority", 0) == 0;
		chosen += shown[i];
	}
	return chosen;
}

static void table_print(const struct options *o, const struct kind *kind, yyjson_val *table, bool many_kinds)
{
	yyjson_val *definitions = doc_get(table, "columnDefinitions"), *rows = doc_get(table, "rows"), *d, *row, *cell;
	bool shown[GRID_COLUMNS_MAX] = {false}, namespaces = o->all_namespaces && kind->namespaced;
	size_t i, j, n, m, columns = choose(o, definitions, shown);
	char text[1024];
	struct grid g;

	grid_init(&g, columns + namespaces);
	if (namespaces && !o->no_headers)
		grid_add(&g, "NAMESPACE");
	yyjson_arr_foreach(definitions, i, n, d) {
		if (i >= GRID_COLUMNS_MAX || !shown[i] || o->no_headers)
			continue;
		snprintf(text, sizeof(text), "%s", doc_str(d, "name"));
		upper_case(text);
		grid_add(&g, text);
	}
	yyjson_arr_foreach(rows, i, n, row) {
		if (namespaces)
			grid_add(&g, doc_str(doc_at(row, "object.metadata"), "namespace"));
		yyjson_arr_foreach(doc_get(row, "cells"), j, m, cell) {
			if (j >= GRID_COLUMNS_MAX || !shown[j])
				continue;
			if (j == 0 && many_kinds) {
				snprintf(text, sizeof(text), "%s%s%s/%s", kind->singular,
					 kind->group[0] == '\0' ? "" : ".", kind->group, yyjson_get_str(cell));
				grid_add(&g, text);
			} else {
				cell_add(&g, cell);
			}
		}
	}
	grid_print(&g, stdout);
	grid_fini(&g);
}

static void name_print(const struct kind *kind, yyjson_val *object)
{
	ctl_print_name(kind, doc_str(doc_get(object, "metadata"), "name"));
	putchar('\n');
}

/* One object is printed as it is; lists are kept in `all`, a List of everything that was asked for. */
static void collect(yyjson_mut_doc *all, yyjson_val *root)
{
	yyjson_mut_val *items = yyjson_mut_obj_get(yyjson_mut_doc_get_root(all), "items");
	yyjson_arr_iter iter = yyjson_arr_iter_with(doc_get(root, "items"));
	yyjson_val *item;

	if (doc_get(root, "items") == NULL) {
		yyjson_mut_arr_append(items, yyjson_val_mut_copy(all, root));
		return;
	}
	while ((item = yyjson_arr_iter_next(&iter)) != NULL)
		yyjson_mut_arr_append(items, yyjson_val_mut_copy(all, item));
}

static yyjson_mut_doc *collection_new(void)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *root;

	CHECK(doc != NULL);
	root = yyjson_mut_obj(doc);
	yyjson_mut_doc_set_root(doc, root);
	yyjson_mut_obj_add_str(doc, root, "apiVersion", "v1");
	yyjson_mut_obj_add_arr(doc, root, "items");
	yyjson_mut_obj_add_str(doc, root, "kind", "List");
	yyjson_mut_obj_add_str(doc, yyjson_mut_obj_add_obj(doc, root, "metadata"), "resourceVersion", "");
	return doc;
}

static void collection_print(const struct options *o, yyjson_mut_doc *all, bool single)
{
	yyjson_doc *doc = yyjson_mut_doc_imut_copy(all, NULL);
	yyjson_val *root = yyjson_doc_get_root(doc);
	size_t bytes;
	char *text;

	CHECK(doc != NULL);
	if (single)
		root = yyjson_arr_get_first(doc_get(root, "items"));
	if (o->output == OUTPUT_YAML) {
		CHECK(yaml_emit(root, &text, &bytes) == OK);
		fwrite(text, 1, bytes, stdout);
	} else {
		text = yyjson_val_write(root, YYJSON_WRITE_PRETTY, &bytes);
		CHECK(text != NULL);
		puts(text);
	}
	free(text);
	yyjson_doc_free(doc);
}

static void list_print(const struct options *o, const struct kind *kind, yyjson_val *root, bool many_kinds,
		       size_t *found)
{
	yyjson_arr_iter items = yyjson_arr_iter_with(doc_get(root, "items"));
	yyjson_val *item;

	if (o->output == OUTPUT_NAME) {
		if (doc_get(root, "items") == NULL)
			name_print(kind, root);
		while ((item = yyjson_arr_iter_next(&items)) != NULL)
			name_print(kind, item);
		*found += 1;
		return;
	}
	if (yyjson_arr_size(doc_get(root, "rows")) == 0)
		return;
	if (many_kinds && *found > 0)
		putchar('\n');
	*found += yyjson_arr_size(doc_get(root, "rows"));
	table_print(o, kind, root, many_kinds);
}

static int one_kind(struct client *client, const struct options *o, const struct kind *kind, yyjson_mut_doc *all,
		    bool many_kinds, size_t *found)
{
	bool table = o->output == OUTPUT_TABLE || o->output == OUTPUT_WIDE;
	const char *namespace = o->all_namespaces ? NULL : o->namespace == NULL ? "default" : o->namespace;
	struct client_request q = {.method = "GET", .accept = table ? ACCEPT_TABLE : "application/json"};
	char path[2 * CTL_PATH_MAX];
	struct client_reply reply;
	yyjson_doc *doc;
	int code = CTL_DONE;

	ctl_path(path, kind, namespace, o->arguments_n > 1 ? o->arguments[1] : NULL);
	if (o->selector != NULL) {
		strcat(path, "?labelSelector=");
		ctl_encode(path + strlen(path), sizeof(path) - strlen(path), o->selector);
	}
	q.path = path;
	if (!client_send(client, &q, &reply))
		return CTL_NO_ANSWER;
	doc = yyjson_read(reply.body, reply.body_bytes, 0);
	if (reply.code >= 300) {
		if (!(reply.code == 404 && o->ignore_not_found))
			code = ctl_refused(&reply);
	} else if (doc == NULL) {
		fprintf(stderr, "error: the server's answer cannot be understood: %.200s\n", reply.body);
		code = CTL_FAILED;
	} else if (all != NULL) {
		collect(all, yyjson_doc_get_root(doc));
		*found += 1;
	} else {
		list_print(o, kind, yyjson_doc_get_root(doc), many_kinds, found);
	}
	yyjson_doc_free(doc);
	client_reply_fini(&reply);
	return code;
}

static void say_nothing_found(const struct options *o)
{
	if (o->all_namespaces)
		fputs("No resources found\n", stderr);
	else
		fprintf(stderr, "No resources found in %s namespace.\n",
			o->namespace == NULL ? "default" : o->namespace);
}

int get_run(const struct command *self, const struct options *o)
{
	bool documents = o->output == OUTPUT_YAML || o->output == OUTPUT_JSON, named = o->arguments_n > 1;
	yyjson_mut_doc *all = NULL;
	struct client *client;
	size_t found = 0;
	char *words, *word, *rest;
	int code = CTL_DONE;

	if (o->arguments_n < 1 || o->arguments_n > 2)
		return usage_error(self, "a kind, and at most one name, must be given");
	if (named && o->all_namespaces)
		return usage_error(self, "a resource cannot be retrieved by name across all namespaces");
	if (named && o->selector != NULL)
		return usage_error(self, "a name and a selector exclude each other");
	client = client_new(&o->client);
	if (client == NULL)
		return CTL_USAGE;
	words = strdup(o->arguments[0]);
	CHECK(words != NULL);
	if (documents)
		all = collection_new();
	rest = words;
	while (code == CTL_DONE && (word = strsep(&rest, ",")) != NULL) {
		const struct kind *kind = ctl_kind(word);

		code = kind == NULL ? CTL_FAILED
				    : one_kind(client, o, kind, all, strchr(o->arguments[0], ',') != NULL, &found);
	}
	if (code == CTL_DONE && documents && (found > 0 || !named))
		collection_print(o, all, named);
	else if (code == CTL_DONE && found == 0 && !named)
		say_nothing_found(o);
	yyjson_mut_doc_free(all);
	free(words);
	client_free(client);
	return code;
}
