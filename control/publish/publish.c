/*
 * A small machine: wanted (a sealed memfd) and what is known of the data plane.
 *
 *   connect  >  ask which content it has  >  the wanted one: LIVE
 *                                         >  another: send it  >  ok: LIVE,  no: REFUSED
 *
 * Any trouble on the socket closes it and means UNREACHABLE; the next push begins again at connect. Some reasons to
 * refuse pass in milliseconds (too many generations alive), so a refused one is offered a few times more before it is
 * called refused, and later again, ever less often.
 *
 * A generation without ports is not offered at all: a data plane that waits for its first one (a fresh box, before
 * there is a Machine) would try to start with it and fail, and one that runs would stop for a Machine that was
 * deleted.
 */
#include "control/publish/publish.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/doc.h"
#include "base/frame.h"

enum { OFFERS = 5, OFFER_PAUSE_MS = 20, AGAIN_MS = 250, AGAIN_MAX_MS = 8000, REPLY_BYTES_MAX = 1 << 20 };
enum { LOOK_MS = 1000 };
enum { SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE };

struct publisher {
	char path[108];
	int fd;                      /* -1: not connected */
	int wanted;                  /* the sealed memfd; -1: none */
	uint64_t wanted_content;
	bool portless;               /* the wanted one has no ports */
	bool stale;                  /* the wanted one is not what should be there: that could not be made */
	int64_t again_at_ms;         /* a refused one is not offered before */
	int64_t again_after_ms;
	int64_t look_at_ms;          /* conflicts of addresses are not asked for before */
	struct publish_verdict verdict;
};

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

struct publisher *publisher_new(const char *socket_path)
{
	struct publisher *p = calloc(1, sizeof(*p));

	CHECK(p != NULL && strlen(socket_path) < sizeof(p->path));
	snprintf(p->path, sizeof(p->path), "%s", socket_path);
	p->fd = -1;
	p->wanted = -1;
	return p;
}

static void disconnect(struct publisher *p)
{
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
}

void publisher_free(struct publisher *p)
{
	if (p == NULL)
		return;
	disconnect(p);
	if (p->wanted >= 0)
		close(p->wanted);
	free(p);
}

/* ---- the wanted generation ---- */

static bool write_all(int fd, const char *bytes, size_t n)
{
	while (n > 0) {
		const ssize_t wrote = write(fd, bytes, n);

		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote <= 0)
			return false;
		bytes += wrote;
		n -= (size_t)wrote;
	}
	return true;
}

enum err publisher_want(struct publisher *p, const struct table *t, size_t bytes)
{
	int fd;

	if (p->wanted >= 0 && t->content == p->wanted_content && !p->stale) {
		/* The same content under a newer version: what is there is as good. */
		p->verdict.resource_version = t->resource_version;
		if (p->verdict.state == PUBLISH_LIVE)
			p->verdict.live_version = t->resource_version;
		return OK;
	}
	fd = memfd_create("sluice-generation", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return ERR_IO;
	if (!write_all(fd, (const char *)t, bytes) || fcntl(fd, F_ADD_SEALS, SEALS) != 0) {
		close(fd);
		return ERR_IO;
	}
	if (p->wanted >= 0)
		close(p->wanted);
	p->wanted = fd;
	p->wanted_content = t->content;
	p->portless = t->ports.n == 0;
	p->stale = false;
	p->verdict.resource_version = t->resource_version;
	p->verdict.state = PUBLISH_UNREACHABLE;
	p->verdict.reason[0] = '\0';
	p->again_at_ms = 0;
	p->again_after_ms = AGAIN_MS;
	return OK;
}

/* ---- talking ---- */

static void conclude(struct publisher *p, enum publish_state state, const char *reason)
{
	p->verdict.state = state;
	snprintf(p->verdict.reason, sizeof(p->verdict.reason), "%s", reason);
	if (state == PUBLISH_LIVE)
		p->verdict.live_version = p->verdict.resource_version;
}

void publisher_refuse(struct publisher *p, uint64_t resource_version, const char *reason)
{
	p->stale = true;
	p->verdict.resource_version = resource_version;
	conclude(p, PUBLISH_REFUSED, reason);
}

/* One request, one reply; null when the socket failed, and then it is closed. */
static yyjson_doc *ask(struct publisher *p, const char *request, int pass_fd, int64_t deadline_ms)
{
	const int64_t left = deadline_ms - now_ms();
	yyjson_doc *reply = NULL;
	char *bytes;
	size_t n;
	int passed;

	if (left <= 0 || frame_send(p->fd, request, strlen(request), pass_fd, (unsigned)left) != OK) {
		disconnect(p);
		return NULL;
	}
	if (frame_recv(p->fd, REPLY_BYTES_MAX, &bytes, &n, &passed, (unsigned)left) == OK) {
		if (passed >= 0)
			close(passed);
		reply = yyjson_read(bytes, n, 0);
		free(bytes);
	}
	/* After a late or broken reply the next one could be taken for the answer to another question. */
	if (reply == NULL)
		disconnect(p);
	return reply;
}

/* Whether it has the wanted content already. */
static bool holds_wanted(struct publisher *p, int64_t deadline_ms)
{
	yyjson_doc *reply = ask(p, "{\"op\":\"generation\"}", -1, deadline_ms);
	char wanted[17];
	bool holds;

	if (reply == NULL)
		return false;
	snprintf(wanted, sizeof(wanted), "%016lx", (unsigned long)p->wanted_content);
	holds = doc_bool(yyjson_doc_get_root(reply), "ok", false) &&
	        strcmp(doc_str(yyjson_doc_get_root(reply), "content"), wanted) == 0;
	yyjson_doc_free(reply);
	return holds;
}

bool publish_verdict_equal(const struct publish_verdict *a, const struct publish_verdict *b)
{
	if (a->state != b->state || a->resource_version != b->resource_version || a->live_version != b->live_version ||
	    strcmp(a->reason, b->reason) != 0 || a->conflicts_n != b->conflicts_n)
		return false;
	for (uint32_t i = 0; i < a->conflicts_n; i++) {
		const struct publish_conflict *x = &a->conflicts[i], *y = &b->conflicts[i];

		if (!addr_equal(&x->addr, &y->addr) || x->usable != y->usable || strcmp(x->claimant, y->claimant) != 0)
			return false;
	}
	return true;
}

/* In the order of the addresses: the data plane's is that of a hash table. */
static void keep_conflict(struct publish_verdict *v, const struct publish_conflict *c)
{
	uint32_t at = v->conflicts_n;

	if (at == PUBLISH_CONFLICTS)
		return;
	for (; at > 0 && memcmp(&v->conflicts[at - 1].addr, &c->addr, sizeof(c->addr)) > 0; at--)
		v->conflicts[at] = v->conflicts[at - 1];
	v->conflicts[at] = *c;
	v->conflicts_n++;
}

static void look_for_conflicts(struct publisher *p, int64_t deadline_ms)
{
	yyjson_doc *reply;
	yyjson_val *item;
	size_t i, n;

	if (now_ms() < p->look_at_ms)
		return;
	p->look_at_ms = now_ms() + LOOK_MS;
	reply = ask(p, "{\"op\":\"conflicts\"}", -1, deadline_ms);
	if (reply == NULL)
		return;
	p->verdict.conflicts_n = 0;
	yyjson_arr_foreach(doc_get(yyjson_doc_get_root(reply), "items"), i, n, item) {
		struct publish_conflict c = {.usable = doc_bool(item, "usable", false)};

		snprintf(c.claimant, sizeof(c.claimant), "%s", doc_str(item, "claimant"));
		if (addr_parse(doc_str(item, "address"), &c.addr) == OK)
			keep_conflict(&p->verdict, &c);
	}
	yyjson_doc_free(reply);
}

static void offer(struct publisher *p, int64_t deadline_ms)
{
	char request[96];
	yyjson_doc *reply;
	yyjson_val *root;

	snprintf(request, sizeof(request), "{\"op\":\"publish\",\"resourceVersion\":\"%lu\"}",
	         (unsigned long)p->verdict.resource_version);
	reply = ask(p, request, p->wanted, deadline_ms);
	if (reply == NULL)
		return;
	root = yyjson_doc_get_root(reply);
	if (doc_bool(root, "ok", false)) {
		conclude(p, PUBLISH_LIVE, "");
	} else {
		conclude(p, PUBLISH_REFUSED,
			 doc_str(root, "reason")[0] != '\0' ? doc_str(root, "reason") : "no reason given");
	}
	yyjson_doc_free(reply);
}

static void offer_patiently(struct publisher *p, int64_t deadline_ms)
{
	const bool again = p->verdict.state == PUBLISH_REFUSED;

	offer(p, deadline_ms);
	for (int i = 1; i < OFFERS && !again && p->verdict.state == PUBLISH_REFUSED && p->fd >= 0; i++) {
		nanosleep(&(struct timespec){.tv_nsec = OFFER_PAUSE_MS * 1000000}, NULL);
		offer(p, deadline_ms);
	}
	if (p->verdict.state != PUBLISH_REFUSED)
		return;
	p->again_at_ms = now_ms() + p->again_after_ms;
	p->again_after_ms = p->again_after_ms * 2 < AGAIN_MAX_MS ? p->again_after_ms * 2 : AGAIN_MAX_MS;
}

/* The other end is gone, or says something that nobody asked for. */
static bool hung_up(int fd)
{
	char byte;
	const ssize_t n = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	return n >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

const struct publish_verdict *publisher_push(struct publisher *p, unsigned deadline_ms)
{
	const int64_t deadline = now_ms() + deadline_ms;

	if (p->wanted < 0 || p->stale)
		return &p->verdict;
	if (p->portless) {
		conclude(p, PUBLISH_REFUSED, "the machine has no ports (Machine.spec.ports)");
		return &p->verdict;
	}
	if (p->fd >= 0 && hung_up(p->fd))
		disconnect(p);
	if (p->fd >= 0 && p->verdict.state == PUBLISH_LIVE) {
		look_for_conflicts(p, deadline);
		return &p->verdict;
	}
	if (p->fd >= 0 && p->verdict.state == PUBLISH_REFUSED && now_ms() < p->again_at_ms)
		return &p->verdict;
	if (p->fd < 0)
		p->fd = frame_connect(p->path, deadline_ms);
	if (p->fd >= 0) {
		if (holds_wanted(p, deadline))
			conclude(p, PUBLISH_LIVE, "");
		else if (p->fd >= 0)
			offer_patiently(p, deadline);
	}
	if (p->fd < 0)
		conclude(p, PUBLISH_UNREACHABLE, "the data plane cannot be reached");
	return &p->verdict;
}

const struct publish_verdict *publisher_verdict(const struct publisher *p)
{
	return &p->verdict;
}
