/*
 * The store: every object, a counter and a journal, in one LMDB file of fixed size.
 *
 * resourceVersion is a counter kept in the store: every object event (added, modified, deleted) takes the next value,
 * so a transaction of three objects takes three. It is never LMDB's transaction number, and never goes back: after a
 * restore store_advance() moves it far past anything that may have been given out.
 *
 * One writer (sluice-control), one commit for all that waited (store_commit), synchronous: when it returns OK the
 * events are on disk, when it does not nothing happened. Readers are other processes (store_reader): each call opens a
 * read transaction, copies out and ends it, so no reader keeps old pages alive.
 *
 * The journal keeps {rv, time, op, key, new object, old labels} for at least ten minutes (watches resume from it) and
 * is trimmed a little with each commit. When 80 % of the map is used creates are refused (store_is_crowded), from 90 %
 * on updates too; deletes work to the end, if need be at the journal's cost.
 *
 *   database   key                          value
 *   meta       "format" "rv" "floor"        64-bit little-endian; floor: the newest version the journal has forgotten
 *   objects    kind NUL namespace NUL name  JSON of the object, of the stored version, Secrets sealed
 *   journal    rv, 64-bit big-endian        see journal.h
 *   tokens     SHA-256 of a token, in hex   JSON {"name":..,"role":..}
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct kind;
struct store;
struct store_reader;

enum { STORE_MAP_BYTES = 1 << 30, STORE_JOURNAL_MS = 10 * 60 * 1000, STORE_FORMAT = 1 };

enum store_op { STORE_ADDED = 1, STORE_MODIFIED, STORE_DELETED };

struct store_event {
	uint64_t resource_version;      /* of the event; a deleted object gets one too */
	enum store_op op;
	const struct kind *kind;
	const char *namespace;
	const char *name;
	const char *json;               /* the new object; of a deleted one the last state with the event's version */
	size_t json_n;
	const char *old_labels;         /* JSON object, "" when there were none: did it match a selector before? */
};

/* Writing: sluice-control only. Null and an error when it cannot be opened; a directory is made when missing. */
struct store *store_open(const char *directory, size_t map_bytes, char error[static 256]);
void store_close(struct store *s);
uint64_t store_version(const struct store *s);
/*
 * The events' versions must follow store_version() one by one. FULL: the map has no room; IO: the disk refused. On
 * any error nothing was stored. now_ms is wall-clock time for the journal.
 */
enum err store_commit(struct store *s, const struct store_event *events, size_t n, int64_t now_ms) MUST_CHECK;
unsigned store_used_percent(struct store *s);
static inline bool store_is_crowded(unsigned used_percent) { return used_percent >= 80; }
static inline bool store_is_full(unsigned used_percent) { return used_percent >= 90; }
/* After a restore from a copy: a new epoch of versions, an empty journal. */
enum err store_advance(struct store *s) MUST_CHECK;
/* Reads every object, for the first snapshot. Stops when visit returns false. */
typedef bool store_visit(void *closure, const struct kind *kind, const char *json, size_t n);
enum err store_load(struct store *s, store_visit *visit, void *closure) MUST_CHECK;

enum err store_token_put(struct store *s, const char *digest, const char *json) MUST_CHECK;
/* malloc'ed; null when there is no such token. */
char *store_token_get(struct store *s, const char *digest);
bool store_has_tokens(struct store *s);

/* Reading: any process that may open the files (mode 0640, lock file 0660). Never opened twice in one process. */
struct store_reader *store_reader_open(const char *directory, char error[static 256]);
void store_reader_close(struct store_reader *r);

struct store_item {
	const char *namespace;
	const char *name;
	const char *json;
	size_t json_n;
};

/* One answer, and the version of the store that it shows; store_list_fini frees all of it. */
struct store_list {
	uint64_t resource_version;
	struct store_item *items;
	size_t n;
	bool more;              /* stopped at the limit: continue after the last item */
	struct store_block *blocks;
};

struct store_page {
	const char *after_namespace;    /* continue after this object; null: from the beginning */
	const char *after_name;
	size_t limit;                   /* 0: all */
};

/* namespace null: of all namespaces. */
enum err store_reader_list(struct store_reader *r, const struct kind *kind, const char *namespace,
                           const struct store_page *page, struct store_list *out) MUST_CHECK;
/* NOT_FOUND when there is none; out->n is 1 otherwise. */
enum err store_reader_get(struct store_reader *r, const struct kind *kind, const char *namespace, const char *name,
                          struct store_list *out) MUST_CHECK;
void store_list_fini(struct store_list *l);

/* Events after `since`, oldest first, at most max. Expired: the journal no longer knows what came after `since`. */
struct store_events {
	uint64_t resource_version;      /* of the store */
	bool expired;
	struct store_event *events;
	size_t n;
	struct store_block *blocks;
};

enum err store_reader_events(struct store_reader *r, uint64_t since, size_t max, struct store_events *out) MUST_CHECK;
void store_events_fini(struct store_events *e);
enum err store_reader_version(struct store_reader *r, uint64_t *resource_version) MUST_CHECK;

#endif
