/*
 * Frames over local (Unix stream) sockets between our programs: a 32-bit little-endian length, then that many bytes
 * of JSON. At most one descriptor travels with a frame (SCM_RIGHTS, with its first byte).
 *
 * Sockets of a box, in its run directory (default /run/sluice):
 *   dataplane.sock   control publishes generations; sluicectl asks for flows, neigh, drops, stats, workers
 *   control.sock     sluice-api asks for writes, authentication and Secrets
 *   api.sock         the REST API for local use (HTTP, no TLS; file mode decides who may)
 *
 * dataplane.sock, one reply frame per request frame:
 *   {"op":"publish","resourceVersion":"123"} + memfd  ->  {"ok":true} or {"ok":false,"reason":"..."}
 *   {"op":"generation"}  ->  {"ok":true,"resourceVersion":"123","content":"<16 hex digits>","alive":1}
 *   {"op":"flows"|"neigh"|"drops"|"stats"|"workers"}  ->  {"ok":true,"items":[{...}, ...]}, and for flows
 *   "incomplete":"worker 1 did not answer within 2000 ms" beside what the others said
 *
 * frame_send() and frame_recv() wait, with a deadline; frame_give() and frame_take() never do. No worker uses them.
 */
#ifndef BASE_FRAME_H
#define BASE_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { FRAME_BYTES_MAX = 64 << 20 };

int frame_listen(const char *path, unsigned mode);          /* a listening socket, or -1 (errno) */
int frame_connect(const char *path, unsigned timeout_ms);   /* or -1 */
/* pass_fd -1: none. */
enum err frame_send(int fd, const void *bytes, size_t n, int pass_fd, unsigned timeout_ms) MUST_CHECK;
/* *bytes is malloc'ed and ended by a NUL that is not counted. *passed is -1 when no descriptor came. Errors: IO,
 * SHUTDOWN (orderly end before a frame), LIMIT (longer than max), CONN_TIMEOUT. */
enum err frame_recv(int fd, size_t max, char **bytes, size_t *n, int *passed, unsigned timeout_ms) MUST_CHECK;

/* A frame that arrives in pieces: whoever holds it owns bytes and descriptor until frame_in_fini(). */
struct frame_in {
	uint32_t length;      /* of the bytes, once they have begun */
	size_t have;          /* of the length field and the bytes */
	char *bytes;          /* whole: ended by a NUL that is not counted */
	int passed;           /* -1: none came */
};

void frame_in_init(struct frame_in *f);
void frame_in_fini(struct frame_in *f);
/* As far as the socket lets them. AGAIN: call again when it is readable, or writable; other errors as above. *sent is 0
 * at first. */
enum err frame_take(struct frame_in *f, int fd, size_t max) MUST_CHECK;
enum err frame_give(int fd, const void *bytes, size_t n, int pass_fd, size_t *sent) MUST_CHECK;

#endif
