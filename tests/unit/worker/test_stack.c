/* A thread that hangs is made to print where. */
#include "../test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "worker/stack.h"

static _Atomic int running, stop;

static void *hang(void *arg)
{
	(void)arg;
	atomic_store(&running, 1);
	while (!atomic_load(&stop))
		;
	return NULL;
}

static void test_dump(void **state)
{
	char path[] = "/tmp/stack-XXXXXX", text[8192] = "";
	pthread_t thread;
	size_t n = 0;
	int fd = mkstemp(path);

	(void)state;
	stack_install();
	pthread_create(&thread, NULL, hang, NULL);
	while (!atomic_load(&running))
		usleep(100);
	stack_dump(thread, 7, path);
	for (unsigned i = 0; i < 1000 && !strstr(text, "test_stack"); i++) {
		ssize_t got = pread(fd, text, sizeof(text) - 1, 0);

		n = got > 0 ? (size_t)got : 0;
		text[n] = '\0';
		usleep(1000);
	}
	atomic_store(&stop, 1);
	pthread_join(thread, NULL);
	assert_non_null(strstr(text, "worker 07 hangs here:"));
	assert_non_null(strstr(text, "test_stack")); /* frames of this very program */
	close(fd);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dump),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
