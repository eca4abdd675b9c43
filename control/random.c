#include "control/random.h"

#include <sys/random.h>

#include "base/check.h"

void random_bytes(void *bytes, size_t n)
{
	CHECK(n <= 256 && getrandom(bytes, n, 0) == (ssize_t)n);       /* so many come whole, says getrandom(2) */
}
