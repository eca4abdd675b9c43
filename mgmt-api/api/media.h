/* Media types: what a client sends, and what it wants to read. */
#ifndef MGMT_API_API_MEDIA_H
#define MGMT_API_API_MEDIA_H

#include <stdbool.h>

enum media {
	MEDIA_NONE,             /* nothing we know */
	MEDIA_JSON,
	MEDIA_YAML,
	MEDIA_MERGE_PATCH,      /* only as a Content-Type, as are the next ones */
	MEDIA_JSON_PATCH,
	MEDIA_STRATEGIC_PATCH,
	MEDIA_APPLY_PATCH,
};

struct wanted {
	enum media media;       /* JSON, YAML, or NONE: not acceptable */
	bool table;             /* as=Table;v=v1;g=meta.k8s.io */
};

/* Null or empty: JSON, as a kube-apiserver assumes. */
enum media media_of_content_type(const char *header);
/* The first entry that we can serve; representations that we do not have (as=...) are passed over. */
struct wanted media_of_accept(const char *header);
const char *media_text(enum media media);

#endif
