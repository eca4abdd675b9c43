#include "tests/support/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct text copy(struct request *r, const char *at, size_t n)
{
	return (struct text){.at = arena_text(&r->arena, at, n), .len = (uint32_t)n};
}

static struct text word(struct request *r, const char **p)
{
	const size_t n = strcspn(*p, " \n");
	const struct text t = copy(r, *p, n);

	*p += n + ((*p)[n] == ' ');
	return t;
}

void request_init(struct request *r, const char *head)
{
	const char *p = head;

	pool_init(&r->chunks, "test chunks", ARENA_CHUNK, 32);
	arena_init(&r->arena, &r->chunks, 32);
	http_message_init(&r->m);
	r->m.method_text = word(r, &p);
	r->m.method = (uint8_t)http_method(r->m.method_text);
	r->m.authority = word(r, &p);
	if (text_equal(r->m.authority, TEXT("-")))
		r->m.authority.len = 0;
	r->m.path = word(r, &p);
	while (*p == '\n') {
		const char *line = p + 1, *colon = strchr(line, ':');
		const size_t n = strcspn(line, "\n");

		if (colon == NULL || http_add(&r->m, &r->arena, copy(r, line, (size_t)(colon - line)),
		                              copy(r, colon + 2, n - (size_t)(colon + 2 - line))) != OK)
			abort();
		p = line + n;
	}
}

void request_fini(struct request *r)
{
	arena_reset(&r->arena);
	pool_fini(&r->chunks);
}

const char *request_print(const struct http_message *m, char *text, size_t size)
{
	size_t at = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < m->fields_n; i++) {
		const struct http_field *f = &m->fields[i];

		if (!f->removed && at < size)
			at += (size_t)snprintf(text + at, size - at, "%.*s: %.*s\n", (int)f->name.len, f->name.at,
			                       (int)f->value.len, f->value.at);
	}
	return text;
}
