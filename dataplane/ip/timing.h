/* Every duration of the IP layer, in one place. */
#ifndef IP_TIMING_H
#define IP_TIMING_H

enum {
	/* Neighbour unreachability detection (RFC 4861, 10); ARP entries live by the same rules. */
	NEIGH_REACHABLE_MS = 30000,    /* REACHABLE_TIME, times a random factor between 0.5 and 1.5 */
	NEIGH_RETRANS_MS = 1000,       /* RETRANS_TIMER, also the rate that RFC 1122, 2.3.2.1 allows */
	NEIGH_SOLICITS = 3,            /* MAX_MULTICAST_SOLICIT and MAX_UNICAST_SOLICIT */
	NEIGH_TRIES = 8,               /* as many with those that the rate limit swallows: then it fails as well */
	NEIGH_NO_SOURCE_MS = 700,      /* until the next try when no address of ours has been probed yet */
	NEIGH_DELAY_MS = 5000,         /* DELAY_FIRST_PROBE_TIME */
	NEIGH_FAILED_MS = 1000,        /* for so long packets to a silent neighbour are refused at once */
	NEIGH_UNUSED_MS = 600000,      /* a stale entry that nobody uses is forgotten */
	NEIGH_SWEEP_MS = 1000,         /* how often the marks "used" are gathered */

	REASSEMBLY_MS = 60000,         /* from the first fragment on (RFC 8200, 4.5) */

	/*
	 * Our own addresses (RFC 5227, RFC 4862). RFC 5227, 1.1 would keep a new IPv4 address silent for 4 to 7 s (a
	 * delay of up to 1 s, three probes 1 to 2 s apart, 2 s more), RFC 4862 an IPv6 one for 1 to 2 s. For a gateway
	 * this is time without service, and who has an address answers a probe within milliseconds: so we probe as
	 * often as RFC 5227 says in a tenth of the time. Who was deaf meanwhile is met by the announcements that
	 * follow, and then by our defence. The other way out, to use an address before it has been probed (RFC 4429),
	 * is not for addresses that were given by hand (3.1 there), and has no counterpart in IPv4.
	 */
	ADDRESS_PROBES = 3,
	ADDRESS_PROBE_MS = 200,        /* between probes, and after the last one: it is active after 600 ms */
	ADDRESS_ANNOUNCES = 2,         /* ANNOUNCE_NUM */
	ADDRESS_ANNOUNCE_MS = 2000,    /* ANNOUNCE_INTERVAL */
	ADDRESS_DEFEND_MS = 10000,     /* DEFEND_INTERVAL: at most one defence in so long */
	ADDRESS_RETRY_MS = 1000,       /* after a conflict, times their number so far, times 1 to 2 by chance */
	ADDRESS_CONFLICTS_MAX = 10,    /* MAX_CONFLICTS: from so many on ... */
	ADDRESS_RATE_LIMIT_MS = 60000, /* ... RATE_LIMIT_INTERVAL */
	ADDRESS_ALARM_MS = 60000,      /* a conflict is over when nobody claimed the address for so long */
	ADDRESS_DRAIN_MS = 60000,      /* an address that left the tables answers so long for what is still open */
	ADDRESS_PER_MS = 32,           /* probes and announcements of many addresses are spread by this */
};

#endif
