/*
 * The filter contract. A filter is one file (filter/<name>.c) plus one line in filters.def. The file holds its
 * config layout (a struct in the tables), how control compiles it from the manifest, and what it does.
 *
 * When an exchange is routed, copy() takes out of the tables what the filter needs, since they may be gone at the next
 * round; from then on the filter sees that copy. Filters run in the order of the rule on the way in and in reverse on
 * the way out.
 */
#ifndef FILTER_FILTER_H
#define FILTER_FILTER_H

#include "base/doc.h"
#include "http/http.h"
#include "table/builder.h"
#include "table/table.h"

enum filter_kind {
#define FILTER(id) FILTER_##id,
#include "filter/filters.def"
#undef FILTER
	FILTERS
};

enum filter_verdict {
	FILTER_CONTINUE,
	FILTER_REPLY,     /* the filter has filled in x->reply: answer with it */
	/* Suspending comes with the first filter that waits: the exchange is then found again by its handle. */
};

enum { FILTER_REPLY_FIELDS = 8 };

struct filter_field {
	struct text name, value;   /* static, or as long as the request */
};

struct filter_reply {
	uint16_t status;
	uint16_t fields_n;         /* at most FILTER_REPLY_FIELDS */
	struct filter_field *fields; /* in the arena; null: none */
	struct text body;          /* lives in the arena or is static */
	struct text location;      /* a redirect's target; empty: none */
	const char *details;       /* response code details, for the log */
};

/* What a filter sees of an exchange. */
struct filter_exchange {
	struct arena *arena;
	struct http_message *request;
	struct http_message *response;   /* null on the way in */
	const struct tuple *client;      /* local: the address and port the request came to */
	uint32_t path_match_bytes;       /* of the prefix that matched */
	struct filter_reply reply;
};

/* Where compiling failed: becomes the route's condition. */
struct filter_problem {
	char path[96];             /* "requestRedirect.statusCode" */
	char message[192];
};

/* What a filter is compiled from: a manifest's words, and what control has found behind its references. */
struct filter_source {
	const char *type;          /* struct filter.type */
	yyjson_val *spec;          /* the filter's own object (filter.requestHeaderModifier) */
	uint64_t cluster;          /* stable id of its backendRef's cluster; 0: none */
	struct text text;          /* of the object that it refers to; null: none */
};

struct filter {
	const char *name;          /* as in filters.def */
	const char *type;          /* HTTPRouteFilter.type: "RequestHeaderModifier" */
	const char *member;        /* of the HTTPRouteFilter with its spec: "requestHeaderModifier" */
	uint32_t config_bytes;     /* of the config struct in the tables */
	bool of_replies;           /* on_response sees the gateway's own answers too */

	/* Control: writes the config into *offset. from->spec is an object. */
	enum err (*compile)(const struct filter_source *from, struct builder *b, uint32_t *offset,
	                    struct filter_problem *problem);
	/* Verifier: everything in the config of an untrusted block (the struct itself is known to be inside). */
	enum err (*verify)(const void *block, size_t bytes, const void *config);
	/*
	 * Data plane. Copies what the hooks need out of the tables, and is where they keep what they know of an
	 * exchange; null: out of memory. A hook that is null has nothing to do.
	 */
	void *(*copy)(struct arena *a, const struct table *t, const void *config);
	enum filter_verdict (*on_request)(struct filter_exchange *x, void *copied);
	enum filter_verdict (*on_response)(struct filter_exchange *x, void *copied);
};

extern const struct filter *const filter_list[FILTERS];
const struct filter *filter_by_type(const char *type);      /* or null */

/*
 * Control: compiles with the filter of the type. INVALID with *problem filled in: an unknown type, a missing spec, or
 * what the filter refuses.
 */
enum err filter_compile(const struct filter_source *from, struct builder *b, struct table_filter *out,
                        struct filter_problem *problem) MUST_CHECK;
/* Of an HTTPRouteFilter object ({"type":"RequestRedirect","requestRedirect":{...}}); references are not resolved. */
struct filter_source filter_source(yyjson_val *filter);
enum err filter_refuse(struct filter_problem *problem, const char *path, const char *format, ...)
	__attribute__((format(printf, 3, 4)));   /* fills in, returns INVALID */

/* Data plane: answers 503, because there is no memory to do what was asked for. */
enum filter_verdict filter_no_memory(struct filter_exchange *x);

/* The verifier of a rule's or backend's list of filters, after table_verify(). */
enum err filter_verify(const struct table *t, struct table_list filters, const char **where) MUST_CHECK;

/* For copy functions: a text out of the tables, "" when it is empty; its `at` is null when there is no memory. */
struct text filter_copy_text(struct arena *a, const struct table *t, struct table_text from);

/* For verify functions: checks that a text or list lies in the block. */
enum err filter_verify_text(const void *block, size_t bytes, struct table_text t);
enum err filter_verify_list(size_t bytes, struct table_list l, size_t item_bytes);

#endif
