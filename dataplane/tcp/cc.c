#include "tcp/cc.h"

#define CONTROL(name) extern const struct tcp_cc name##_control;
#include "tcp/controls.def"
#undef CONTROL

const struct tcp_cc *const cc_list[TCP_CONTROLS] = {
#define CONTROL(name) [TCP_CONTROL_##name] = &name##_control,
#include "tcp/controls.def"
#undef CONTROL
};

/* RFC 6928: min(10 MSS, max(2 MSS, 14600)). */
static uint32_t initial_window(const struct tcp_conn *c)
{
	const uint32_t two = 2u * c->mss, cap = two > INITIAL_BYTES ? two : INITIAL_BYTES;
	const uint32_t ten = (uint32_t)INITIAL_SEGMENTS * c->mss;

	return ten < cap ? ten : cap;
}

void cc_start(struct tcp_conn *c)
{
	/* RFC 5681, 3.1: a lost SYN means one segment. */
	c->cwnd = c->flags & CONN_SYN_AGAIN ? c->mss : initial_window(c);
	c->ssthresh = SSTHRESH_INITIAL;
	cc_of(c)->open(c);
}

void cc_reduce(struct tcp_conn *c, uint32_t flight)
{
	if (c->flags & CONN_REDUCED)
		return;
	c->ssthresh = cc_of(c)->ssthresh(c, flight);
	c->reduced_end = c->snd_max;
	c->flags |= c->flags & CONN_ECN ? CONN_REDUCED | CONN_CWR : CONN_REDUCED;
}

void cc_undo(struct tcp_conn *c)
{
	conn_clear(c, CONN_REDUCED | CONN_CWR);
	cc_of(c)->undo(c);
}

void cc_restart(struct tcp_conn *c)
{
	const uint32_t initial = initial_window(c);

	if (c->cwnd > initial) {
		c->cwnd = initial;
		if (cc_of(c)->restart)
			cc_of(c)->restart(c);
	}
	/* And nothing of before is still on its way that could be mistaken for a loss (recovery.c). */
	if (!(c->flags & CONN_RECOVERY))
		c->recover = c->snd_una - 1;
}
