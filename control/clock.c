#include "control/clock.h"

#include <time.h>

#include "base/check.h"

static int64_t read_clock(clockid_t which)
{
	struct timespec t;

	CHECK(clock_gettime(which, &t) == 0);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t clock_monotonic_ms(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

int64_t clock_wall_ms(void)
{
	return read_clock(CLOCK_REALTIME);
}

const char *clock_text(int64_t wall_ms, char text[static CLOCK_TEXT_MAX])
{
	time_t seconds = wall_ms / 1000;
	struct tm parts;

	gmtime_r(&seconds, &parts);
	CHECK(strftime(text, CLOCK_TEXT_MAX, "%Y-%m-%dT%H:%M:%SZ", &parts) > 0);
	return text;
}
