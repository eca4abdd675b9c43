/*
 * See server.h. The round:
 *
 *   wait > accept > read whole frames > answer them all (staging) > stage status patches > one commit > replies > write
 *
 * A long request gets a slice of time in each round until it is done; one at a time, so that memory has a bound. Status
 * patches ride in the same commit as the requests of the round, a slice of them too, and wait while a long request is
 * under way: it could be overtaken by them. A patch is dropped when its object changed since the snapshot that it was
 * made from: the reconciler is about to see the new one anyway.
 */
#include "control/server/server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/frame.h"
#include "control/admit/admit.h"
#include "control/clock.h"
#include "control/reconcile.h"
#include "control/server/peer.h"
#include "control/server/request.h"
#include "control/wipe.h"

enum { SERVER_MAGIC = 0x5e47e401, SOCKET_MODE = 0660, EVENTS_MAX = 64, TAG_LISTENER = SERVER_PEERS_MAX,
       TAG_RECONCILER };
/*
 * A request of LONG_BYTES takes about as long as a slice. Where commits take longer slices do too, up to a bound:
 * a long request has a fair share of the rounds that others make long. After LONG_PATIENCE_MS, on a machine that has
 * hardly time for us, its slices are LATE_SLICE_MS: whoever asked waits for an answer, and not for ever.
 */
enum { SLICE_MS = 10, SLICE_MS_MAX = 40, LONG_PATIENCE_MS = 5000, LATE_SLICE_MS = 250 };
enum { LONG_BYTES = 64 << 10, NOBODY = SERVER_PEERS_MAX };

struct server {
	uint32_t magic;
	struct ledger *ledger;
	struct reconciler *reconciler;
	int epoll, listener;
	struct peer *peers[SERVER_PEERS_MAX];
	struct reply replies[SERVER_PEERS_MAX];
	uint32_t long_peer;             /* whose long request is under way, or NOBODY */
	struct request *long_request;
	bool long_staged;               /* and committed, when its round is over */
	struct reconciled found;        /* its patches from found_at on are to be staged */
	size_t found_at;
	int64_t slice_ms;
	int64_t long_since_ms;
	bool unoffered;                 /* the reconciler does not have the newest snapshot yet */
};

static bool watch(struct server *s, int fd, uint32_t events, uint32_t tag, int operation)
{
	struct epoll_event event = {.events = events, .data.u32 = tag};

	return epoll_ctl(s->epoll, operation, fd, &event) == 0;
}

struct server *server_new(struct ledger *ledger, struct reconciler *reconciler, const char *socket_path,
                          char error[static 256])
{
	struct server *s = calloc(1, sizeof(*s));

	CHECK(s);
	s->magic = SERVER_MAGIC;
	s->ledger = ledger;
	s->reconciler = reconciler;
	s->long_peer = NOBODY;
	s->slice_ms = SLICE_MS;
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	s->listener = frame_listen(socket_path, SOCKET_MODE);
	if (s->epoll < 0 || s->listener < 0 || !watch(s, s->listener, EPOLLIN, TAG_LISTENER, EPOLL_CTL_ADD) ||
	    (reconciler && !watch(s, reconciler_fd(reconciler), EPOLLIN, TAG_RECONCILER, EPOLL_CTL_ADD))) {
		snprintf(error, 256, "%.200s: %s", socket_path, strerror(errno));
		server_free(s);
		return NULL;
	}
	if (reconciler)
		reconciler_offer(reconciler, ledger_snapshot(ledger));
	return s;
}

static void end_long(struct server *s)
{
	request_free(s->long_request);
	s->long_request = NULL;
	s->long_staged = false;
	s->long_peer = NOBODY;
}

static void drop_peer(struct server *s, uint32_t at)
{
	if (at == s->long_peer)
		end_long(s);
	peer_fini(s->peers[at]);        /* closing takes it out of epoll */
	free(s->peers[at]);
	s->peers[at] = NULL;
}

void server_free(struct server *s)
{
	CHECK_MAGIC(s, SERVER_MAGIC);
	for (uint32_t i = 0; i < SERVER_PEERS_MAX; i++)
		if (s->peers[i])
			drop_peer(s, i);
	reconciled_fini(&s->found);
	if (s->listener >= 0)
		close(s->listener);
	if (s->epoll >= 0)
		close(s->epoll);
	s->magic = 0;
	free(s);
}

bool server_adopt(struct server *s, int fd)
{
	CHECK_MAGIC(s, SERVER_MAGIC);
	for (uint32_t i = 0; i < SERVER_PEERS_MAX; i++) {
		if (s->peers[i])
			continue;
		if (!watch(s, fd, EPOLLIN, i, EPOLL_CTL_ADD))
			return false;
		s->peers[i] = malloc(sizeof(*s->peers[i]));
		CHECK(s->peers[i]);
		peer_init(s->peers[i], fd);
		return true;
	}
	return false;
}

static void accept_all(struct server *s)
{
	for (;;) {
		int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0)
			return;
		if (!server_adopt(s, fd))
			close(fd);
	}
}

/* As far as it goes; false: close it. */
static bool move(struct peer *p, int64_t now_ms)
{
	switch (p->state) {
	case PEER_READING:
		return peer_read(p, now_ms) || p->state == PEER_READY;
	case PEER_WRITING:
		return peer_write(p, now_ms);
	case PEER_READY:
		break;
	}
	return true;
}

/* One direction at a time: a peer whose reply is under way is not read from. */
static uint32_t interest(const struct peer *p)
{
	return p->state == PEER_READING ? EPOLLIN : p->state == PEER_WRITING ? EPOLLOUT : 0;
}

static void serve(struct server *s, uint32_t at, int64_t now_ms)
{
	struct peer *p = s->peers[at];
	uint32_t before = interest(p);

	if (!move(p, now_ms))
		drop_peer(s, at);
	else if (interest(p) != before || before == EPOLLOUT)
		watch(s, p->fd, interest(p), at, EPOLL_CTL_MOD);
}

static struct request_context context(struct server *s, const char *now)
{
	struct request_context c = {.ledger = s->ledger, .now = now};

	if (s->reconciler) {
		struct publish_verdict v = reconciler_verdict(s->reconciler);

		c.readiness.published = v.state == PUBLISH_LIVE ? v.resource_version : v.live_version;
		c.readiness.dataplane = v.state == PUBLISH_LIVE || v.state == PUBLISH_REFUSED;
		if (v.state == PUBLISH_REFUSED)
			memcpy(c.readiness.refusal, v.reason, sizeof(c.readiness.refusal));
	}
	return c;
}

/* Whole in this round. */
static void answer(struct server *s, uint32_t at, const struct request_context *c)
{
	struct peer *p = s->peers[at];
	struct request *r = request_new(c, p->bytes, p->n, false);

	while (!request_step(r, INT64_MAX))
		;
	CHECK(request_stage(r) && request_reply(r, INT64_MAX, &s->replies[at]));
	request_free(r);
}

/* A slice of the long one: steps, until it is staged for this round's commit; in the rounds after it, the reply. */
static void go_on(struct server *s, const struct request_context *c)
{
	const int64_t now_ms = clock_monotonic_ms();
	struct peer *p = s->peers[s->long_peer];
	int64_t until_ms;

	if (!s->long_request) {
		s->long_request = request_new(c, p->bytes, p->n, true);
		s->long_since_ms = now_ms;
	}
	until_ms = now_ms + (now_ms - s->long_since_ms < LONG_PATIENCE_MS ? s->slice_ms : LATE_SLICE_MS);
	if (!s->long_staged)
		s->long_staged = request_step(s->long_request, until_ms) && request_stage(s->long_request);
	else if (request_reply(s->long_request, until_ms, &s->replies[s->long_peer]))
		end_long(s);
}

static void answer_all(struct server *s, const char *now)
{
	struct request_context c = context(s, now);

	for (uint32_t i = 0; i < SERVER_PEERS_MAX; i++) {
		struct peer *p = s->peers[i];

		if (!p || p->state != PEER_READY)
			continue;
		c.peer = p->uid;
		if (p->n < LONG_BYTES)
			answer(s, i, &c);
		else if (s->long_peer == NOBODY)
			s->long_peer = i;
	}
	if (s->long_peer == NOBODY)
		return;
	c.peer = s->peers[s->long_peer]->uid;
	go_on(s, &c);
}

/* ---- status ---- */

static void stage_status(struct server *s, const struct status_patch *patch, const char *now)
{
	const struct object *from = patch->object, *o;
	const struct object *current = ledger_find(s->ledger, from->kind, from->namespace, from->name);
	struct admission a = {.kind = from->kind, .status_only = true, .now = now};
	struct causes causes;
	yyjson_mut_doc *doc;
	yyjson_doc *status;
	bool changed;

	if (!current || current->resource_version != from->resource_version)
		return;
	status = yyjson_read(patch->status, patch->status_n, 0);
	CHECK(status);
	doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_doc_set_root(doc, yyjson_mut_obj(doc));
	yyjson_mut_obj_add_val(doc, yyjson_mut_doc_get_root(doc), "status",
	                       yyjson_val_mut_copy(doc, yyjson_doc_get_root(status)));
	yyjson_doc_free(status);
	causes_init(&causes);
	a.old = current->root;
	admit(&a, doc, &causes, &changed);
	if (causes.total)
		fprintf(stderr, "status: %s/%s/%s refused: %s: %s\n", from->kind->name, from->namespace, from->name,
		        causes.items[0].field, causes.items[0].message);
	else if (changed && ledger_put(s->ledger, from->kind, doc, &o) != OK)
		fprintf(stderr, "status: %s/%s/%s not stored: the store is full\n", from->kind->name, from->namespace,
			from->name);
	causes_fini(&causes);
	yyjson_mut_doc_free(doc);
}

/*
 * What is found later says all that was found before and not staged yet. While there is more to be staged nothing is
 * offered to the reconciler for it: it would only find out the same again.
 */
static void take_status(struct server *s, const char *now)
{
	int64_t until_ms = clock_monotonic_ms() + s->slice_ms;
	struct reconciled newer;

	if (s->reconciler && reconciler_take(s->reconciler, &newer)) {
		reconciled_fini(&s->found);
		s->found = newer;
		s->found_at = 0;
	}
	if (s->long_peer != NOBODY)
		return;
	while (s->found_at < s->found.patches.n && clock_monotonic_ms() < until_ms)
		stage_status(s, &s->found.patches.items[s->found_at++], now);
	if (s->found_at == s->found.patches.n)
		reconciled_fini(&s->found);
	if (s->found.patches.n == 0)
		s->found_at = 0;
}

/* ---- the round ---- */

static void reply_all(struct server *s, enum err committed, int64_t now_ms)
{
	for (uint32_t i = 0; i < SERVER_PEERS_MAX; i++) {
		struct peer *p = s->peers[i];

		if (!p || !s->replies[i].json)
			continue;
		if (committed != OK && s->replies[i].staged)
			request_answer_lost(committed, &s->replies[i]);
		peer_reply(p, s->replies[i].json, s->replies[i].n);
		s->replies[i] = (struct reply){0};
		serve(s, i, now_ms);
	}
}

static enum err commit(struct server *s, int64_t wall_ms)
{
	const int64_t began_ms = clock_monotonic_ms();
	const enum err e = ledger_commit(s->ledger, wall_ms);
	const int64_t took_ms = clock_monotonic_ms() - began_ms;

	s->slice_ms = took_ms < SLICE_MS ? SLICE_MS : took_ms < SLICE_MS_MAX ? took_ms : SLICE_MS_MAX;
	if (e != OK)
		fprintf(stderr, "store: commit error=%s\n", err_name(e));
	else
		s->unoffered = true;
	return e;
}

static void close_stalled(struct server *s, int64_t now_ms)
{
	for (uint32_t i = 0; i < SERVER_PEERS_MAX; i++)
		if (s->peers[i] && s->peers[i]->state != PEER_READY && s->peers[i]->since_ms &&
		    now_ms - s->peers[i]->since_ms > SERVER_STALL_MS)
			drop_peer(s, i);
}

static bool wait_and_read(struct server *s, int timeout_ms)
{
	struct epoll_event events[EVENTS_MAX];
	int n = epoll_wait(s->epoll, events, EVENTS_MAX, timeout_ms);
	int64_t now_ms = clock_monotonic_ms();

	if (n < 0)
		return errno == EINTR;
	for (int i = 0; i < n; i++) {
		uint32_t tag = events[i].data.u32;

		if (tag == TAG_LISTENER)
			accept_all(s);
		else if (tag < SERVER_PEERS_MAX && s->peers[tag])
			serve(s, tag, now_ms);
	}
	close_stalled(s, now_ms);
	return true;
}

bool server_round(struct server *s, int timeout_ms)
{
	char now[CLOCK_TEXT_MAX];
	int64_t wall_ms;
	bool staged_long, asked;
	enum err e = OK;

	CHECK_MAGIC(s, SERVER_MAGIC);
	/* There is work already. */
	if (s->long_peer != NOBODY || s->found.patches.n > 0)
		timeout_ms = 0;
	if (!wait_and_read(s, timeout_ms))
		return false;
	wall_ms = clock_wall_ms();
	clock_text(wall_ms, now);
	staged_long = s->long_staged;
	answer_all(s, now);
	staged_long = !staged_long && s->long_staged;
	asked = ledger_is_dirty(s->ledger);
	take_status(s, now);
	if (ledger_is_dirty(s->ledger))
		e = commit(s, wall_ms);
	if (s->reconciler && s->unoffered && (asked || s->found.patches.n == 0)) {
		reconciler_offer(s->reconciler, ledger_snapshot(s->ledger));
		s->unoffered = false;
	}
	if (staged_long)
		request_settle(s->long_request, e);
	reply_all(s, e, clock_monotonic_ms());
	return true;
}
