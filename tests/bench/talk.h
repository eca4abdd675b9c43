/*
 * What is said in the benches: clients with one request in flight each, and backends that answer. Each checks every byte
 * of what it gets, asks again, and knows nothing of how the packets come and go.
 */
#ifndef BENCH_TALK_H
#define BENCH_TALK_H

#include "tests/bench/stack.h"

enum { TALK_CLIENTS_MAX = 256, TALK_BODY_MAX = 1400 };

/* Both ends: the caller makes them before anybody connects. */
extern struct stack clients, backends;

/* routes: 0 for one request to a small table, else each is for one of routes_compile()'s, drawn at random. */
void talk_begin(uint32_t body_bytes, uint32_t routes);
void talk_connect(uint32_t n);              /* so many clients there are from now on */
bool talk_all_open(void);
uint64_t talk_responses(void);              /* so far */
uint64_t talk_wrong(void);

/* The table that the gateway serves, with two ports (clients, backends) of these devices; free() it. */
struct table *talk_table(const char *const devices[2], size_t *bytes);

#endif
