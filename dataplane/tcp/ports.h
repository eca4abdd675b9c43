/*
 * Ports for connections that we open: at random among the ephemeral ones that make the tuple this worker's (RFC 6056,
 * 3.3.1). Whose a tuple is says its hash (addr.h), which is linear: that of the local port alone, XORed with that of
 * the rest. So the ports are sorted at boot, once, by the bucket that they have alone; those of a destination that are
 * ours are a few whole buckets, and nobody else's port is ever looked at.
 *
 * Each destination (both addresses and the remote port) that has connections of ours, or ones in TIME_WAIT, counts
 * them, so that one whose ports are all in use is known by a compare. A free port is found by looking at random ones
 * while there are many; of a destination that has used three quarters a map says which are free. It is filled by and
 * by, some looks with each connection. No connect() looks at more than PORTS_LOOKS_MAX ports; but for a chance of less
 * than 1 in 10^15 it finds one if there is one.
 *
 * When none is free, the port whose TIME_WAIT is the oldest is taken, if it is sure that the peer takes nothing of the
 * old incarnation for the new one's (wait.h); the destination lists those that can ever be.
 *
 * What peers open to us is not counted: its local port is a listener's. One that comes from a destination's very port
 * to a listener on an ephemeral one takes that port from it all the same; the look at the table sees it.
 */
#ifndef TCP_PORTS_H
#define TCP_PORTS_H

#include "base/addr.h"
#include "base/err.h"
#include "base/pool.h"
#include "tcp/table.h"

struct shard;
struct tcp;
struct tcp_wait;

enum {
	PORTS_FIRST = 1024, PORTS_LAST = 65535,
	PORTS_OF_BUCKET = (PORTS_LAST - PORTS_FIRST + 1) / TUPLE_BUCKETS,
	PORTS_LOOKS_MAX = 256,
};

struct port_map {
	uint32_t looked;                     /* at so many of the destination's ports, in their order */
	uint64_t free[65536 / 64];           /* a bit per port */
};

struct tcp_destination {
	struct tuple tuple;                  /* local_port 0 */
	struct tcp_wait *wait_first, *wait_last; /* whose ports may be taken, the oldest first */
	uint16_t used;                       /* ports, those in TIME_WAIT included */
	uint16_t map;                        /* a place in ports.maps, from 1 on */
	uint8_t bucket;                      /* of the tuple */
};

struct ports {
	uint16_t (*of_bucket)[PORTS_OF_BUCKET];
	struct table_tcp table;
	struct pool destinations, maps;
};

void ports_init(struct ports *p, const struct shard *s); /* boot only */
void ports_fini(struct ports *p);

/*
 * Fills local_port, which counts as used from now on. *iss: where the new connection's sequence numbers must begin, 0:
 * anywhere. NO_PORTS; LIMIT: too many destinations.
 */
enum err ports_choose(struct tcp *t, struct tuple *tuple, uint32_t *iss) MUST_CHECK;
void ports_freed(struct tcp *t, const struct tuple *tuple); /* a tuple that we opened has left the table */

/* TIME_WAIT of a port of ours that may be taken some time: begins or begins anew, ends. */
void ports_wait(struct tcp *t, struct tcp_wait *w);
void ports_wait_over(struct tcp *t, struct tcp_wait *w);

#endif
