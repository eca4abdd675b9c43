/*
 * The transmit side. Frames are gathered until a burst is full or the round ends, then given to the port at once.
 * What the port does not take is dropped and counted: the transport sends it again, and waiting would stall every
 * other flow of the worker.
 *
 * A port without scatter/gather gets a copy in one mbuf, made when the frame is put, so that a want of mbufs is seen
 * where it arises; so does one that takes shorter chains only.
 */
#include "port/port.h"

#include <string.h>

#include "base/check.h"
#include "base/counters.h"
#include "base/shard.h"

static struct rte_mbuf *linear(struct port_tx *tx, struct rte_mbuf *chain)
{
	struct rte_mbuf *copy = rte_pktmbuf_alloc(tx->shard->pools.payload);
	char *at = copy ? rte_pktmbuf_append(copy, (uint16_t)chain->pkt_len) : NULL;

	if (!copy)
		count(tx->shard->counters, C_limit_payload_mbufs);
	if (!at) {
		rte_pktmbuf_free(copy);
		copy = NULL;
		count(tx->shard->counters, DROP_port_no_mbuf);
	} else {
		for (const struct rte_mbuf *m = chain; m; m = m->next) {
			memcpy(at, rte_pktmbuf_mtod(m, const char *), m->data_len);
			at += m->data_len;
		}
		copy->ol_flags |= chain->ol_flags & (RTE_MBUF_F_TX_OFFLOAD_MASK & ~RTE_MBUF_F_INDIRECT);
		copy->tx_offload = chain->tx_offload;
		copy->vlan_tci = chain->vlan_tci;
	}
	rte_pktmbuf_free(chain);
	return copy;
}

static bool takes(const struct port *p, const struct rte_mbuf *chain)
{
	const uint16_t max = chain->ol_flags & RTE_MBUF_F_TX_TCP_SEG ? p->tso_segs_max : p->segs_max;

	return p->offloads & PORT_TX_MULTI_SEGS && (max == 0 || chain->nb_segs <= max);
}

void port_tx_put(struct port_tx *tx, struct rte_mbuf *m)
{
	CHECK_SLOW(tx->n < PORT_BURST);
	if (m->nb_segs > 1 && !takes(tx->port, m)) {
		m = linear(tx, m);
		if (!m)
			return;
	}
	tx->m[tx->n++] = m;
	if (tx->n == PORT_BURST)
		port_tx_flush(tx);
}

/* Frames that leave something to the device may be such as it cannot do: they alone are dropped. */
static void prepare(struct port_tx *tx)
{
	struct port *p = tx->port;
	uint16_t good = 0;

	for (;;) {
		good = (uint16_t)(good + p->tx_prepare(p, tx->queue, tx->m + good, (uint16_t)(tx->n - good)));
		if (good == tx->n)
			return;
		count(tx->shard->counters, DROP_port_tx_unfit);
		rte_pktmbuf_free(tx->m[good]);
		tx->n--;
		memmove(&tx->m[good], &tx->m[good + 1], (size_t)(tx->n - good) * sizeof(tx->m[0]));
	}
}

void port_tx_flush(struct port_tx *tx)
{
	uint32_t bytes = 0, refused = 0;
	uint16_t taken;

	if (tx->n > 0 && tx->port->tx_prepare)
		prepare(tx);
	if (tx->n == 0)
		return;
	/* Added up before the port may free them. */
	for (uint16_t i = 0; i < tx->n; i++) {
		bytes += tx->m[i]->pkt_len;
		if (__builtin_expect(tx->m[i]->ol_flags & RTE_MBUF_F_TX_TCP_SEG, 0))
			count(tx->shard->counters, C_port_tx_large);
	}
	taken = tx->port->tx_burst(tx->port, tx->queue, tx->m, tx->n);
	for (uint16_t i = taken; i < tx->n; i++)
		refused += tx->m[i]->pkt_len;
	if (taken < tx->n) {
		count_n(tx->shard->counters, DROP_port_tx_full, (uint64_t)tx->n - taken);
		rte_pktmbuf_free_bulk(tx->m + taken, (unsigned)tx->n - taken);
	}
	count_n(tx->shard->counters, C_port_tx_packets, taken);
	count_n(tx->shard->counters, C_port_tx_bytes, bytes - refused);
	tx->n = 0;
}
