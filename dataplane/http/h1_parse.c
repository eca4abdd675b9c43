/*
 * A whole header section to a message.
 *
 * The section has been scanned (h1_scan.c), so it is contiguous, every line ends with CR LF, and no control bytes but
 * HTAB are left in it. A field line is then token ":" OWS value OWS and nothing else, and is taken apart here, 32 bytes
 * at a time. llhttp (strict: no lenient flag is ever set) judges the start line and the fields that frame the message,
 * unless they are plain: a method that we know, a target of origin form, a status line with a space behind three
 * digits, no other framing than one "Content-Length: digits". There it can find no fault, and asking it costs a tenth
 * of a whole exchange. In builds with slow checks it judges every section as a whole, and must not find fault with
 * what we took.
 *
 * Everything that decides where the message ends is judged from the fields, because that is where proxies and servers
 * have disagreed (RFC 9112, 6 and 11.2), and so is whom a request is for (h1_target.c):
 *
 *   Transfer-Encoding  HTTP/1.1 only, one field, exactly "chunked"; with Content-Length it is an error
 *   Content-Length     one field, digits only, below 2^63
 *   version            HTTP/1.1 or HTTP/1.0
 *
 * There is no mode in which one of these is let through.
 */
#include <immintrin.h>
#include <string.h>

#include "http/h1.h"
#include "http/llhttp.h"

enum {
	SPARE_FIELDS = 12, VERSION_LEN = sizeof("HTTP/1.1") - 1, STATUS_LINE_LEN = sizeof("HTTP/1.1 200 ") - 1,
	STATUS_MIN = 100, STATUS_MAX = 599, STRIDE = 32,
};

/* ---- bytes ---- */

/* RFC 9110, 5.6.2. */
static const bool token[256] = {
	['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true, ['!'] = true, ['#'] = true, ['$'] = true,
	['%'] = true, ['&'] = true, ['\''] = true, ['*'] = true, ['+'] = true, ['-'] = true, ['.'] = true,
	['^'] = true, ['_'] = true, ['`'] = true, ['|'] = true, ['~'] = true,
};

static uint32_t token_span(struct text t)
{
	uint32_t n = 0;

	while (n < t.len && token[(unsigned char)t.at[n]])
		n++;
	return n;
}

static bool is_token(struct text t)
{
	return t.len > 0 && token_span(t) == t.len;
}

/*
 * The same for tokens, 32 bytes at a time: a byte is of the class when the bit for its high half is set in the entry
 * of its low half (bytes from 0x80 on have no bit).
 */
static inline uint32_t token_bits(const char *at)
{
	/* For low half l: bit h is set when the byte h << 4 | l is of a token. */
	static const uint8_t lows[16] = {0xe8, 0xfc, 0xf8, 0xfc, 0xfc, 0xfc, 0xfc, 0xfc,
	                                 0xf8, 0xf8, 0xf4, 0x54, 0xd0, 0x54, 0xf4, 0x70};
	static const uint8_t highs[16] = {1, 2, 4, 8, 16, 32, 64, 128};
	const __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)at);
	const __m256i nibble = _mm256_set1_epi8(0x0f);
	const __m256i low = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)lows));
	const __m256i high = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)highs));
	const __m256i of_low = _mm256_shuffle_epi8(low, _mm256_and_si256(v, nibble));
	const __m256i of_high = _mm256_shuffle_epi8(high, _mm256_and_si256(_mm256_srli_epi16(v, 4), nibble));
	const __m256i none = _mm256_cmpeq_epi8(_mm256_and_si256(of_low, of_high), _mm256_setzero_si256());

	return ~(uint32_t)_mm256_movemask_epi8(none);
}

/* The length of the token at `at`, which ends before `end`. */
static inline uint32_t token_length(const char *at, const char *end)
{
	uint32_t n = 0;

	while (end - at - n >= STRIDE) {
		const uint32_t others = ~token_bits(at + n);

		if (others)
			return n + (uint32_t)__builtin_ctz(others);
		n += STRIDE;
	}
	return n + token_span((struct text){at + n, (uint32_t)(end - at) - n});
}

/* The CR that ends the line; there is one. */
static inline const char *line_end(const char *at, const char *end)
{
	while (end - at >= STRIDE) {
		const __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)at);
		const uint32_t bits = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(v, _mm256_set1_epi8('\r')));

		if (bits)
			return at + __builtin_ctz(bits);
		at += STRIDE;
	}
	return memchr(at, '\r', (size_t)(end - at));
}

/* ---- fields ---- */

/* What the fields say about the message's extent and the connection. */
struct framing {
	const struct http_field *length, *coding, *expect, *upgrade;
	struct http_field *host;
	unsigned lengths, codings, hosts, expects, upgrades;
	bool close, keep_alive, switches, trailers;
};

static enum err fields_room(struct http_message *m, struct arena *a, const struct h1_scan *scan)
{
	const unsigned max = scan->lines + SPARE_FIELDS;

	if (scan->lines > LIMIT_http_headers + 1)
		return ERR_HTTP_HEADERS_TOO_LARGE;
	m->fields_n = 0;
	if (m->fields_max >= max)
		return OK; /* an interim response's */
	m->fields_max = (uint16_t)max;
	m->fields = arena_get(a, max * sizeof(*m->fields));
	return m->fields ? OK : ERR_NO_MEMORY;
}

static inline bool blank(char b)
{
	return b == ' ' || b == '\t';
}

static void connection_options(struct framing *f, struct text value)
{
	struct text option;

	while (http_list_next(&value, &option)) {
		f->close = f->close || text_equal_nocase(option, TEXT("close"));
		f->keep_alive = f->keep_alive || text_equal_nocase(option, TEXT("keep-alive"));
		f->switches = f->switches || text_equal_nocase(option, TEXT("upgrade"));
	}
}

/* A weight says how welcome they are, which is no matter (RFC 9110, 10.1.4). */
static void transfer_codings_welcome(struct framing *f, struct text value)
{
	struct text coding;

	while (http_list_next(&value, &coding)) {
		const char *semicolon = memchr(coding.at, ';', coding.len);

		if (semicolon)
			coding.len = (uint32_t)(semicolon - coding.at);
		while (coding.len && blank(coding.at[coding.len - 1]))
			coding.len--;
		f->trailers = f->trailers || text_equal_nocase(coding, TEXT("trailers"));
	}
}

static void note(struct framing *f, struct http_field *field)
{
	switch (field->id) {
	case HTTP_FIELD_CONTENT_LENGTH:
		f->length = field;
		f->lengths++;
		break;
	case HTTP_FIELD_TRANSFER_ENCODING:
		f->coding = field;
		f->codings++;
		break;
	case HTTP_FIELD_HOST:
		f->host = field;
		f->hosts++;
		break;
	case HTTP_FIELD_EXPECT:
		f->expect = field;
		f->expects++;
		break;
	case HTTP_FIELD_UPGRADE:
		f->upgrade = field;
		f->upgrades++;
		break;
	case HTTP_FIELD_TE:
		transfer_codings_welcome(f, field->value);
		break;
	case HTTP_FIELD_CONNECTION:
		connection_options(f, field->value);
		break;
	default:
		break;
	}
}

/* The field lines from `at` to the empty line, which ends at `end`. */
static enum err read_fields(struct http_message *m, struct framing *f, const char *at, const char *end)
{
	*f = (struct framing){0};
	for (; end - at > 2;) {
		const uint32_t name_len = token_length(at, end);
		const char *from = at + name_len + 1, *cr, *to;
		struct http_field *field = &m->fields[m->fields_n];

		if (name_len == 0 || at[name_len] != ':')
			return ERR_HTTP_SYNTAX;
		CHECK(m->fields_n < m->fields_max);
		cr = to = line_end(from, end);
		while (from < to && blank(*from))
			from++;
		while (from < to && blank(to[-1]))
			to--;
		*field = (struct http_field){.name = {at, name_len}, .value = {from, (uint32_t)(to - from)}};
		field->id = (uint16_t)http_field_id(field->name);
		field->line = from == at + name_len + 2 && from[-1] == ' ' && to == cr;
		m->fields_n++;
		note(f, field);
		at = cr + 2;
	}
	return OK;
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

/*
 * Upgrade counts when Connection names it, and not in HTTP/1.0 (RFC 9110, 7.8). Asked for behind a body, or in several
 * fields, it is ignored, which a server always may.
 */
static void read_upgrade(struct http_message *m, const struct framing *f)
{
	const bool body = m->body == HTTP_BODY_CHUNKED || (m->body == HTTP_BODY_LENGTH && m->content_length > 0);

	m->upgrade = (struct text){0};
	if (f->upgrades == 1 && f->switches && m->version == 11 && (m->status != 0 || !body))
		m->upgrade = f->upgrade->value;
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
	if (m->method == HTTP_CONNECT && m->version != 11)
		return ERR_HTTP_NOT_IMPLEMENTED;
	return h1_read_target(m, a, (struct text){space + 1, (uint32_t)(second - space - 1)});
}

/* ---- llhttp ---- */

static int on_headers_complete(llhttp_t *p)
{
	(void)p;
	return HPE_PAUSED;
}

static const llhttp_settings_t settings = {.on_headers_complete = on_headers_complete};

static enum err translate(llhttp_errno_t e)
{
	switch (e) {
	case HPE_INVALID_METHOD:
		return ERR_HTTP_NOT_IMPLEMENTED;
	case HPE_INVALID_VERSION:
		return ERR_HTTP_VERSION;
	case HPE_UNEXPECTED_CONTENT_LENGTH:
	case HPE_INVALID_CONTENT_LENGTH:
	case HPE_INVALID_TRANSFER_ENCODING:
		return ERR_HTTP_FRAMING;
	default:
		return ERR_HTTP_SYNTAX;
	}
}

static llhttp_errno_t judge_line(llhttp_t *p, const struct http_field *f, const char *end)
{
	const char *cr;

	if (!f)
		return HPE_OK;
	cr = line_end(f->value.at + f->value.len, end);
	return llhttp_execute(p, f->name.at, (size_t)(cr + 2 - f->name.at));
}

/* The whole section: what we took, llhttp must take too. */
static inline void judge_all(llhttp_type_t type, const char *at, const struct h1_scan *scan)
{
#ifndef NDEBUG_SLOW
	llhttp_t p;

	llhttp_init(&p, type, &settings);
	CHECK_SLOW(llhttp_execute(&p, at, scan->end) == HPE_PAUSED && llhttp_get_error_pos(&p) == at + scan->end);
#else
	(void)type;
	(void)at;
	(void)scan;
#endif
}

/* The start line and the framing fields. */
static enum err judge(llhttp_t *p, llhttp_type_t type, const char *at, const struct h1_scan *scan,
                      const struct framing *f)
{
	llhttp_errno_t e;

	llhttp_init(p, type, &settings);
	e = llhttp_execute(p, at, scan->first_line);
	if (e == HPE_OK)
		e = judge_line(p, f->length, at + scan->end);
	if (e == HPE_OK)
		e = judge_line(p, f->coding, at + scan->end);
	if (e == HPE_OK)
		e = llhttp_execute(p, "\r\n", 2);
	return e == HPE_PAUSED ? OK : translate(e);
}

/* ---- requests ---- */

static enum err read_expect(struct http_message *m, const struct framing *f)
{
	m->expect_continue = false;
	if (!f->expect || m->version != 11)
		return OK;
	if (f->expects > 1 || !text_equal_nocase(f->expect->value, TEXT("100-continue")))
		return ERR_HTTP_EXPECTATION;
	m->expect_continue = m->body == HTTP_BODY_CHUNKED || (m->body == HTTP_BODY_LENGTH && m->content_length > 0);
	return OK;
}

/* It has no content (RFC 9110, 9.3.6): bytes behind it are the tunnel's, or nobody's. */
static enum err read_connect(struct http_message *m)
{
	if (m->method != HTTP_CONNECT)
		return OK;
	if (m->body == HTTP_BODY_CHUNKED || (m->body == HTTP_BODY_LENGTH && m->content_length > 0))
		return ERR_HTTP_FRAMING;
	m->body = HTTP_BODY_NONE;
	m->upgrade = (struct text){0};
	m->keep_alive = false;
	return OK;
}

/* No framing, or one field in the very form that everybody writes it in. */
static bool plain_framing(const struct framing *f)
{
	return f->codings == 0 && (f->length == NULL || f->length->line);
}

static bool plain_request(const struct http_message *m, const char *at, const struct framing *f)
{
	return m->method != HTTP_METHOD_OTHER && at[m->method_text.len + 1] == '/' && plain_framing(f);
}

enum err h1_parse_request(struct http_message *m, struct arena *a, const char *at, const struct h1_scan *scan)
{
	struct framing f;
	llhttp_t p;
	enum err e;

	http_message_init(m);
	e = read_request_line(m, a, at, scan->first_line);
	if (e == OK)
		e = fields_room(m, a, scan);
	if (e == OK)
		e = read_fields(m, &f, at + scan->first_line, at + scan->end);
	if (e)
		return e;
	read_keep_alive(m, &f);
	e = read_body(m, &f);
	if (e == OK && !plain_request(m, at, &f))
		e = judge(&p, HTTP_REQUEST, at, scan, &f);
	if (e == OK)
		e = h1_read_host(m, f.host, f.hosts);
	if (e == OK)
		e = read_expect(m, &f);
	if (e)
		return e;
	read_upgrade(m, &f);
	m->trailers_welcome = f.trailers;
	judge_all(HTTP_REQUEST, at, scan);
	return read_connect(m);
}

/* ---- responses ---- */

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

/* The three digits of a plain status line; 0: it is none. */
static uint16_t plain_status(const char *at, const struct framing *f)
{
	const char *d = at + VERSION_LEN + 1;
	unsigned status = 0;

	for (unsigned i = 0; i < 3; i++) {
		if (d[i] < '0' || d[i] > '9')
			return 0;
		status = status * 10 + (unsigned)(d[i] - '0');
	}
	return d[3] == ' ' && plain_framing(f) ? (uint16_t)status : 0;
}

enum err h1_parse_response(struct http_message *m, struct arena *a, const char *at, const struct h1_scan *scan,
                           bool head_request)
{
	struct framing f;
	struct http_field *const fields = m->fields;
	const uint16_t fields_max = m->fields_max;
	llhttp_t p;
	enum err e;

	http_message_init(m);
	m->fields = fields;
	m->fields_max = fields_max;
	if (scan->first_line < STATUS_LINE_LEN + 1 || at[VERSION_LEN] != ' ')
		return ERR_HTTP_SYNTAX;
	e = read_version(m, (struct text){at, VERSION_LEN});
	if (e == OK)
		e = fields_room(m, a, scan);
	if (e == OK)
		e = read_fields(m, &f, at + scan->first_line, at + scan->end);
	if (e)
		return e;
	read_keep_alive(m, &f);
	e = read_body(m, &f);
	if (e)
		return e;
	m->status = plain_status(at, &f);
	if (m->status == 0) {
		e = judge(&p, HTTP_RESPONSE, at, scan, &f);
		m->status = p.status_code;
	}
	if (e)
		return e;
	if (m->status < STATUS_MIN || m->status > STATUS_MAX)
		return ERR_HTTP_SYNTAX;
	if (scan->first_line > STATUS_LINE_LEN + 2)
		m->reason = (struct text){at + STATUS_LINE_LEN, scan->first_line - STATUS_LINE_LEN - 2};
	response_body(m, head_request);
	read_upgrade(m, &f);
	judge_all(HTTP_RESPONSE, at, scan);
	return OK;
}

/* ---- trailers ---- */

/* Fields that may not come behind the body (RFC 9110, 6.5.1): framing, routing, authentication, how to read it. */
static bool forbidden_trailer(const struct http_field *f)
{
	return f->id == HTTP_FIELD_HOST || f->id == HTTP_FIELD_TRAILER || f->id == HTTP_FIELD_EXPECT ||
	       (http_field_flags(f->id) & (HTTP_FIELD_HOP | HTTP_FIELD_FRAMING | HTTP_FIELD_KEPT));
}

enum err h1_parse_trailers(struct http_message *m, struct arena *a, const char *at, const struct h1_scan *scan)
{
	struct framing f;
	enum err e;

	http_message_init(m);
	e = fields_room(m, a, scan);
	if (e == OK)
		e = read_fields(m, &f, at, at + scan->end);
	if (e)
		return e;
	for (unsigned i = 0; i < m->fields_n; i++)
		if (forbidden_trailer(&m->fields[i]))
			m->fields[i].removed = true;
	return OK;
}
