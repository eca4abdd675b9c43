/* Stacks: of a thread that hangs, on request; of the thread that crashed, before the program dies of it. */
#ifndef WORKER_STACK_H
#define WORKER_STACK_H

#include <pthread.h>

void stack_install(void);                                     /* boot: signal handlers */
/* Makes the thread print its stack to stderr and into a new file; does not wait for it. */
void stack_dump(pthread_t thread, int number, const char *path);

#endif
