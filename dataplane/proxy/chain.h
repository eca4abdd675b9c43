/*
 * The filters of one exchange at work: who has seen what of the request and of the response, what waits where, and
 * how it goes on. The contract that filters see is filter/filter.h; exchange.c is the only user.
 *
 *     request    stage 0 [queue] > stage 1 [queue] > ... > to_up
 *     response   stage n-1 [queue] > ... > stage 0 [queue] > to_down
 *
 * A head goes from stage to stage until one suspends. The pieces of a body follow as far as the head has come and
 * nobody is suspended; where they cannot go on they wait, in front of that stage, with their credit. The end of a
 * message follows when nothing waits before it.
 *
 * Lives in the arena of the client's stream, as far as its queues go in the proxy's body blocks. An exchange whose
 * rule has no filters has no chain.
 */
#ifndef PROXY_CHAIN_H
#define PROXY_CHAIN_H

#include "filter/filter.h"

struct chain;
struct exchange;

enum way { WAY_IN, WAY_OUT, WAYS };

enum chain_step {
	CHAIN_GO,        /* heads: passed all filters. Bodies and ends: nothing to do */
	CHAIN_WAIT,      /* a filter is suspended */
	CHAIN_HEAD,      /* the head that waited can go on: chain_head() again */
	CHAIN_REPLY,     /* answer with chain_reply() */
	CHAIN_FAILED,    /* chain_error() says why */
};

/* Copies what the filters need out of the tables; null: out of memory, or too many. */
struct chain *chain_new(struct exchange *x, uint32_t path_match_bytes, struct table_list rule,
                        struct table_list backend);
/* The exchange is over. */
void chain_end(struct chain *c);

/* The head comes to the first filter, or goes on from where it waited (then m is not looked at). */
enum chain_step chain_head(struct chain *c, enum way way, struct http_message *m);
struct http_message *chain_response(const struct chain *c);    /* the head that chain_head() let through */
enum chain_step chain_body(struct chain *c, enum way way, struct slice s, uint32_t credit);
/* The message is whole. */
enum chain_step chain_whole(struct chain *c, enum way way, struct http_message *trailers);
/* After the head was passed on, or a filter went on: what waited follows. */
enum chain_step chain_drain(struct chain *c, enum way way);
/* Nobody wants the rest of the message. */
void chain_drop(struct chain *c, enum way way);
/* The gateway's own answer, on its way to the client. */
enum err chain_local(struct chain *c, struct http_message *m) MUST_CHECK;

/* A filter's wait is over; false: it was over before, or there was none. */
bool chain_wake(struct chain *c, uint32_t turn, void *answer, enum way *way, enum chain_step *step);

const struct filter_reply *chain_reply(const struct chain *c);
enum err chain_error(const struct chain *c);

#endif
