/* A selector is cut into terms once; every term must hold. */
#include "mgmt-api/api/select.h"

#include <string.h>

#include "base/check.h"

static const char *skip_space(const char *p)
{
	return p + strspn(p, " ");
}

/* Copies n characters into the selector's text. */
static const char *keep(struct select *s, const char *p, size_t n)
{
	char *copy = s->text + s->used;

	CHECK(s->used + n + 1 <= sizeof(s->text));
	memcpy(copy, p, n);
	copy[n] = '\0';
	s->used += (uint32_t)n + 1;
	return copy;
}

static size_t word(const char *p)
{
	return strcspn(p, " ,=!()");
}

static const char *values_in_brackets(struct select *s, struct select_term *t, const char *p)
{
	p = skip_space(p);
	if (*p++ != '(')
		return NULL;
	for (;;) {
		size_t n;
		const char *value;

		p = skip_space(p);
		n = word(p);
		value = keep(s, p, n);
		if (t->values_n++ == 0)
			t->values = value;
		p = skip_space(p + n);
		if (*p == ')')
			return p + 1;
		if (*p++ != ',')
			return NULL;
	}
}

static const char *one_value(struct select *s, struct select_term *t, const char *p, enum select_op op)
{
	size_t n;

	p = skip_space(p);
	n = word(p);
	t->op = op;
	t->values = keep(s, p, n);
	t->values_n = 1;
	return p + n;
}

/* One term; returns what follows it, or null. */
static const char *term(struct select *s, struct select_term *t, const char *p)
{
	bool negated = *p == '!';
	size_t n;

	p = skip_space(p + negated);
	n = word(p);
	if (n == 0)
		return NULL;
	t->key = keep(s, p, n);
	p = skip_space(p + n);
	t->op = negated ? SELECT_NOT_EXISTS : SELECT_EXISTS;
	if (*p == '\0' || *p == ',')
		return p;
	if (negated)
		return NULL;
	if (p[0] == '=')
		return one_value(s, t, p + (p[1] == '=' ? 2 : 1), SELECT_IN);
	if (p[0] == '!' && p[1] == '=')
		return one_value(s, t, p + 2, SELECT_NOT_IN);
	n = word(p);
	if (n == 2 && memcmp(p, "in", 2) == 0)
		t->op = SELECT_IN;
	else if (n == 5 && memcmp(p, "notin", 5) == 0)
		t->op = SELECT_NOT_IN;
	else
		return NULL;
	return values_in_brackets(s, t, p + n);
}

static bool parse(struct select *s, const char *text, bool field, struct refusal *f)
{
	const char *p = skip_space(text);

	while (*p != '\0') {
		struct select_term *t = &s->terms[s->terms_n];

		*t = (struct select_term){.field = field};
		if (s->terms_n == SELECT_TERMS_MAX || (p = term(s, t, p)) == NULL ||
		    (*(p = skip_space(p)) != ',' && *p != '\0')) {
			refusal_set(f, REFUSAL_BAD_REQUEST, "unable to parse requirement: invalid selector \"%.200s\"",
				    text);
			return false;
		}
		s->terms_n++;
		if (field && (t->op == SELECT_EXISTS || t->op == SELECT_NOT_EXISTS ||
			      (strcmp(t->key, "metadata.name") != 0 && strcmp(t->key, "metadata.namespace") != 0))) {
			refusal_set(f, REFUSAL_BAD_REQUEST, "field label not supported: %.200s", t->key);
			return false;
		}
		if (*p == ',')
			p = skip_space(p + 1);
	}
	return true;
}

bool select_parse(struct select *s, const char *labels, const char *fields, struct refusal *f)
{
	*s = (struct select){0};
	if (strlen(labels) + strlen(fields) > SELECT_TEXT_MAX) {
		refusal_set(f, REFUSAL_BAD_REQUEST, "selector longer than %d bytes", SELECT_TEXT_MAX);
		return false;
	}
	return parse(s, labels, false, f) && parse(s, fields, true, f);
}

static bool holds(const struct select_term *t, const char *value)
{
	const char *wanted = t->values;
	bool in = false;

	if (t->op == SELECT_EXISTS || t->op == SELECT_NOT_EXISTS)
		return (value != NULL) == (t->op == SELECT_EXISTS);
	for (uint32_t i = 0; i < t->values_n; i++, wanted += strlen(wanted) + 1)
		in |= value != NULL && strcmp(value, wanted) == 0;
	return in == (t->op == SELECT_IN);
}

bool select_matches(const struct select *s, yyjson_mut_val *object)
{
	yyjson_mut_val *metadata = yyjson_mut_obj_get(object, "metadata");
	yyjson_mut_val *labels = yyjson_mut_obj_get(metadata, "labels");

	for (uint32_t i = 0; i < s->terms_n; i++) {
		const struct select_term *t = &s->terms[i];
		const char *key = t->field ? strrchr(t->key, '.') + 1 : t->key;

		if (!holds(t, yyjson_mut_get_str(yyjson_mut_obj_get(t->field ? metadata : labels, key))))
			return false;
	}
	return true;
}
