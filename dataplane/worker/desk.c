#include "worker/desk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/frame.h"

enum { SOCKET_MODE = 0660 };

enum err desk_open(struct desk *d, const char *run_dir, desk_answer *answer, void *arg)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/dataplane.sock", run_dir);
	*d = (struct desk){.listener = frame_listen(path, SOCKET_MODE), .answer = answer, .arg = arg};
	for (unsigned i = 0; i < DESK_CLIENTS; i++)
		d->client[i] = -1;
	if (d->listener < 0) {
		fprintf(stderr, "dataplane: %s: %s\n", path, strerror(errno));
		return ERR_IO;
	}
	return OK;
}

void desk_close(struct desk *d)
{
	close(d->listener);
	for (unsigned i = 0; i < DESK_CLIENTS; i++)
		if (d->client[i] >= 0)
			close(d->client[i]);
}

static void welcome(struct desk *d)
{
	int fd = accept4(d->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	for (unsigned i = 0; fd >= 0 && i < DESK_CLIENTS; i++)
		if (d->client[i] < 0) {
			d->client[i] = fd;
			return;
		}
	if (fd >= 0)
		close(fd); /* full: the client sees the end and tries again */
}

static enum err respond(struct desk *d, int fd, yyjson_doc *request, int memfd)
{
	yyjson_mut_doc *reply = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *root = yyjson_mut_obj(reply);
	char *text;
	size_t n = 0;
	enum err e = ERR_NO_MEMORY;

	yyjson_mut_doc_set_root(reply, root);
	d->answer(d->arg, yyjson_doc_get_root(request), memfd, reply, root);
	text = yyjson_mut_write(reply, 0, &n);
	if (text)
		e = frame_send(fd, text, n, -1, DESK_TIMEOUT_MS);
	free(text);
	yyjson_mut_doc_free(reply);
	return e;
}

/* One request of one client. An error, or the end, ends the connection. */
static enum err attend(struct desk *d, int fd)
{
	yyjson_doc *request;
	char *bytes;
	size_t n;
	int memfd;
	enum err e = frame_recv(fd, DESK_REQUEST_MAX, &bytes, &n, &memfd, DESK_TIMEOUT_MS);

	if (e)
		return e;
	request = yyjson_read(bytes, n, 0);
	e = respond(d, fd, request, memfd);
	yyjson_doc_free(request);
	free(bytes);
	if (memfd >= 0)
		close(memfd);
	return e;
}

void desk_serve(struct desk *d, int timeout_ms)
{
	struct pollfd p[DESK_CLIENTS + 1] = {{.fd = d->listener, .events = POLLIN}};

	for (unsigned i = 0; i < DESK_CLIENTS; i++)
		p[i + 1] = (struct pollfd){.fd = d->client[i], .events = POLLIN};
	if (poll(p, DESK_CLIENTS + 1, timeout_ms) <= 0)
		return;
	for (unsigned i = 0; i < DESK_CLIENTS; i++)
		if (p[i + 1].revents && attend(d, d->client[i])) {
			close(d->client[i]);
			d->client[i] = -1;
		}
	if (p[0].revents)
		welcome(d);
}
