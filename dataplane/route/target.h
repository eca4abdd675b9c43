/* What of a request is compared: pure functions on its texts, each with a fuzz target (fuzz_host.c, fuzz_query.c). */
#ifndef ROUTE_TARGET_H
#define ROUTE_TARGET_H

#include <stdbool.h>
#include <stddef.h>

#include "http/http.h"

enum { TARGET_HOST_MAX = 255 };

/*
 * The host of an authority in the form of the tables: lower case, without port and without one trailing dot; an IPv6
 * literal with its brackets. Empty: none, or one that no hostname can equal. The authority itself is not touched: the
 * upstream gets it as it came. Most are written so already, and then the text is a part of it; else it is in `room`.
 */
struct text target_host(struct text authority, char room[static TARGET_HOST_MAX]);

/* The first parameter of that name, as it came, not decoded: "a=1&b&c=" has a "1", b "" and c "". */
bool target_parameter(struct text query, struct text name, struct text *value);

#endif
