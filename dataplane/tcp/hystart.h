/*
 * HyStart++ (RFC 9406): slow start that ends before it has filled the path's queue. A round is the time in which one
 * window is acknowledged. When the smallest round trip time of a round is clearly above that of the round before, a
 * queue is building up, or it was jitter: for five rounds the window grows at a quarter of the speed (Conservative Slow
 * Start), and if by then the times have not come back, slow start is over.
 *
 * For the first slow start only (section 4.3): later ones know where to end.
 */
#ifndef TCP_HYSTART_H
#define TCP_HYSTART_H

#include <stdbool.h>
#include <stdint.h>

struct tcp_conn;

/* Its state, in the words of a connection's congestion control. */
struct hystart {
	uint32_t round_end;        /* sequence number */
	uint32_t last_min_us;      /* the smallest sample of the round before; 0: none */
	uint32_t now_min_us;       /* and of this one */
	uint32_t baseline_us;      /* in Conservative Slow Start: what a round must be below to end it; else 0 */
	uint8_t samples;           /* of this round, up to HYSTART_SAMPLES */
	uint8_t rounds;            /* of Conservative Slow Start that are over */
	uint8_t spare[2];
};

enum { HYSTART_WORDS = sizeof(struct hystart) / sizeof(uint32_t) };

void hystart_open(struct hystart *h, const struct tcp_conn *c);
void hystart_rtt(struct hystart *h, uint32_t us);

/*
 * snd_una has moved by `bytes`: by how much cwnd may grow. *over: slow start ends here. Called, as hystart_rtt(),
 * while it is the window that holds the sender back: requests and responses that fit have nothing to find out.
 */
uint32_t hystart_acked(struct hystart *h, const struct tcp_conn *c, uint32_t bytes, bool *over);

#endif
