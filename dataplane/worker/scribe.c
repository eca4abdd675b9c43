/*
 * Lines are gathered into one buffer per turn and written at once. A file takes everything; a pipe or terminal whose
 * reader is slow does not: it gets pieces of at most PIPE_BUF bytes and only while it says that it is writable, and
 * what it does not take in time is lost and counted, because housekeeping must never wait for a log reader.
 */
#include "worker/scribe.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/access.h"

enum { BUFFER = 1 << 18, LINE_ROOM = 16384, RECORDS_PER_DRAIN = 4096 };

struct scribe {
	int fd;
	bool may_block;
	size_t n;
	uint64_t lost;
	char buffer[BUFFER];
};

struct scribe *scribe_new(const char *path)
{
	struct scribe *s = calloc(1, sizeof(*s));
	struct stat st;

	if (!s)
		return NULL;
	s->fd = strcmp(path, "-") == 0 ? dup(STDOUT_FILENO)
	                               : open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	if (s->fd < 0) {
		free(s);
		return NULL;
	}
	s->may_block = fstat(s->fd, &st) < 0 || !S_ISREG(st.st_mode);
	return s;
}

void scribe_free(struct scribe *s)
{
	if (!s)
		return;
	scribe_flush(s);
	close(s->fd);
	free(s);
}

static bool takes(struct scribe *s)
{
	struct pollfd p = {.fd = s->fd, .events = POLLOUT};

	return !s->may_block || (poll(&p, 1, 0) == 1 && (p.revents & POLLOUT));
}

void scribe_flush(struct scribe *s)
{
	size_t done = 0;

	while (done < s->n && takes(s)) {
		size_t piece = s->may_block && s->n - done > PIPE_BUF ? PIPE_BUF : s->n - done;
		ssize_t wrote = write(s->fd, s->buffer + done, piece);

		if (wrote > 0)
			done += (size_t)wrote;
		else if (errno != EINTR)
			break;
	}
	if (done < s->n)
		for (; done < s->n; done++)
			s->lost += s->buffer[done] == '\n';
	s->n = 0;
}

bool scribe_drain(struct scribe *s, struct logring *r)
{
	const void *record;
	size_t bytes;
	unsigned n;

	for (n = 0; n < RECORDS_PER_DRAIN && (record = logring_peek(r, &bytes)); n++) {
		if (BUFFER - s->n < LINE_ROOM)
			scribe_flush(s);
		s->n += access_print(record, bytes, s->buffer + s->n, LINE_ROOM);
		logring_release(r);
	}
	return n > 0;
}

uint64_t scribe_lost(const struct scribe *s)
{
	return s->lost;
}
