/*
 * A connection, as the files of this folder see it, and the TCP of one worker that owns all of them.
 *
 * Memory: 384 bytes per connection and nothing else while it is idle. Send queue chunks, records of what is in flight,
 * scoreboards and out-of-order queues are objects of their own pools, held only while there is something in them; there
 * is one wheel timer for the four logical timers; TIME_WAIT is a smaller object.
 *
 * Sequence numbers. The send queue begins at snd_una (behind the SYN, which is never in it), and its end is followed
 * by FIN, a byte of sequence space but not of the queue:
 *
 *      snd_una          snd_nxt         snd_max      snd_una + queued
 *         |----- sent ----|--- to be ------|--- never sent --|F|
 *                           sent again
 *
 * snd_nxt is the next byte to send. It equals snd_max but behind a window probe, and without SACK after a timeout,
 * which pulls it back to snd_una; with SACK what is sent again is a matter of records (sent.h). recover marks the end
 * of a recovery: snd_max when it began (RFC 6582, RFC 6675: RecoveryPoint).
 *
 * Life. conn_close() takes a connection out of the table and tells the user; the object stays readable until
 * tcp_flush(), so whoever called a user's callback may look at c->state afterwards, and must.
 */
#ifndef TCP_CONN_H
#define TCP_CONN_H

#include <assert.h>

#include "base/check.h"
#include "base/counters.h"
#include "base/limits.h"
#include "base/shard.h"
#include "tcp/backlog.h"
#include "tcp/build.h"
#include "tcp/cookie.h"
#include "tcp/ports.h"
#include "tcp/sendq.h"
#include "tcp/seq.h"
#include "tcp/table.h"
#include "tcp/tcp.h"
#include "tcp/timing.h"

enum tcp_state {
#define STATE(name, sends, receives) TCP_##name,
#include "tcp/states.def"
#undef STATE
	TCP_STATES
};

enum tcp_cause {
	CAUSE_passive_open, CAUSE_active_open, CAUSE_syn, CAUSE_syn_ack, CAUSE_ack_of_syn, CAUSE_close, CAUSE_fin,
	CAUSE_ack_of_fin, CAUSE_end,
	CAUSES
};

enum conn_flag {
	CONN_TOUCHED = 1 << 0,      /* on the list that tcp_flush() works on */
	CONN_ACK_NOW = 1 << 1,      /* an ACK leaves with this round */
	CONN_ACTIVE = 1 << 2,       /* we opened it */
	CONN_HALF_OPEN = 1 << 3,    /* counted in the SYN backlog */
	CONN_TS = 1 << 4,           /* timestamps are in use */
	CONN_WS = 1 << 5,           /* window scaling is in use */
	CONN_SACK = 1 << 6,         /* SACK is in use */
	CONN_FIN = 1 << 7,          /* FIN follows the send queue */
	CONN_MORE = 1 << 8,         /* tcp_more(): a short last segment waits */
	CONN_TIMED = 1 << 9,        /* rtt_seq is being timed */
	CONN_RECOVERY = 1 << 10,    /* fast recovery */
	CONN_PARTIAL = 1 << 11,     /* and a partial ACK has come in it */
	CONN_CWND_LIMITED = 1 << 12,/* the congestion window held something back since the last ACK */
	CONN_SYN_AGAIN = 1 << 13,   /* the SYN was retransmitted */
	CONN_DETACHED = 1 << 14,    /* tcp_detach() */
	CONN_STARVED = 1 << 15,     /* tcp_send() was refused for want of chunks, nothing in flight will call back */
	CONN_REDUCED = 1 << 16,     /* cwnd has fallen for this window already (cc_reduce()) */
	CONN_PACED = 1 << 17,       /* what cwnd lets out is spread over the round trip (pace.h) */
	CONN_ECN = 1 << 18,         /* our SYN asks for ECN; behind the handshake: both ends speak it (ecn.h) */
	CONN_ECE = 1 << 19,         /* a marked segment came: every ACK says so until CWR comes */
	CONN_CWR = 1 << 20,         /* cwnd has fallen: the next new data says so */
	CONN_PROBES_DOWN = 1 << 21, /* segments are smaller than the path's MTU, in search of a black hole (mtu.c) */
	CONN_NO_HOLE = 1 << 22,     /* and not even the smallest were answered */
	CONN_RCV_TIGHT = 1 << 23,   /* the window that we offer was nearly closed in this turn (recv_buffer.h) */
	CONN_UNTRACKED = 1 << 24,   /* no records of what is in flight, for want of memory (sent.h) */
	CONN_PROBED = 1 << 25,      /* a tail loss probe is out (rack.h) ... */
	CONN_PROBED_AGAIN = 1 << 26,/* ... and it was a retransmission */
	CONN_REORDERED = 1 << 27,   /* the path was seen to reorder: RACK.reordering_seen */
	CONN_UNSENT = 1 << 28,      /* since the last timeout something could not be sent for want of memory */
	CONN_HOLE = 1 << 29,        /* smaller segments were answered, full ones not: a black hole, or chance (mtu.c) */
	CONN_UNREACHABLE = 1 << 30, /* SYN_SENT: ICMP has said so (icmp.c) ... */
	CONN_IMPATIENT = 1u << 31,  /* ... and then the user does not wait for more */
};

/* The logical timers, in the order in which they are served; and one whose deadline is pace.c's to say. */
enum conn_timer { TIMER_LIFE, TIMER_REXMIT, TIMER_DELACK, TIMER_KEEP, CONN_TIMERS, TIMER_PACE = CONN_TIMERS };

enum { CONN_MAGIC = 0x7c9c0a11, CONN_CC_WORDS = 9 };

struct ooo;
struct segment;
struct tcp_cc;

struct tcp_conn {
	/* What finds it, and the receiver: the first cache line. */
	uint32_t magic;
	uint32_t flags;                      /* enum conn_flag */
	struct tuple tuple;
	uint32_t rcv_nxt;
	uint32_t rcv_adv;                    /* right edge of the window that we have offered; never moves back */
	uint32_t ack_sent;                   /* the last rcv_nxt that the peer was told (RFC 7323: Last.ACK.sent) */
	uint32_t ts_recent;

	/* The sender. */
	uint32_t snd_una;
	uint32_t snd_nxt;
	uint32_t snd_max;
	uint32_t snd_wnd;
	uint32_t snd_wl1;                    /* SND.WL2 is not needed: an ACK below snd_una never updates the window */
	uint32_t queued;                     /* bytes in the send queue, those in flight included */
	uint32_t cwnd;
	uint32_t ssthresh;
	uint32_t recover;
	uint32_t rcv_held;                   /* credit in use: buffer bytes that the user and the ooo queue hold */
	uint32_t deadline[CONN_TIMERS];      /* ms, valid where the bit in timers is set */
	uint16_t mss;                        /* payload bytes per segment that we send, options deducted */
	uint16_t rcv_mss;                    /* the length of the peer's full segments (receive.c) */
	uint8_t state;                       /* enum tcp_state; written by conn_move() only */
	uint8_t timers;                      /* bits of enum conn_timer */
	uint8_t dupacks;
	uint8_t snd_wscale : 4, rcv_wscale : 4;

	struct tcp *tcp;
	const struct tcp_user_ops *ops;      /* null: nobody listens */
	void *user;
	struct sendq sendq;
	struct ooo *ooo;                     /* null when empty */

	struct timer timer;
	struct ip_path path;
	uint32_t ts_offset;
	uint32_t heard_ms;                   /* when the last acceptable segment came */
	uint32_t sent_ms;                    /* when the last data went out */
	uint32_t srtt_us;                    /* 0: no sample yet */
	uint32_t rttvar_us;

	union {
		uint32_t rtt_seq;            /* CONN_TIMED: the segment that ends here was sent at rtt_us */
		uint32_t tlp_end;            /* CONN_PROBED: TLP.end_seq (rack.h); nothing is timed meanwhile */
	};
	uint32_t rtt_us;
	uint32_t challenge_ms;               /* when the last rate-limited ACK went out */
	uint16_t keep_idle;                  /* in KEEP_UNIT_MS; 0: no keepalive */
	uint16_t keep_interval;
	uint16_t ts_recent_age;              /* when ts_recent was written, in units of tcp.age */
	uint16_t snd_wnd_max;                /* the largest window that the peer offered, not scaled */
	uint8_t keep_probes;
	uint8_t keep_sent;
	uint8_t backoff;                     /* doublings of the RTO or of the persist timer */
	uint8_t retries;                     /* transmissions in a row that nothing answered */
	uint32_t opened_ms;
	uint32_t retransmits;
	uint64_t bytes_in;
	uint64_t bytes_out;

	/* The receive buffer (recv_buffer.h), in its units. */
	uint32_t rcv_turn_us;                /* when the present turn began ... */
	int16_t rcv_drained;                 /* ... and what was given back in it, as far as that counts */
	uint16_t rcv_units;                  /* its size */

	/* Congestion control. */
	uint8_t cc;                          /* enum tcp_control */
	uint8_t rexmit;                      /* enum rexmit: what TIMER_REXMIT is set for */
	uint8_t reo_more;                    /* RACK.reo_wnd_mult, less one */
	uint8_t reo_persist;                 /* RACK.reo_wnd_persist: recoveries until reo_more ends */
	uint32_t cc_words[CONN_CC_WORDS];    /* of the algorithm */
	uint32_t reduced_end;                /* CONN_REDUCED: snd_max when cwnd fell */
	uint32_t pace_us;                    /* up to when what was sent has used the rate (pace.h) */

	/* What mss is made of (mtu.c). */
	uint16_t mtu;
	uint16_t peer_mss;

	/* Loss recovery with SACK. Two places in pools, from 1 on. */
	uint32_t sent_last;                  /* the records of what is in flight (sent.h); 0: nothing */
	uint32_t board;                      /* the scoreboard (scoreboard.h); 0: nothing is SACKed or lost */
	uint32_t min_rtt_us;                 /* 0: no sample yet */

	uint32_t delivered_from;             /* CONN_TIMED: bytes_out when that segment was sent */
	uint32_t delivery_rate;              /* bytes per second (rtt.c); 0: none yet */
};

static_assert(offsetof(struct tcp_conn, snd_una) == 64, "lookup and receiver are the first line");
static_assert(offsetof(struct tcp_conn, tcp) == 128, "and the sender the second");
static_assert(sizeof(struct tcp_conn) == 384, "an idle connection stays within 512 bytes, its user's half included");

enum { TCP_MAGIC = 0x7c900001 };

struct tcp {
	uint32_t magic;
	uint32_t now_ms;
	uint32_t now_us;
	uint16_t age;                        /* 2^42 ns, 73 minutes */
	uint16_t spare;
	struct backlog backlog;
	struct cookie_secrets cookies;
	uint64_t clock_ns;                   /* of which now_ms and now_us were made */
	struct shard *shard;
	struct ip *ip;
	struct tcp_up up;
	const struct tcp_user_ops *kept_ops; /* kept.c */
	void *keeper;
	struct table_tcp table;
	struct pool conns, waits, chunks, ooos, sents, boards;

	struct build_run run;

	struct tcp_conn **touched;
	uint32_t touched_n;
	uint32_t dead_n;
	struct tcp_conn **dead;              /* closed, freed by the flush */
	struct tcp_conn **starved;
	uint32_t starved_n;

	struct reply_budget {
		uint32_t second, left;       /* in this second, so many more */
	} challenges, resets;

	struct tcp_wait *wait_first, *wait_last;
	struct timer wait_timer;

	struct ports ports;
};

extern const char *const tcp_state_names[TCP_STATES];

bool state_sends(enum tcp_state s);
bool state_receives(enum tcp_state s);

/* The clock of this round in ms and us; they wrap. */
void tcp_clock(struct tcp *t);

/* A new CLOSED connection in the table, or null (counted). */
struct tcp_conn *conn_new(struct tcp *t, const struct tuple *tuple);
void conn_move(struct tcp_conn *c, enum tcp_cause cause);
/* Ends it: frees what it holds, tells the user. Sends nothing. */
void conn_close(struct tcp_conn *c, enum err why);
/* Our FIN was the last thing to be acknowledged. */
void conn_done(struct tcp_conn *c);
/* As conn_close(), with a RST where the standard wants one. */
void conn_reset(struct tcp_conn *c, enum err why);
/* It is not half open any more: its place in the backlog is another's. */
void conn_leave_backlog(struct tcp_conn *c);
/* Becomes a TIME_WAIT object; the user is told OK. */
void conn_wait(struct tcp_conn *c);
void conn_touch_slow(struct tcp_conn *c);

static inline void conn_clear(struct tcp_conn *c, uint32_t flags)
{
	c->flags &= ~flags;
}

static inline void conn_touch(struct tcp_conn *c)
{
	if (!(c->flags & CONN_TOUCHED))
		conn_touch_slow(c);
}

static inline void conn_ack_now(struct tcp_conn *c)
{
	c->flags |= CONN_ACK_NOW;
	conn_touch(c);
}

static inline bool conn_synchronised(const struct tcp_conn *c)
{
	return c->state >= TCP_ESTABLISHED;
}

/* Sequence space of FIN: it follows the queue. */
static inline uint32_t conn_fin_seq(const struct tcp_conn *c)
{
	return c->snd_una + c->queued;
}

static inline uint32_t conn_window_max(const struct tcp_conn *c)
{
	return (uint32_t)c->snd_wnd_max << c->snd_wscale;
}

/* Its user holds nothing of its own for it (kept.c). */
static inline bool conn_kept(const struct tcp_conn *c)
{
	return c->ops && c->ops == c->tcp->kept_ops;
}

static inline void tcp_count(struct tcp *t, enum counter id)
{
	count(t->shard->counters, id);
}

/* Logical timers (timer.c). Setting and clearing them seldom touches the wheel. */
void timer_set(struct tcp_conn *c, enum conn_timer which, uint32_t in_ms);
void timer_pace(struct tcp_conn *c, uint32_t in_us);
static inline void timer_clear(struct tcp_conn *c, enum conn_timer which)
{
	c->timers &= (uint8_t)~(1u << which);
}

static inline bool timer_on(const struct tcp_conn *c, enum conn_timer which)
{
	return c->timers & 1u << which;
}

#endif
