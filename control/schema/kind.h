/*
 * Kinds as data: what a resource is called, where it lives and what its fields may hold.
 *
 * One text file per kind (*.schema) is the source; schema.py turns them into the constant tables behind this header
 * when the program is built, so a mistake in a schema is a build error and a schema costs nothing at start.
 * Validation, defaulting, pruning, discovery, OpenAPI, `explain` and printer columns all walk these tables.
 *
 * A schema is a tree of shapes. A named type ("Hostname") is one struct shared by all its users: type_name is what
 * OpenAPI calls the component. Every kind has apiVersion, kind and metadata; its file says the rest.
 */
#ifndef CONTROL_SCHEMA_KIND_H
#define CONTROL_SCHEMA_KIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum shape {
	SHAPE_OBJECT,       /* fields */
	SHAPE_MAP,          /* any names, values of `item` */
	SHAPE_LIST,         /* items of `item` */
	SHAPE_STRING,
	SHAPE_INTEGER,
	SHAPE_BOOLEAN,
	SHAPE_INT_OR_STRING,
	SHAPE_ANY,          /* kept as it is, nothing below is looked at */
};

enum list_type { LIST_ATOMIC, LIST_SET, LIST_MAP };

struct field;

struct schema {
	const char *type_name;          /* null for an anonymous shape */
	const char *description;        /* of the named type */
	enum shape shape;
	enum list_type list_type;
	bool atomic;                    /* an object that server-side apply takes as one value */
	int64_t min;                    /* value, length in characters, items or members; INT64_MIN: none */
	int64_t max;                    /* INT64_MAX: none */
	const char *format;             /* "date-time", "int32", "byte"; null: none */
	const char *pattern;            /* an RE2 expression as the API documents it; null: none */
	const char *const *values;      /* the enum, ended by null; null: none */
	const char *const *keys;        /* of a LIST_MAP, ended by null */
	const struct field *fields;     /* ended by a null name */
	const struct schema *item;
};

struct field {
	const char *name;
	const struct schema *schema;
	bool required;
	const char *default_json;       /* null: none */
	const char *description;        /* one line of ours */
};

struct column {
	const char *name;
	const char *type;               /* "string", "date", "integer" */
	const char *path;               /* ".spec.gatewayClassName" */
	int priority;                   /* 1: only in wide output */
};

struct kind {
	const char *name;               /* "HTTPRoute" */
	const char *group;              /* "" is the core group */
	const char *const *versions;    /* served ones, ended by null; a relabelling converts */
	const char *stored_version;
	const char *plural;
	const char *singular;
	const char *const *short_names;
	const char *const *categories;
	bool namespaced;
	bool has_status; /* status is a subresource: spec writes do not touch it, and generation counts */
	const char *description;
	const struct schema *schema;
	const struct column *columns;   /* ended by a null name */
};

extern const struct kind *const kinds[];    /* in order of name, ended by null */
extern const size_t kinds_count;

const struct kind *kind_by_name(const char *name);                              /* "HTTPRoute" */
const struct kind *kind_by_plural(const char *group, const char *plural);       /* "httproutes" */
const struct kind *kind_find(const char *api_version, const char *name);        /* a served version of it, or null */
/* What people type: plural, singular, short or kind name in any case, with or without ".group". */
const struct kind *kind_by_word(const char *word);
bool kind_serves(const struct kind *kind, const char *version);
enum { API_VERSION_MAX = 96 };
const char *kind_api_version(const struct kind *kind, char text[static API_VERSION_MAX]);   /* of the stored version */
const struct field *schema_field(const struct schema *schema, const char *name);
size_t kind_index(const struct kind *kind);     /* its place in kinds */

#endif
