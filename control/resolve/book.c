/* See book.h. Names are few (thousands at most) and change seldom: a sorted array of entries. */
#include "control/resolve/book.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"

struct family {
	struct addr *addrs;      /* in order */
	uint32_t n;
};

struct entry {
	char name[HOST_NAME_MAX_BYTES];
	struct family families[FAMILIES];
	int64_t due_ms;          /* INT64_MAX: it is being asked for */
	uint32_t failures;       /* in a row */
	const char *trouble;
	bool asked;
};

struct book {
	struct entry **entries;
	size_t n;
};

/* Control stops when memory runs out: it is started again and the data plane serves on. */
static void *memory(size_t n, size_t bytes)
{
	void *p = calloc(n > 0 ? n : 1, bytes);

	CHECK(p != NULL);
	return p;
}

struct book *book_new(void)
{
	return memory(1, sizeof(struct book));
}

static void free_entry(struct entry *e)
{
	for (unsigned i = 0; i < FAMILIES; i++)
		free(e->families[i].addrs);
	free(e);
}

void book_free(struct book *b)
{
	if (b == NULL)
		return;
	for (size_t i = 0; i < b->n; i++)
		free_entry(b->entries[i]);
	free(b->entries);
	free(b);
}

/* ---- names ---- */

static int compare_entry(const void *name, const void *entry)
{
	return strcmp(name, (*(struct entry *const *)entry)->name);
}

static struct entry *find(const struct book *b, const char *name)
{
	struct entry **at = b->n > 0 ? bsearch(name, b->entries, b->n, sizeof(b->entries[0]), compare_entry) : NULL;

	return at != NULL ? *at : NULL;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static struct entry *new_entry(const char *name, int64_t now_ms)
{
	struct entry *e = memory(1, sizeof(*e));

	snprintf(e->name, sizeof(e->name), "%s", name);
	e->due_ms = now_ms;
	return e;
}

/* The entry leaves the book. */
static struct entry *take(struct book *b, const char *name)
{
	struct entry **at = b->n > 0 ? bsearch(name, b->entries, b->n, sizeof(b->entries[0]), compare_entry) : NULL;
	struct entry *e = at != NULL ? *at : NULL;

	if (e != NULL) {
		memmove(at, at + 1, (size_t)(b->entries + b->n - (at + 1)) * sizeof(*at));
		b->n--;
	}
	return e;
}

void book_want(struct book *b, const char *const *names, size_t n, int64_t now_ms)
{
	const char **sorted = memory(n, sizeof(*sorted));
	struct book wanted = {.entries = memory(n, sizeof(struct entry *))};

	if (n > 0)
		memcpy(sorted, names, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), compare_names);
	for (size_t i = 0; i < n && wanted.n < BOOK_NAMES_MAX; i++) {
		struct entry *e;

		if ((i > 0 && strcmp(sorted[i], sorted[i - 1]) == 0) || strlen(sorted[i]) >= HOST_NAME_MAX_BYTES)
			continue;
		e = take(b, sorted[i]);
		wanted.entries[wanted.n++] = e != NULL ? e : new_entry(sorted[i], now_ms);
	}
	free(sorted);
	for (size_t i = 0; i < b->n; i++)
		free_entry(b->entries[i]);
	free(b->entries);
	*b = wanted;
}

/* ---- questions ---- */

const char *book_ask(struct book *b, int64_t now_ms)
{
	for (size_t i = 0; i < b->n; i++) {
		if (b->entries[i]->due_ms > now_ms)
			continue;
		b->entries[i]->due_ms = INT64_MAX;
		return b->entries[i]->name;
	}
	return NULL;
}

int64_t book_next_ms(const struct book *b)
{
	int64_t next = INT64_MAX;

	for (size_t i = 0; i < b->n; i++)
		next = b->entries[i]->due_ms < next ? b->entries[i]->due_ms : next;
	return next;
}

void book_ask_again(struct book *b, const char *name, int64_t now_ms)
{
	struct entry *e = find(b, name);

	if (e != NULL)
		e->due_ms = now_ms;
}

/* ---- answers ---- */

static int compare_addrs(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct addr));
}

/* In order and each once, so many at most. */
static struct family settled(const struct addr *addrs, size_t n)
{
	struct family f = {.addrs = memory(n, sizeof(struct addr))};

	if (n > 0)
		memcpy(f.addrs, addrs, n * sizeof(addrs[0]));
	qsort(f.addrs, n, sizeof(f.addrs[0]), compare_addrs);
	for (size_t i = 0; i < n && f.n < BOOK_ADDRESSES_MAX; i++) {
		if (f.n == 0 || compare_addrs(&f.addrs[f.n - 1], &f.addrs[i]) != 0)
			f.addrs[f.n++] = f.addrs[i];
	}
	return f;
}

/* True: it was something else. */
static bool replace(struct family *f, const struct addr *addrs, size_t n)
{
	struct family fresh = settled(addrs, n);
	const bool same =
		f->n == fresh.n && (f->n == 0 || memcmp(f->addrs, fresh.addrs, f->n * sizeof(f->addrs[0])) == 0);

	free(f->addrs);
	*f = fresh;
	return !same;
}

static int64_t held(int64_t ms, int64_t least, int64_t most)
{
	return ms < least ? least : ms > most ? most : ms;
}

/* Of what the families said, what tells most: a failure before a mere absence. */
static const char *reason(const struct reply reply[FAMILIES])
{
	const struct reply *v4 = &reply[FAMILY_V4], *v6 = &reply[FAMILY_V6];

	return v4->kind == REPLY_FAILED || v6->kind != REPLY_FAILED ? v4->why : v6->why;
}

static bool set_trouble(struct entry *e, const char *trouble)
{
	const bool same = e->asked && (e->trouble == NULL) == (trouble == NULL) &&
			  (trouble == NULL || strcmp(e->trouble, trouble) == 0);

	e->trouble = trouble;
	e->asked = true;
	return !same;
}

static bool take_nothing(struct entry *e, const struct reply reply[FAMILIES], int64_t now_ms)
{
	int64_t wait_ms = RETRY_MIN_MS;

	for (uint32_t i = 0; i < e->failures && wait_ms < RETRY_MAX_MS; i++)
		wait_ms *= 2;
	e->failures++;
	e->due_ms = now_ms + held(wait_ms, RETRY_MIN_MS, RETRY_MAX_MS);
	return set_trouble(e, reason(reply));
}

bool book_answer(struct book *b, const char *name, const struct reply reply[FAMILIES], int64_t now_ms)
{
	struct entry *e = find(b, name);
	int64_t ttl_ms = TTL_MAX_MS;
	bool any = false, failed = false, changed = false;

	if (e == NULL)
		return false;
	for (unsigned i = 0; i < FAMILIES; i++) {
		any |= reply[i].kind == REPLY_ADDRESSES;
		failed |= reply[i].kind == REPLY_FAILED;
	}
	if (!any)
		return take_nothing(e, reply, now_ms);
	for (unsigned i = 0; i < FAMILIES; i++) {
		if (reply[i].kind == REPLY_ADDRESSES)
			ttl_ms = held((int64_t)reply[i].ttl_s * 1000, TTL_MIN_MS, ttl_ms);
		if (reply[i].kind != REPLY_FAILED)
			changed |= replace(&e->families[i], reply[i].addrs, reply[i].n);
	}
	e->failures = 0;
	/* The family that failed is asked for again before long. */
	e->due_ms = now_ms + (failed && ttl_ms > RETRY_MAX_MS ? RETRY_MAX_MS : ttl_ms);
	return changed | set_trouble(e, NULL);
}

/* ---- for others to read ---- */

struct answers *book_answers(const struct book *b)
{
	size_t bytes = sizeof(struct answers) + b->n * (sizeof(struct answer) + HOST_NAME_MAX_BYTES), addrs_n = 0;
	struct answers *a;
	struct addr *addrs;
	char *names;

	for (size_t i = 0; i < b->n; i++)
		addrs_n += b->entries[i]->families[FAMILY_V4].n + b->entries[i]->families[FAMILY_V6].n;
	a = memory(1, bytes + addrs_n * sizeof(struct addr));
	atomic_init(&a->references, 1);
	a->items = (struct answer *)(a + 1);
	addrs = (struct addr *)(a->items + b->n);
	names = (char *)(addrs + addrs_n);
	for (size_t i = 0; i < b->n; i++) {
		const struct entry *e = b->entries[i];
		const struct family *v4 = &e->families[FAMILY_V4], *v6 = &e->families[FAMILY_V6];
		struct answer *to = &a->items[a->n++];

		*to = (struct answer){.name = strcpy(names, e->name), .addrs = addrs, .v4_n = v4->n, .n = v4->n + v6->n,
		                      .trouble = e->trouble, .asked = e->asked};
		names += HOST_NAME_MAX_BYTES;
		if (v4->n > 0)
			memcpy(addrs, v4->addrs, v4->n * sizeof(*addrs));
		if (v6->n > 0)
			memcpy(addrs + v4->n, v6->addrs, v6->n * sizeof(*addrs));
		addrs += to->n;
	}
	return a;
}

/* ---- the copy in a file ---- */

static void write_entry(FILE *f, const struct entry *e)
{
	char text[ADDR_TEXT_MAX];

	if (e->families[FAMILY_V4].n + e->families[FAMILY_V6].n == 0)
		return;
	fputs(e->name, f);
	for (unsigned i = 0; i < FAMILIES; i++) {
		for (uint32_t k = 0; k < e->families[i].n; k++)
			fprintf(f, " %s", addr_print(&e->families[i].addrs[k], text));
	}
	fputc('\n', f);
}

bool book_save(const struct book *b, const char *path)
{
	char new_path[4096];
	FILE *f;
	bool good;

	if (snprintf(new_path, sizeof(new_path), "%s.new", path) >= (int)sizeof(new_path))
		return false;
	f = fopen(new_path, "we");
	if (f == NULL)
		return false;
	for (size_t i = 0; i < b->n; i++)
		write_entry(f, b->entries[i]);
	good = fflush(f) == 0 && !ferror(f);
	good &= fclose(f) == 0;
	return good && rename(new_path, path) == 0;
}

static void read_line(struct book *b, char *line)
{
	static struct addr addrs[FAMILIES][BOOK_ADDRESSES_MAX];
	struct reply reply[FAMILIES] = {{.addrs = addrs[FAMILY_V4]}, {.addrs = addrs[FAMILY_V6]}};
	char *rest = NULL, *name = strtok_r(line, " \n", &rest), *text;
	struct entry *e;

	if (name == NULL || strlen(name) >= HOST_NAME_MAX_BYTES || find(b, name) != NULL)
		return;
	while ((text = strtok_r(NULL, " \n", &rest)) != NULL) {
		struct reply *to;
		struct addr a;

		if (addr_parse(text, &a) != OK)
			return;
		to = &reply[addr_is_v4(&a) ? FAMILY_V4 : FAMILY_V6];
		if (to->n < BOOK_ADDRESSES_MAX)
			to->addrs[to->n++] = a;
	}
	e = new_entry(name, 0);
	for (unsigned i = 0; i < FAMILIES; i++)
		replace(&e->families[i], reply[i].addrs, reply[i].n);
	b->entries = realloc(b->entries, (b->n + 1) * sizeof(b->entries[0]));
	CHECK(b->entries != NULL);
	b->entries[b->n++] = e;
}

static int compare_entries(const void *a, const void *b)
{
	return strcmp((*(struct entry *const *)a)->name, (*(struct entry *const *)b)->name);
}

void book_load(struct book *b, const char *path)
{
	FILE *f = fopen(path, "re");
	char *line = NULL;
	size_t room = 0;

	if (f == NULL)
		return;
	while (b->n < BOOK_NAMES_MAX && getline(&line, &room, f) > 0) {
		read_line(b, line);
		/* Lines come in order, unless somebody else wrote them. */
		if (b->n > 1 && compare_entries(&b->entries[b->n - 2], &b->entries[b->n - 1]) > 0)
			qsort(b->entries, b->n, sizeof(b->entries[0]), compare_entries);
	}
	free(line);
	fclose(f);
}
