/* One line per frame, for --trace: enough to follow a connection by eye. */
#include "tests/sim/link.h"

#include <rte_ip.h>
#include <rte_tcp.h>
#include <stdio.h>

#include "base/addr.h"

static void print_tcp(struct sim *s, const char *port, const char *what, const char *from, const char *to, const uint8_t *l4,
                      uint32_t n)
{
	const struct rte_tcp_hdr *t = (const struct rte_tcp_hdr *)l4;
	const uint32_t header = (uint32_t)(t->data_off >> 4) * 4;
	const uint8_t f = t->tcp_flags;

	sim_trace(s, "%-14s %-9s %s:%u > %s:%u %s%s%s%s%s seq %u ack %u win %u len %d", port, what, from,
	          rte_be_to_cpu_16(t->src_port), to, rte_be_to_cpu_16(t->dst_port), f & RTE_TCP_SYN_FLAG ? "S" : "",
	          f & RTE_TCP_FIN_FLAG ? "F" : "", f & RTE_TCP_RST_FLAG ? "R" : "", f & RTE_TCP_PSH_FLAG ? "P" : "",
	          f & RTE_TCP_ACK_FLAG ? "." : "", rte_be_to_cpu_32(t->sent_seq), rte_be_to_cpu_32(t->recv_ack),
	          rte_be_to_cpu_16(t->rx_win), (int)(n - header));
}

void link_print(struct sim *s, const char *port, const char *what, const uint8_t *d, uint32_t n)
{
	char from[ADDR_TEXT_MAX], to[ADDR_TEXT_MAX];
	const uint16_t type = n >= 14 ? (uint16_t)((unsigned)d[12] << 8 | d[13]) : 0;

	if (!s->trace)
		return;
	if (type == RTE_ETHER_TYPE_IPV4 && n >= 54 && d[23] == 6) {
		const struct rte_ipv4_hdr *ip = (const struct rte_ipv4_hdr *)(d + 14);
		const struct addr a = addr_v4(ip->src_addr), b = addr_v4(ip->dst_addr);

		print_tcp(s, port, what, addr_print(&a, from), addr_print(&b, to), d + 34, rte_be_to_cpu_16(ip->total_length) - 20u);
	} else if (type == RTE_ETHER_TYPE_IPV6 && n >= 74 && d[20] == 6) {
		struct addr a, b;

		memcpy(&a, d + 22, 16);
		memcpy(&b, d + 38, 16);
		print_tcp(s, port, what, addr_print(&a, from), addr_print(&b, to), d + 54, (uint32_t)(d[18] << 8 | d[19]));
	} else {
		sim_trace(s, "%-14s %-9s type %04x, %u bytes", port, what, type, n);
	}
}
