#include "route/regexes.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/limits.h"

enum { BUCKETS = 1024 };

/* One pattern. */
struct entry {
	struct entry *next;          /* in its bucket */
	uint64_t id;
	unsigned refs;               /* generations */
	uint32_t len;
	char *pattern;
	struct regex *of[];          /* by worker */
};

struct regexes {
	unsigned workers;
	unsigned n;
	struct entry *buckets[BUCKETS];
};

struct regex_set {
	uint32_t n;
	struct entry **entries;
	struct regex **objects;      /* by worker, then by index */
};

struct regexes *regexes_new(unsigned workers)
{
	struct regexes *all = calloc(1, sizeof(*all));

	if (all != NULL)
		all->workers = workers;
	return all;
}

void regexes_free(struct regexes *all)
{
	CHECK(all == NULL || all->n == 0);
	free(all);
}

unsigned regexes_n(const struct regexes *all)
{
	return all->n;
}

/* ---- one pattern ---- */

static void entry_free(const struct regexes *all, struct entry *e)
{
	for (unsigned w = 0; w < all->workers; w++)
		regex_free(e->of[w]);
	free(e->pattern);
	free(e);
}

static struct entry *entry_new(const struct regexes *all, uint64_t id, const char *pattern, uint32_t len)
{
	struct entry *e = calloc(1, sizeof(*e) + all->workers * sizeof(e->of[0]));
	char why[REGEX_WHY_MAX];

	if (e == NULL)
		return NULL;
	*e = (struct entry){.id = id, .len = len, .pattern = malloc(len + 1)};
	for (unsigned w = 0; w < all->workers; w++)
		e->of[w] = e->pattern != NULL ? regex_new(pattern, len, why) : NULL;
	if (e->pattern == NULL || e->of[all->workers - 1] == NULL) {
		entry_free(all, e);
		return NULL;
	}
	memcpy(e->pattern, pattern, len);
	return e;
}

static struct entry *entry_get(struct regexes *all, const struct table *t, const struct table_regex *from)
{
	const char *pattern = table_text(t, from->pattern);
	struct entry **bucket = &all->buckets[from->id % BUCKETS], *e;

	for (e = *bucket; e != NULL; e = e->next) {
		if (e->id == from->id && e->len == from->pattern.len && memcmp(e->pattern, pattern, e->len) == 0)
			break;
	}
	if (e == NULL) {
		e = entry_new(all, from->id, pattern, from->pattern.len);
		if (e == NULL)
			return NULL;
		e->next = *bucket;
		*bucket = e;
		all->n++;
	}
	e->refs++;
	return e;
}

static void entry_put(struct regexes *all, struct entry *e)
{
	struct entry **at = &all->buckets[e->id % BUCKETS];

	CHECK(e->refs > 0);
	if (--e->refs > 0)
		return;
	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
	all->n--;
	entry_free(all, e);
}

/* ---- those of a generation ---- */

static struct regex_set *set_new(const struct regexes *all, uint32_t n)
{
	struct regex_set *set = calloc(1, sizeof(*set));

	if (set == NULL)
		return NULL;
	set->entries = calloc(n + 1, sizeof(struct entry *));
	set->objects = calloc((size_t)n * all->workers + 1, sizeof(struct regex *));
	if (set->entries != NULL && set->objects != NULL)
		return set;
	free(set->entries);
	free(set->objects);
	free(set);
	return NULL;
}

enum err regexes_take(struct regexes *all, const struct table *t, struct regex_set **out)
{
	const struct table_regex *from = TABLE_LIST(t, t->regexes, struct table_regex);
	struct regex_set *set = set_new(all, t->regexes.n);

	if (set == NULL)
		return ERR_NO_MEMORY;
	for (; set->n < t->regexes.n; set->n++) {
		struct entry *e = entry_get(all, t, &from[set->n]);

		if (e == NULL) {
			regexes_drop(all, set);
			return ERR_INVALID;
		}
		set->entries[set->n] = e;
		for (unsigned w = 0; w < all->workers; w++)
			set->objects[(size_t)w * t->regexes.n + set->n] = e->of[w];
	}
	*out = set;
	return OK;
}

void regexes_drop(struct regexes *all, struct regex_set *set)
{
	if (set == NULL)
		return;
	for (uint32_t i = 0; i < set->n; i++)
		entry_put(all, set->entries[i]);
	free(set->entries);
	free(set->objects);
	free(set);
}

struct regex *const *regex_set_of(const struct regex_set *set, unsigned worker)
{
	return set->objects + (size_t)worker * set->n;
}
