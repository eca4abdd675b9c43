/*
 * The machine's side of a generation: EAL, lcores, memory and ports. A data plane starts it once; when the machine
 * section of a later generation differs, the program starts itself anew.
 */
#ifndef WORKER_MACHINE_H
#define WORKER_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/limits.h"
#include "base/packet.h"
#include "port/port.h"
#include "table/table.h"

enum { MACHINE_DEVICE_MAX = 256, MACHINE_WHY_MAX = 256 };

struct machine_options {
	bool no_huge;                  /* do not even look for hugepages */
	const char *file_prefix;
};

struct machine {
	uint16_t workers;
	uint16_t ports_n;
	unsigned pools_percent;
	uint32_t tcp_conns;            /* that each worker has room for */
	bool huge;
	bool crowded;                  /* more threads than CPUs */
	struct port ports[LIMIT_ports];
	struct port *port_list[LIMIT_ports];
	char names[LIMIT_ports][32];   /* of the ports, for people */
	char devices[LIMIT_ports][MACHINE_DEVICE_MAX];
	uint16_t mtus[LIMIT_ports];
	uint16_t queues[LIMIT_ports];  /* wanted: one per worker, or less */
	struct packet_pools pools[LIMIT_workers];
};

/* Once per process. why: what is wrong, for people. */
enum err machine_start(struct machine *m, const struct table *t, const struct machine_options *o,
                       char why[static MACHINE_WHY_MAX]) MUST_CHECK;
void machine_stop(struct machine *m);
bool machine_serves(const struct machine *m, const struct table *t);  /* the same workers, ports and devices */
uint64_t machine_digest(const struct table *t);                       /* of workers, ports and devices */
struct packet_rings machine_rings(const struct machine *m, uint16_t worker); /* what its pools keep for ports */
/* What people call an interface: a port, or a VLAN of the tables (null: there are none yet). */
const char *machine_iface_name(const struct machine *m, const struct table *t, uint8_t iface, char text[static 32]);
/* What can be known of a machine without starting it. */
enum err machine_check(const struct table *t, char why[static MACHINE_WHY_MAX]) MUST_CHECK;

#endif
