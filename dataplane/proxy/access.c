/*
 * Access log lines in Envoy's default text format:
 *
 *   [START_TIME] "METHOD PATH PROTOCOL" CODE FLAGS BYTES_RECEIVED BYTES_SENT DURATION UPSTREAM_SERVICE_TIME
 *   "X-FORWARDED-FOR" "USER-AGENT" "X-REQUEST-ID" "AUTHORITY" "UPSTREAM_HOST"
 *
 * on one line. What is missing is "-". Of texts from the wire, control bytes, quotes, backslashes and what is not UTF-8
 * are printed as \xHH.
 */
#include <stdio.h>
#include <time.h>

#include "proxy/access_out.h"

bool access_texts(const struct access_record *r, size_t bytes, struct access_texts *out)
{
	const uint16_t lengths[ACCESS_TEXTS] = {r->method_len, r->path_len, r->authority_len, r->user_agent_len,
	                                        r->request_id_len, r->forwarded_for_len, r->rule_len, r->details_len};
	struct access_text *const texts[ACCESS_TEXTS] = {&out->method, &out->path, &out->authority, &out->user_agent,
	                                                 &out->request_id, &out->forwarded_for, &out->rule,
	                                                 &out->details};
	const char *at = r->texts;

	for (unsigned i = 0; i < ACCESS_TEXTS; i++) {
		*texts[i] = (struct access_text){.at = at, .len = lengths[i]};
		at += lengths[i];
	}
	return at <= (const char *)r + bytes;
}

unsigned access_utf8(const char *text, size_t n)
{
	const unsigned char *c = (const unsigned char *)text;
	const unsigned len = c[0] < 0x80 ? 1 : c[0] < 0xc2 || c[0] > 0xf4 ? 0 : c[0] < 0xe0 ? 2 : c[0] < 0xf0 ? 3 : 4;

	if (len == 0 || len > n)
		return 0;
	for (unsigned i = 1; i < len; i++) {
		if ((c[i] & 0xc0) != 0x80)
			return 0;
	}
	/* Overlong forms, surrogates, and what is above U+10FFFF. */
	if ((c[0] == 0xe0 && c[1] < 0xa0) || (c[0] == 0xed && c[1] > 0x9f) || (c[0] == 0xf0 && c[1] < 0x90) ||
	    (c[0] == 0xf4 && c[1] > 0x8f))
		return 0;
	return len;
}

static void put_wire(struct out *o, struct access_text t)
{
	static const char hex[] = "0123456789abcdef";

	if (t.len == 0)
		put(o, "-", 1);
	for (size_t i = 0; i < t.len;) {
		const unsigned char c = (unsigned char)t.at[i];
		const unsigned len = access_utf8(t.at + i, t.len - i);

		if (len == 0 || c < 0x20 || c == 0x7f || c == '"' || c == '\\') {
			put(o, (char[]){'\\', 'x', hex[c >> 4], hex[c & 15]}, 4);
			i++;
		} else {
			put(o, t.at + i, len);
			i += len;
		}
	}
}

void access_put_time(struct out *o, uint64_t wall_us)
{
	time_t s = (time_t)(wall_us / 1000000);
	char text[64];
	struct tm t;

	gmtime_r(&s, &t);
	snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%03uZ", t.tm_year + 1900, t.tm_mon + 1,
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

void access_put_host(struct out *o, const struct addr *a, uint16_t port)
{
	char text[ADDR_TEXT_MAX];
	const bool v6 = !addr_is_v4(a);

	if (v6)
		put(o, "[", 1);
	put_text(o, addr_print(a, text));
	put_text(o, v6 ? "]:" : ":");
	put_number(o, port);
}

const char *access_protocol(uint16_t version)
{
	return version == 10 ? "HTTP/1.0" : version == 11 ? "HTTP/1.1" : version == 20 ? "HTTP/2" : "-";
}

size_t access_print(const struct access_record *r, size_t bytes, char *line, size_t size)
{
	static const struct addr none;
	struct access_texts t;
	struct out o = {line, line + size - 1};

	if (size == 0 || !access_texts(r, bytes, &t))
		return 0;
	put(&o, "[", 1);
	access_put_time(&o, r->start_wall_us);
	put_text(&o, "] \"");
	put_wire(&o, t.method);
	put(&o, " ", 1);
	put_wire(&o, t.path);
	put(&o, " ", 1);
	put_text(&o, access_protocol(r->version));
	put(&o, "\" ", 2);
	put_number(&o, r->status);
	put(&o, " ", 1);
	put_wire(&o, (struct access_text){.at = r->flags, .len = strnlen(r->flags, sizeof(r->flags))});
	put(&o, " ", 1);
	put_number(&o, r->request_bytes);
	put(&o, " ", 1);
	put_number(&o, r->response_bytes);
	put(&o, " ", 1);
	put_duration(&o, r->duration_us);
	put(&o, " ", 1);
	put_duration(&o, r->upstream_us);
	put(&o, " \"", 2);
	put_wire(&o, t.forwarded_for);
	put(&o, "\" \"", 3);
	put_wire(&o, t.user_agent);
	put(&o, "\" \"", 3);
	put_wire(&o, t.request_id);
	put(&o, "\" \"", 3);
	put_wire(&o, t.authority);
	put(&o, "\" \"", 3);
	if (addr_equal(&r->upstream, &none))
		put(&o, "-", 1);
	else
		access_put_host(&o, &r->upstream, r->upstream_port);
	put(&o, "\"", 1);
	*o.at++ = '\n';
	return (size_t)(o.at - line);
}
