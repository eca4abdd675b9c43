/* See peer.h; frames are those of base/frame.h. */
#include "control/server/peer.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "control/protocol.h"
#include "control/wipe.h"

void peer_init(struct peer *p, int fd)
{
	struct ucred credentials = {.uid = (uid_t)-1};
	socklen_t n = sizeof(credentials);

	getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &n);
	*p = (struct peer){.fd = fd, .uid = credentials.uid};
}

void peer_fini(struct peer *p)
{
	close(p->fd);
	wiping_free(p->bytes);
	*p = (struct peer){.fd = -1};
}

static uint32_t length_of(const uint8_t head[4])
{
	return (uint32_t)head[0] | (uint32_t)head[1] << 8 | (uint32_t)head[2] << 16 | (uint32_t)head[3] << 24;
}

/* What is read in one round: others wait for it. */
enum { ROUND_BYTES = 1 << 20 };

/* 1: some bytes; 0: none now; -1: the end. */
static int receive(struct peer *p, void *to, size_t room, size_t *n)
{
	ssize_t got = recv(p->fd, to, room, MSG_DONTWAIT);

	if (got > 0) {
		*n += (size_t)got;
		return 1;
	}
	return got < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

static bool begin_body(struct peer *p)
{
	uint32_t length = length_of(p->head);

	if (length == 0 || length > CONTROL_REQUEST_BYTES_MAX)
		return false;
	p->bytes = wiping_alloc(length + 1);
	p->n = length;
	p->at = 0;
	return true;
}

bool peer_read(struct peer *p, int64_t now_ms)
{
	int got = 1;

	CHECK(p->state == PEER_READING);
	while (got > 0 && !p->bytes) {
		got = receive(p, p->head + p->head_n, sizeof(p->head) - p->head_n, &p->head_n);
		if (got > 0 && p->since_ms == 0)
			p->since_ms = now_ms;
		if (p->head_n == sizeof(p->head) && !begin_body(p))
			return false;
	}
	for (size_t end = p->at + ROUND_BYTES; got > 0 && p->bytes && p->at < p->n && p->at < end;)
		got = receive(p, p->bytes + p->at, p->n - p->at, &p->at);
	if (p->bytes && p->at == p->n) {
		p->bytes[p->n] = 0;
		p->state = PEER_READY;
	}
	return got >= 0;
}

void peer_reply(struct peer *p, char *bytes, size_t n)
{
	CHECK(p->state == PEER_READY && n <= UINT32_MAX);
	wiping_free(p->bytes);
	p->head[0] = (uint8_t)n;
	p->head[1] = (uint8_t)(n >> 8);
	p->head[2] = (uint8_t)(n >> 16);
	p->head[3] = (uint8_t)(n >> 24);
	p->head_n = 0;
	p->bytes = bytes;
	p->n = n;
	p->at = 0;
	p->state = PEER_WRITING;
}

bool peer_write(struct peer *p, int64_t now_ms)
{
	CHECK(p->state == PEER_WRITING);
	while (p->head_n < sizeof(p->head) || p->at < p->n) {
		bool head = p->head_n < sizeof(p->head);
		const void *from = head ? (const void *)(p->head + p->head_n) : p->bytes + p->at;
		size_t left = head ? sizeof(p->head) - p->head_n : p->n - p->at;
		ssize_t sent = send(p->fd, from, left, MSG_DONTWAIT | MSG_NOSIGNAL | (head ? MSG_MORE : 0));

		if (sent < 0)
			return errno == EAGAIN || errno == EINTR;
		p->since_ms = now_ms;
		*(head ? &p->head_n : &p->at) += (size_t)sent;
	}
	wiping_free(p->bytes);
	p->bytes = NULL;
	p->head_n = 0;
	p->since_ms = 0;
	p->state = PEER_READING;
	return true;
}
