/*
 * A region: memory for one model, taken piece by piece and given back all at once. Zeroed. When memory runs out the
 * program stops (it is the control process: it is started again and the data plane serves on).
 */
#ifndef MODEL_REGION_H
#define MODEL_REGION_H

#include <stddef.h>

struct region;

struct region *region_new(void);
void region_free(struct region *r);
void *region_take(struct region *r, size_t bytes);
char *region_copy(struct region *r, const char *text, size_t len);                         /* ended by NUL */
const char *region_print(struct region *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define REGION_ARRAY(r, type, n) ((type *)region_take((r), (size_t)(n) * sizeof(type)))

#endif
