/* The two clocks of control: one for deadlines, one for what people read. */
#ifndef CONTROL_CLOCK_H
#define CONTROL_CLOCK_H

#include <stdint.h>

int64_t clock_monotonic_ms(void);
int64_t clock_wall_ms(void);
enum { CLOCK_TEXT_MAX = 32 };
const char *clock_text(int64_t wall_ms, char text[static CLOCK_TEXT_MAX]);      /* "2026-01-31T12:00:00Z" */

#endif
