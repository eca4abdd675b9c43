#include "worker/ahead.h"

#include <rte_tcp.h>
#include <string.h>

#include "ip/wire.h"
#include "port/port.h"
#include "route/route.h"

enum {
	TABLE_BYTES_NEAR = 1 << 20,  /* what the second level cache of a core holds, about */
	LINES_MAX = 4,               /* of a head; nearly everybody sends Host right behind the request line */
	LINE = 64, FRAME_LINES = 4,
};

/* ---- a frame ---- */

struct cursor {
	const char *at, *end;
};

static const void *skip(struct cursor *c, size_t n)
{
	const char *at = c->at;

	if ((size_t)(c->end - at) < n)
		return NULL;
	c->at += n;
	return at;
}

/* Ethernet and IP, without tags, options and extension headers. */
static bool skip_ip(struct cursor *c, struct addr *local)
{
	const struct rte_ether_hdr *eth = skip(c, ETH_BYTES);

	if (eth != NULL && eth->ether_type == rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4)) {
		const struct ip4_header *ip = skip(c, IP4_BYTES);

		if (ip == NULL || ip->version_ihl != IP4_PLAIN || ip->protocol != IPPROTO_TCP)
			return false;
		*local = addr_v4(ip->destination);
		return true;
	}
	if (eth != NULL && eth->ether_type == rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV6)) {
		const struct ip6_header *ip = skip(c, IP6_BYTES);

		if (ip == NULL || ip->next_header != IPPROTO_TCP)
			return false;
		*local = addr_of_bytes(ip->destination);
		return true;
	}
	return false;
}

/* Where the segment goes to; the cursor is then at its text. */
static bool skip_tcp(struct cursor *c, uint16_t *port)
{
	const struct rte_tcp_hdr *tcp = skip(c, sizeof(*tcp));

	if (tcp == NULL)
		return false;
	*port = rte_be_to_cpu_16(tcp->dst_port);
	return skip(c, (size_t)(tcp->data_off >> 4) * 4 - sizeof(*tcp)) != NULL;
}

static bool is_host(const char *at, const char *end)
{
	return end - at > 5 && (at[0] | 0x20) == 'h' && (at[1] | 0x20) == 'o' && (at[2] | 0x20) == 's' &&
	       (at[3] | 0x20) == 't' && at[4] == ':';
}

static struct text trimmed(const char *at, const char *end)
{
	while (at < end && *at == ' ')
		at++;
	while (at < end && (end[-1] == '\r' || end[-1] == ' '))
		end--;
	return (struct text){.at = at, .len = (uint32_t)(end - at)};
}

bool ahead_host(const struct rte_mbuf *m, struct addr *local, uint16_t *port, struct text *host)
{
	struct cursor c = {.at = rte_pktmbuf_mtod(m, const char *)};

	c.end = c.at + m->data_len;
	if (!skip_ip(&c, local) || !skip_tcp(&c, port) || c.at == c.end || c.at[0] < 'A' || c.at[0] > 'Z')
		return false;
	for (unsigned i = 0; i <= LINES_MAX; i++) {
		const char *stop = memchr(c.at, '\n', (size_t)(c.end - c.at));

		if (stop == NULL)
			return false;
		if (i > 0 && is_host(c.at, stop)) {
			*host = trimmed(c.at + 5, stop);
			return true;
		}
		c.at = stop + 1;
	}
	return false;
}

/* ---- a burst ---- */

void ahead_look(const struct table *t, struct rte_mbuf *const *m, unsigned n)
{
	struct route_host hosts[PORT_BURST];
	unsigned found = 0;

	if (t == NULL || t->bytes <= TABLE_BYTES_NEAR || n > PORT_BURST)
		return;
	for (unsigned i = 0; i < n; i++) {
		for (unsigned k = 1; k < FRAME_LINES; k++)
			__builtin_prefetch(rte_pktmbuf_mtod_offset(m[i], const char *, k * LINE));
	}
	for (unsigned i = 0; i < n; i++) {
		struct text authority;
		struct addr local;
		uint16_t port;

		if (ahead_host(m[i], &local, &port, &authority))
			route_host(t, &local, port, authority, &hosts[found++]);
	}
	for (unsigned i = 0; i < found; i++)
		route_fetch(t, &hosts[i]);
}
