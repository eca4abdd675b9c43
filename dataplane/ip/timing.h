/* Every duration of the IP layer, in one place. */
#ifndef IP_TIMING_H
#define IP_TIMING_H

enum {
	/* Neighbour unreachability detection (RFC 4861, 10); ARP entries live by the same rules. */
	NEIGH_REACHABLE_MS = 30000,    /* REACHABLE_TIME, times a random factor between 0.5 and 1.5 */
	NEIGH_RETRANS_MS = 1000,       /* RETRANS_TIMER, also the rate that RFC 1122, 2.3.2.1 allows */
	NEIGH_SOLICITS = 3,            /* MAX_MULTICAST_SOLICIT and MAX_UNICAST_SOLICIT */
	NEIGH_DELAY_MS = 5000,         /* DELAY_FIRST_PROBE_TIME */
	NEIGH_FAILED_MS = 1000,        /* for so long packets to a silent neighbour are refused at once */
	NEIGH_UNUSED_MS = 600000,      /* a stale entry that nobody uses is forgotten */
	NEIGH_SWEEP_MS = 1000,         /* how often the marks "used" are gathered */

	REASSEMBLY_MS = 60000,         /* from the first fragment on (RFC 8200, 4.5) */

	/*
	 * Our own addresses (RFC 5227, RFC 4862). The standards' waits (1 to 2 s of random delay, three probes 1 to
	 * 2 s apart, 2 s more) would keep a new VIP silent for up to 9 s. A gateway's addresses are given by its
	 * administrator, not guessed, so we probe the same number of times in a tenth of the time, and defend.
	 */
	ADDRESS_PROBES = 3,
	ADDRESS_PROBE_MS = 200,        /* between probes, and after the last one: a VIP is active after 600 ms */
	ADDRESS_ANNOUNCES = 2,         /* ANNOUNCE_NUM */
	ADDRESS_ANNOUNCE_MS = 2000,    /* ANNOUNCE_INTERVAL */
	ADDRESS_DEFEND_MS = 10000,     /* DEFEND_INTERVAL: at most one defence in so long */
	ADDRESS_RETRY_MS = 1000,       /* after a conflict, times the number of conflicts so far ... */
	ADDRESS_RETRIES_MAX = 60,      /* ... up to this (RATE_LIMIT_INTERVAL is 60 s) */
	ADDRESS_DRAIN_MS = 60000,      /* an address that left the tables answers so long for what is still open */
	ADDRESS_PER_MS = 32,           /* probes and announcements of many addresses are spread by this */
};

#endif
