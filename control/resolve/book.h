/*
 * The book of names: which are wanted, what each resolved to last, when it is to be asked for again. No network and no
 * clock in here: the resolver brings both.
 *
 *            wanted               book_ask()                addresses: again after their TTL
 *   (none) ---------> DUE -------------------------> ASKED ------------------------------------> DUE ...
 *                      ^                               |   nothing: again after 1, 2, 4 ... 30 s
 *                      +---- book_ask_again() ---------+
 *
 * The last good addresses of a name stay until there are others: a name that does not exist any more, that has no
 * addresses or whose servers do not answer keeps them, and says so. A family alone may become empty while the other
 * has addresses; one whose question failed keeps what it had.
 *
 * TTLs are held between 5 s (TTL 0 would ask without end) and 5 min (an address that was given away is found).
 *
 * A copy of all that is good is kept in a file, so that control can be started while name servers are down.
 */
#ifndef RESOLVE_BOOK_H
#define RESOLVE_BOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control/resolve/answers.h"

enum { BOOK_NAMES_MAX = 4096, BOOK_ADDRESSES_MAX = 1024 };  /* names at all; addresses per name */
enum { TTL_MIN_MS = 5000, TTL_MAX_MS = 300000, RETRY_MIN_MS = 1000, RETRY_MAX_MS = 30000 };

struct book;

struct book *book_new(void);
void book_free(struct book *b);

/* Forgets all other names; new ones are due at once. In any order, any number of times each. */
void book_want(struct book *b, const char *const *names, size_t n, int64_t now_ms);

/* The name to ask for next, which is from now on being asked for; null when none is due. */
const char *book_ask(struct book *b, int64_t now_ms);
int64_t book_next_ms(const struct book *b);      /* when one is due; INT64_MAX: never */

/* What the question for one family brought. */
struct reply {
	enum { REPLY_ADDRESSES, REPLY_NONE, REPLY_FAILED } kind;
	struct addr *addrs;      /* borrowed; in any order */
	size_t n;                /* 0 unless there are addresses */
	uint32_t ttl_s;
	const char *why;         /* of REPLY_NONE and REPLY_FAILED: a constant text */
};

enum { FAMILY_V4, FAMILY_V6, FAMILIES };

/* True: something changed that models or status see. A name that is not wanted any more is ignored. */
bool book_answer(struct book *b, const char *name, const struct reply reply[FAMILIES], int64_t now_ms);
void book_ask_again(struct book *b, const char *name, int64_t now_ms);   /* the question got lost */

/* A new set, with one reference. */
struct answers *book_answers(const struct book *b);

/* The copy in a file: a line for each name, "x.example 192.0.2.1 2001:db8::1". Lines that are not sound are left out.
 */
bool book_save(const struct book *b, const char *path);
void book_load(struct book *b, const char *path);

#endif
