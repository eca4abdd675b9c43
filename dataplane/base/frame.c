/*
 * Frames over Unix sockets. Every call has one deadline for all of its system calls; sockets may be blocking or not,
 * since each call says MSG_DONTWAIT and waits in poll().
 */
#include "base/frame.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { BACKLOG = 64, RETRY_MS = 5 };

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* OK when fd is ready for events (or broken: the next call tells how). */
static enum err await(int fd, short events, int64_t deadline_ms)
{
	for (;;) {
		struct pollfd p = {.fd = fd, .events = events};
		int64_t left = deadline_ms - now_ms();
		int n;

		if (left <= 0)
			return ERR_CONN_TIMEOUT;
		n = poll(&p, 1, left > INT32_MAX ? INT32_MAX : (int)left);
		if (n > 0)
			return OK;
		if (n < 0 && errno != EINTR)
			return ERR_IO;
	}
}

static int address(const char *path, struct sockaddr_un *a)
{
	*a = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(a->sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(a->sun_path, path);
	return 0;
}

static int failed(int fd)
{
	int why = errno;

	close(fd);
	errno = why;
	return -1;
}

int frame_listen(const char *path, unsigned mode)
{
	struct sockaddr_un a;
	mode_t mask;
	int fd, bound;

	if (address(path, &a) < 0)
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	/* The file of a program that died is in the way; that of a live one is its owner's business (one per box). */
	unlink(path);
	mask = umask(0177);
	bound = bind(fd, (struct sockaddr *)&a, sizeof(a));
	umask(mask);
	if (bound < 0 || chmod(path, mode) < 0 || listen(fd, BACKLOG) < 0)
		return failed(fd);
	return fd;
}

int frame_connect(const char *path, unsigned timeout_ms)
{
	int64_t deadline_ms = now_ms() + timeout_ms;
	struct sockaddr_un a;
	int fd;

	if (address(path, &a) < 0)
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	while (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		/* EAGAIN: the listener's queue is full, and poll() would not tell when it no longer is. */
		if ((errno != EAGAIN && errno != EINTR) || now_ms() >= deadline_ms)
			return failed(fd);
		usleep(RETRY_MS * 1000);
	}
	return fd;
}

static void attach(struct msghdr *m, void *space, size_t space_bytes, int pass_fd)
{
	struct cmsghdr *c;

	m->msg_control = space;
	m->msg_controllen = space_bytes;
	c = CMSG_FIRSTHDR(m);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &pass_fd, sizeof(int));
}

enum err frame_give(int fd, const void *bytes, size_t n, int pass_fd, size_t *sent)
{
	_Alignas(struct cmsghdr) char space[CMSG_SPACE(sizeof(int))] = {0};
	uint32_t length = (uint32_t)n;
	size_t total = sizeof(length) + n;

	if (n > FRAME_BYTES_MAX)
		return ERR_LIMIT;
	while (*sent < total) {
		size_t header = *sent < sizeof(length) ? sizeof(length) - *sent : 0;
		size_t body = *sent > sizeof(length) ? *sent - sizeof(length) : 0;
		struct iovec v[2] = {{(char *)&length + sizeof(length) - header, header},
		                     {(char *)(uintptr_t)bytes + body, n - body}};
		struct msghdr m = {.msg_iov = v, .msg_iovlen = 2};
		ssize_t took;

		if (pass_fd >= 0 && *sent == 0)
			attach(&m, space, sizeof(space), pass_fd);
		took = sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (took >= 0)
			*sent += (size_t)took;
		else if (errno != EINTR)
			return errno == EAGAIN ? ERR_AGAIN : ERR_IO;
	}
	return OK;
}

enum err frame_send(int fd, const void *bytes, size_t n, int pass_fd, unsigned timeout_ms)
{
	int64_t deadline_ms = now_ms() + timeout_ms;
	size_t sent = 0;
	enum err e;

	while ((e = frame_give(fd, bytes, n, pass_fd, &sent)) == ERR_AGAIN) {
		e = await(fd, POLLOUT, deadline_ms);
		if (e)
			return e;
	}
	return e;
}

/* Keeps the first descriptor that comes with a frame and closes what nobody asked for. */
static void collect(struct msghdr *m, int *passed)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		size_t n = c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS
		                   ? (c->cmsg_len - CMSG_LEN(0)) / sizeof(int) : 0;

		for (size_t i = 0; i < n; i++) {
			int got;

			memcpy(&got, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (*passed < 0)
				*passed = got;
			else
				close(got);
		}
	}
}

/* Some bytes more. */
static enum err take(struct frame_in *f, int fd, char *to, size_t n)
{
	_Alignas(struct cmsghdr) char space[CMSG_SPACE(4 * sizeof(int))];
	struct iovec v = {to, n};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof(space)};
	ssize_t got = recvmsg(fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (got == 0)
		return f->have == 0 ? ERR_SHUTDOWN : ERR_IO;
	if (got < 0)
		return errno == EINTR ? OK : errno == EAGAIN ? ERR_AGAIN : ERR_IO;
	collect(&m, &f->passed);
	f->have += (size_t)got;
	return OK;
}

void frame_in_init(struct frame_in *f)
{
	*f = (struct frame_in){.passed = -1};
}

void frame_in_fini(struct frame_in *f)
{
	free(f->bytes);
	if (f->passed >= 0)
		close(f->passed);
	frame_in_init(f);
}

enum err frame_take(struct frame_in *f, int fd, size_t max)
{
	const size_t head = sizeof(f->length);
	enum err e = OK;

	while (!e && f->have < head)
		e = take(f, fd, (char *)&f->length + f->have, head - f->have);
	if (!e && (f->length > max || f->length > FRAME_BYTES_MAX))
		e = ERR_LIMIT;
	if (!e && !f->bytes && !(f->bytes = malloc((size_t)f->length + 1)))
		e = ERR_NO_MEMORY;
	while (!e && f->have < head + f->length)
		e = take(f, fd, f->bytes + (f->have - head), head + f->length - f->have);
	if (!e)
		f->bytes[f->length] = '\0';
	return e;
}

enum err frame_recv(int fd, size_t max, char **bytes, size_t *n, int *passed, unsigned timeout_ms)
{
	int64_t deadline_ms = now_ms() + timeout_ms;
	struct frame_in f;
	enum err e;

	*bytes = NULL;
	*n = 0;
	*passed = -1;
	frame_in_init(&f);
	while ((e = frame_take(&f, fd, max)) == ERR_AGAIN) {
		e = await(fd, POLLIN, deadline_ms);
		if (e)
			break;
	}
	if (e) {
		frame_in_fini(&f);
		return e;
	}
	*bytes = f.bytes;
	*n = f.length;
	*passed = f.passed;
	return OK;
}
