/*
 * The publisher: brings the newest generation to the data plane, over dataplane.sock (base/frame.h), and knows its
 * answer.
 *
 * publisher_want() says what should be there; publisher_push() brings it there: it connects if need be, asks which
 * generation the data plane has, sends the wanted one (a sealed memfd) unless its content is already there, and keeps
 * the verdict. It is cheap when there is nothing to do, so the caller's loop calls it after every want and about four
 * times a second: that is how a data plane that was restarted gets its tables. It blocks for at most the deadline
 * given.
 *
 * Control does not store generations: the data plane persists the last good one, and control can always compile it
 * again.
 *
 * Once a second it also asks who else claims the box's addresses: that is the one thing which status tells of the link.
 */
#ifndef PUBLISH_PUBLISH_H
#define PUBLISH_PUBLISH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"
#include "table/layout.h"

enum publish_state {
	PUBLISH_NONE,         /* nothing was wanted yet */
	PUBLISH_UNREACHABLE,  /* the data plane is not there (yet) */
	PUBLISH_LIVE,         /* the wanted content is what it serves */
	PUBLISH_REFUSED,      /* it said no, or there is nothing to offer: reason */
};

/* An address of the box that another host on the link claims, as the data plane says (sluicectl addresses). */
struct publish_conflict {
	struct addr addr;
	char claimant[18];           /* its MAC address */
	bool usable;                 /* the address is defended; else it is not used while it is claimed */
};

enum { PUBLISH_CONFLICTS = 32 };

struct publish_verdict {
	enum publish_state state;
	uint64_t resource_version;   /* of the wanted generation */
	uint64_t live_version;       /* of the last generation known to be served; 0: none */
	char reason[192];
	uint32_t conflicts_n;        /* of the first so many; kept while the data plane cannot be asked */
	struct publish_conflict conflicts[PUBLISH_CONFLICTS];
};

bool publish_verdict_equal(const struct publish_verdict *a, const struct publish_verdict *b);

struct publisher;

struct publisher *publisher_new(const char *socket_path);
void publisher_free(struct publisher *p);

/* Takes a copy of the block. IO: the memfd could not be made (the wanted generation stays what it was). */
enum err publisher_want(struct publisher *p, const struct table *t, size_t bytes) MUST_CHECK;
/*
 * What should be there cannot be made, for this reason (the end of a sentence). What was wanted before is not offered
 * any more, and the verdict is REFUSED until something else is wanted; what the data plane serves stays.
 */
void publisher_refuse(struct publisher *p, uint64_t resource_version, const char *reason);
const struct publish_verdict *publisher_push(struct publisher *p, unsigned deadline_ms);
const struct publish_verdict *publisher_verdict(const struct publisher *p);

#endif
