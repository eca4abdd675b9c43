/*
 * The threads of the workers: each runs worker_round() on an EAL lcore of its own (lcore 1 + worker), sleeps in
 * epoll when there is nothing to do, and is woken through an eventfd.
 */
#ifndef WORKER_THREAD_H
#define WORKER_THREAD_H

#include <pthread.h>

#include "port/port.h"
#include "worker/worker.h"

struct threads;

/* Made before the gateway, which is told threads_wake(). crowded: more threads than CPUs, so empty rounds yield. */
struct threads *threads_new(uint16_t workers, bool crowded);
void threads_free(struct threads *t);
void threads_wake(void *threads, uint16_t worker);

enum err threads_start(struct threads *t, struct gateway *g, struct port *const *ports, uint16_t ports_n) MUST_CHECK;
/* Asks all to end and waits for them, but not for ever: false when one hangs. What it uses must not be freed then. */
bool threads_stop(struct threads *t) MUST_CHECK;
pthread_t threads_self(const struct threads *t, uint16_t worker);
bool threads_has_rx_fds(const struct threads *t);               /* false: naps instead of sleeps */

#endif
