/*
 * The server: control.sock and the event loop of sluice-control. One thread; nobody waits for anybody:
 *
 *   - a peer sends a frame in as many pieces as it likes; only whole requests are looked at, one at a time per peer
 *   - all requests that are whole in a round are answered from the ledger and committed together (group commit)
 *   - a long request is worked on in slices, between which the others are answered; it is still one transaction
 *   - replies are written as far as the socket takes them; a peer that does not read is not read from either, and
 *     is closed when it stalls inside a frame for too long
 *   - compiling and publishing happen on the reconciler's thread (control/reconcile.h); it gets the newest snapshot
 */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include "control/store/ledger.h"

struct reconciler;
struct server;

enum { SERVER_PEERS_MAX = 128, SERVER_STALL_MS = 10000 };

/* Listens at once; reconciler may be null (tests). */
struct server *server_new(struct ledger *ledger, struct reconciler *reconciler, const char *socket_path,
                          char error[static 256]);
void server_free(struct server *s);
/* Takes a connected socket, as if it had been accepted (tests: a socketpair). False when there are too many. */
bool server_adopt(struct server *s, int fd);
/* One round: waits at most timeout_ms. False when it cannot go on. */
bool server_round(struct server *s, int timeout_ms);

#endif
