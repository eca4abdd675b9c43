/* See causes.h. */
#include "control/admit/causes.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

static const char *const reason_names[] = {
	[CAUSE_REQUIRED] = "FieldValueRequired",
	[CAUSE_INVALID] = "FieldValueInvalid",
	[CAUSE_TYPE] = "FieldValueTypeInvalid",
	[CAUSE_NOT_SUPPORTED] = "FieldValueNotSupported",
	[CAUSE_DUPLICATE] = "FieldValueDuplicate",
	[CAUSE_TOO_LONG] = "FieldValueTooLong",
	[CAUSE_TOO_MANY] = "FieldValueTooMany",
	[CAUSE_FORBIDDEN] = "FieldValueForbidden",
	[CAUSE_UNKNOWN_FIELD] = "FieldValueInvalid",
	[CAUSE_DUPLICATE_FIELD] = "FieldValueDuplicate",
};

void causes_init(struct causes *c)
{
	c->n = c->total = 0;
}

void causes_fini(struct causes *c)
{
	for (size_t i = 0; i < c->n; i++) {
		free(c->items[i].field);
		free(c->items[i].message);
	}
	causes_init(c);
}

void causes_add(struct causes *c, enum cause_reason reason, const char *field, const char *format, ...)
{
	va_list arguments;
	char *message;

	c->total++;
	if (c->n == CAUSES_MAX)
		return;
	va_start(arguments, format);
	CHECK(vasprintf(&message, format, arguments) >= 0);
	va_end(arguments);
	c->items[c->n++] = (struct cause){reason, strdup(field), message};
}

bool cause_is_strictness(enum cause_reason reason)
{
	return reason == CAUSE_UNKNOWN_FIELD || reason == CAUSE_DUPLICATE_FIELD;
}

const char *cause_reason_name(enum cause_reason reason)
{
	return reason_names[reason];
}
