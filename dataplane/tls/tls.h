/*
 * The secure channel between TCP and HTTP: today a pass-through, so that the place, the suspension and the
 * re-buffering are there when TLS comes.
 *
 * A channel starts in TLS_OPENING. Opening may suspend (a handshake waits for its CPU budget or a crypto thread):
 * then received mbufs are kept in a bounded queue, and the completion comes by handle through tls_job_done(); one
 * for a dead handle is counted and ignored. With `suspend_rounds` in the options the pass-through suspends too, so
 * that tests exercise the path.
 *
 * The faces toward HTTP are those of TCP (same words, same ownership), so HTTP never knows what it runs on.
 */
#ifndef TLS_TLS_H
#define TLS_TLS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/packet.h"
#include "base/pool.h"
#include "tcp/tcp.h"

struct tls;
struct tls_conn;

struct tls_user_ops {
	void (*on_open)(void *user);                     /* opened: data may be sent from now on */
	void (*on_data)(void *user, struct slice s, uint32_t credit); /* plaintext; takes s; credit is owed for it */
	void (*on_eof)(void *user);
	void (*on_acked)(void *user, uint32_t bytes);
	void (*on_closed)(void *user, enum err why);
};

struct tls_options {
	uint16_t suspend_rounds; /* tests: the opening waits for that many tls_run() calls */
};

struct tls *tls_new(struct shard *s, struct tcp *tcp, const struct tls_options *options);
void tls_free(struct tls *t);
struct pressure;
void tls_watch(const struct tls *t, struct pressure *p); /* boot: what of it may run short */
void tls_run(struct tls *t);                             /* once a round: spends the handshake budget */
bool tls_waiting(const struct tls *t);                   /* tls_run() has something to do: the worker must not sleep */

/* Takes an accepted connection; on_open follows (perhaps at once, before this returns). Null: no memory, c aborted. */
struct tls_conn *tls_accept(struct tls *t, struct tcp_conn *c, const struct tls_user_ops *ops, void *user);
/* Connects to an upstream. */
enum err tls_connect(struct tls *t, const struct tcp_connect *how, const struct tls_user_ops *ops, void *user,
                     struct tls_conn **out) MUST_CHECK;

/*
 * Gives up the channel of a connection but not the connection: no callbacks follow, and tls_accept() may open another
 * on it. Null when the channel has something that would be lost.
 */
struct tcp_conn *tls_release(struct tls_conn *c) MUST_CHECK;
void tls_input(struct tls_conn *c, struct rte_mbuf *m);  /* takes m: what TCP delivered before tls_accept() */
struct tcp *tls_below(const struct tls *t);

void tls_set_user(struct tls_conn *c, const struct tls_user_ops *ops, void *user);
bool tls_send(struct tls_conn *c, struct slice s) MUST_CHECK;
uint32_t tls_send_room(const struct tls_conn *c);
void tls_send_short(struct tls_conn *c);
void tls_more(struct tls_conn *c, bool more);
void tls_shutdown(struct tls_conn *c);
void tls_abort(struct tls_conn *c, enum err why);
void tls_detach(struct tls_conn *c);
void tls_credit(struct tls_conn *c, uint32_t credit);
void tls_enough(struct tls_conn *c);
bool tls_want(struct tls_conn *c, uint32_t buffer_bytes) MUST_CHECK;

struct tcp_conn *tls_tcp(const struct tls_conn *c);
const char *tls_alpn(const struct tls_conn *c);          /* "" on plaintext */
void tls_job_done(struct tls *t, handle_t job, enum err result);

#endif
