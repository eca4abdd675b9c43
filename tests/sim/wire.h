/*
 * HTTP/1.1 as the gateway may write it, read strictly: whatever has passed the gateway is one well-formed message with
 * the gateway's framing, however broken it was before. Shares nothing with the gateway's parser.
 *
 * Body bytes are compared with sim_byte(key, offset); key 0: they are not.
 */
#ifndef SIM_WIRE_H
#define SIM_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WIRE_HEAD = 72 * 1024, WIRE_FIELDS = 160 };

struct wire_field {
	const char *name, *value;   /* the name in lower case */
};

struct wire_ops {
	void (*on_head)(void *user);  /* may set key and no_body */
	void (*on_end)(void *user);   /* fields are the trailers now */
};

struct wire {
	enum { WIRE_IN_HEAD, WIRE_IN_LENGTH, WIRE_IN_UNTIL_CLOSE, WIRE_IN_SIZE, WIRE_IN_CHUNK, WIRE_IN_CHUNK_END,
	       WIRE_IN_TRAILERS } state;
	bool requests;              /* else it reads responses */
	bool halt;                  /* the user wants no more */
	const struct wire_ops *ops;
	void *user;
	char text[WIRE_HEAD];       /* the head, a line of chunked framing, or trailers */
	uint32_t text_n;
	const char *start;          /* the start line */
	struct wire_field fields[WIRE_FIELDS];
	unsigned fields_n;
	bool chunked, has_length;
	uint64_t length;
	bool no_body;
	uint64_t key, left, body_n;
	char why[160];              /* what is wrong; empty: nothing */
};

void wire_init(struct wire *r, bool requests, const struct wire_ops *ops, void *user);
bool wire_eat(struct wire *r, const uint8_t *at, size_t n); /* false: malformed, see why */
void wire_tunnel(struct wire *r, uint64_t key);             /* no messages from here on: bytes, until the end */
bool wire_eof(struct wire *r);                              /* false: the end came in the middle of a message */
const char *wire_find(const struct wire *r, const char *name); /* null: not there */
unsigned wire_count(const struct wire *r, const char *name);

#endif
