/*
 * far: one large body through the gateway when both of its sides are far away, each way, and how long that may take.
 *
 * Nothing is lost, and the links are as wide as anyone likes: all that takes time are round trips. So what is seen here
 * is whether windows and buffers grow with what there is to send. That of the connection that the body comes from must
 * come to hold what is on its way over both sides' round trips, of which it knows one only, while what it has is given
 * back in pieces (tcp/recv_buffer.h, proxy/body.h).
 */
#ifndef SIM_FAR_H
#define SIM_FAR_H

struct sim;
struct world;

void scenario_far(struct sim *s, struct world *w);

#endif
