#include "worker/holdings.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define HOLDINGS_MAGIC UINT64_C(0x53444c4f48454353) /* "SCEHOLDS" */

struct holdings {
	uint64_t magic;
	int64_t boot_ms;             /* 0 while the rest is being written: who dies in between leaves nothing */
	uint64_t n;
	struct addr addr[LIMIT_addresses];
};

static void path_of(const char *run_dir, char *path, size_t n)
{
	snprintf(path, n, "%s/addresses", run_dir);
}

uint32_t holdings_read(const char *run_dir, int64_t boot_ms, struct addr held[static LIMIT_addresses])
{
	struct holdings h;
	char path[4096];
	ssize_t got;
	int fd;

	path_of(run_dir, path, sizeof(path));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	got = read(fd, &h, sizeof(h));
	close(fd);
	if (got != sizeof(h) || h.magic != HOLDINGS_MAGIC || h.n > LIMIT_addresses || h.boot_ms <= 0 ||
	    h.boot_ms > boot_ms || boot_ms - h.boot_ms > HOLDINGS_MS)
		return 0;
	memcpy(held, h.addr, h.n * sizeof(held[0]));
	return (uint32_t)h.n;
}

struct holdings *holdings_open(const char *run_dir)
{
	struct holdings *h;
	char path[4096];
	int fd;

	path_of(run_dir, path, sizeof(path));
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	if (fd < 0)
		return NULL;
	h = ftruncate(fd, sizeof(*h)) == 0 ? mmap(NULL, sizeof(*h), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
	                                   : MAP_FAILED;
	close(fd);
	return h == MAP_FAILED ? NULL : h;
}

static bool worth(const struct ip_address_info *a)
{
	return a->usable && strcmp(a->state, "draining") != 0;
}

void holdings_keep(struct holdings *h, const struct ip_link *l, uint64_t now_ns, int64_t boot_ms)
{
	struct ip_address_info some[64];
	uint32_t at = 0;

	__atomic_store_n(&h->boot_ms, 0, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	h->magic = HOLDINGS_MAGIC;
	h->n = 0;
	do {
		const unsigned n = ip_address_walk(l, now_ns, &at, some, sizeof(some) / sizeof(some[0]));

		for (unsigned i = 0; i < n && h->n < LIMIT_addresses; i++)
			if (worth(&some[i]))
				h->addr[h->n++] = some[i].addr;
	} while (at != 0);
	__atomic_store_n(&h->boot_ms, boot_ms, __ATOMIC_RELEASE);
}

void holdings_close(struct holdings *h)
{
	if (h)
		munmap(h, sizeof(*h));
}
