/*
 * Links and the ports at their ends. A frame that a port transmits is copied into an mbuf of the receiver's pool when
 * it arrives, as a wire would; the transmitted mbuf itself is held for a random time before it is freed, as a NIC
 * may. In between the link loses, delays, reorders, duplicates, corrupts and fragments (pieces.h) by the seed. The seed
 * also says what the ports do for the stack: nothing, checksums, or checksums and the cutting of large segments (nic.h).
 *
 * A switch joins any number of ports by MAC address (it floods what it does not know), so both sides of the gateway
 * can have several hosts.
 */
#ifndef SIM_LINK_H
#define SIM_LINK_H

#include "port/port.h"
#include "tests/sim/hop.h"
#include "tests/sim/pieces.h"
#include "tests/sim/sim.h"

enum { LINK_PORTS = 8, LINK_QUEUES = 8, LINK_QUEUE = 1024, LINK_FRAME = 1600 };

/* Chances in 1/10,000 per frame and direction; times in ns. */
struct link_faults {
	uint32_t lose, duplicate, reorder, corrupt, mark; /* mark: of what is ECT */
	uint64_t delay_ns, jitter_ns, reorder_ns;
	uint64_t hold_ns;                      /* transmitted mbufs are held up to this long */
	struct hop_faults hop;
	struct pieces_faults pieces;
	uint32_t strip;                        /* a middlebox does: a bit per kind of option (middlebox.h) */
	uint64_t flap_every_ns, flap_ns;       /* the link is down now and then, for so long at most; 0: never */
};

struct link_port {
	struct port port;                      /* first: what the stack sees */
	struct link *link;
	struct rte_mempool *pools[LINK_QUEUES];   /* of the receiver, per queue */
	struct actor *readers[LINK_QUEUES];    /* made due when a frame arrives for the queue */
	uint64_t wake_ns;                      /* how late a reader may notice (a bounded sleep) */
	struct rte_mbuf *rx[LINK_QUEUES][LINK_QUEUE];
	uint32_t rx_head[LINK_QUEUES], rx_tail[LINK_QUEUES];
	uint64_t received, sent, no_mbuf, overruns;
};

struct link {
	struct actor actor;                    /* due when the next frame arrives or a held mbuf is freed */
	struct link_faults faults;
	struct link_port *ports[LINK_PORTS];
	uint32_t ports_n;
	struct frame *flying;                  /* by arrival */
	struct frame *spare;
	struct held *held;                     /* by time */
	struct held *held_spare;
	uint64_t down_ns, up_ns;               /* the next time, or this one, that it is down, and up again */
	struct hop hop;
	uint64_t lost, duplicated, reordered, corrupted, marked;
	uint32_t fragmented;
	/* Taps for tests: of every frame that is sent, and of every one that arrives. */
	void (*tap)(void *arg, const uint8_t *bytes, uint32_t n);
	void (*tap_in)(void *arg, const uint8_t *bytes, uint32_t n);
	void *tap_arg;
};

struct link *link_new(struct sim *s, const char *name, const struct link_faults *faults);
void link_free(struct link *l);            /* frees what still flies and is held */
void link_attach(struct link *l, struct link_port *p, const uint8_t mac[6], uint16_t id, uint16_t queues);
void link_port_drain(struct link_port *p); /* frees what is still in the receive queues */
void link_print(struct sim *s, const char *port, const char *what, const uint8_t *bytes, uint32_t n); /* --trace */
bool link_port_pending(const struct link_port *p, uint16_t queue);

#endif
