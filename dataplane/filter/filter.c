/* The list of filters, and what they share: compiling by type, verifying lists. */
#include "filter/filter.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define FILTER(id) extern const struct filter filter_##id;
#include "filter/filters.def"
#undef FILTER

const struct filter *const filter_list[FILTERS] = {
#define FILTER(id) &filter_##id,
#include "filter/filters.def"
#undef FILTER
};

static int number_of(const char *type)
{
	for (int i = 0; i < FILTERS; i++) {
		if (strcmp(filter_list[i]->type, type) == 0)
			return i;
	}
	return -1;
}

const struct filter *filter_by_type(const char *type)
{
	const int i = number_of(type);

	return i >= 0 ? filter_list[i] : NULL;
}

enum err filter_refuse(struct filter_problem *problem, const char *path, const char *format, ...)
{
	va_list arguments;

	snprintf(problem->path, sizeof(problem->path), "%s", path);
	va_start(arguments, format);
	vsnprintf(problem->message, sizeof(problem->message), format, arguments);
	va_end(arguments);
	return ERR_INVALID;
}

struct filter_source filter_source(yyjson_val *filter)
{
	const struct filter *f = filter_by_type(doc_str(filter, "type"));

	return (struct filter_source){
		.type = doc_str(filter, "type"), .spec = f != NULL ? doc_get(filter, f->member) : NULL};
}

enum err filter_compile(const struct filter_source *from, struct builder *b, struct table_filter *out,
                        struct filter_problem *problem)
{
	const int number = number_of(from->type);
	const struct filter *f = number >= 0 ? filter_list[number] : NULL;
	uint32_t offset = 0;
	enum err e;

	*out = (struct table_filter){0};
	if (f == NULL)
		return filter_refuse(problem, "type", "filter type \"%s\" is not supported", from->type);
	if (!yyjson_is_obj(from->spec))
		return filter_refuse(problem, f->member, "is required for a filter of type %s", from->type);
	e = f->compile(from, b, &offset, problem);
	if (e == OK)
		*out = (struct table_filter){
			.kind = (uint32_t)number, .config = offset, .config_bytes = f->config_bytes};
	return e;
}

enum filter_verdict filter_no_memory(struct filter_exchange *x)
{
	x->reply = (struct filter_reply){.status = 503, .details = "no_memory"};
	return FILTER_REPLY;
}

struct text filter_copy_text(struct arena *a, const struct table *t, struct table_text from)
{
	return (struct text){.at = from.len > 0 ? arena_text(a, table_text(t, from), from.len) : "", .len = from.len};
}

/* ---- verifying ---- */

enum err filter_verify_text(const void *block, size_t bytes, struct table_text t)
{
	(void)block;
	return (uint64_t)t.at + t.len <= bytes ? OK : ERR_TABLE_BOUNDS;
}

enum err filter_verify_list(size_t bytes, struct table_list l, size_t item_bytes)
{
	if (l.n == 0)
		return OK;
	if (l.at % TABLE_ALIGN != 0 || l.at < sizeof(struct table) || l.at + (uint64_t)l.n * item_bytes > bytes)
		return ERR_TABLE_BOUNDS;
	return OK;
}

enum err filter_verify(const struct table *t, struct table_list filters, const char **where)
{
	const struct table_filter *f = TABLE_LIST(t, filters, struct table_filter);
	enum err e;

	for (uint32_t i = 0; i < filters.n; i++) {
		*where = "kind of a filter";
		if (f[i].kind >= FILTERS || f[i].config_bytes != filter_list[f[i].kind]->config_bytes)
			return ERR_TABLE_VALUE;
		*where = filter_list[f[i].kind]->name;
		e = filter_list[f[i].kind]->verify(t, t->bytes, table_at(t, f[i].config));
		if (e != OK)
			return e;
	}
	*where = "";
	return OK;
}
