/*
 * Dormant connections: of a client that idles, HTTP and the channel below it hold nothing. TCP keeps the connection
 * (tcp_keep()), and what it wakes for, its next bytes, makes it an HTTP connection again. So a million idle ones cost
 * what TCP holds of them, and pools have to hold only those that are about something.
 *
 * A connection may fall asleep when nothing has begun that it would have to remember: no request, not even a byte of
 * one, and all of the response before it is acknowledged. It does so when its timer finds it idle at the end of a
 * window (H1_WINDOW_MS), and earlier when more than half of the pool is in use: then each new connection looks at a few
 * others, in turn, whether they may (a request pays nothing for the order in which they were used).
 *
 * Asleep or not, its idle time ends at the same moment, it is closed when the data plane drains, and when memory is
 * short those that have been quiet for longest go first (shed.c). It counts as open all the while.
 */
#ifndef HTTP_DORMANT_H
#define HTTP_DORMANT_H

#include "http/h1.h"

void dormant_init(struct http *h);
void dormant_fini(struct http *h);
bool dormant_try(struct h1_conn *c);        /* true: it was idle; c is no more */
void dormant_look(struct http *h);          /* a new connection wants an object */
void dormant_close(struct tcp_conn *tcp);   /* in order, from our side */
void dormant_drain(struct http *h);         /* all of them, some at a time */

#endif
