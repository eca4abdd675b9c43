/*
 * Small values in manifests: prefixes, addresses as numbers, durations.
 */
#include <stdlib.h>
#include <string.h>

#include "control/model/build.h"

enum { V4_BITS = 96 };

bool prefix_parse(const char *text, struct addr *addr, uint8_t *bits)
{
	char address[ADDR_TEXT_MAX];
	const char *slash = strchr(text, '/');
	char *end;
	unsigned long n;

	if (slash == NULL || (size_t)(slash - text) >= sizeof(address) || slash[1] < '0' || slash[1] > '9')
		return false;
	memcpy(address, text, (size_t)(slash - text));
	address[slash - text] = '\0';
	n = strtoul(slash + 1, &end, 10);
	if (*end != '\0' || addr_parse(address, addr) != OK || n > (addr_is_v4(addr) ? 32 : 128))
		return false;
	*bits = (uint8_t)(n + (addr_is_v4(addr) ? V4_BITS : 0));
	return true;
}

unsigned __int128 addr_number(const struct addr *a)
{
	return (unsigned __int128)__builtin_bswap64(a->q[0]) << 64 | __builtin_bswap64(a->q[1]);
}

struct addr addr_of_number(unsigned __int128 n)
{
	struct addr a;

	a.q[0] = __builtin_bswap64((uint64_t)(n >> 64));
	a.q[1] = __builtin_bswap64((uint64_t)n);
	return a;
}

bool addr_in_prefix(const struct addr *a, const struct addr *prefix, uint8_t bits)
{
	const unsigned __int128 mask = bits == 0 ? 0 : ~(unsigned __int128)0 << (128 - bits);

	return addr_is_v4(a) == addr_is_v4(prefix) && ((addr_number(a) ^ addr_number(prefix)) & mask) == 0;
}

static bool unit_parse(const char **at, uint64_t *ms)
{
	static const struct { const char *name; uint64_t ms; } units[] = {
		{"ms", 1}, {"s", 1000}, {"m", 60 * 1000}, {"h", 3600 * 1000},
	};

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		const size_t len = strlen(units[i].name);

		if (strncmp(*at, units[i].name, len) == 0) {
			*at += len;
			*ms = units[i].ms;
			return true;
		}
	}
	return false;
}

bool duration_parse_long(const char *text, uint64_t *ms)
{
	uint64_t sum = 0;
	unsigned parts = 0;

	for (; *text != '\0'; parts++) {
		uint64_t n = 0, unit;
		unsigned digits = 0;

		for (; *text >= '0' && *text <= '9'; digits++)
			n = n * 10 + (uint64_t)(*text++ - '0');
		if (digits == 0 || digits > 5 || parts == 4 || !unit_parse(&text, &unit))
			return false;
		sum += n * unit;
	}
	*ms = sum;
	return parts > 0;
}

bool duration_parse(const char *text, uint32_t *ms)
{
	uint64_t n;

	if (!duration_parse_long(text, &n) || n > UINT32_MAX)
		return false;
	*ms = (uint32_t)n;
	return true;
}
