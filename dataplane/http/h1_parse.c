/*
 * A whole header section to a message.
 *
 * The section has been scanned (h1_scan.c), so it is contiguous, every line ends with CR LF, and no control bytes are
 * left in it. Then llhttp (strict: no lenient flag is ever set) judges the grammar of the start line and of the fields
 * and says where names and values lie. It is stopped at the empty line: everything that decides where the message ends
 * is judged here, from the fields, because that is where proxies and servers have disagreed (RFC 9112, 6 and 11.2):
 *
 *   Transfer-Encoding  HTTP/1.1 only, one field, exactly "chunked"; with Content-Length it is an error
 *   Content-Length     one field, digits only, below 2^63
 *   Host               exactly one in HTTP/1.1, at most one in 1.0, only bytes of an authority, not empty; must agree
 *                      with the authority of a target in absolute form
 *   target             visible ASCII without '#'; "*" for OPTIONS only; no CONNECT
 *   version            HTTP/1.1 or HTTP/1.0
 *
 * There is no mode in which one of these is let through.
 */
#include <string.h>

#include "http/h1.h"
#include "http/llhttp.h"

enum { SPARE_FIELDS = 12, VERSION_LEN = sizeof("HTTP/1.1") - 1, STATUS_MIN = 100, STATUS_MAX = 599 };

struct parse {
	struct http_message *m;
	bool in_name;              /* the last thing seen was a name, not a value */
};

/* What the fields say about the message's extent and the connection. */
struct framing {
	const struct http_field *length, *coding, *host, *expect;
	unsigned lengths, codings, hosts;
	bool close, keep_alive;
};

static int on_header_field(llhttp_t *p, const char *at, size_t n)
{
	struct parse *x = p->data;
	struct http_message *m = x->m;
	struct http_field *last = m->fields_n ? &m->fields[m->fields_n - 1] : NULL;

	if (x->in_name && last && at == last->name.at + last->name.len) {
		last->name.len += (uint32_t)n;
		last->value.at = at + n;
		return 0;
	}
	if (m->fields_n == m->fields_max)
		return HPE_USER;
	m->fields[m->fields_n++] = (struct http_field){.name = {at, (uint32_t)n}, .value = {at + n, 0}};
	x->in_name = true;
	return 0;
}

static int on_header_value(llhttp_t *p, const char *at, size_t n)
{
	struct parse *x = p->data;
	struct http_field *f = &x->m->fields[x->m->fields_n - 1];

	if (x->in_name)
		f->value = (struct text){at, (uint32_t)n};
	else
		f->value.len = (uint32_t)(at + n - f->value.at);
	x->in_name = false;
	return 0;
}

static int on_headers_complete(llhttp_t *p)
{
	(void)p;
	return HPE_PAUSED;
}

static int on_status(llhttp_t *p, const char *at, size_t n)
{
	struct parse *x = p->data;

	x->m->reason = (struct text){at, (uint32_t)n};
	return 0;
}

static const llhttp_settings_t request_settings = {
	.on_header_field = on_header_field,
	.on_header_value = on_header_value,
	.on_headers_complete = on_headers_complete,
};

static const llhttp_settings_t response_settings = {
	.on_status = on_status,
	.on_header_field = on_header_field,
	.on_header_value = on_header_value,
	.on_headers_complete = on_headers_complete,
};

static enum err fields_room(struct http_message *m, struct arena *a, const struct h1_scan *scan)
{
	const unsigned max = scan->lines + SPARE_FIELDS;

	if (scan->lines > LIMIT_http_headers + 1)
		return ERR_HTTP_HEADERS_TOO_LARGE;
	m->fields_n = 0;
	m->fields_max = (uint16_t)max;
	m->fields = arena_get(a, max * sizeof(*m->fields));
	return m->fields ? OK : ERR_NO_MEMORY;
}

/* White space around the value is none of it (llhttp leaves the trailing one). */
static void trim(struct text *t)
{
	while (t->len && (t->at[t->len - 1] == ' ' || t->at[t->len - 1] == '\t'))
		t->len--;
	while (t->len && (t->at[0] == ' ' || t->at[0] == '\t')) {
		t->at++;
		t->len--;
	}
}

static void number_fields(struct http_message *m)
{
	for (unsigned i = 0; i < m->fields_n; i++) {
		struct http_field *f = &m->fields[i];

		trim(&f->value);
		f->id = (uint16_t)http_field_id(f->name);
		f->received = f->value.at == f->name.at + f->name.len + 2 && f->value.at[-1] == ' ';
	}
}

static void connection_options(struct framing *f, struct text value)
{
	struct text option;

	while (http_list_next(&value, &option)) {
		f->close = f->close || text_equal_nocase(option, TEXT("close"));
		f->keep_alive = f->keep_alive || text_equal_nocase(option, TEXT("keep-alive"));
	}
}

static void read_framing(const struct http_message *m, struct framing *out)
{
	*out = (struct framing){0};
	for (unsigned i = 0; i < m->fields_n; i++) {
		const struct http_field *f = &m->fields[i];

		switch (f->id) {
		case HTTP_FIELD_CONTENT_LENGTH:
			out->length = f;
			out->lengths++;
			break;
		case HTTP_FIELD_TRANSFER_ENCODING:
			out->coding = f;
			out->codings++;
			break;
		case HTTP_FIELD_HOST:
			out->host = f;
			out->hosts++;
			break;
		case HTTP_FIELD_EXPECT:
			out->expect = f;
			break;
		case HTTP_FIELD_CONNECTION:
			connection_options(out, f->value);
			break;
		default:
			break;
		}
	}
}

static enum err read_length(struct text value, uint64_t *out)
{
	uint64_t n = 0;

	if (value.len == 0 || value.len > 19)
		return ERR_HTTP_FRAMING;
	for (uint32_t i = 0; i < value.len; i++) {
		if (value.at[i] < '0' || value.at[i] > '9')
			return ERR_HTTP_FRAMING;
		n = n * 10 + (uint64_t)(value.at[i] - '0');
	}
	if (n > INT64_MAX)
		return ERR_HTTP_FRAMING;
	*out = n;
	return OK;
}

static bool is_token(struct text t)
{
	static const char others[] = "!#$%&'*+-.^_`|~";

	for (uint32_t i = 0; i < t.len; i++) {
		const char b = t.at[i], low = (char)(b | 0x20);

		if (!((low >= 'a' && low <= 'z') || (b >= '0' && b <= '9') || (b && strchr(others, b))))
			return false;
	}
	return t.len > 0;
}

/* A list of codings other than the one that we take is well-formed but not implemented; anything else is garbage. */
static enum err refuse_coding(struct text value)
{
	struct text coding;
	bool other = false;

	while (http_list_next(&value, &coding)) {
		if (!is_token(coding))
			return ERR_HTTP_FRAMING;
		other = other || !text_equal_nocase(coding, TEXT("chunked"));
	}
	return other ? ERR_HTTP_NOT_IMPLEMENTED : ERR_HTTP_FRAMING;
}

static enum err read_body(struct http_message *m, const struct framing *f)
{
	m->body = HTTP_BODY_NONE;
	if (f->codings) {
		if (f->codings > 1 || f->lengths || m->version != 11)
			return ERR_HTTP_FRAMING;
		if (!text_equal_nocase(f->coding->value, TEXT("chunked")))
			return refuse_coding(f->coding->value);
		m->body = HTTP_BODY_CHUNKED;
		return OK;
	}
	if (f->lengths > 1)
		return ERR_HTTP_FRAMING;
	if (f->lengths) {
		m->body = HTTP_BODY_LENGTH;
		return read_length(f->length->value, &m->content_length);
	}
	return OK;
}

static void read_keep_alive(struct http_message *m, const struct framing *f)
{
	m->keep_alive = !f->close && (m->version == 11 || f->keep_alive);
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

/* RFC 3986, 3.2.2: reg-name or an IP literal, then a port; no user information, no comma (it joins merged fields). */
static bool authority_valid(struct text a)
{
	static const char others[] = "-._~%!$&'()*+;=";
	uint32_t i = 0;

	if (a.len && a.at[0] == '[') {
		for (i = 1; i < a.len && a.at[i] != ']'; i++)
			if (!((a.at[i] >= '0' && a.at[i] <= '9') || ((a.at[i] | 0x20) >= 'a' && (a.at[i] | 0x20) <= 'f') ||
			      a.at[i] == ':' || a.at[i] == '.'))
				return false;
		if (i == a.len || i == 1)
			return false;
		i++;
	} else {
		for (; i < a.len && a.at[i] != ':'; i++) {
			const char b = a.at[i], low = (char)(b | 0x20);

			if (!((low >= 'a' && low <= 'z') || (b >= '0' && b <= '9') || (b && strchr(others, b))))
				return false;
		}
		if (i == 0)
			return false;
	}
	if (i == a.len)
		return true;
	return a.at[i] == ':' && port_valid((struct text){a.at + i + 1, a.len - i - 1});
}

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

static enum err read_target(struct http_message *m, struct arena *a, struct text target)
{
	unsigned char odd = 0;
	uint32_t skip, n = 0;

	for (uint32_t i = 0; i < target.len; i++)
		odd |= (unsigned char)((target.at[i] & 0x80) | (target.at[i] == '#'));
	if (odd || target.len == 0)
		return ERR_HTTP_SYNTAX;
	m->authority = (struct text){0};
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

static enum err read_host(struct http_message *m, const struct framing *f)
{
	if (f->hosts > 1 || (f->hosts == 0 && m->version == 11))
		return ERR_HTTP_SYNTAX;
	if (f->hosts == 0)
		return OK;
	if (!authority_valid(f->host->value))
		return ERR_HTTP_SYNTAX;
	if (m->authority.len && !text_equal_nocase(m->authority, f->host->value))
		return ERR_HTTP_SYNTAX;
	m->authority = f->host->value;
	return OK;
}

static enum err read_version(struct http_message *m, struct text v)
{
	if (v.len != VERSION_LEN || memcmp(v.at, "HTTP/", 5) != 0)
		return ERR_HTTP_SYNTAX;
	if (memcmp(v.at + 5, "1.1", 3) == 0)
		m->version = 11;
	else if (memcmp(v.at + 5, "1.0", 3) == 0)
		m->version = 10;
	else
		return v.at[5] >= '0' && v.at[5] <= '9' && v.at[6] == '.' && v.at[7] >= '0' && v.at[7] <= '9' ?
		       ERR_HTTP_VERSION : ERR_HTTP_SYNTAX;
	return OK;
}

/* method SP target SP version CR LF, one space each (RFC 9112, 3). */
static enum err read_request_line(struct http_message *m, struct arena *a, const char *at, uint32_t len)
{
	const char *end = at + len - 2, *space = memchr(at, ' ', (size_t)(end - at)), *second;
	enum err e;

	if (!space)
		return ERR_HTTP_SYNTAX;
	second = memchr(space + 1, ' ', (size_t)(end - space - 1));
	m->method_text = (struct text){at, (uint32_t)(space - at)};
	if (!second || !is_token(m->method_text))
		return ERR_HTTP_SYNTAX;
	if (second - space - 1 > LIMIT_http_uri)
		return ERR_HTTP_URI_TOO_LONG;
	e = read_version(m, (struct text){second + 1, (uint32_t)(end - second - 1)});
	if (e)
		return e;
	m->method = (uint8_t)http_method(m->method_text);
	if (m->method == HTTP_CONNECT)
		return ERR_HTTP_NOT_IMPLEMENTED;
	return read_target(m, a, (struct text){space + 1, (uint32_t)(second - space - 1)});
}

static enum err run_llhttp(struct http_message *m, llhttp_type_t type, const llhttp_settings_t *settings, const char *at,
                           uint32_t len)
{
	struct parse x = {.m = m};
	llhttp_t p;
	llhttp_errno_t e;

	llhttp_init(&p, type, settings);
	p.data = &x;
	e = llhttp_execute(&p, at, len);
	if (e == HPE_PAUSED) {
		if (type == HTTP_RESPONSE) {
			m->status = p.status_code;
			m->version = (uint8_t)(p.http_major * 10 + p.http_minor);
		}
		return llhttp_get_error_pos(&p) == at + len ? OK : ERR_HTTP_SYNTAX;
	}
	switch (e) {
	case HPE_INVALID_METHOD:
		return ERR_HTTP_NOT_IMPLEMENTED;
	case HPE_INVALID_VERSION:
		return ERR_HTTP_VERSION;
	case HPE_UNEXPECTED_CONTENT_LENGTH:
	case HPE_INVALID_CONTENT_LENGTH:
	case HPE_INVALID_TRANSFER_ENCODING:
		return ERR_HTTP_FRAMING;
	case HPE_USER:
		return ERR_HTTP_HEADERS_TOO_LARGE;
	default:
		return ERR_HTTP_SYNTAX;
	}
}

static enum err read_expect(struct http_message *m, const struct framing *f)
{
	m->expect_continue = false;
	if (!f->expect || m->version != 11)
		return OK;
	if (!text_equal_nocase(f->expect->value, TEXT("100-continue")))
		return ERR_HTTP_EXPECTATION;
	m->expect_continue = m->body == HTTP_BODY_CHUNKED || (m->body == HTTP_BODY_LENGTH && m->content_length > 0);
	return OK;
}

enum err h1_parse_request(struct http_message *m, struct arena *a, const char *at, const struct h1_scan *scan)
{
	struct framing f;
	enum err e;

	http_message_init(m);
	e = read_request_line(m, a, at, scan->first_line);
	if (e)
		return e;
	e = fields_room(m, a, scan);
	if (e)
		return e;
	e = run_llhttp(m, HTTP_REQUEST, &request_settings, at, scan->end);
	if (e)
		return e;
	if (m->fields_n + 1u != scan->lines)
		return ERR_HTTP_SYNTAX;
	number_fields(m);
	read_framing(m, &f);
	read_keep_alive(m, &f);
	e = read_body(m, &f);
	if (e)
		return e;
	e = read_host(m, &f);
	if (e)
		return e;
	return read_expect(m, &f);
}

/* RFC 9112, 6.3: which responses have no body, and which end with the connection. */
static void response_body(struct http_message *m, bool head_request)
{
	if (m->status < 200 || m->status == 204) {
		m->body = HTTP_BODY_NONE;
		m->content_length = 0;
	} else if (m->body == HTTP_BODY_NONE && !head_request && m->status != 304) {
		m->body = HTTP_BODY_UNTIL_CLOSE;
	}
}

enum err h1_parse_response(struct http_message *m, struct arena *a, const char *at, const struct h1_scan *scan,
                           bool head_request)
{
	struct framing f;
	enum err e;

	http_message_init(m);
	if (scan->first_line < VERSION_LEN + 4 || (at[VERSION_LEN] != ' '))
		return ERR_HTTP_SYNTAX;
	e = read_version(m, (struct text){at, VERSION_LEN});
	if (e)
		return e;
	e = fields_room(m, a, scan);
	if (e)
		return e;
	e = run_llhttp(m, HTTP_RESPONSE, &response_settings, at, scan->end);
	if (e)
		return e;
	if (m->status < STATUS_MIN || m->status > STATUS_MAX || m->fields_n + 1u != scan->lines)
		return ERR_HTTP_SYNTAX;
	if (m->status == 101)
		return ERR_HTTP_NOT_IMPLEMENTED;
	number_fields(m);
	read_framing(m, &f);
	read_keep_alive(m, &f);
	e = read_body(m, &f);
	if (e)
		return e;
	response_body(m, head_request);
	return OK;
}

/* Fields that may not come behind the body (RFC 9110, 6.5.1): framing, routing, authentication, how to read it. */
static bool forbidden_trailer(const struct http_field *f)
{
	return f->id == HTTP_FIELD_HOST || f->id == HTTP_FIELD_TRAILER || f->id == HTTP_FIELD_EXPECT ||
	       (http_field_flags(f->id) & (HTTP_FIELD_HOP | HTTP_FIELD_FRAMING | HTTP_FIELD_KEPT));
}

/*
 * llhttp reads field lines only behind a start line: it is given one, and goes on with the trailers as if they were
 * the head's fields.
 */
enum err h1_parse_trailers(struct http_message *m, struct arena *a, const char *at, const struct h1_scan *scan)
{
	static const char line[] = "GET / HTTP/1.0\r\n";
	struct parse x = {.m = m};
	llhttp_t p;
	enum err e;

	http_message_init(m);
	e = fields_room(m, a, scan);
	if (e)
		return e;
	llhttp_init(&p, HTTP_REQUEST, &request_settings);
	p.data = &x;
	if (llhttp_execute(&p, line, sizeof(line) - 1) != HPE_OK || llhttp_execute(&p, at, scan->end) != HPE_PAUSED ||
	    llhttp_get_error_pos(&p) != at + scan->end || m->fields_n != scan->lines)
		return ERR_HTTP_SYNTAX;
	number_fields(m);
	for (unsigned i = 0; i < m->fields_n; i++)
		if (forbidden_trailer(&m->fields[i]))
			m->fields[i].removed = true;
	return OK;
}
