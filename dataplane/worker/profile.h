/*
 * A profile of the workers: where their CPU time goes, by sampling. For the bench, and for a look at a box that is
 * slow; off unless asked for (--profile FILE).
 */
#ifndef WORKER_PROFILE_H
#define WORKER_PROFILE_H

void profile_open(const char *path);   /* boot, once */
void profile_thread(void);             /* the calling thread is sampled from now on; nothing when not open */
void profile_write(void);              /* after the threads have ended: one line "offset count" per sampled address */

#endif
