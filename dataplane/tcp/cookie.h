/*
 * SYN cookies (RFC 4987, 3.6): while the backlog (backlog.h) is full a SYN is answered and nothing is kept of it. What
 * the answer's sequence number and timestamp hold comes back with the peer's ACK, and the connection is made then. So a
 * flood of SYNs with forged sources, whose ACKs never come, shuts nobody out.
 *
 *    sequence number   | MSS, an index: 3 | epoch: 2 |         MAC: 27          |
 *    timestamp         |           clock: 27         | SACK: 1 | window scale: 4 |
 *
 * The MAC is over tuple, the peer's sequence number and MSS. Its secret rotates: each epoch, 69 s, has one of its own,
 * made by the first cookie of the epoch of the one before, the worker's secret, and what housekeeping has drawn last
 * (shard.fresh). The one before is kept, the rest is forgotten: so a cookie is good in its epoch and the next, 69 to
 * 137 s, and who learns a secret can make and read none of earlier or later epochs. A guess is right once in 2^27, and
 * guesses are looked at only when a cookie was sent in that epoch. The timestamp is not protected: a peer that changes
 * it deceives itself. Without timestamps there is no window scale.
 *
 * Secrets are a worker's own: the ACK comes to the worker that had the SYN, since both have the same tuple.
 */
#ifndef TCP_COOKIE_H
#define TCP_COOKIE_H

#include <stdbool.h>
#include <stdint.h>

struct segment;
struct tcp;

struct cookie {
	uint32_t iss;
	uint32_t tsval;
};

struct cookie_secrets {
	uint32_t epoch;             /* of now: the last in which a cookie was sent */
	bool known, before_known;
	uint8_t now[16], before[16];
};

/* For the answer to this SYN. */
struct cookie cookie_make(struct tcp *t, const struct segment *syn);

/* Does this segment acknowledge a cookie? *syn is then the SYN again, as far as the cookie holds it. */
bool cookie_read(const struct tcp *t, const struct segment *g, struct segment *syn);

#endif
