#include "ip/checksum.h"

#include "base/fault.h"
#include "ip/ip.h"

typedef uint32_t word __attribute__((aligned(1), may_alias));

uint64_t checksum_add(uint64_t sum, const void *bytes, size_t n)
{
	const word *w = bytes;
	const size_t words = n / 4;
	const uint8_t *tail = (const uint8_t *)bytes + words * 4;
	uint32_t last = 0;

	/* No dependency between iterations but the sum: the compiler makes it four or eight lanes. 2^32 words fit. */
	for (size_t i = 0; i < words; i++)
		sum += w[i];
	for (size_t i = 0; i < n % 4; i++)
		last |= (uint32_t)tail[i] << (8 * i);
	return sum + last;
}

uint64_t checksum_add_mbuf(uint64_t sum, const struct rte_mbuf *m, uint32_t at, uint32_t n)
{
	uint32_t done = 0;

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
