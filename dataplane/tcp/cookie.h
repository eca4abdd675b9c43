/*
 * SYN cookies (RFC 4987, 3.6): while the backlog (backlog.h) is full a SYN is answered and nothing is kept of it. What
 * the answer's sequence number and timestamp hold comes back with the peer's ACK, and the connection is made then. So a
 * flood of SYNs with forged sources, whose ACKs never come, shuts nobody out.
 *
 *    sequence number   | MSS, an index: 3 | epoch: 2 |         MAC: 27          |
 *    timestamp         |           clock: 27         | SACK: 1 | window scale: 4 |
 *
 * The MAC is over tuple, the peer's sequence number, MSS and the whole epoch, so that each epoch has a secret of its
 * own in effect; a cookie is good in its epoch and the next: 69 to 137 s. A guess is right once in 2^27, and guesses
 * are looked at only when a cookie was sent lately. The timestamp is not protected: a peer that changes it deceives
 * itself. Without timestamps there is no window scale.
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

/* For the answer to this SYN. */
struct cookie cookie_make(struct tcp *t, const struct segment *syn);

/* Does this segment acknowledge a cookie? *syn is then the SYN again, as far as the cookie holds it. */
bool cookie_read(const struct tcp *t, const struct segment *g, struct segment *syn);

#endif
