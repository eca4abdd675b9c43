/* Looking kinds up. The tables themselves are made from *.schema by schema.py. */
#include "control/schema/kind.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/check.h"

const struct kind *kind_by_name(const char *name)
{
	for (size_t i = 0; i < kinds_count; i++)
		if (strcmp(kinds[i]->name, name) == 0)
			return kinds[i];
	return NULL;
}

const struct kind *kind_by_plural(const char *group, const char *plural)
{
	for (size_t i = 0; i < kinds_count; i++)
		if (strcmp(kinds[i]->plural, plural) == 0 && strcmp(kinds[i]->group, group) == 0)
			return kinds[i];
	return NULL;
}

bool kind_serves(const struct kind *kind, const char *version)
{
	for (const char *const *v = kind->versions; *v; v++)
		if (strcmp(*v, version) == 0)
			return true;
	return false;
}

const struct kind *kind_find(const char *api_version, const char *name)
{
	const char *slash = strchr(api_version, '/');
	size_t group_length = slash ? (size_t)(slash - api_version) : 0;
	const char *version = slash ? slash + 1 : api_version;
	const struct kind *kind = kind_by_name(name);

	if (!kind || strlen(kind->group) != group_length || memcmp(kind->group, api_version, group_length) != 0)
		return NULL;
	return kind_serves(kind, version) ? kind : NULL;
}

static bool is_called(const struct kind *kind, const char *word, size_t n)
{
	if (strncasecmp(kind->plural, word, n) == 0 && kind->plural[n] == 0)
		return true;
	if (strncasecmp(kind->singular, word, n) == 0 && kind->singular[n] == 0)
		return true;
	for (const char *const *s = kind->short_names; *s; s++)
		if (strncasecmp(*s, word, n) == 0 && (*s)[n] == 0)
			return true;
	return false;
}

const struct kind *kind_by_word(const char *word)
{
	size_t n = strcspn(word, ".");

	for (size_t i = 0; i < kinds_count; i++)
		if (is_called(kinds[i], word, n) && (word[n] == 0 || strcmp(kinds[i]->group, word + n + 1) == 0))
			return kinds[i];
	return NULL;
}

const char *kind_api_version(const struct kind *kind, char text[static API_VERSION_MAX])
{
	int n = snprintf(text, API_VERSION_MAX, "%s%s%s", kind->group, *kind->group ? "/" : "", kind->stored_version);

	CHECK(n > 0 && n < API_VERSION_MAX);
	return text;
}

const struct field *schema_field(const struct schema *schema, const char *name)
{
	if (schema->shape != SHAPE_OBJECT)
		return NULL;
	for (const struct field *f = schema->fields; f->name; f++)
		if (strcmp(f->name, name) == 0)
			return f;
	return NULL;
}

size_t kind_index(const struct kind *kind)
{
	for (size_t i = 0; i < kinds_count; i++)
		if (kinds[i] == kind)
			return i;
	CHECK(!"a kind that is not in the table");
	return 0;
}
