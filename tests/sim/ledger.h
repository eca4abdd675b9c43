/*
 * Who asked what, who was asked what, and what was answered: clients write down each request before its first byte is
 * sent, upstreams each time that they see it and what they answer. So each side knows every byte that it may be given.
 *
 * A request's name is 16 hex digits, half of them a check of the other half, so that a name with a changed byte is
 * nobody's. It is in the target and in X-Exchange; an answer's is "<name>-<attempt>" in X-Answer.
 */
#ifndef SIM_LEDGER_H
#define SIM_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

enum { LEDGER_ATTEMPTS = 8, LEDGER_MAX = 4096, LEDGER_NAME = 16, LEDGER_CHECK = 40 };

struct attempt {
	int status;
	uint64_t body_n;
	bool bodiless;              /* HEAD, 204, 304 */
	bool whole;                 /* all of it is sent, and well-formed */
	bool early;                 /* before the request was whole */
	unsigned endpoint;          /* who was asked: 1, 2, 3 */
	uint64_t generation;        /* by the request's fields; 0: not said */
};

/* What one end of a tunnel sends (tunnel.h). */
struct tunnel_half {
	uint64_t n, early_n;        /* all of it; of that before the 101 */
	bool whole;                 /* it ends in order, behind all of it */
	bool waits;                 /* and not before the other half has ended */
};

struct entry {
	uint32_t index, client;
	char name[LEDGER_NAME + 1];
	char check[LEDGER_CHECK + 1]; /* of X-Check: bytes that any field may have */
	const struct site *site;    /* the route that it asks for */
	char method[12], target[256], host[64];
	char path[256];             /* of the target, in the form that all but the client see */
	int local;                  /* the status of an answer of the gateway's own that is always right; 0: none */
	uint64_t body_n;
	bool chunked, trailers, old, idempotent, head, cut;
	unsigned pads;
	const char *origin;         /* CORS; null: none */
	char cookie[256];           /* of the session that the client is in; empty: none */
	unsigned stay;              /* with this endpoint, by its cookie; 0: anyone */
	const char *upgrade;        /* the protocols that it names; null: none */
	bool tunnel;                /* websocket is one of them */
	struct tunnel_half up, down;
	unsigned seen, mirrored;
	bool whole_seen;            /* an upstream got all of it */
	struct attempt attempts[LEDGER_ATTEMPTS];
	bool excused;               /* it may come to nothing: someone misbehaved */
	int status;                 /* what the client was told; 0: nothing so far */
	bool answered;              /* the whole answer came */
};

struct ledger {
	struct entry entries[LEDGER_MAX];
	uint32_t n;                 /* the first is 1 */
	uint64_t secret;
};

struct entry *ledger_open(struct ledger *l, uint32_t client);   /* null: it is full */
struct entry *ledger_find(struct ledger *l, const char *name);  /* null: nobody's name */

static inline uint64_t request_key(const struct entry *e)
{
	return e->index * 32u;
}

static inline uint64_t answer_key(const struct entry *e, unsigned attempt)
{
	return e->index * 32u + 1 + attempt;
}

#endif
