/*
 * See pattern.h. What differs between the dialects, of what is used: (?: ) groups, \d, \xHH, \r, \n, and backslashes
 * inside of brackets, which POSIX takes literally. An anchored alternative like ^a$|^b$ means the same in both.
 */
#include "control/admit/pattern.h"

#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

enum { PATTERNS_MAX = 256, PATTERN_BYTES_MAX = 1024 };

struct pattern {
	const char *source;
	regex_t compiled;
};

static struct pattern patterns[PATTERNS_MAX];
static size_t patterns_n;

/* One bracket expression from in[0] == '['; returns what follows it. A literal - goes last, ] first, ^ not first. */
static const char *bracket(const char *in, char **out)
{
	bool minus = false, caret = false, closing = false;
	char *o = *out;

	*o++ = *in++;
	if (*in == '^')
		*o++ = *in++;
	char *start = o;

	for (bool escaped; *in && *in != ']'; in++) {
		char c = *in;

		escaped = c == '\\';
		if (escaped)
			c = *++in;
		if (escaped && c == 'x') {
			char hex[3] = {in[1], in[2], 0};

			c = (char)strtol(hex, NULL, 16);
			in += 2;
			if (c == 0)
				continue; /* a C text has none */
		} else if (escaped && (c == 'r' || c == 'n')) {
			c = c == 'r' ? '\r' : '\n';
		}
		CHECK(c && c != '[');
		/* A minus that is escaped, or first, or last, is itself; between two characters it makes a range. */
		if (c == '-' && (escaped || o == start || in[1] == ']'))
			minus = true;
		else if (c == '^' && o == start)
			caret = true;
		else if (c == ']')
			closing = true;
		else
			*o++ = c;
	}
	if (closing) {
		memmove(start + 1, start, (size_t)(o - start));
		*start = ']';
		o++;
	}
	if (caret)
		*o++ = '^';
	if (minus)
		*o++ = '-';
	*o++ = ']';
	*out = o;
	return in + 1;
}

static void translate(const char *in, char *out)
{
	while (*in) {
		if (*in == '[') {
			in = bracket(in, &out);
		} else if (strncmp(in, "(?:", 3) == 0) {
			*out++ = '(';
			in += 3;
		} else if (strncmp(in, "\\d", 2) == 0) {
			out = stpcpy(out, "[0-9]");
			in += 2;
		} else if (*in == '\\' && !strchr(".*+?()[]{}|^$\\", in[1])) {
			in++;           /* \/ is / */
			*out++ = *in++;
		} else if (*in == '\\') {
			*out++ = *in++;
			*out++ = *in++;
		} else {
			*out++ = *in++;
		}
	}
	*out = 0;
}

static struct pattern *compile(const char *source)
{
	struct pattern *p = &patterns[patterns_n];
	char text[PATTERN_BYTES_MAX];

	CHECK(patterns_n < PATTERNS_MAX && strlen(source) * 3 < sizeof(text));
	translate(source, text);
	p->source = source;
	CHECK(regcomp(&p->compiled, text, REG_EXTENDED | REG_NOSUB) == 0);
	patterns_n++;
	return p;
}

bool pattern_matches(const char *pattern, const char *text)
{
	struct pattern *p = NULL;

	for (size_t i = 0; i < patterns_n && !p; i++)
		if (patterns[i].source == pattern)
			p = &patterns[i];
	if (!p)
		p = compile(pattern);
	return regexec(&p->compiled, text, 0, NULL, 0) == 0;
}
