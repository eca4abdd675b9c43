/*
 * The first look at a header section, before any parser: where it ends, and whether it has bytes that no parser should
 * ever see.
 *
 * What is refused here is what requests are smuggled with (RFC 9112, 2.2 and 11.2): a CR that is not followed by LF, a
 * LF that does not follow CR, NUL and other control bytes but HTAB, a line that begins with white space (obs-fold) or
 * with a colon (an empty name). A section ends with the first empty line and nowhere else.
 *
 * Control bytes are found 32 at a time; in between nothing is looked at. Every line has two (CR, LF), so the cost is
 * that of the lines, not of the bytes. The scan can stop and go on anywhere: all that it knows is in struct h1_scan.
 */
#include <immintrin.h>

#include "http/h1.h"

enum { STRIDE = 32 };

/* A bit for each of 32 bytes that is a control byte other than HTAB. */
static inline uint32_t controls(const char *at)
{
	const __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)at);
	const __m256i low = _mm256_cmpeq_epi8(_mm256_min_epu8(v, _mm256_set1_epi8(0x1f)), v);
	const __m256i tab = _mm256_cmpeq_epi8(v, _mm256_set1_epi8('\t'));
	const __m256i del = _mm256_cmpeq_epi8(v, _mm256_set1_epi8(0x7f));

	return (uint32_t)_mm256_movemask_epi8(_mm256_or_si256(_mm256_andnot_si256(tab, low), del));
}

static inline uint32_t controls_slow(const char *at, uint32_t n)
{
	uint32_t bits = 0;

	for (uint32_t i = 0; i < n; i++) {
		const unsigned char b = (unsigned char)at[i];

		bits |= (uint32_t)((b < 0x20 && b != '\t') || b == 0x7f) << i;
	}
	return bits;
}

/* The line that ends with the LF at i. */
static enum err line_end(struct h1_scan *s, const char *text, uint32_t i)
{
	const uint32_t start = s->line;
	const char first = text[start];

	if (i == start || text[i - 1] != '\r')
		return ERR_HTTP_SYNTAX;
	s->line = i + 1;
	if (i == start + 1) {
		s->end = i + 1;
		return OK;
	}
	if (first == ' ' || first == '\t' || first == ':')
		return ERR_HTTP_SYNTAX;
	s->lines++;
	if (s->lines == 1)
		s->first_line = i + 1;
	return ERR_AGAIN;
}

/* The control byte at i. */
static inline enum err control(struct h1_scan *s, const char *text, uint32_t len, uint32_t i)
{
	if (text[i] == '\n')
		return line_end(s, text, i);
	if (text[i] != '\r' || (i + 1 < len && text[i + 1] != '\n'))
		return ERR_HTTP_SYNTAX;
	return ERR_AGAIN;
}

enum err h1_scan(struct h1_scan *s, const char *text, uint32_t len)
{
	uint32_t at = s->at;

	if (at > 0 && at < len && text[at - 1] == '\r' && text[at] != '\n')
		return ERR_HTTP_SYNTAX;
	while (at < len) {
		const uint32_t n = len - at < STRIDE ? len - at : STRIDE;

		for (uint32_t bits = n == STRIDE ? controls(text + at) : controls_slow(text + at, n); bits; bits &= bits - 1) {
			enum err e = control(s, text, len, at + (uint32_t)__builtin_ctz(bits));

			if (e != ERR_AGAIN)
				return e;
		}
		at += n;
	}
	s->at = len;
	return ERR_AGAIN;
}
