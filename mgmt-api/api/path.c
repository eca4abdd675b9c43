/*
 * Patterns are tried in order; G, V, NS, R, NAME and SUB take one segment each, anything else is literal. The only
 * order that matters: a Namespace is itself an object below /namespaces, so its own status comes before the
 * collections inside it.
 */
#include "mgmt-api/api/path.h"

#include <stddef.h>
#include <string.h>

static const struct pattern {
	const char *text;
	enum path_type type;
} patterns[] = {
	{"/", PATH_ROOT},
	{"/healthz", PATH_HEALTH},
	{"/livez", PATH_HEALTH},
	{"/readyz", PATH_READY},
	{"/version", PATH_VERSION},
	{"/sluice/v1/apply", PATH_APPLY},
	{"/openapi/v3", PATH_OPENAPI},
	{"/openapi/v3/api/V", PATH_OPENAPI_GROUP},
	{"/openapi/v3/apis/G/V", PATH_OPENAPI_GROUP},
	{"/api", PATH_CORE},
	{"/api/V", PATH_RESOURCES},
	{"/api/V/R", PATH_COLLECTION},
	{"/api/V/R/NAME", PATH_OBJECT},
	{"/api/V/namespaces/NAME/status", PATH_SUBRESOURCE},
	{"/api/V/namespaces/NS/R", PATH_COLLECTION},
	{"/api/V/R/NAME/SUB", PATH_SUBRESOURCE},
	{"/api/V/namespaces/NS/R/NAME", PATH_OBJECT},
	{"/api/V/namespaces/NS/R/NAME/SUB", PATH_SUBRESOURCE},
	{"/apis", PATH_GROUPS},
	{"/apis/G", PATH_GROUP},
	{"/apis/G/V", PATH_RESOURCES},
	{"/apis/G/V/R", PATH_COLLECTION},
	{"/apis/G/V/R/NAME", PATH_OBJECT},
	{"/apis/G/V/namespaces/NS/R", PATH_COLLECTION},
	{"/apis/G/V/R/NAME/SUB", PATH_SUBRESOURCE},
	{"/apis/G/V/namespaces/NS/R/NAME", PATH_OBJECT},
	{"/apis/G/V/namespaces/NS/R/NAME/SUB", PATH_SUBRESOURCE},
};

static const struct capture {
	const char *name;
	size_t field;
} captures[] = {
	{"G", offsetof(struct path, group)},
	{"V", offsetof(struct path, version)},
	{"NS", offsetof(struct path, namespace)},
	{"R", offsetof(struct path, plural)},
	{"NAME", offsetof(struct path, name)},
	{"SUB", offsetof(struct path, subresource)},
};

static const struct capture *capture_find(const char *segment, size_t n)
{
	for (size_t i = 0; i < sizeof(captures) / sizeof(captures[0]); i++)
		if (strlen(captures[i].name) == n && memcmp(captures[i].name, segment, n) == 0)
			return &captures[i];
	return NULL;
}

static bool segment_match(const char *pattern, size_t pattern_n, const char *text, size_t n, struct path *out)
{
	const struct capture *c = capture_find(pattern, pattern_n);

	if (c == NULL) {
		if (pattern_n == 10 && memcmp(pattern, "namespaces", 10) == 0 && n == 10)
			strcpy(out->plural, "namespaces"); /* until R says otherwise */
		return pattern_n == n && memcmp(pattern, text, n) == 0;
	}
	if (n == 0 || n >= PATH_SEGMENT_MAX)
		return false;
	memcpy((char *)out + c->field, text, n);
	((char *)out + c->field)[n] = '\0';
	out->namespaced |= c->field == offsetof(struct path, namespace);
	return true;
}

static bool match(const struct pattern *pattern, const char *text, struct path *out)
{
	const char *p = pattern->text;

	*out = (struct path){0};
	for (;;) {
		size_t pattern_n, n;

		if (*p != '/' || *text != '/')
			break;
		p++;
		text++;
		pattern_n = strcspn(p, "/");
		n = strcspn(text, "/");
		if (!segment_match(p, pattern_n, text, n, out))
			return false;
		p += pattern_n;
		text += n;
	}
	out->type = pattern->type;
	if (strcmp(text, "/") == 0) /* one slash at the end is forgiven */
		text++;
	if (pattern->type == PATH_SUBRESOURCE && out->subresource[0] == '\0')
		strcpy(out->subresource, "status");
	return *p == '\0' && *text == '\0';
}

void path_parse(const char *text, struct path *out)
{
	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++)
		if (match(&patterns[i], text, out))
			return;
	*out = (struct path){0};
}
