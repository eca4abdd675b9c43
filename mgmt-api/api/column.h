/* Printer columns: the simple JSONPath of additionalPrinterColumns, and ages as kubectl prints them. */
#ifndef MGMT_API_API_COLUMN_H
#define MGMT_API_API_COLUMN_H

#include "base/doc.h"

/* The first value that the path leads to, or null: .a.b, .a[*].b, .a[0], .a[?(@.type=="X")].b */
yyjson_mut_val *column_find(yyjson_mut_val *object, const char *path);

enum { AGE_TEXT_MAX = 32 };
/* "47s", "3m12s", "5h10m", "12d", "2y30d" */
const char *age_print(int64_t seconds, char text[static AGE_TEXT_MAX]);
/* Seconds since the epoch of "2024-01-02T03:04:05Z"; -1 when it is no such text. */
int64_t time_parse(const char *text);

#endif
