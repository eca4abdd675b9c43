/*
 * Messages: texts, field names, the list of fields.
 *
 * The names of fields.def are found by a perfect hash over the length and three letters of the name. The table is
 * filled once, at the latest by the first http_new(), before there are threads; filling it proves that the hash is
 * perfect for the list (else: change the multipliers). Names are compared by setting the letter-case bit of
 * every byte; that is exact because all names in the list are of letters, digits and '-', and a byte of a valid name
 * that differs from one of those in this bit only is the same letter in the other case.
 */
#include "http/http.h"

#include <string.h>

#include "base/check.h"

enum { SLOTS = 1024, FIELDS_FIRST = 16, FIELDS_MAX = ARENA_PIECE_MAX / sizeof(struct http_field) };

static_assert(sizeof(struct http_field) == 28, "144 fields are one piece of an arena");

#define LOW(c) ((unsigned)(unsigned char)(c) | 0x20u)
#define SLOT(n, len) \
	((LOW((n)[0]) * 7 + LOW((n)[(len) - 1]) * 41 + LOW((n)[(len) / 2]) * 163 + (unsigned)(len) * 29) % SLOTS)

static const struct {
	const char *name;
	uint8_t len;
} known[HTTP_FIELDS] = {
#define FIELD(id, text, field_flags) [HTTP_FIELD_##id] = {text, sizeof(text) - 1},
#include "http/fields.def"
#undef FIELD
};

const uint8_t http_flags_of_fields[HTTP_FIELDS] = {
#define FIELD(id, text, field_flags) [HTTP_FIELD_##id] = field_flags,
#include "http/fields.def"
#undef FIELD
};

static uint8_t slots[SLOTS];
static bool slots_filled;

static void fill_slots(void)
{
	uint8_t filled[SLOTS] = {0};

	for (unsigned id = 1; id < HTTP_FIELDS; id++) {
		uint8_t *slot = &filled[SLOT(known[id].name, known[id].len)];

		CHECK(*slot == 0);
		*slot = (uint8_t)id;
	}
	memcpy(slots, filled, sizeof(slots));
	slots_filled = true;
}

static inline uint64_t load(const char *at, uint32_t n)
{
	uint64_t v = 0;

	memcpy(&v, at, n);
	return v;
}

/* Letters of a to lower case, eight at a time. */
static inline uint64_t lower8(uint64_t v)
{
	const uint64_t low7 = v & 0x7f7f7f7f7f7f7f7f, ascii = ~v & 0x8080808080808080;
	const uint64_t from_a = low7 + 0x3f3f3f3f3f3f3f3f, above_z = low7 + 0x2525252525252525;

	return v | (((from_a & ~above_z & ascii) >> 2) & 0x2020202020202020);
}

bool text_equal(struct text a, struct text b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

bool text_equal_nocase(struct text a, struct text b)
{
	uint32_t i = 0;

	if (a.len != b.len)
		return false;
	for (; i + 8 <= a.len; i += 8)
		if (lower8(load(a.at + i, 8)) != lower8(load(b.at + i, 8)))
			return false;
	return i == a.len || lower8(load(a.at + i, a.len - i)) == lower8(load(b.at + i, a.len - i));
}

#define CASE_BITS UINT64_C(0x2020202020202020)

/* The last piece overlaps the one before it, so that there are no loops over bytes. */
static inline bool is_known(const char *at, unsigned id)
{
	const char *name = known[id].name;
	const uint32_t len = known[id].len;
	uint64_t other;

	if (len >= 8) {
		other = (load(at + len - 8, 8) | CASE_BITS) ^ load(name + len - 8, 8);
		for (uint32_t i = 0; i + 8 < len; i += 8)
			other |= (load(at + i, 8) | CASE_BITS) ^ load(name + i, 8);
	} else if (len >= 4) {
		other = ((load(at, 4) | (uint32_t)CASE_BITS) ^ load(name, 4)) |
		        ((load(at + len - 4, 4) | (uint32_t)CASE_BITS) ^ load(name + len - 4, 4));
	} else {
		other = (at[0] | 0x20) != name[0] || (at[len - 1] | 0x20) != name[len - 1] ||
		        (at[len / 2] | 0x20) != name[len / 2];
	}
	return other == 0;
}

enum http_field_id http_field_id(struct text name)
{
	unsigned id;

	if (__builtin_expect(!slots_filled, 0))
		fill_slots();
	if (name.len == 0)
		return HTTP_FIELD_OTHER;
	id = slots[SLOT(name.at, name.len)];
	return id && known[id].len == name.len && is_known(name.at, id) ? (enum http_field_id)id : HTTP_FIELD_OTHER;
}

void http_message_init(struct http_message *m)
{
	memset(m, 0, sizeof(*m));
	m->version = 11;
	m->keep_alive = true;
	m->scheme = TEXT("http");
}

struct http_field *http_find(const struct http_message *m, enum http_field_id id)
{
	CHECK_SLOW(id != HTTP_FIELD_OTHER);
	for (unsigned i = 0; i < m->fields_n; i++)
		if (m->fields[i].id == id && !m->fields[i].removed)
			return &m->fields[i];
	return NULL;
}

static bool named(const struct http_field *f, enum http_field_id id, struct text name)
{
	if (f->removed || f->id != id)
		return false;
	return id != HTTP_FIELD_OTHER || text_equal_nocase(f->name, name);
}

struct http_field *http_find_name(const struct http_message *m, struct text lower_name)
{
	const enum http_field_id id = http_field_id(lower_name);

	for (unsigned i = 0; i < m->fields_n; i++)
		if (named(&m->fields[i], id, lower_name))
			return &m->fields[i];
	return NULL;
}

static enum err grow(struct http_message *m, struct arena *a)
{
	const unsigned wanted = m->fields_max ? 2u * m->fields_max : FIELDS_FIRST;
	const unsigned max = wanted < FIELDS_MAX ? wanted : FIELDS_MAX;
	struct http_field *more;

	if (m->fields_n >= max)
		return ERR_LIMIT;
	more = arena_get(a, max * sizeof(*more));
	if (!more)
		return ERR_NO_MEMORY;
	if (m->fields_n)
		memcpy(more, m->fields, m->fields_n * sizeof(*more));
	m->fields = more;
	m->fields_max = (uint16_t)max;
	return OK;
}

static inline enum err add(struct http_message *m, struct arena *a, struct http_field f)
{
	if (__builtin_expect(m->fields_n == m->fields_max, 0)) {
		enum err e = grow(m, a);

		if (e)
			return e;
	}
	m->fields[m->fields_n++] = f;
	return OK;
}

enum err http_add(struct http_message *m, struct arena *a, struct text name, struct text value)
{
	return add(m, a, (struct http_field){.name = name, .value = value, .id = (uint16_t)http_field_id(name)});
}

enum err http_add_line(struct http_message *m, struct arena *a, enum http_field_id id, struct text line)
{
	const uint32_t name = known[id].len;
	const struct http_field f = {.name = {line.at, name}, .value = {line.at + name + 2, line.len - name - 4},
	                             .id = (uint16_t)id, .line = true};

	CHECK_SLOW(line.len >= name + 4 && memcmp(line.at, known[id].name, name) == 0);
	CHECK_SLOW(memcmp(line.at + name, ": ", 2) == 0 && memcmp(line.at + line.len - 2, "\r\n", 2) == 0);
	return add(m, a, f);
}

enum err http_set(struct http_message *m, struct arena *a, struct text name, struct text value)
{
	const enum http_field_id id = http_field_id(name);
	bool found = false;

	for (unsigned i = 0; i < m->fields_n; i++) {
		struct http_field *f = &m->fields[i];

		if (!named(f, id, name))
			continue;
		if (found)
			f->removed = true;
		else
			f->value = value;
		found = true;
	}
	return found ? OK : add(m, a, (struct http_field){.name = name, .value = value, .id = (uint16_t)id});
}

void http_remove(struct http_message *m, struct text name)
{
	const enum http_field_id id = http_field_id(name);

	for (unsigned i = 0; i < m->fields_n; i++)
		if (named(&m->fields[i], id, name))
			m->fields[i].removed = true;
}

static bool copy_text(struct text *t, struct arena *a)
{
	if (t->len > 0)
		t->at = arena_text(a, t->at, t->len);
	return t->at != NULL || t->len == 0;
}

struct http_message *http_message_copy(const struct http_message *from, struct arena *a, enum err *e)
{
	struct http_message *to = arena_get(a, sizeof(*to));
	bool fits = to != NULL;

	*e = ERR_NO_MEMORY;
	if (!fits)
		return NULL;
	*to = *from;
	to->fields = NULL;
	to->fields_n = to->fields_max = 0;
	fits = copy_text(&to->method_text, a) && copy_text(&to->scheme, a) && copy_text(&to->authority, a) &&
	       copy_text(&to->path, a) && copy_text(&to->reason, a) && copy_text(&to->upgrade, a);
	for (unsigned i = 0; fits && i < from->fields_n; i++) {
		struct http_field f = {.name = from->fields[i].name, .value = from->fields[i].value,
		                       .id = from->fields[i].id};

		if (!from->fields[i].removed)
			fits = copy_text(&f.name, a) && copy_text(&f.value, a) && add(to, a, f) == OK;
	}
	if (!fits)
		return NULL;
	*e = OK;
	return to;
}

/* The next element of a comma-separated list (RFC 9110, 5.6.1), without white space; false at the end. */
bool http_list_next(struct text *rest, struct text *element)
{
	while (rest->len) {
		const char *comma = memchr(rest->at, ',', rest->len);
		const uint32_t n = comma ? (uint32_t)(comma - rest->at) : rest->len;
		struct text e = {.at = rest->at, .len = n};

		rest->at += comma ? n + 1 : n;
		rest->len -= comma ? n + 1 : n;
		while (e.len && (e.at[0] == ' ' || e.at[0] == '\t')) {
			e.at++;
			e.len--;
		}
		while (e.len && (e.at[e.len - 1] == ' ' || e.at[e.len - 1] == '\t'))
			e.len--;
		if (e.len) {
			*element = e;
			return true;
		}
	}
	return false;
}

static void remove_named(struct http_message *m, struct text rest)
{
	struct text name;

	while (http_list_next(&rest, &name))
		if (!(http_field_flags(http_field_id(name)) & HTTP_FIELD_KEPT))
			http_remove(m, name);
}

void http_remove_hop_by_hop(struct http_message *m)
{
	for (unsigned i = 0; i < m->fields_n; i++) {
		struct http_field *f = &m->fields[i];

		if (!(http_field_flags(f->id) & HTTP_FIELD_HOP))
			continue;
		if (f->id == HTTP_FIELD_CONNECTION && !f->removed && !text_equal_nocase(f->value, TEXT("keep-alive")))
			remove_named(m, f->value);
		f->removed = true;
	}
}

enum http_method http_method(struct text name)
{
	static const struct text names[] = {
		[HTTP_GET] = TEXT("GET"), [HTTP_HEAD] = TEXT("HEAD"), [HTTP_POST] = TEXT("POST"),
		[HTTP_PUT] = TEXT("PUT"),
		[HTTP_DELETE] = TEXT("DELETE"), [HTTP_CONNECT] = TEXT("CONNECT"), [HTTP_OPTIONS] = TEXT("OPTIONS"),
		[HTTP_TRACE] = TEXT("TRACE"), [HTTP_PATCH] = TEXT("PATCH"),
	};

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].len == name.len && memcmp(names[i].at, name.at, name.len) == 0)
			return (enum http_method)i;
	return HTTP_METHOD_OTHER;
}

const char *http_reason(uint16_t status)
{
	switch (status) {
#define REASON(status, text) case status: return text;
#include "http/reasons.def"
#undef REASON
	default: return "";
	}
}
