/*
 * Any bytes as the authority of a request: what the tables are asked for is short, in lower case and without port, and
 * routing finds the same listener as a plain reading of the Gateway API does.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "route/route.h"
#include "route/target.h"
#include "tests/support/table_fixture.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

#define MUST(x) ((x) ? (void)0 : (fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x), abort()))

static const char *const names[] = {"", "*.a", "*.b.a", "b.a", "c.b.a", "x", "[::1]", "*.0.1", "127.0.0.1"};
enum { NAMES = sizeof(names) / sizeof(names[0]) };
static struct table *t;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static struct fixture f = {.clusters = {{.name = "c"}}};
	static const char *const labels[NAMES] = {"0", "1", "2", "3", "4", "5", "6", "7", "8"};
	size_t bytes;

	(void)argc;
	(void)argv;
	for (unsigned i = 0; i < NAMES; i++)
		f.listeners[i] = (struct fixture_listener){labels[i], "10.0.0.1", 80, i == 0 ? NULL : names[i]};
	f.routes[0] = (struct fixture_route){.path = "/", .backends = {{"c", 1}}};
	t = fixture_table(&f, &bytes);
	return 0;
}

/* Written anew: the length of the host at the front, without what target_host() takes away. */
static size_t plain_length(const char *at, size_t n)
{
	size_t len = 0;

	if (n > 0 && at[0] == '[') {
		while (len < n && at[len] != ']')
			len++;
		return len < n ? len + 1 : 0;
	}
	while (len < n && at[len] != ':')
		len++;
	return len > 0 && at[len - 1] == '.' ? len - 1 : len;
}

static bool covers(const char *name, const char *host, size_t n)
{
	const size_t len = strlen(name);

	if (len == 0)
		return true;
	if (name[0] != '*')
		return len == n && memcmp(name, host, n) == 0;
	/* One label or more stands for the star; a first label that is empty is none. */
	return n > len - 1 && host[0] != '*' && memcmp(host + n - (len - 1), name + 1, len - 1) == 0;
}

static unsigned rank(const char *name)
{
	return (unsigned)strlen(name) + (name[0] != '\0' && name[0] != '*' ? 1000 : 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct http_message m;
	struct route_result found;
	const struct addr local = fixture_addr("10.0.0.1");
	char room[TARGET_HOST_MAX], *authority = malloc(n + 1);
	struct text host;
	size_t want;
	unsigned best = 0;

	memcpy(authority, bytes, n);
	http_message_init(&m);
	m.authority = (struct text){.at = authority, .len = (uint32_t)n};
	m.path = TEXT("/");
	host = target_host(m.authority, room);
	want = plain_length(authority, n);
	MUST(host.len == (want <= TARGET_HOST_MAX ? want : 0));
	for (size_t i = 0; i < host.len; i++)
		MUST(host.at[i] == (authority[i] >= 'A' && authority[i] <= 'Z' ? authority[i] | 0x20 : authority[i]));
	for (unsigned i = 1; i < NAMES; i++)
		if (covers(names[i], host.at, host.len) && rank(names[i]) > rank(names[best]))
			best = i;
	MUST(route_find(t, NULL, &local, 80, &m, &found) == ROUTE_FOUND);
	MUST(found.listener->name.len == 1 && table_text(t, found.listener->name)[0] == (char)('0' + best));
	free(authority);
	return 0;
}
