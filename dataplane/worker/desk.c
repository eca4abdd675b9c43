#include "worker/desk.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"

enum { SOCKET_MODE = 0660, MS_IN_NS = 1000000, ASK_AGAIN_NS = 200000 };

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void move(struct desk_client *c, enum desk_state to)
{
	static const bool legal[][DESK_SENDING + 1] = {
		[DESK_FREE] = {[DESK_READING] = true},
		[DESK_READING] = {[DESK_ASKING] = true, [DESK_SENDING] = true, [DESK_FREE] = true},
		[DESK_ASKING] = {[DESK_SENDING] = true, [DESK_FREE] = true},
		[DESK_SENDING] = {[DESK_READING] = true, [DESK_FREE] = true},
	};

	CHECK(legal[c->state][to]);
	c->state = to;
}

void desk_refuse(struct desk_question *q, const char *why)
{
	yyjson_mut_obj_add_bool(q->reply, q->root, "ok", false);
	yyjson_mut_obj_add_strcpy(q->reply, q->root, "reason", why);
}

/* ---- coming and leaving ---- */

enum err desk_open(struct desk *d, const char *run_dir, const struct desk_up *up)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/dataplane.sock", run_dir);
	*d = (struct desk){.listener = frame_listen(path, SOCKET_MODE), .up = *up};
	if (d->listener < 0) {
		fprintf(stderr, "dataplane: %s: %s\n", path, strerror(errno));
		return ERR_IO;
	}
	return OK;
}

static void forget_question(struct desk_client *c)
{
	yyjson_mut_doc_free(c->question.reply);
	yyjson_doc_free(c->asked);
	frame_in_fini(&c->in);
	c->question = (struct desk_question){.memfd = -1};
	c->asked = NULL;
}

static void leave(struct desk *d, struct desk_client *c)
{
	if (c->state == DESK_ASKING)
		d->up.abandon(d->up.up, &c->question);
	forget_question(c);
	free(c->answer);
	c->answer = NULL;
	close(c->fd);
	move(c, DESK_FREE);
}

void desk_close(struct desk *d)
{
	close(d->listener);
	for (unsigned i = 0; i < DESK_CLIENTS; i++)
		if (d->client[i].state != DESK_FREE)
			leave(d, &d->client[i]);
}

static void welcome(struct desk *d)
{
	int fd = accept4(d->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	for (unsigned i = 0; fd >= 0 && i < DESK_CLIENTS; i++) {
		struct desk_client *c = &d->client[i];

		if (c->state != DESK_FREE)
			continue;
		c->fd = fd;
		c->last = false;
		frame_in_init(&c->in);
		move(c, DESK_READING);
		return;
	}
	if (fd >= 0)
		close(fd); /* full: the client sees the end and tries again */
}

/* ---- a question's way. False: the client is to leave. ---- */

static bool send_on(struct desk_client *c, int64_t now)
{
	size_t before = c->sent;
	enum err e = frame_give(c->fd, c->answer, c->answer_bytes, -1, &c->sent);

	if (c->sent != before)
		c->moved_ms = now;
	if (e == ERR_AGAIN)
		return true;
	free(c->answer);
	c->answer = NULL;
	if (e || c->last)
		return false;
	move(c, DESK_READING);
	return true;
}

static bool begin_to_send(struct desk_client *c, int64_t now)
{
	c->answer = yyjson_mut_write(c->question.reply, 0, &c->answer_bytes);
	if (c->answer && c->answer_bytes > FRAME_BYTES_MAX) {
		free(c->answer);
		c->answer = strdup("{\"ok\":false,\"reason\":\"the answer is longer than a frame may be\"}");
		c->answer_bytes = c->answer ? strlen(c->answer) : 0;
	}
	forget_question(c);
	if (!c->answer)
		return false;
	c->sent = 0;
	c->moved_ms = now;
	move(c, DESK_SENDING);
	return send_on(c, now);
}

static bool ask(struct desk *d, struct desk_client *c, int64_t now)
{
	return !d->up.answer(d->up.up, &c->question) || begin_to_send(c, now);
}

static void begin_reply(struct desk_client *c)
{
	struct desk_question *q = &c->question;

	*q = (struct desk_question){.request = yyjson_doc_get_root(c->asked), .memfd = c->in.passed};
	q->reply = yyjson_mut_doc_new(NULL);
	CHECK(q->reply != NULL);
	q->root = yyjson_mut_obj(q->reply);
	yyjson_mut_doc_set_root(q->reply, q->root);
}

static bool refuse(struct desk_client *c, const char *why, int64_t now)
{
	begin_reply(c);
	desk_refuse(&c->question, why);
	return begin_to_send(c, now);
}

static bool read_on(struct desk *d, struct desk_client *c, int64_t now)
{
	enum err e = frame_take(&c->in, c->fd, DESK_REQUEST_MAX);

	c->moved_ms = now;
	if (e == ERR_AGAIN)
		return true;
	if (e == ERR_LIMIT) {
		c->last = true;
		return refuse(c, "the request is longer than 65536 bytes", now);
	}
	static_assert(DESK_REQUEST_MAX == 65536, "the text above");
	if (e)
		return false;
	c->asked = yyjson_read(c->in.bytes, c->in.length, 0);
	if (!c->asked)
		return refuse(c, "the request is not JSON", now);
	begin_reply(c);
	move(c, DESK_ASKING);
	return ask(d, c, now);
}

static bool in_time(const struct desk_client *c, int64_t now)
{
	return now - c->moved_ms < DESK_PATIENCE_MS;
}

static bool attend(struct desk *d, struct desk_client *c, short events, int64_t now)
{
	switch (c->state) {
	case DESK_FREE:
		return true;
	case DESK_READING: /* an idle client may stay */
		return events ? read_on(d, c, now) : c->in.have == 0 || in_time(c, now);
	case DESK_ASKING:
		return !(events & (POLLHUP | POLLERR)) && ask(d, c, now);
	case DESK_SENDING:
		return events ? send_on(c, now) : in_time(c, now);
	}
	return false;
}

/* ---- turns ---- */

static short wanted(const struct desk_client *c)
{
	return c->state == DESK_READING ? POLLIN : c->state == DESK_SENDING ? POLLOUT : 0;
}

void desk_serve(struct desk *d, unsigned timeout_ms)
{
	struct pollfd p[DESK_CLIENTS + 1] = {{.fd = d->listener, .events = POLLIN}};
	struct timespec timeout = {.tv_sec = timeout_ms / 1000,
	                           .tv_nsec = (long)(timeout_ms % 1000) * MS_IN_NS};
	int64_t now;

	for (unsigned i = 0; i < DESK_CLIENTS; i++) {
		const struct desk_client *c = &d->client[i];

		p[i + 1] = (struct pollfd){.fd = c->state == DESK_FREE ? -1 : c->fd, .events = wanted(c)};
		if (c->state == DESK_ASKING && timeout_ms > 0)
			timeout = (struct timespec){.tv_nsec = ASK_AGAIN_NS};
	}
	(void)!ppoll(p, DESK_CLIENTS + 1, &timeout, NULL); /* interrupted: nothing came */
	now = now_ms();
	for (unsigned i = 0; i < DESK_CLIENTS; i++)
		if (!attend(d, &d->client[i], p[i + 1].revents, now))
			leave(d, &d->client[i]);
	if (p[0].revents)
		welcome(d);
}
