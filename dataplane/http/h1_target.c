/*
 * Whom a request is for: its target (RFC 9112, 3.2) and Host.
 *
 *   target   visible ASCII without '#': origin form, absolute form of http and https, "*" for OPTIONS only; of CONNECT
 *            host and port and nothing else
 *   Host     exactly one in HTTP/1.1, at most one in 1.0, only bytes of an authority, not empty; the same host as in a
 *            target of absolute form, whose authority counts then
 */
#include <string.h>

#include "http/h1.h"

/* ---- authorities ---- */

enum { REG_NAME = 1, IP_LITERAL = 2 };

/* RFC 3986, 3.2.2, without the comma: it joins merged fields. */
static const uint8_t classes[256] = {
	['0' ... '9'] = REG_NAME | IP_LITERAL, ['A' ... 'F'] = REG_NAME | IP_LITERAL, ['G' ... 'Z'] = REG_NAME,
	['a' ... 'f'] = REG_NAME | IP_LITERAL, ['g' ... 'z'] = REG_NAME,
	['!'] = REG_NAME, ['$'] = REG_NAME, ['%'] = REG_NAME, ['&'] = REG_NAME, ['\''] = REG_NAME, ['('] = REG_NAME,
	[')'] = REG_NAME, ['*'] = REG_NAME, ['+'] = REG_NAME, ['-'] = REG_NAME, ['.'] = REG_NAME | IP_LITERAL,
	[':'] = IP_LITERAL, [';'] = REG_NAME, ['='] = REG_NAME, ['_'] = REG_NAME, ['`'] = REG_NAME, ['|'] = REG_NAME,
	['~'] = REG_NAME,
};

/* How many bytes at the front are of the class. */
static uint32_t span(struct text t, uint8_t class)
{
	uint32_t n = 0;

	while (n < t.len && classes[(unsigned char)t.at[n]] & class)
		n++;
	return n;
}

static bool port_valid(struct text port)
{
	unsigned n = 0;

	for (uint32_t i = 0; i < port.len; i++) {
		if (port.at[i] < '0' || port.at[i] > '9')
			return false;
		n = n * 10 + (unsigned)(port.at[i] - '0');
		if (n > 65535)
			return false;
	}
	return true;
}

/* RFC 3986, 3.2.2: reg-name or an IP literal, then a port; no user information. */
static bool authority_valid(struct text a)
{
	uint32_t n;

	if (a.len && a.at[0] == '[') {
		n = 1 + span((struct text){a.at + 1, a.len - 1}, IP_LITERAL);
		if (n == 1 || n == a.len || a.at[n] != ']')
			return false;
		n++;
	} else {
		n = span(a, REG_NAME);
		if (n == 0)
			return false;
	}
	if (n == a.len)
		return true;
	return a.at[n] == ':' && port_valid((struct text){a.at + n + 1, a.len - n - 1});
}

/* Of a valid authority: only the colon in front of a port has nothing but digits behind it. */
static struct text without_port(struct text a)
{
	uint32_t n = a.len;

	while (n && a.at[n - 1] >= '0' && a.at[n - 1] <= '9')
		n--;
	return n && a.at[n - 1] == ':' ? (struct text){a.at, n - 1} : a;
}

/* ---- targets ---- */

static bool starts_nocase(struct text t, struct text prefix)
{
	return t.len >= prefix.len && text_equal_nocase((struct text){t.at, prefix.len}, prefix);
}

/* What follows the authority in a target of absolute form: "", "?query" and "/path" become a path. */
static enum err absolute_path(struct http_message *m, struct arena *a, struct text rest)
{
	char *copy;

	if (rest.len && rest.at[0] == '/') {
		m->path = rest;
		return OK;
	}
	if (rest.len == 0) {
		m->path = m->method == HTTP_OPTIONS ? TEXT("*") : TEXT("/");
		return OK;
	}
	copy = arena_get(a, rest.len + 1);
	if (!copy)
		return ERR_NO_MEMORY;
	copy[0] = '/';
	memcpy(copy + 1, rest.at, rest.len);
	m->path = (struct text){copy, rest.len + 1};
	return OK;
}

/* Authority form: the port is not left out (RFC 9110, 9.3.6). */
static enum err connect_target(struct http_message *m, struct text target)
{
	const uint32_t host_len = without_port(target).len;

	if (!authority_valid(target) || target.len < host_len + 2)
		return ERR_HTTP_SYNTAX;
	m->authority = target;
	m->path = TEXT("/");
	return OK;
}

enum err h1_read_target(struct http_message *m, struct arena *a, struct text target)
{
	unsigned char odd = 0;
	uint32_t skip, n = 0;

	for (uint32_t i = 0; i < target.len; i++)
		odd |= (unsigned char)((target.at[i] & 0x80) | (target.at[i] == '#') | (target.at[i] == '\t'));
	if (odd || target.len == 0)
		return ERR_HTTP_SYNTAX;
	if (m->method == HTTP_CONNECT)
		return connect_target(m, target);
	m->authority = TEXT("");
	if (target.at[0] == '/') {
		m->path = target;
		return OK;
	}
	if (text_equal(target, TEXT("*"))) {
		m->path = target;
		return m->method == HTTP_OPTIONS ? OK : ERR_HTTP_SYNTAX;
	}
	if (starts_nocase(target, TEXT("http://")))
		skip = sizeof("http://") - 1;
	else if (starts_nocase(target, TEXT("https://")))
		skip = sizeof("https://") - 1;
	else
		return ERR_HTTP_SYNTAX;
	while (skip + n < target.len && target.at[skip + n] != '/' && target.at[skip + n] != '?')
		n++;
	m->authority = (struct text){target.at + skip, n};
	if (!authority_valid(m->authority))
		return ERR_HTTP_SYNTAX;
	return absolute_path(m, a, (struct text){target.at + skip + n, target.len - skip - n});
}

/* ---- Host ---- */

/*
 * An authority in the target counts, and Host is replaced by it (RFC 9112, 3.2.2); but if that is another host, one who
 * looks at Host alone has seen another request. About the port nobody can be deceived: routes have none.
 */
enum err h1_read_host(struct http_message *m, struct http_field *host, unsigned hosts)
{
	if (hosts > 1 || (hosts == 0 && m->version == 11))
		return ERR_HTTP_SYNTAX;
	if (hosts == 0)
		return OK;
	if (!authority_valid(host->value))
		return ERR_HTTP_SYNTAX;
	if (m->authority.len == 0) {
		m->authority = host->value;
		return OK;
	}
	if (!text_equal_nocase(without_port(m->authority), without_port(host->value)))
		return ERR_HTTP_SYNTAX;
	host->value = m->authority;
	host->line = false;
	return OK;
}
