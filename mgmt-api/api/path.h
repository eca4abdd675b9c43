/*
 * Paths of the API: one visible table from patterns to names. A path says what is meant; who answers is the router's
 * affair (route.c).
 */
#ifndef MGMT_API_API_PATH_H
#define MGMT_API_API_PATH_H

#include <stdbool.h>

enum path_type {
	PATH_UNKNOWN,
	PATH_ROOT,              /* / */
	PATH_HEALTH,            /* /healthz, /livez */
	PATH_READY,             /* /readyz */
	PATH_VERSION,           /* /version */
	PATH_CORE,              /* /api */
	PATH_GROUPS,            /* /apis */
	PATH_GROUP,             /* /apis/G */
	PATH_RESOURCES,         /* /api/v1, /apis/G/V */
	PATH_OPENAPI,           /* /openapi/v3 */
	PATH_OPENAPI_GROUP,     /* /openapi/v3/api/v1, /openapi/v3/apis/G/V */
	PATH_APPLY,             /* /sluice/v1/apply: ours */
	PATH_COLLECTION,        /* .../R, .../namespaces/NS/R */
	PATH_OBJECT,            /* .../R/NAME, .../namespaces/NS/R/NAME */
	PATH_SUBRESOURCE,       /* .../R/NAME/SUB, .../namespaces/NS/R/NAME/SUB */
};

enum { PATH_SEGMENT_MAX = 254, PATH_SEGMENTS_MAX = 8 };

struct path {
	enum path_type type;
	char group[PATH_SEGMENT_MAX];           /* "" is the core group */
	char version[PATH_SEGMENT_MAX];
	char namespace[PATH_SEGMENT_MAX];       /* "" when the path names none */
	char plural[PATH_SEGMENT_MAX];
	char name[PATH_SEGMENT_MAX];
	char subresource[PATH_SEGMENT_MAX];
	bool namespaced;                        /* the path has /namespaces/NS/ */
};

/* PATH_UNKNOWN for what is in no pattern. */
void path_parse(const char *text, struct path *out);

#endif
