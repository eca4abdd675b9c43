/* Content negotiation: the entries of Accept in their order; weights (q=) are not looked at, as in Kubernetes. */
#include "mgmt-api/api/media.h"

#include <string.h>
#include <strings.h>

static const struct {
	const char *text;
	enum media media;
	bool served;
} types[] = {
	{"application/json", MEDIA_JSON, true},
	{"application/yaml", MEDIA_YAML, true},
	{"application/x-yaml", MEDIA_YAML, true},
	{"text/yaml", MEDIA_YAML, true},
	{"*/*", MEDIA_JSON, true},
	{"application/*", MEDIA_JSON, true},
	{"application/merge-patch+json", MEDIA_MERGE_PATCH, false},
	{"application/json-patch+json", MEDIA_JSON_PATCH, false},
	{"application/strategic-merge-patch+json", MEDIA_STRATEGIC_PATCH, false},
	{"application/apply-patch+yaml", MEDIA_APPLY_PATCH, false},
};

static const char *skip_space(const char *p)
{
	return p + strspn(p, " \t");
}

/* Finds the type that the first n characters name; n ends at a parameter, a comma or the end. */
static enum media find(const char *p, size_t n, bool served)
{
	while (n > 0 && (p[n - 1] == ' ' || p[n - 1] == '\t'))
		n--;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strlen(types[i].text) == n && strncasecmp(types[i].text, p, n) == 0 && (types[i].served || !served))
			return types[i].media;
	return MEDIA_NONE;
}

enum media media_of_content_type(const char *header)
{
	if (header == NULL || *header == '\0')
		return MEDIA_JSON;
	header = skip_space(header);
	if (*header == '*')
		return MEDIA_NONE;
	return find(header, strcspn(header, ";,"), false);
}

/* Looks for a parameter in "; a=b ; c=d" (n characters) and gives its value. */
static const char *parameter(const char *p, size_t n, const char *name, size_t *value_n)
{
	const char *end = p + n;

	while (p < end && *p == ';') {
		const char *start = p = skip_space(p + 1);

		while (p < end && *p != ';')
			p++;
		if ((size_t)(p - start) > strlen(name) && strncmp(start, name, strlen(name)) == 0 &&
		    start[strlen(name)] == '=') {
			start += strlen(name) + 1;
			*value_n = (size_t)(p - start);
			while (*value_n > 0 && start[*value_n - 1] == ' ')
				--*value_n;
			return start;
		}
	}
	return NULL;
}

static bool entry(const char *p, size_t n, struct wanted *out)
{
	size_t type_n = strcspn(p, ";,"), value_n, group_n;
	const char *as, *group;

	out->media = find(p, type_n < n ? type_n : n, true);
	out->table = false;
	if (out->media == MEDIA_NONE || type_n >= n)
		return out->media != MEDIA_NONE;
	as = parameter(p + type_n, n - type_n, "as", &value_n);
	if (as == NULL)
		return true;
	group = parameter(p + type_n, n - type_n, "g", &group_n);
	out->table = value_n == 5 && memcmp(as, "Table", 5) == 0 && group != NULL && group_n == 11 &&
		     memcmp(group, "meta.k8s.io", 11) == 0;
	return out->table;
}

struct wanted media_of_accept(const char *header)
{
	struct wanted out = {.media = MEDIA_JSON};

	if (header == NULL || *header == '\0')
		return out;
	while (*header != '\0') {
		size_t n;

		header = skip_space(header);
		n = strcspn(header, ",");
		if (n > 0 && entry(header, n, &out))
			return out;
		header += n + (header[n] == ',');
	}
	return (struct wanted){.media = MEDIA_NONE};
}

const char *media_text(enum media media)
{
	return media == MEDIA_YAML ? "application/yaml" : "application/json";
}
