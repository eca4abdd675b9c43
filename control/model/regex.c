/*
 * Regular expressions of matches: each distinct pattern is tried once, with the data plane's own library and limits, so
 * that what is published can be matched with. A bad one is its rule's problem alone.
 */
#include <string.h>

#include "base/limits.h"
#include "control/model/build.h"
#include "route/regex.h"

/* A pattern met so far. */
struct tried {
	struct model_regex regex;
	const char *why;             /* what is wrong with it; null: nothing */
};

static void try(struct build *b, struct tried *t, const char *pattern, size_t len)
{
	char why[REGEX_WHY_MAX] = "";
	struct regex *r = regex_new(pattern, len, why);

	*t = (struct tried){.regex = {.pattern = pattern, .index = MODEL_UNUSED}};
	if (r == NULL)
		t->why = region_print(b->region, "%s", why);
	else if (b->regexes_tried++ >= LIMIT_regexes)
		t->why = region_print(b->region, "there are more than %d distinct regular expressions", LIMIT_regexes);
	regex_free(r);
}

struct model_regex *regex_resolve(struct build *b, const char *pattern, const char **why)
{
	const size_t len = strlen(pattern);
	struct tried **slot;

	if (b->regexes == NULL)
		b->regexes = names_new(b->region);
	slot = (struct tried **)names_slot(b->regexes, pattern, len);
	if (*slot == NULL) {
		*slot = region_take(b->region, sizeof(**slot));
		try(b, *slot, pattern, len);
	}
	*why = (*slot)->why;
	return *why == NULL ? &(*slot)->regex : NULL;
}

void regex_use(struct build *b, struct model_regex *r)
{
	struct model *m = b->model;

	if (r == NULL || r->index != MODEL_UNUSED)
		return;
	if (m->regexes == NULL)
		m->regexes = REGION_ARRAY(b->region, struct model_regex *, LIMIT_regexes);
	r->index = m->regexes_n;
	m->regexes[m->regexes_n++] = r;
}
