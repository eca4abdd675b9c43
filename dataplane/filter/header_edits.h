/*
 * What the two header modifiers share: lists of fields to set, to add and to remove.
 *
 * `remove` goes first, then `set` (replaces all of that name), then `add` (appends a field, which receivers join by
 * commas). Names are compared case-insensitively; a name that appears more than once in the manifest counts the first
 * time, in the order add, set, remove, as Envoy Gateway does.
 *
 * Refused: names that are no token (RFC 9110, 5.6.2), values with control characters, values that do not fit into a
 * piece of an arena, the fields that frame messages, which belong to the HTTP layer alone, and Host, which is not a
 * field like others: setting it in a request changes the authority, all else makes no sense.
 */
#ifndef FILTER_HEADER_EDITS_H
#define FILTER_HEADER_EDITS_H

#include "filter/filter.h"

struct header_edits {              /* in the tables */
	struct table_list set;     /* struct header_edit */
	struct table_list add;     /* struct header_edit */
	struct table_list remove;  /* struct header_edit */
};

struct header_edit {
	struct table_text name;
	struct table_text value;   /* empty for remove */
};

/* What one filter may set and add: heads have that much room beyond what a message may bring (h1.h, H1_HEAD_ROOM). */
enum { HEADER_EDITS_BYTES_MAX = 16384 };

enum header_edits_of { HEADERS_OF_REQUEST, HEADERS_OF_RESPONSE };

/* `member`: what problems call `spec`, "requestHeaderModifier". */
enum err header_edits_compile(yyjson_val *spec, const char *member, enum header_edits_of of, struct builder *b,
                              struct header_edits *out, struct filter_problem *problem) MUST_CHECK;
enum err header_edits_verify(const void *block, size_t bytes, const struct header_edits *e) MUST_CHECK;

/* The same out of the tables, in an arena. */
struct header_edits_copy {
	uint16_t remove_n, set_n, add_n;
	struct header_edit_copy {
		struct text name, value;
	} edit[];                  /* in the order in which they are done */
};

/* A filter's copy(): config is a struct header_edits. */
void *header_edits_copy(struct arena *a, const struct table *t, const void *config);
/* False: no memory, or more fields than a message can have. */
bool header_edits_apply(const struct header_edits_copy *e, struct http_message *m, struct arena *a);

/* For other filters that take names and values from manifests. */
bool header_is_token(const char *text, size_t len);
bool header_is_value(const char *text, size_t len);
/* The same for their verifiers: a text of the block that is a token, or a value. */
enum err header_verify_name(const void *block, size_t bytes, struct table_text t) MUST_CHECK;
enum err header_verify_value(const void *block, size_t bytes, struct table_text t) MUST_CHECK;

#endif
