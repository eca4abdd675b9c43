/*
 * Messages to packets: one pass into payload mbufs, then all of it is queued, or none.
 *
 * Text goes into an mbuf of its own, so that a body slice that follows in the same round lies behind it in the same
 * segment (TCP sends at the end of the round; nothing has to be held back). While a chunked body is being sent, the
 * mbuf of the head stays at hand: chunk sizes are appended behind what is already queued, which nobody touches.
 *
 * Fields that were received as "name: value CR LF", or made so, are copied as whole lines, and neighbours as one piece.
 * All other text is looked at once more: a value with a line end in it would be a new field, or a new message.
 */
#include <immintrin.h>
#include <string.h>

#include "http/copy.h"
#include "http/h1.h"

enum {
	WRITER_MBUFS = H1_HEAD_ROOM / PACKET_PAYLOAD_MAX + 1,
	TEXT_MIN = 32,             /* an mbuf with less room is not worth keeping */
	DECIMAL_MAX = 20,
};

struct writer {
	struct h1_conn *c;
	char *at, *end;
	uint16_t first_off;        /* where our text begins in m[0] */
	uint16_t n;
	enum err failed;
	struct rte_mbuf *m[WRITER_MBUFS];
};

static void add_mbuf(struct writer *w, struct rte_mbuf *m)
{
	w->m[w->n++] = m;
	w->at = rte_pktmbuf_mtod(m, char *) + m->data_len;
	w->end = rte_pktmbuf_mtod(m, char *) + m->data_len + rte_pktmbuf_tailroom(m);
}

static bool alloc(struct writer *w)
{
	struct shard *s = w->c->http->shard;
	struct rte_mbuf *m = w->n < WRITER_MBUFS ? rte_pktmbuf_alloc(s->pools.payload) : NULL;

	if (!m) {
		count(s->counters, w->n < WRITER_MBUFS ? C_limit_payload_mbufs : C_limit_http_header_bytes);
		w->failed = ERR_NO_MEMORY;
		w->at = w->end = NULL;
		return false;
	}
	add_mbuf(w, m);
	return true;
}

static void begin(struct writer *w, struct h1_conn *c)
{
	w->c = c;
	w->n = 0;
	w->failed = OK;
	w->first_off = 0;
	if (c->text && rte_pktmbuf_tailroom(c->text) >= TEXT_MIN) {
		w->first_off = c->text->data_len;
		add_mbuf(w, c->text);
	} else {
		alloc(w);
	}
}

/* Lengths are final from here on. m[0] is only touched by commit(): it may be c->text, with queued text in it. */
static void close_mbuf(struct writer *w)
{
	struct rte_mbuf *m = w->m[w->n - 1];

	m->data_len = (uint16_t)(w->at - rte_pktmbuf_mtod(m, char *));
	m->pkt_len = m->data_len;
}

static void put_slow(struct writer *w, const char *at, uint32_t n)
{
	while (n && !w->failed) {
		const uint32_t room = (uint32_t)(w->end - w->at), part = n < room ? n : room;

		if (part == 0) {
			close_mbuf(w);
			alloc(w);
			continue;
		}
		memcpy(w->at, at, part);
		w->at += part;
		at += part;
		n -= part;
	}
}

static inline void put(struct writer *w, const char *at, uint32_t n)
{
	if (__builtin_expect(n > (size_t)(w->end - w->at), 0)) {
		put_slow(w, at, n);
		return;
	}
	copy_short(w->at, at, n);
	w->at += n;
}

static inline void put_text(struct writer *w, struct text t)
{
	put(w, t.at, t.len);
}

#define PUT(w, literal) put((w), (literal), sizeof(literal) - 1)

static void put_decimal(struct writer *w, uint64_t n)
{
	char digits[DECIMAL_MAX], *at = digits + sizeof(digits);

	do {
		*--at = (char)('0' + n % 10);
		n /= 10;
	} while (n);
	put(w, at, (uint32_t)(digits + sizeof(digits) - at));
}

static bool clean_slow(const char *at, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (at[i] == '\r' || at[i] == '\n' || at[i] == '\0')
			return false;
	return true;
}

static inline uint32_t line_bytes(const char *at)
{
	const __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)at);
	const __m256i line = _mm256_or_si256(_mm256_cmpeq_epi8(v, _mm256_set1_epi8('\r')),
	                                     _mm256_cmpeq_epi8(v, _mm256_set1_epi8('\n')));

	return (uint32_t)_mm256_movemask_epi8(_mm256_or_si256(line, _mm256_cmpeq_epi8(v, _mm256_setzero_si256())));
}

/* Is [at, at + n) free of line ends? Up to 31 bytes behind may be read. */
static inline bool clean(const char *at, uint32_t n)
{
	for (; n >= 32; n -= 32, at += 32)
		if (line_bytes(at))
			return false;
	return !(line_bytes(at) & ((UINT32_C(1) << n) - 1));
}

/* Looked at where it was copied to: there it is our memory, of which more may be read than was written. */
static inline void put_clean(struct writer *w, struct text t)
{
	char *at = w->at;

	put(w, t.at, t.len);
	if (w->at == at + t.len && w->end - w->at >= 32 ? !clean(at, t.len) : !clean_slow(t.at, t.len))
		w->failed = w->failed ? w->failed : ERR_INVALID;
}

static void discard(struct writer *w)
{
	for (unsigned i = 0; i < w->n; i++)
		if (w->m[i] != w->c->text)
			rte_pktmbuf_free_seg(w->m[i]);
		else
			w->m[i]->data_len = w->first_off;
}

/* A piece may be queued although another was refused only when memory is at its end: then the connection is lost. */
static enum err commit(struct writer *w, bool keep)
{
	struct h1_conn *c = w->c;
	struct rte_mbuf *last;
	uint32_t bytes = 0;

	if (w->failed) {
		discard(w);
		return w->failed;
	}
	close_mbuf(w);
	for (unsigned i = 0; i < w->n; i++)
		bytes += w->m[i]->data_len;
	bytes -= w->first_off;
	if (tls_send_room(c->tls) < bytes) {
		tls_send_short(c->tls);
		discard(w);
		return ERR_FULL;
	}
	last = w->m[w->n - 1];
	if (keep && last != c->text)
		rte_mbuf_refcnt_update(last, 1);
	for (unsigned i = 0; i < w->n; i++) {
		struct rte_mbuf *m = w->m[i];
		const uint16_t skip = i == 0 ? w->first_off : 0;
		struct slice s = {.m = m, .off = (uint16_t)(m->data_off + skip), .len = (uint16_t)(m->data_len - skip)};

		if (m == c->text)
			rte_mbuf_refcnt_update(m, 1);
		if (s.len && tls_send(c->tls, s))
			continue;
		slice_free(&s);
		if (s.len)
			h1_break(c, ERR_NO_MEMORY);
	}
	if (c->text && (last != c->text || !keep))
		h1_drop_text(c);
	if (keep)
		c->text = last;
	c->queued_bytes += bytes;
	if (c->stream)
		c->stream->framing_bytes += bytes;
	return c->broken ? ERR_NO_MEMORY : OK;
}

void h1_drop_text(struct h1_conn *c)
{
	if (c->text)
		rte_pktmbuf_free_seg(c->text);
	c->text = NULL;
}

static inline bool whole_line(const struct http_field *f)
{
	const char *end = f->value.at + f->value.len;

	return f->line && f->value.at == f->name.at + f->name.len + 2 && end[0] == '\r' && end[1] == '\n';
}

static void put_fields(struct writer *w, const struct http_message *m, bool host)
{
	const char *run = NULL, *run_end = NULL;

	for (unsigned i = 0; i < m->fields_n; i++) {
		const struct http_field *f = &m->fields[i];

		if (f->removed || (http_field_flags(f->id) & HTTP_FIELD_FRAMING) || (f->id == HTTP_FIELD_HOST && !host))
			continue;
		if (whole_line(f)) {
			if (f->name.at != run_end) {
				put(w, run, (uint32_t)(run_end - run));
				run = f->name.at;
			}
			run_end = f->value.at + f->value.len + 2;
			continue;
		}
		put(w, run, (uint32_t)(run_end - run));
		run = run_end = NULL;
		put_clean(w, f->name);
		PUT(w, ": ");
		put_clean(w, f->value);
		PUT(w, "\r\n");
	}
	put(w, run, (uint32_t)(run_end - run));
}

static void put_length(struct writer *w, uint64_t n)
{
	PUT(w, "content-length: ");
	put_decimal(w, n);
	PUT(w, "\r\n");
}

static void put_upgrade(struct writer *w, struct text protocols)
{
	if (protocols.len == 0)
		return;
	PUT(w, "connection: upgrade\r\nupgrade: ");
	put_clean(w, protocols);
	PUT(w, "\r\n");
}

enum err h1_write_request(struct h1_conn *c, const struct http_message *m)
{
	struct writer w;

	begin(&w, c);
	put_text(&w, m->method_text);
	PUT(&w, " ");
	put_clean(&w, m->method == HTTP_CONNECT ? m->authority : m->path);
	PUT(&w, " HTTP/1.1\r\nhost: ");
	put_clean(&w, m->authority);
	PUT(&w, "\r\n");
	put_fields(&w, m, false);
	put_upgrade(&w, m->upgrade);
	if (m->trailers_welcome)
		PUT(&w, "connection: te\r\nte: trailers\r\n");
	if (c->tx == TX_LENGTH)
		put_length(&w, m->content_length);
	else if (c->tx == TX_CHUNKED)
		PUT(&w, "transfer-encoding: chunked\r\n");
	else if (m->method == HTTP_POST || m->method == HTTP_PUT || m->method == HTTP_PATCH)
		PUT(&w, "content-length: 0\r\n");
	PUT(&w, "\r\n");
	return commit(&w, c->tx == TX_CHUNKED);
}

static void put_status(struct writer *w, const struct http_message *m)
{
	const unsigned n = m->status;
	const char digits[4] = {(char)('0' + n / 100 % 10), (char)('0' + n / 10 % 10), (char)('0' + n % 10), ' '};
	const char *reason;

	PUT(w, "HTTP/1.1 ");
	put(w, digits, sizeof(digits));
	if (m->reason.len) {
		put_clean(w, m->reason);
	} else {
		reason = http_reason(m->status);
		put(w, reason, (uint32_t)strlen(reason));
	}
	PUT(w, "\r\n");
}

/*
 * What is said about the body is not always what is sent: the response to HEAD, and 304, describe one that does not
 * come. 1xx and 204 say nothing (RFC 9110, 8.6; RFC 9112, 6.1).
 */
static void put_response_framing(struct writer *w, const struct http_message *m, enum h1_tx tx)
{
	if (m->status < 200 || m->status == 204)
		return;
	if (tx == TX_LENGTH) {
		put_length(w, m->content_length);
	} else if (tx == TX_CHUNKED) {
		PUT(w, "transfer-encoding: chunked\r\n");
	} else if (tx == TX_NO_BODY) {
		if (m->body == HTTP_BODY_LENGTH)
			put_length(w, m->content_length);
		else if (m->body == HTTP_BODY_CHUNKED && w->c->stream && w->c->stream->request_version == 11)
			PUT(w, "transfer-encoding: chunked\r\n");
		else if (m->status != 304 && !(w->c->stream && w->c->stream->head_request))
			PUT(w, "content-length: 0\r\n");
	}
}

enum err h1_write_response(struct h1_conn *c, const struct http_message *m, enum h1_tx tx, bool close)
{
	struct writer w;

	begin(&w, c);
	put_status(&w, m);
	put_fields(&w, m, true);
	if (m->status == 101 || m->status == 426)
		put_upgrade(&w, m->upgrade);
	put_response_framing(&w, m, tx);
	if (m->status >= 200) {
		if (close)
			PUT(&w, "connection: close\r\n");
		else if (c->stream && c->stream->request_version == 10)
			PUT(&w, "connection: keep-alive\r\n");
	}
	PUT(&w, "\r\n");
	return commit(&w, tx == TX_CHUNKED);
}

enum err h1_write_piece(struct h1_conn *c, struct text piece)
{
	struct writer w;

	begin(&w, c);
	put_text(&w, piece);
	return commit(&w, c->tx == TX_CHUNKED);
}

enum err h1_write_trailers(struct h1_conn *c, const struct http_message *trailers)
{
	struct writer w;

	begin(&w, c);
	if (c->chunk_open)
		PUT(&w, "\r\n");
	PUT(&w, "0\r\n");
	if (trailers)
		put_fields(&w, trailers, true);
	PUT(&w, "\r\n");
	return commit(&w, false);
}
