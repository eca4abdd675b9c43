/*
 * The first column is always the name. A kind without printer columns has its age. A cell is the first value that the
 * column's path leads to: a date becomes an age, a list its JSON, a map the number of its members (never its values: it
 * may be a Secret's), a missing one null (an empty cell).
 */
#include "mgmt-api/api/table.h"

#include <stdlib.h>
#include <string.h>

#include "mgmt-api/api/column.h"

static const struct column age_only[] = {
	{.name = "Age", .type = "date", .path = ".metadata.creationTimestamp"},
	{.name = NULL},
};

static const struct column *columns_of(const struct kind *kind)
{
	return kind->columns == NULL || kind->columns[0].name == NULL ? age_only : kind->columns;
}

static void define(yyjson_mut_doc *doc, yyjson_mut_val *definitions, const char *name, const char *type,
		   const char *format, int priority)
{
	yyjson_mut_val *d = yyjson_mut_arr_add_obj(doc, definitions);

	yyjson_mut_obj_add_str(doc, d, "name", name);
	yyjson_mut_obj_add_str(doc, d, "type", type);
	yyjson_mut_obj_add_str(doc, d, "format", format);
	yyjson_mut_obj_add_str(doc, d, "description", "");
	yyjson_mut_obj_add_int(doc, d, "priority", priority);
}

static yyjson_mut_val *date_cell(yyjson_mut_doc *doc, yyjson_mut_val *value, int64_t now_s)
{
	int64_t then_s = time_parse(yyjson_mut_is_str(value) ? yyjson_mut_get_str(value) : "");
	char age[AGE_TEXT_MAX];

	return then_s < 0 ? yyjson_mut_str(doc, "<unknown>") : yyjson_mut_strcpy(doc, age_print(now_s - then_s, age));
}

static yyjson_mut_val *cell(yyjson_mut_doc *doc, const struct column *c, yyjson_mut_val *object, int64_t now_s)
{
	yyjson_mut_val *value = column_find(object, c->path);
	yyjson_mut_val *out;
	char *json;

	if (strcmp(c->type, "date") == 0)
		return date_cell(doc, value, now_s);
	if (value == NULL)
		return yyjson_mut_null(doc);
	if (yyjson_mut_is_obj(value))
		return yyjson_mut_uint(doc, yyjson_mut_obj_size(value));
	if (!yyjson_mut_is_ctn(value))
		return yyjson_mut_val_mut_copy(doc, value);
	json = yyjson_mut_val_write(value, 0, NULL);
	out = json == NULL ? yyjson_mut_null(doc) : yyjson_mut_strcpy(doc, json);
	free(json);
	return out;
}

static void partial(yyjson_mut_doc *doc, yyjson_mut_val *row, yyjson_mut_val *metadata)
{
	yyjson_mut_val *object = yyjson_mut_obj_add_obj(doc, row, "object");

	yyjson_mut_obj_add_str(doc, object, "kind", "PartialObjectMetadata");
	yyjson_mut_obj_add_str(doc, object, "apiVersion", "meta.k8s.io/v1");
	if (metadata != NULL)
		yyjson_mut_obj_add_val(doc, object, "metadata", yyjson_mut_val_mut_copy(doc, metadata));
}

static void row(yyjson_mut_doc *doc, yyjson_mut_val *rows, const struct kind *kind, yyjson_mut_val *object,
		int64_t now_s, enum table_object form)
{
	yyjson_mut_val *out = yyjson_mut_arr_add_obj(doc, rows), *cells = yyjson_mut_obj_add_arr(doc, out, "cells");
	yyjson_mut_val *metadata = yyjson_mut_obj_get(object, "metadata");
	const char *name = yyjson_mut_get_str(yyjson_mut_obj_get(metadata, "name"));

	yyjson_mut_arr_add_strcpy(doc, cells, name == NULL ? "" : name);
	for (const struct column *c = columns_of(kind); c->name != NULL; c++)
		yyjson_mut_arr_append(cells, cell(doc, c, object, now_s));
	if (form == TABLE_OBJECT_METADATA)
		partial(doc, out, metadata);
	else if (form == TABLE_OBJECT_WHOLE)
		yyjson_mut_obj_add_val(doc, out, "object", yyjson_mut_val_mut_copy(doc, object));
}

yyjson_mut_val *table_make(yyjson_mut_doc *doc, const struct kind *kind, yyjson_mut_val *objects, int64_t now_s,
			   enum table_object object)
{
	yyjson_mut_val *table = yyjson_mut_obj(doc), *definitions, *rows, *o;
	yyjson_mut_arr_iter iter;

	yyjson_mut_obj_add_str(doc, table, "kind", "Table");
	yyjson_mut_obj_add_str(doc, table, "apiVersion", "meta.k8s.io/v1");
	yyjson_mut_obj_add_obj(doc, table, "metadata");
	definitions = yyjson_mut_obj_add_arr(doc, table, "columnDefinitions");
	define(doc, definitions, "Name", "string", "name", 0);
	for (const struct column *c = columns_of(kind); c->name != NULL; c++)
		define(doc, definitions, c->name, strcmp(c->type, "date") == 0 ? "string" : c->type, "", c->priority);
	rows = yyjson_mut_obj_add_arr(doc, table, "rows");
	yyjson_mut_arr_iter_init(objects, &iter);
	while ((o = yyjson_mut_arr_iter_next(&iter)) != NULL)
		row(doc, rows, kind, o, now_s, object);
	return table;
}
