/*
 * Access log lines in Envoy's default text format:
 *
 *   [START_TIME] "METHOD PATH PROTOCOL" CODE FLAGS BYTES_RECEIVED BYTES_SENT DURATION UPSTREAM_SERVICE_TIME
 *   "X-FORWARDED-FOR" "USER-AGENT" "X-REQUEST-ID" "AUTHORITY" "UPSTREAM_HOST"
 *
 * on one line. What is missing is "-". Texts come from the wire: control bytes are printed as \xHH, so that a record
 * is always one line.
 */
#include "proxy/access.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct out {
	char *at, *end; /* room for the newline is kept behind end */
};

static void put(struct out *o, const char *text, size_t n)
{
	size_t room = (size_t)(o->end - o->at);

	n = n < room ? n : room;
	memcpy(o->at, text, n);
	o->at += n;
}

static void put_text(struct out *o, const char *text)
{
	put(o, text, strlen(text));
}

static void put_number(struct out *o, uint64_t n)
{
	char digits[20], *d = digits + sizeof(digits);

	do
		*--d = (char)('0' + n % 10);
	while (n /= 10);
	put(o, d, (size_t)(digits + sizeof(digits) - d));
}

static void put_wire(struct out *o, const char *bytes, size_t n)
{
	static const char hex[] = "0123456789abcdef";
	size_t plain = 0;

	if (n == 0)
		put(o, "-", 1);
	for (size_t i = 0; i <= n; i++) {
		unsigned char c = i < n ? (unsigned char)bytes[i] : 0;

		if (i < n && c >= 0x20 && c != 0x7f)
			continue;
		put(o, bytes + plain, i - plain);
		if (i < n)
			put(o, (char[]){'\\', 'x', hex[c >> 4], hex[c & 15]}, 4);
		plain = i + 1;
	}
}

static void put_time(struct out *o, uint64_t wall_us)
{
	time_t s = (time_t)(wall_us / 1000000);
	char text[64];
	struct tm t;

	gmtime_r(&s, &t);
	snprintf(text, sizeof(text), "[%04d-%02d-%02dT%02d:%02d:%02d.%03uZ] \"", t.tm_year + 1900, t.tm_mon + 1,
	         t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec, (unsigned)(wall_us / 1000 % 1000));
	put_text(o, text);
}

static void put_duration(struct out *o, uint32_t us)
{
	if (us == UINT32_MAX)
		put(o, "-", 1);
	else
		put_number(o, us / 1000);
}

static void put_host(struct out *o, const struct addr *a, uint16_t port)
{
	static const struct addr none;
	char text[ADDR_TEXT_MAX];
	bool v6 = !addr_is_v4(a);

	if (addr_equal(a, &none)) {
		put(o, "-", 1);
		return;
	}
	if (v6)
		put(o, "[", 1);
	put_text(o, addr_print(a, text));
	put_text(o, v6 ? "]:" : ":");
	put_number(o, port);
}

static const char *protocol(uint16_t version)
{
	return version == 10 ? "HTTP/1.0" : version == 11 ? "HTTP/1.1" : version == 20 ? "HTTP/2" : "-";
}

size_t access_print(const struct access_record *r, size_t bytes, char *line, size_t size)
{
	const char *method = r->texts, *path = method + r->method_len, *authority = path + r->path_len;
	const char *agent = authority + r->authority_len, *id = agent + r->user_agent_len;
	const char *forwarded = id + r->request_id_len;
	struct out o = {line, line + size - 1};

	if (size == 0 || forwarded + r->forwarded_for_len + r->rule_len > (const char *)r + bytes)
		return 0;
	put_time(&o, r->start_wall_us);
	put_wire(&o, method, r->method_len);
	put(&o, " ", 1);
	put_wire(&o, path, r->path_len);
	put(&o, " ", 1);
	put_text(&o, protocol(r->version));
	put(&o, "\" ", 2);
	put_number(&o, r->status);
	put(&o, " ", 1);
	put_wire(&o, r->flags, strnlen(r->flags, sizeof(r->flags)));
	put(&o, " ", 1);
	put_number(&o, r->request_bytes);
	put(&o, " ", 1);
	put_number(&o, r->response_bytes);
	put(&o, " ", 1);
	put_duration(&o, r->duration_us);
	put(&o, " ", 1);
	put_duration(&o, r->upstream_us);
	put(&o, " \"", 2);
	put_wire(&o, forwarded, r->forwarded_for_len);
	put(&o, "\" \"", 3);
	put_wire(&o, agent, r->user_agent_len);
	put(&o, "\" \"", 3);
	put_wire(&o, id, r->request_id_len);
	put(&o, "\" \"", 3);
	put_wire(&o, authority, r->authority_len);
	put(&o, "\" \"", 3);
	put_host(&o, &r->upstream, r->upstream_port);
	put(&o, "\"", 1);
	*o.at++ = '\n';
	return (size_t)(o.at - line);
}
