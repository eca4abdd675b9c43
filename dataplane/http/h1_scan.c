/*
 * The first look at a header section, before any parser: where it ends, and whether it has bytes that no parser should
 * ever see.
 *
 * What is refused here is what requests are smuggled with (RFC 9112, 2.2 and 11.2): a CR that is not followed by LF, a
 * LF that does not follow CR, NUL and other control bytes but HTAB, a line that begins with white space (obs-fold) or
 * with a colon (an empty name). A section ends with the first empty line and nowhere else.
 *
 * Bytes are looked at 32 at a time: three bit masks say where CR, LF and the other control bytes are. Every CR must
 * stand right before a LF and every LF right behind a CR, which is one shift and one comparison for all 32; only line
 * ends are then visited one by one. The scan can stop and go on anywhere: all that it knows is in struct h1_scan.
 */
#include <immintrin.h>

#include "http/h1.h"

enum { STRIDE = 32 };

struct masks {
	uint32_t cr, lf, other;
};

static inline struct masks look(const char *at)
{
	const __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)at);
	const __m256i low = _mm256_cmpeq_epi8(_mm256_min_epu8(v, _mm256_set1_epi8(0x1f)), v);
	const uint32_t control = (uint32_t)_mm256_movemask_epi8(low);
	const uint32_t del = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(v, _mm256_set1_epi8(0x7f)));
	struct masks m = {0, 0, del};

	if (control) {
		const uint32_t tab = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(v, _mm256_set1_epi8('\t')));

		m.cr = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(v, _mm256_set1_epi8('\r')));
		m.lf = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(v, _mm256_set1_epi8('\n')));
		m.other |= control & ~(tab | m.cr | m.lf);
	}
	return m;
}

/* Fewer than 32: not a byte behind them may be read. */
static inline struct masks look_slow(const char *at, uint32_t n)
{
	struct masks m = {0, 0, 0};

	for (uint32_t i = 0; i < n; i++) {
		const unsigned char b = (unsigned char)at[i];

		m.cr |= (uint32_t)(b == '\r') << i;
		m.lf |= (uint32_t)(b == '\n') << i;
		m.other |= (uint32_t)((b < 0x20 && b != '\t' && b != '\r' && b != '\n') || b == 0x7f) << i;
	}
	return m;
}

/* The line that ends with the LF at i; a CR stands before it. OK: it is the empty one. */
static inline enum err line_end(struct h1_scan *s, const char *text, uint32_t i)
{
	const char first = text[s->line];
	const uint32_t len = i + 1 - s->line;

	s->line = i + 1;
	if (len == 2) {
		s->end = i + 1;
		return OK;
	}
	if (first == ' ' || first == '\t' || first == ':')
		return ERR_HTTP_SYNTAX;
	if (s->lines++ == 0)
		s->first_line = i + 1;
	return ERR_AGAIN;
}

/* 32 bytes from `at` on; `behind_cr`: 1 when the byte before them is a CR. */
static inline enum err block(struct h1_scan *s, const char *text, uint32_t at, struct masks m, uint32_t behind_cr)
{
	const uint32_t odd = m.other | ((m.cr << 1 | behind_cr) ^ m.lf);
	const uint32_t good = odd ? (odd & (0 - odd)) - 1 : UINT32_MAX; /* what lies before the first odd byte */

	for (uint32_t bits = m.lf & good; bits; bits &= bits - 1) {
		enum err e = line_end(s, text, at + (uint32_t)__builtin_ctz(bits));

		if (e != ERR_AGAIN)
			return e;
	}
	return odd ? ERR_HTTP_SYNTAX : ERR_AGAIN;
}

/* The last n < 32 bytes: with those before them when there are enough. */
static inline struct masks look_last(const char *text, uint32_t at, uint32_t n)
{
	const uint32_t known = STRIDE - n;
	struct masks m;

	if (at < known)
		return look_slow(text + at, n);
	m = look(text + at - known);
	return (struct masks){m.cr >> known, m.lf >> known, m.other >> known};
}

enum err h1_scan(struct h1_scan *s, const char *text, uint32_t len)
{
	uint32_t at = s->at, behind_cr = at > 0 && text[at - 1] == '\r';

	while (at < len) {
		const uint32_t n = len - at < STRIDE ? len - at : STRIDE;
		const struct masks m = n == STRIDE ? look(text + at) : look_last(text, at, n);
		/* Behind the last byte there is nothing that could be wrong yet. */
		const uint32_t seen = n == STRIDE ? UINT32_MAX : (UINT32_C(1) << n) - 1;
		struct masks shown = m;
		enum err e;

		shown.cr &= seen >> 1;
		e = block(s, text, at, shown, behind_cr);
		if (e != ERR_AGAIN)
			return e;
		behind_cr = m.cr >> (n - 1) & 1;
		at += n;
	}
	s->at = len;
	return ERR_AGAIN;
}
