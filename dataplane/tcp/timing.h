/* Every duration and count of the TCP layer that a standard gives, in one place. */
#ifndef TCP_TIMING_H
#define TCP_TIMING_H

enum {
	/*
	 * RFC 6298. Its lower bound of 1 s is a SHOULD that no deployed stack keeps: we add at least 200 ms to SRTT, so
	 * that a peer's delayed ACK (40 to 200 ms) is no timeout.
	 */
	RTO_INITIAL_MS = 1000,
	RTO_AFTER_SYN_MS = 3000,     /* RFC 6298, 5.7: the SYN was lost, nothing is known of the path */
	RTO_VAR_MIN_US = 200000,
	RTO_MAX_MS = 60000,

	USER_TIMEOUT_MS = 120000,    /* RFC 9293, 3.8.3; RFC 1122, 4.2.3.5: R2 as time, at least 100 s */
	SYN_RETRIES_MAX = 6,         /* of a SYN that we answered: 127 s */
	SYN_ACK_RETRIES_MAX = 5,     /* 63 s */

	BLACK_HOLE_RETRIES = 2,      /* with one timeout more in a row, large segments vanish */

	DELACK_MS = 40,              /* RFC 1122, 4.2.3.2: at most 500 ms */
	KEEP_UNIT_MS = 125,          /* of keepalive: 16 bits of it are more than the two hours of RFC 1122, 4.2.3.6 */
	CONNECT_TIMEOUT_MS = 10000,
	LINGER_MS = 60000,           /* after tcp_detach(): for queued data, FIN and the peer's FIN */
	TIME_WAIT_MS = 60000,        /* 2 MSL */
	PAWS_AGE_SHIFT = 42,         /* ages of timestamps are counted in 2^42 ns (73 min) ... */
	PAWS_AGE_MAX = 471,          /* ... and after 24 days one proves nothing (RFC 7323, 5.5) */

	CHALLENGE_MS = 500,          /* RFC 5961, 7: at most one challenge ACK per connection in so long ... */
	CHALLENGES_PER_S = 1000,     /* ... and between one and two times so many per worker, which no one can count */

	DUPACKS = 3,                 /* RFC 5681, 3.2; RFC 6675: DupThresh */
	REO_PERSIST = 16,            /* RFC 8985, 6.2.4: recoveries for which a larger reordering window stays */
	TLP_ACK_DELAY_MS = 200,      /* RFC 8985, 7.2: how late a peer may acknowledge a single segment */
	TLP_MIN_MS = 10,             /* below that a probe meets the jitter of peers and of our timers, not losses */
	INITIAL_SEGMENTS = 10,       /* RFC 6928 */
	INITIAL_BYTES = 14600,

	MSS_DEFAULT_V4 = 536,        /* RFC 9293, 3.7.1 */
	MSS_DEFAULT_V6 = 1220,
	MSS_MIN = 216,               /* a peer that asks for less gets this: smaller ones are attacks on our CPU */
	WSCALE_MAX = 14,             /* RFC 7323, 2.3 */

	TTL = 64,
};

#endif
