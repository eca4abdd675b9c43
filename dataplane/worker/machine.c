/*
 * Starting EAL from a table instead of from a command line.
 *
 * lcore 0 is housekeeping, lcore 1 + n is worker n. With a CPU for every one of them each gets its own; with fewer
 * CPUs than threads all may run on all, and the kernel balances them: pinning two busy workers to one CPU while the
 * other idles would be worse.
 *
 * Memory: with enough free hugepages, `--in-memory` (nothing is left behind, no mount is needed). Else ordinary
 * pages, which EAL calls `--no-huge`; it cannot be combined with `--in-memory`, so shared configuration is turned off
 * instead. Packet pools shrink to what fits.
 *
 * Virtual devices are plugged in after EAL has started, so that a wrong one is an answer and not the end.
 */
#include "worker/machine.h"

#include <ctype.h>
#include <errno.h>
#include <net/if.h>
#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "port/ethdev.h"
#include "tcp/tcp.h"

enum {
	WORKER_MB = 155,        /* packet pools of one worker at 100 % */
	WORKER_NO_HUGE_MB = 240, /* the same: DPDK lets no mbuf cross a page of 4 KiB */
	RINGS_MB = 4,           /* what fills the rings of one queue, both ways */
	RINGS_NO_HUGE_MB = 6,
	BASE_MB = 64,
	PERCENT_NO_HUGE = 50,   /* ordinary pages cost page faults at start and TLB misses later */
	PERCENT_MIN = 5,
	MEMORY_SHARE = 4,       /* at most a quarter of what is free */
	CONNS_SHARE = 8,        /* of connections, if all are there: an eighth */
	CONN_BYTES = 512,       /* what an idle one costs, all told */
	FRAMES_PER_QUEUE = 2048,
	ARGS_MAX = 32 + 2 * LIMIT_ports,
	LCORES_TEXT = 64 * (LIMIT_workers + 1) + 1024,
};

static enum err refuse(char why[static MACHINE_WHY_MAX], enum err e, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, MACHINE_WHY_MAX, format, args);
	va_end(args);
	return e;
}

/* ---- what the table wants ---- */

static bool is_vdev(const char *device)
{
	return strncmp(device, "net_", 4) == 0;
}

/* h: a hexadecimal digit; other characters are themselves. */
static bool has_form(const char *text, size_t n, const char *form)
{
	if (n != strlen(form))
		return false;
	for (size_t i = 0; i < n; i++)
		if (form[i] == 'h' ? !isxdigit((unsigned char)text[i]) : text[i] != form[i])
			return false;
	return true;
}

/* What EAL takes for a device of some other kind ("class=eth") it may not survive. */
static bool is_device(const char *device)
{
	const size_t n = strcspn(device, ",");

	return is_vdev(device) || has_form(device, n, "hhhh:hh:hh.h") || has_form(device, n, "hh:hh.h");
}

static void drop_key(char *device, const char *key)
{
	size_t key_len = strlen(key);
	char *at = device;

	while ((at = strchr(at, ','))) {
		char *end = strchr(at + 1, ',');

		if (strncmp(at + 1, key, key_len) == 0 && at[1 + key_len] == '=')
			memmove(at, end ? end : at + strlen(at), end ? strlen(end) + 1 : 1);
		else
			at++;
	}
}

/* A packet socket per queue, no more and no less: the kernel spreads flows over all of them. */
static bool fit_device(char *device, uint16_t queues)
{
	size_t n;

	if (strncmp(device, "net_af_packet", 13) != 0)
		return true;
	drop_key(device, "qpairs");
	n = strlen(device);
	if (snprintf(device + n, MACHINE_DEVICE_MAX - n, ",qpairs=%u%s", queues,
	             strstr(device, ",framecnt=") ? "" : ",framecnt=2048") >= (int)(MACHINE_DEVICE_MAX - n))
		return false;
	static_assert(FRAMES_PER_QUEUE == 2048, "the text above");
	return true;
}

static uint16_t workers_of(const struct table *t)
{
	return (uint16_t)(t->workers ? t->workers : 1);
}

static bool copy_text(char *to, size_t size, const struct table *t, struct table_text text)
{
	if (text.len >= size)
		return false;
	memcpy(to, table_text(t, text), text.len);
	to[text.len] = '\0';
	return true;
}

static enum err read_machine(struct machine *m, const struct table *t, char why[static MACHINE_WHY_MAX])
{
	const struct table_port *ports = TABLE_LIST(t, t->ports, struct table_port);

	memset(m, 0, sizeof(*m));
	if (workers_of(t) > LIMIT_workers)
		return refuse(why, ERR_LIMIT, "%u workers: at most %d", t->workers, LIMIT_workers);
	if (t->ports.n == 0 || t->ports.n > LIMIT_ports)
		return refuse(why, ERR_LIMIT, "%u ports: at least 1, at most %d", t->ports.n, LIMIT_ports);
	m->workers = workers_of(t);
	m->ports_n = (uint16_t)t->ports.n;
	for (uint16_t p = 0; p < m->ports_n; p++) {
		m->queues[p] = ports[p].queues != 0 && ports[p].queues < m->workers ? ports[p].queues : m->workers;
		if (!copy_text(m->names[p], sizeof(m->names[p]), t, ports[p].name) ||
		    !copy_text(m->devices[p], sizeof(m->devices[p]), t, ports[p].device) ||
		    !fit_device(m->devices[p], m->queues[p]))
			return refuse(why, ERR_INVALID, "port %u: the name or device is too long", p);
		if (!is_device(m->devices[p]))
			return refuse(why, ERR_INVALID, "port %s: device %.160s: neither a PCI address nor net_...",
			              m->names[p], m->devices[p]);
		m->mtus[p] = ports[p].mtu;
		m->port_list[p] = &m->ports[p];
	}
	return OK;
}

bool machine_serves(const struct machine *m, const struct table *t)
{
	struct machine other;
	char why[MACHINE_WHY_MAX];

	if (read_machine(&other, t, why) || other.workers != m->workers || other.ports_n != m->ports_n)
		return false;
	for (uint16_t p = 0; p < m->ports_n; p++)
		if (strcmp(other.devices[p], m->devices[p]) != 0 || strcmp(other.names[p], m->names[p]) != 0 ||
		    other.mtus[p] != m->mtus[p] || other.queues[p] != m->queues[p])
			return false;
	return true;
}

static uint64_t mix(uint64_t digest, const void *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		digest = (digest ^ ((const uint8_t *)bytes)[i]) * UINT64_C(0x100000001b3);
	return digest;
}

/* FNV-1a: it tells machines of one box apart, nobody attacks it. */
uint64_t machine_digest(const struct table *t)
{
	uint64_t digest = UINT64_C(0xcbf29ce484222325);
	char why[MACHINE_WHY_MAX];
	struct machine m;

	if (read_machine(&m, t, why))
		return t->content;
	digest = mix(digest, &m.workers, sizeof(m.workers));
	digest = mix(digest, &m.ports_n, sizeof(m.ports_n));
	digest = mix(digest, m.mtus, sizeof(m.mtus));
	for (uint16_t p = 0; p < m.ports_n; p++) {
		digest = mix(digest, m.names[p], strlen(m.names[p]) + 1);
		digest = mix(digest, m.devices[p], strlen(m.devices[p]) + 1);
	}
	return digest;
}

/* The most frequent mistake, seen before anything is stopped for it. */
static bool has_interface(const char *device)
{
	const char *at = strstr(device, ",iface=");
	char name[IF_NAMESIZE];
	size_t n;

	if (strncmp(device, "net_af_packet", 13) != 0 || !at)
		return true;
	at += strlen(",iface=");
	n = strcspn(at, ",");
	if (n >= sizeof(name))
		return false;
	memcpy(name, at, n);
	name[n] = '\0';
	return if_nametoindex(name) != 0;
}

enum err machine_check(const struct table *t, char why[static MACHINE_WHY_MAX])
{
	struct machine m;
	enum err e = read_machine(&m, t, why);

	for (uint16_t p = 0; !e && p < m.ports_n; p++)
		if (!has_interface(m.devices[p]))
			e = refuse(why, ERR_INVALID, "port %s: device %.160s: there is no such interface", m.names[p],
			           m.devices[p]);
	return e;
}

const char *machine_iface_name(const struct machine *m, const struct table *t, uint8_t iface, char text[static 32])
{
	const uint32_t vlan = iface - (uint32_t)m->ports_n;

	if (iface < m->ports_n)
		return m->names[iface];
	if (!t || vlan >= t->vlans.n || !copy_text(text, 32, t, TABLE_LIST(t, t->vlans, struct table_vlan)[vlan].name))
		return "?";
	return text;
}

/* ---- EAL ---- */

/* A number of /proc/meminfo; 0 when it is not there. */
static unsigned long meminfo(const char *key)
{
	unsigned long value = 0;
	size_t n = strlen(key);
	char line[128];
	FILE *f = fopen("/proc/meminfo", "re");

	while (f && value == 0 && fgets(line, sizeof(line), f))
		if (strncmp(line, key, n) == 0 && line[n] == ':')
			value = strtoul(line + n + 1, NULL, 10);
	if (f)
		fclose(f);
	return value;
}

static unsigned free_hugepages_mb(void)
{
	return (unsigned)(meminfo("HugePages_Free") * meminfo("Hugepagesize") / 1024);
}

static unsigned free_memory_mb(void)
{
	return (unsigned)(meminfo("MemAvailable") / 1024);
}

static unsigned wanted_mb(const struct machine *m, bool huge, unsigned percent)
{
	const unsigned pools_mb = (huge ? WORKER_MB : WORKER_NO_HUGE_MB) * percent / 100;
	const unsigned rings_mb = huge ? RINGS_MB : RINGS_NO_HUGE_MB;

	return BASE_MB + m->workers * (pools_mb + m->ports_n * rings_mb + 4u);
}

static void choose_memory(struct machine *m, const struct machine_options *o)
{
	m->pools_percent = 100;
	m->huge = !o->no_huge && free_hugepages_mb() >= wanted_mb(m, true, 100);
	if (m->huge)
		return;
	for (m->pools_percent = PERCENT_NO_HUGE; m->pools_percent > PERCENT_MIN; m->pools_percent -= 5)
		if (wanted_mb(m, false, m->pools_percent) <= free_memory_mb() / MEMORY_SHARE)
			break;
	fprintf(stderr, "dataplane: %s: running on ordinary pages, slower, with packet pools of %u %%\n",
	        o->no_huge ? "no hugepages wanted" : "not enough free hugepages", m->pools_percent);
}

/*
 * Connections: their memory is touched when they come, so what is reckoned here is taken only by a machine that has
 * that many. It is never given back: the number is what it may come to.
 */
static uint32_t choose_conns(const struct machine *m)
{
	const uint64_t bytes = ((uint64_t)free_memory_mb() << 20) / CONNS_SHARE;
	const uint64_t conns = bytes / m->workers / CONN_BYTES;

	return conns < TCP_CONNS_LEAST ? TCP_CONNS_LEAST : conns < LIMIT_tcp_conns ? (uint32_t)conns : LIMIT_tcp_conns;
}

/* "0@c,1@a,2@b": a CPU each, or all threads on all CPUs. */
static void choose_lcores(struct machine *m, char *text, size_t size)
{
	char all[1024] = "";
	unsigned cpu[CPU_SETSIZE], cpus = 0;
	size_t n = 0;
	cpu_set_t set;

	CHECK(sched_getaffinity(0, sizeof(set), &set) == 0);
	for (unsigned c = 0; c < CPU_SETSIZE; c++)
		if (CPU_ISSET(c, &set) && n + 8 < sizeof(all)) {
			cpu[cpus++] = c;
			n += (size_t)snprintf(all + n, sizeof(all) - n, "%s%u", n ? "," : "", c);
		}
	m->crowded = m->workers >= cpus;
	if (m->workers < cpus) {
		n = (size_t)snprintf(text, size, "0@%u", cpu[cpus - 1]);
		for (unsigned w = 0; w < m->workers; w++)
			n += (size_t)snprintf(text + n, size - n, ",%u@%u", w + 1, cpu[w]);
	} else {
		snprintf(text, size, "(0-%u)@(%s)", m->workers, all);
	}
}

static enum err start_eal(struct machine *m, const struct machine_options *o, char why[static MACHINE_WHY_MAX])
{
	static char lcores[LCORES_TEXT], megabytes[16];
	char *args[ARGS_MAX] = {"sluice-dataplane", "--no-telemetry", "--log-level", "warning", "--lcores", lcores};
	int n = 6, before = n;

	choose_memory(m, o);
	m->tcp_conns = choose_conns(m);
	choose_lcores(m, lcores, sizeof(lcores));
	if (m->huge) {
		args[n++] = "--in-memory";
		/* A vhost-user backend maps what virtio_user has, file by file, and takes only a few. */
		args[n++] = "--single-file-segments";
	} else {
		snprintf(megabytes, sizeof(megabytes), "%u", wanted_mb(m, false, m->pools_percent));
		args[n++] = "--no-huge";
		args[n++] = "--no-shconf";
		args[n++] = "-m";
		args[n++] = megabytes;
	}
	if (o->file_prefix) {
		args[n++] = "--file-prefix";
		args[n++] = (char *)(uintptr_t)o->file_prefix;
	}
	before = n;
	for (uint16_t p = 0; p < m->ports_n; p++)
		if (!is_vdev(m->devices[p])) {
			args[n++] = "-a";
			args[n++] = m->devices[p];
		}
	if (n == before)
		args[n++] = "--no-pci";
	CHECK(n < ARGS_MAX);
	if (rte_eal_init(n, args) < 0)
		return refuse(why, ERR_IO, "EAL does not start: %s", rte_strerror(rte_errno));
	return OK;
}

/* ---- ports ---- */

static enum err open_port(struct machine *m, uint16_t p, char why[static MACHINE_WHY_MAX])
{
	struct rte_mempool *rx[LIMIT_workers];
	char device[MACHINE_DEVICE_MAX];
	struct ethdev_want want = {.device = device, .queues = m->queues[p], .mtu = m->mtus[p], .rx_pools = rx};
	enum err e;

	for (uint16_t w = 0; w < m->workers; w++)
		rx[w] = m->pools[w].rx;
	if (is_vdev(m->devices[p]) && rte_dev_probe(m->devices[p]) != 0)
		return refuse(why, ERR_IO, "port %s: device %s cannot be made (is its interface there?)", m->names[p],
		              m->devices[p]);
	snprintf(device, sizeof(device), "%s", m->devices[p]);
	device[strcspn(device, ",")] = '\0';
	e = ethdev_open(&want, &m->ports[p]);
	if (e == ERR_LIMIT)
		return refuse(why, e, "port %s: device %s wants more than %d descriptors per queue", m->names[p],
		              m->devices[p], ETHDEV_DESCRIPTORS);
	if (e)
		return refuse(why, ERR_IO, "port %s: device %s does not start", m->names[p], m->devices[p]);
	memcpy(m->ports[p].name, m->names[p], sizeof(m->names[p]));
	return OK;
}

/* A queue's received packets come from its worker's pools; what a worker sends may wait in any port's ring. */
struct packet_rings machine_rings(const struct machine *m, uint16_t worker)
{
	struct packet_rings r = {.tx = m->ports_n * (uint32_t)ETHDEV_DESCRIPTORS};

	for (uint16_t p = 0; p < m->ports_n; p++)
		r.rx += worker < m->queues[p] ? ETHDEV_DESCRIPTORS : 0;
	return r;
}

enum err machine_start(struct machine *m, const struct table *t, const struct machine_options *o,
                       char why[static MACHINE_WHY_MAX])
{
	enum err e = read_machine(m, t, why);

	if (!e)
		e = start_eal(m, o, why);
	for (uint16_t w = 0; !e && w < m->workers; w++) {
		const struct packet_rings rings = machine_rings(m, w);
		char name[16];

		snprintf(name, sizeof(name), "w%u", w);
		e = packet_pools_for(&m->pools[w], name, SOCKET_ID_ANY, m->pools_percent, &rings);
		if (e)
			(void)refuse(why, e, "no memory for the packet pools of %u workers with %u ports", m->workers,
			             m->ports_n);
	}
	for (uint16_t p = 0; !e && p < m->ports_n; p++)
		e = open_port(m, p, why);
	return e;
}

void machine_stop(struct machine *m)
{
	for (uint16_t p = 0; p < m->ports_n; p++)
		ethdev_close(&m->ports[p]);
	for (uint16_t w = 0; w < m->workers; w++)
		packet_pools_fini(&m->pools[w]);
	rte_eal_cleanup();
}
