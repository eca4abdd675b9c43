#include "ip/checksum.h"

#include <immintrin.h>

#include "base/fault.h"
#include "ip/ip.h"

enum { STRIDE = 32 };

/* 32-bit words of v, each into the 64-bit lane that it lies in. */
static inline __m256i add_words(__m256i sum, __m256i v)
{
	sum = _mm256_add_epi64(sum, _mm256_and_si256(v, _mm256_set1_epi64x(UINT32_MAX)));
	return _mm256_add_epi64(sum, _mm256_srli_epi64(v, 32));
}

/* The last n < 32 bytes; what lies behind them is not read. */
static inline __m256i last_words(const uint8_t *at, size_t n)
{
	static const int32_t read[2 * STRIDE / 4] = {-1, -1, -1, -1, -1, -1, -1, -1};
	const __m256i mask = _mm256_loadu_si256((const __m256i *)(const void *)(read + STRIDE / 4 - n / 4));

	return _mm256_maskload_epi32((const int *)(const void *)at, mask);
}

uint64_t checksum_add(uint64_t sum, const void *bytes, size_t n)
{
	const uint8_t *at = bytes, *const end = at + n;
	__m256i lanes = _mm256_setzero_si256();
	__m128i half;

	for (; end - at >= STRIDE; at += STRIDE)
		lanes = add_words(lanes, _mm256_loadu_si256((const __m256i *)(const void *)at));
	lanes = add_words(lanes, last_words(at, (size_t)(end - at)));
	half = _mm_add_epi64(_mm256_castsi256_si128(lanes), _mm256_extracti128_si256(lanes, 1));
	sum += (uint64_t)_mm_extract_epi64(half, 0) + (uint64_t)_mm_extract_epi64(half, 1);
	at = end - n % 4;
	for (unsigned i = 0; i < n % 4; i++)
		sum += (uint64_t)at[i] << (8 * i);
	return sum;
}

uint64_t checksum_add_mbuf(uint64_t sum, const struct rte_mbuf *m, uint32_t at, uint32_t n)
{
	uint32_t done = 0;

	if (__builtin_expect(m != NULL && at + n <= m->data_len, 1))
		return sum + checksum_add(0, rte_pktmbuf_mtod_offset(m, const char *, at), n);
	for (; m != NULL && at >= m->data_len; m = m->next)
		at -= m->data_len;
	for (; m != NULL && done < n; m = m->next, at = 0) {
		uint32_t here = m->data_len - at;
		uint64_t part;

		if (here > n - done)
			here = n - done;
		part = checksum_add(0, rte_pktmbuf_mtod_offset(m, const char *, at), here);
		/* A piece that begins at an odd place has its bytes in the other halves of the 16-bit words. */
		sum += done & 1 ? __builtin_bswap16(checksum_fold(part)) : part;
		done += here;
	}
	return sum;
}

bool checksum_datagram_ok(const struct ip_datagram *d)
{
	const uint64_t pseudo = checksum_pseudo(&d->tuple, d->l4_bytes);

	return FAULT(checksum_skipped) || checksum_fold(checksum_add_mbuf(pseudo, d->m, 0, d->l4_bytes)) == 0xffff;
}
