/*
 * One connection of control.sock: a frame that grows, or a reply that shrinks. Never blocks.
 *
 *   READING --whole frame--> READY --reply--> WRITING --all written--> READING
 */
#ifndef SERVER_PEER_H
#define SERVER_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum peer_state { PEER_READING, PEER_READY, PEER_WRITING };

struct peer {
	int fd;
	uid_t uid;
	enum peer_state state;
	int64_t since_ms;       /* when the frame or reply under way began; 0: idle */
	uint8_t head[4];
	size_t head_n;
	char *bytes;            /* the request, or the reply; wiping memory */
	size_t n, at;
};

void peer_init(struct peer *p, int fd);
void peer_fini(struct peer *p);
/* False: close it. Both go as far as the socket lets them. */
bool peer_read(struct peer *p, int64_t now_ms);
bool peer_write(struct peer *p, int64_t now_ms);
/* The reply's bytes become the peer's. */
void peer_reply(struct peer *p, char *bytes, size_t n);

#endif
