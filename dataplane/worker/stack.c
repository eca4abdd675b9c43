/*
 * Stacks are printed by the thread itself, in a signal handler, straight to descriptors: no allocation, no lock that
 * the interrupted code may hold. The unwinder is loaded at boot, because its first use allocates.
 */
#include "worker/stack.h"

#include <execinfo.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FRAMES = 64 };

static _Atomic int dump_fd = -1;

static void say(int fd, const char *text)
{
	if (write(fd, text, strlen(text)) < 0)
		return; /* nobody is left to be told */
}

static void print(int fd)
{
	void *frames[FRAMES];
	int n = backtrace(frames, FRAMES);

	backtrace_symbols_fd(frames, n, fd);
}

static void on_dump(int signal, siginfo_t *s, void *context)
{
	char line[] = "worker 00 hangs here:\n";
	unsigned number = (unsigned)s->si_value.sival_int % 100;
	int fd = atomic_load(&dump_fd);

	(void)signal;
	(void)context;
	line[7] = (char)('0' + number / 10);
	line[8] = (char)('0' + number % 10);
	say(STDERR_FILENO, line);
	print(STDERR_FILENO);
	if (fd >= 0) {
		say(fd, line);
		print(fd);
	}
}

static void on_crash(int signal, siginfo_t *s, void *context)
{
	(void)s;
	(void)context;
	say(STDERR_FILENO, "crash:\n");
	print(STDERR_FILENO);
	raise(signal); /* SA_RESETHAND: this time it is fatal */
}

static void handle(int signal, void (*handler)(int, siginfo_t *, void *), int flags)
{
	struct sigaction a = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags};

	sigemptyset(&a.sa_mask);
	sigaction(signal, &a, NULL);
}

void stack_install(void)
{
	void *frame;

	(void)backtrace(&frame, 1);
	handle(SIGUSR2, on_dump, SA_RESTART);
	handle(SIGABRT, on_crash, (int)SA_RESETHAND);
#ifndef SLUICE_ASAN /* it reports these itself, and better */
	handle(SIGSEGV, on_crash, (int)SA_RESETHAND);
	handle(SIGBUS, on_crash, (int)SA_RESETHAND);
	handle(SIGFPE, on_crash, (int)SA_RESETHAND);
	handle(SIGILL, on_crash, (int)SA_RESETHAND);
#endif
}

void stack_dump(pthread_t thread, int number, const char *path)
{
	union sigval value = {.sival_int = number};
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), old = atomic_exchange(&dump_fd, fd);

	if (old >= 0)
		close(old);
	pthread_sigqueue(thread, SIGUSR2, value);
}
