/*
 * TCP of one worker (RFC 9293). Connections belong to the worker that owns their tuple.
 *
 * The user of a connection is told by callbacks (struct tcp_user_ops) and speaks by the functions below. Callbacks
 * may call any function on any connection, also tcp_abort() on the same one; the connection object then lives until
 * the callback returned. After on_closed() the user must forget the connection; the object may linger (TIME_WAIT).
 *
 * Sending is by reference: tcp_send() queues a slice; its bytes stay untouched until acknowledged. Receiving: the
 * user gets mbufs, in order, single-segment, and the receive window shrinks by their buffer size (not payload) until
 * the user gives the credit back by tcp_credit().
 *
 * RFC 6298 (RTO), 5681 and 6582 (NewReno), 7323 (window scale, timestamps, PAWS), 1122 (delayed ACK, keepalive,
 * persist), 6528 (initial sequence numbers), 6691 (MSS), 4987 (SYN cookies), 2018 and 2883 (what came out of order, or
 * again, is told).
 */
#ifndef TCP_TCP_H
#define TCP_TCP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"
#include "base/packet.h"
#include "base/pool.h"
#include "ip/ip.h"

struct tcp;
struct tcp_conn;
struct pressure;
struct shard;

struct tcp_user_ops {
	void (*on_open)(void *user);                        /* an active open is established */
	void (*on_data)(void *user, struct rte_mbuf *m);    /* takes m: data..data_len is payload */
	void (*on_eof)(void *user);                         /* the peer sent FIN, after all data */
	void (*on_acked)(void *user, uint32_t bytes);       /* that much of what was sent is acknowledged: room again */
	void (*on_closed)(void *user, enum err why);        /* OK: both sides closed in order */
	void (*on_alarm)(void *user);                       /* of tcp_keep() only */
};

enum tcp_control {      /* congestion control */
#define CONTROL(name) TCP_CONTROL_##name,
#include "tcp/controls.def"
#undef CONTROL
	TCP_CONTROLS
};

/* How a connection sends, chosen when it is made. */
struct tcp_sending {
	uint8_t control;       /* enum tcp_control */
	bool pacing;
	bool ecn;              /* a passive open agrees when it is asked; an active one asks (RFC 3168) */
};

/* What the layer asks of the worker, which knows tables and upper layers. */
struct tcp_up {
	/* A SYN for t.local: may a connection be made, and how does it send? Read from the tables; no side effects. */
	bool (*accepts)(void *up, const struct tuple *t, struct tcp_sending *sending);
	/* A passive open is established: the callee sets the user with tcp_set_user(), or aborts c. */
	void (*on_accept)(void *up, struct tcp_conn *c);
	void *up;
};

/* What a worker has room for, whatever memory there is. */
enum { TCP_CONNS_LEAST = 65536 };

struct tcp *tcp_new(struct shard *s, struct ip *ip, const struct tcp_up *up);
void tcp_free(struct tcp *t);

/* From the IP layer. */
void tcp_input(struct tcp *t, const struct ip_datagram *d);      /* takes d->m */
void tcp_icmp_error(struct tcp *t, const struct ip_icmp_error *e);

/* End of a round: sends what became sendable in it (ACKs and segments are gathered, so a burst causes few). */
void tcp_flush(struct tcp *t);

struct tcp_connect {
	struct addr remote;
	uint16_t remote_port;
	uint32_t connect_timeout_ms; /* 0: the default, 10 s */
	bool impatient;              /* ends when ICMP says that there is no route or host, be it for the moment only */
	struct tcp_sending sending;
	const struct tcp_user_ops *ops;
	void *user;
};

/* Active open from an own address and a random port whose replies this worker owns. */
enum err tcp_connect(struct tcp *t, const struct tcp_connect *how, struct tcp_conn **out) MUST_CHECK;

void tcp_set_user(struct tcp_conn *c, const struct tcp_user_ops *ops, void *user);

/* Queues a slice (takes its reference). False when the send buffer is full: nothing was taken, on_acked() follows. */
bool tcp_send(struct tcp_conn *c, struct slice s) MUST_CHECK;
uint32_t tcp_send_room(const struct tcp_conn *c);                /* payload bytes that may be queued now */
void tcp_send_short(struct tcp_conn *c);                         /* too little: counts the limit in the way */
void tcp_more(struct tcp_conn *c, bool more);                    /* true: hold a short last segment, more follows */
void tcp_shutdown(struct tcp_conn *c);                           /* FIN after what is queued; receiving goes on */
void tcp_abort(struct tcp_conn *c, enum err why);                /* RST; on_closed(why) is called before it returns */
/* Gives up the connection in order: no more callbacks; queued data and FIN are still sent (bounded by a timer),
 * received data is answered by RST. */
void tcp_detach(struct tcp_conn *c);
void tcp_credit(struct tcp_conn *c, uint32_t buffer_bytes);      /* that much of on_data()'s memory is done with */
/* The user is going to hold that much for a purpose of its own, and wants more to come. False: memory is short. */
bool tcp_want(struct tcp_conn *c, uint32_t buffer_bytes) MUST_CHECK;
/* The user cannot pass on what it has: more would only be held. */
void tcp_enough(struct tcp_conn *c);
/* What an mbuf costs in credit: its buffer, however little of it is payload. */
static inline uint32_t tcp_cost(const struct rte_mbuf *m)
{
	return m->buf_len;
}

/*
 * A user that holds nothing of its own for a connection that idles lets TCP keep it: its ops are those of the keeper,
 * one for all connections, and `user` is the connection itself, until tcp_set_user() is called again. Nothing may be
 * owed in either direction. on_alarm() comes once, alarm_ms later.
 */
void tcp_set_keeper(struct tcp *t, const struct tcp_user_ops *ops, void *keeper); /* boot */
void *tcp_keeper(const struct tcp_conn *c);
void tcp_keep(struct tcp_conn *c, uint32_t alarm_ms);
/* To look at all that are kept, by and by: the one at a place below tcp_kept_places(), or null. */
struct tcp_conn *tcp_kept_at(const struct tcp *t, uint32_t place);
uint32_t tcp_kept_places(const struct tcp *t);
bool tcp_crowded(const struct tcp *t);           /* few places are free: those that are kept are in the way */
uint64_t tcp_heard_ns(const struct tcp_conn *c); /* when the last acceptable segment came, to a millisecond */

void tcp_keepalive(struct tcp_conn *c, uint32_t idle_ms, uint32_t interval_ms, unsigned probes);

const struct tuple *tcp_tuple(const struct tcp_conn *c);
bool tcp_established(const struct tcp_conn *c);

/* What `sluicectl flows` shows, and with -i all of it: what `ss -ti` shows of a connection. */
struct tcp_flow_info {
	struct tuple tuple;
	const char *state;
	bool active;           /* we opened it */
	uint32_t srtt_us, rttvar_us, min_rtt_us, rto_ms, cwnd_bytes, ssthresh_bytes, flight_bytes, queued_bytes;
	uint32_t snd_wnd_bytes, rcv_wnd_bytes;  /* ssthresh_bytes 0: nothing has said yet where the path is full */
	uint64_t bytes_in, bytes_out, retransmits;
	uint16_t mss, pmtu;    /* pmtu 0: not known yet */
	uint8_t backoff;       /* doublings in rto_ms */
	bool recovering;       /* fast recovery */
	bool reordering;       /* the path was seen to reorder */
	uint32_t sacked_bytes, lost_bytes;  /* of what was sent and is not acknowledged */
	const char *control;   /* of congestion; null in TIME_WAIT */
	bool ecn;
	uint64_t pacing_rate;  /* bytes per second; 0: none */
	uint64_t delivery_rate; /* the same, while there was more to send than was in flight */
	uint64_t age_ms;
};
/*
 * Connections from *at on, at most `max`. *at is 0 to begin, and 0 again when all were seen; until then there may be
 * more, even where none came: a call looks at a bounded number of places, of which most may be free.
 */
unsigned tcp_walk(const struct tcp *t, uint32_t *at, struct tcp_flow_info *out, unsigned max);
uint32_t tcp_conns(const struct tcp *t);                         /* in use, TIME_WAIT included */
void tcp_watch(const struct tcp *t, struct pressure *p);         /* boot: what of it may run short */

#endif
