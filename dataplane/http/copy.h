/* Most pieces of a head are short, and a call of memcpy() costs more than they do. */
#ifndef HTTP_COPY_H
#define HTTP_COPY_H

#include <stdint.h>
#include <string.h>

static inline void copy_short(char *to, const char *from, uint32_t n)
{
	if (n > 32) {
		memcpy(to, from, n);
	} else if (n >= 16) {
		memcpy(to, from, 16);
		memcpy(to + n - 16, from + n - 16, 16);
	} else if (n >= 8) {
		memcpy(to, from, 8);
		memcpy(to + n - 8, from + n - 8, 8);
	} else if (n >= 4) {
		memcpy(to, from, 4);
		memcpy(to + n - 4, from + n - 4, 4);
	} else {
		for (uint32_t i = 0; i < n; i++)
			to[i] = from[i];
	}
}

#endif
