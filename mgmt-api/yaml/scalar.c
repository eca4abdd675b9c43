/*
 * Plain scalars by their first character, then by a table of words, then as a number.
 *
 * The order matters and is that of the Go library: words first (so ".inf" is no number), then dates (which stay
 * strings), then integers of any base with underscores removed, then decimal fractions. Base 60 numbers (1:30) are
 * strings there, and so here. "0899" is no octal number and so
 * decimal, as is every fraction that is whole.
 */
#include "mgmt-api/yaml/scalar.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER_TEXT_MAX = 400 }; /* longer plain scalars that look like numbers are strings to us */

#define WHOLE_MAX 9e18

static const struct word {
	const char *text;
	struct scalar meaning;
} words[] = {
	{"", {.type = SCALAR_NULL}},
	{"~", {.type = SCALAR_NULL}},
	{"null", {.type = SCALAR_NULL}},
	{"Null", {.type = SCALAR_NULL}},
	{"NULL", {.type = SCALAR_NULL}},
	{"y", {.type = SCALAR_BOOL, .boolean = true}},
	{"Y", {.type = SCALAR_BOOL, .boolean = true}},
	{"yes", {.type = SCALAR_BOOL, .boolean = true}},
	{"Yes", {.type = SCALAR_BOOL, .boolean = true}},
	{"YES", {.type = SCALAR_BOOL, .boolean = true}},
	{"true", {.type = SCALAR_BOOL, .boolean = true}},
	{"True", {.type = SCALAR_BOOL, .boolean = true}},
	{"TRUE", {.type = SCALAR_BOOL, .boolean = true}},
	{"on", {.type = SCALAR_BOOL, .boolean = true}},
	{"On", {.type = SCALAR_BOOL, .boolean = true}},
	{"ON", {.type = SCALAR_BOOL, .boolean = true}},
	{"n", {.type = SCALAR_BOOL, .boolean = false}},
	{"N", {.type = SCALAR_BOOL, .boolean = false}},
	{"no", {.type = SCALAR_BOOL, .boolean = false}},
	{"No", {.type = SCALAR_BOOL, .boolean = false}},
	{"NO", {.type = SCALAR_BOOL, .boolean = false}},
	{"false", {.type = SCALAR_BOOL, .boolean = false}},
	{"False", {.type = SCALAR_BOOL, .boolean = false}},
	{"FALSE", {.type = SCALAR_BOOL, .boolean = false}},
	{"off", {.type = SCALAR_BOOL, .boolean = false}},
	{"Off", {.type = SCALAR_BOOL, .boolean = false}},
	{"OFF", {.type = SCALAR_BOOL, .boolean = false}},
	{".nan", {.type = SCALAR_NOT_JSON}},
	{".NaN", {.type = SCALAR_NOT_JSON}},
	{".NAN", {.type = SCALAR_NOT_JSON}},
	{".inf", {.type = SCALAR_NOT_JSON}},
	{".Inf", {.type = SCALAR_NOT_JSON}},
	{".INF", {.type = SCALAR_NOT_JSON}},
	{"+.inf", {.type = SCALAR_NOT_JSON}},
	{"+.Inf", {.type = SCALAR_NOT_JSON}},
	{"+.INF", {.type = SCALAR_NOT_JSON}},
	{"-.inf", {.type = SCALAR_NOT_JSON}},
	{"-.Inf", {.type = SCALAR_NOT_JSON}},
	{"-.INF", {.type = SCALAR_NOT_JSON}},
};

enum { WORD_BYTES_MAX = 5 };

static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

static const struct scalar *word_find(const char *text, size_t bytes)
{
	if (bytes > WORD_BYTES_MAX)
		return NULL;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strlen(words[i].text) == bytes && memcmp(words[i].text, text, bytes) == 0)
			return &words[i].meaning;
	return NULL;
}

/* Skips 1 to n digits. */
static const char *digits(const char *p, int n)
{
	const char *start = p;

	while (n-- > 0 && digit(*p))
		p++;
	return p > start ? p : NULL;
}

static const char *literal(const char *p, const char *any_of)
{
	return p != NULL && *p != '\0' && strchr(any_of, *p) != NULL ? p + 1 : NULL;
}

/* A date, or a date and time: YYYY-M-D, with an optional "T" or " ", h:m:s, fraction and zone. */
static bool date(const char *text)
{
	const char *p = digits(text, 4);

	if (p == NULL || p - text != 4 || (p = literal(p, "-")) == NULL || (p = digits(p, 2)) == NULL ||
	    (p = literal(p, "-")) == NULL || (p = digits(p, 2)) == NULL)
		return false;
	if (*p == '\0')
		return true;
	if ((p = literal(p, "Tt ")) == NULL || (p = digits(p, 2)) == NULL || (p = literal(p, ":")) == NULL ||
	    (p = digits(p, 2)) == NULL || (p = literal(p, ":")) == NULL || (p = digits(p, 2)) == NULL)
		return false;
	/* What follows a full date and time cannot be a number any more. */
	return true;
}

static int base_of(const char **digits_at)
{
	const char *p = *digits_at;

	if (p[0] != '0' || p[1] == '\0')
		return 10;
	switch (p[1]) {
	case 'x': case 'X':
		*digits_at = p + 2;
		return 16;
	case 'o': case 'O':
		*digits_at = p + 2;
		return 8;
	case 'b': case 'B':
		*digits_at = p + 2;
		return 2;
	default:
		*digits_at = p + 1;
		return 8;
	}
}

static int digit_value(char c)
{
	if (digit(c))
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 99;
}

static bool integer(const char *text, struct scalar *out)
{
	bool negative = *text == '-';
	const char *p = text + (*text == '-' || *text == '+');
	int base = base_of(&p);
	uint64_t value = 0;

	if (*p == '\0')
		return false;
	for (; *p != '\0'; p++) {
		int d = digit_value(*p);

		if (d >= base || __builtin_mul_overflow(value, (uint64_t)base, &value) ||
		    __builtin_add_overflow(value, (uint64_t)d, &value))
			return false;
	}
	if (negative ? value > (uint64_t)INT64_MAX + 1 : value > INT64_MAX && *text == '+')
		return false;
	if (negative)
		*out = (struct scalar){.type = SCALAR_INT, .integer = (int64_t)(0 - value)};
	else if (value <= INT64_MAX)
		*out = (struct scalar){.type = SCALAR_INT, .integer = (int64_t)value};
	else
		*out = (struct scalar){.type = SCALAR_UINT, .natural = value};
	return true;
}

/* [-+]? (.digits | digits[.digits*]) ([eE][-+]?digits)? */
static bool fraction_shape(const char *p)
{
	const char *q;

	if (*p == '-' || *p == '+')
		p++;
	if (digit(*p)) {
		p = digits(p, NUMBER_TEXT_MAX);
		if (*p == '.') {
			p++;
			if (digit(*p))
				p = digits(p, NUMBER_TEXT_MAX);
		}
	} else if (*p == '.' && digit(p[1])) {
		p = digits(p + 1, NUMBER_TEXT_MAX);
	} else {
		return false;
	}
	if (*p == 'e' || *p == 'E') {
		p++;
		if (*p == '-' || *p == '+')
			p++;
		q = digits(p, NUMBER_TEXT_MAX);
		if (q == NULL)
			return false;
		p = q;
	}
	return *p == '\0';
}

static struct scalar number(const char *text)
{
	struct scalar out = {.type = SCALAR_STRING};
	double value;

	if (integer(text, &out))
		return out;
	if (!fraction_shape(text))
		return (struct scalar){.type = SCALAR_STRING};
	errno = 0;
	value = strtod(text, NULL);
	if (errno == ERANGE && (value > 1 || value < -1))
		return (struct scalar){.type = SCALAR_STRING}; /* strconv.ParseFloat refuses it: it stays a string */
	/* On its way through JSON a whole number loses its fraction: "1e3" and "80.0" may stand where integers must. */
	if (value > -WHOLE_MAX && value < WHOLE_MAX && value == (double)(int64_t)value)
		return (struct scalar){.type = SCALAR_INT, .integer = (int64_t)value};
	return (struct scalar){.type = SCALAR_FLOAT, .real = value};
}

struct scalar scalar_resolve(const char *text, size_t bytes)
{
	const struct scalar *word = word_find(text, bytes);
	char copy[NUMBER_TEXT_MAX + 1];
	size_t n = 0;

	if (word != NULL)
		return *word;
	if (bytes > NUMBER_TEXT_MAX || !(digit(text[0]) || strchr("+-.", text[0]) != NULL) || text[0] == '\0')
		return (struct scalar){.type = SCALAR_STRING};
	memcpy(copy, text, bytes);
	copy[bytes] = '\0';
	if (strlen(copy) != bytes || date(copy))
		return (struct scalar){.type = SCALAR_STRING};
	/* Underscores are removed, but from numbers that begin with a dot. */
	for (size_t i = 0; i < bytes; i++)
		if (text[i] != '_' || text[0] == '.')
			copy[n++] = text[i];
	copy[n] = '\0';
	return number(copy);
}

/* [-+]? digits (":" [0-5]? digit)+ and an optional fraction */
static bool base60(const char *p)
{
	bool colon = false;

	if (*p == '-' || *p == '+')
		p++;
	if (!digit(*p))
		return false;
	while (digit(*p) || *p == '_')
		p++;
	while (*p == ':' && digit(p[1])) {
		p += digit(p[2]) && p[1] <= '5' ? 3 : 2;
		colon = true;
	}
	if (*p == '.')
		for (p++; digit(*p) || *p == '_'; p++)
			;
	return colon && *p == '\0';
}

bool scalar_plain(const char *text, size_t bytes)
{
	char copy[NUMBER_TEXT_MAX + 1];

	if (scalar_resolve(text, bytes).type != SCALAR_STRING || (bytes == 2 && memcmp(text, "<<", 2) == 0))
		return false;
	if (bytes > NUMBER_TEXT_MAX || bytes == 0)
		return bytes != 0;
	memcpy(copy, text, bytes);
	copy[bytes] = '\0';
	return !date(copy) && !base60(copy);
}
