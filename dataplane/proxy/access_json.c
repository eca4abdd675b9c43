/*
 * Access log lines in JSON, with the names and the order of Envoy Gateway's default. As there numbers are numbers, and
 * what is missing is null. What is not UTF-8 becomes U+FFFD, so that every line is JSON (RFC 8259), and a text that
 * would take more than its share of the line is cut between two characters, so that every line is whole.
 */
#include "proxy/access_out.h"

/* Names, quotes, numbers and addresses are less than this much of a line. */
enum { FIXED_BYTES = 1200, TEXT_ROOM = (ACCESS_JSON_MIN - FIXED_BYTES) / (ACCESS_TEXTS + 1) };

static void put_name(struct out *o, const char *name)
{
	put(o, o->at[-1] == '{' ? "\"" : ",\"", o->at[-1] == '{' ? 1 : 2);
	put_text(o, name);
	put(o, "\":", 2);
}

/* The character at the start of `text` as JSON has it; *taken: how many bytes of text it was. */
static size_t escape(const char *text, size_t n, char to[static 8], size_t *taken)
{
	static const char hex[] = "0123456789abcdef", unknown[] = "\\ufffd";
	const unsigned char c = (unsigned char)text[0];
	const unsigned len = access_utf8(text, n);

	*taken = len > 0 ? len : 1;
	if (len == 0) {
		memcpy(to, unknown, sizeof(unknown) - 1);
		return sizeof(unknown) - 1;
	}
	if (c == '"' || c == '\\') {
		to[0] = '\\';
		to[1] = (char)c;
		return 2;
	}
	if (c < 0x20 || c == 0x7f) {
		memcpy(to, (char[]){'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]}, 6);
		return 6;
	}
	memcpy(to, text, len);
	return len;
}

static void put_wire(struct out *o, const char *name, const char *text, size_t n)
{
	size_t used = 0, taken;
	char one[8];

	put_name(o, name);
	if (n == 0) {
		put_text(o, "null");
		return;
	}
	put(o, "\"", 1);
	for (size_t i = 0; i < n; i += taken) {
		const size_t len = escape(text + i, n - i, one, &taken);

		if (used + len > TEXT_ROOM)
			break;
		put(o, one, len);
		used += len;
	}
	put(o, "\"", 1);
}

static void put_access_text(struct out *o, const char *name, struct access_text t)
{
	put_wire(o, name, t.at, t.len);
}

static void put_ms(struct out *o, const char *name, uint32_t us)
{
	put_name(o, name);
	if (us == UINT32_MAX)
		put_text(o, "null");
	else
		put_number(o, us / 1000);
}

static void put_count(struct out *o, const char *name, uint64_t n)
{
	put_name(o, name);
	put_number(o, n);
}

static void put_address(struct out *o, const char *name, const struct addr *a, uint16_t port)
{
	static const struct addr none;

	put_name(o, name);
	if (addr_equal(a, &none)) {
		put_text(o, "null");
		return;
	}
	put(o, "\"", 1);
	access_put_host(o, a, port);
	put(o, "\"", 1);
}

static void put_all(struct out *o, const struct access_record *r, const struct access_texts *t)
{
	const struct addr *upstream = &r->upstream;
	const char *protocol = access_protocol(r->version);

	put(o, "{", 1);
	put_name(o, "start_time");
	put(o, "\"", 1);
	access_put_time(o, r->start_wall_us);
	put(o, "\"", 1);
	put_access_text(o, "method", t->method);
	put_access_text(o, "x-envoy-origin-path", t->path);
	put_wire(o, "protocol", protocol, strcmp(protocol, "-") != 0 ? strlen(protocol) : 0);
	put_count(o, "response_code", r->status);
	put_wire(o, "response_flags", r->flags[0] != '\0' ? r->flags : "-",
	         r->flags[0] != '\0' ? strnlen(r->flags, sizeof(r->flags)) : 1);
	put_access_text(o, "response_code_details", t->details);
	put_wire(o, "connection_termination_details", "", 0);
	put_wire(o, "upstream_transport_failure_reason", "", 0);
	put_count(o, "bytes_received", r->request_bytes);
	put_count(o, "bytes_sent", r->response_bytes);
	put_ms(o, "duration", r->duration_us);
	put_ms(o, "x-envoy-upstream-service-time", r->upstream_us);
	put_access_text(o, "x-forwarded-for", t->forwarded_for);
	put_access_text(o, "user-agent", t->user_agent);
	put_access_text(o, "x-request-id", t->request_id);
	put_access_text(o, ":authority", t->authority);
	put_address(o, "upstream_host", upstream, r->upstream_port);
	/* Envoy Gateway's clusters are called like the rules that lead to them. */
	put_access_text(o, "upstream_cluster", t->rule);
	put_address(o, "upstream_local_address", &r->upstream_local, r->upstream_local_port);
	put_address(o, "downstream_local_address", &r->client.local, r->client.local_port);
	put_address(o, "downstream_remote_address", &r->client.remote, r->client.remote_port);
	put_wire(o, "requested_server_name", "", 0);
	put_access_text(o, "route_name", t->rule);
	put(o, "}", 1);
}

size_t access_print_json(const struct access_record *r, size_t bytes, char *line, size_t size)
{
	struct access_texts t;
	struct out o = {line, line + size - 1};

	if (size < ACCESS_JSON_MIN || !access_texts(r, bytes, &t))
		return 0;
	put_all(&o, r, &t);
	*o.at++ = '\n';
	return (size_t)(o.at - line);
}
