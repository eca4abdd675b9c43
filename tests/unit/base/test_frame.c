/* Frames over a socket pair and over a listening socket; every way in which the other side can be wrong. */
#include "../test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/frame.h"

static void pair(int fd[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
}

static void test_round_trip(void **state)
{
	int fd[2], memfd = memfd_create("x", MFD_CLOEXEC), passed;
	char *bytes, content[4] = {0};
	size_t n;

	(void)state;
	pair(fd);
	assert_int_equal(write(memfd, "abc", 3), 3);
	assert_int_equal(frame_send(fd[0], "{}", 2, memfd, 100), OK);
	assert_int_equal(frame_send(fd[0], "", 0, -1, 100), OK);
	assert_int_equal(frame_recv(fd[1], 10, &bytes, &n, &passed, 100), OK);
	assert_int_equal(n, 2);
	assert_string_equal(bytes, "{}");
	assert_int_equal(pread(passed, content, 3, 0), 3);
	assert_string_equal(content, "abc");
	close(passed);
	free(bytes);
	assert_int_equal(frame_recv(fd[1], 10, &bytes, &n, &passed, 100), OK);
	assert_int_equal(n, 0);
	assert_int_equal(passed, -1);
	free(bytes);
	close(fd[0]);
	assert_int_equal(frame_recv(fd[1], 10, &bytes, &n, &passed, 100), ERR_SHUTDOWN);
	close(fd[1]);
	close(memfd);
}

static void *send_large(void *arg)
{
	char *large = malloc(8 << 20);

	memset(large, 'x', 8 << 20);
	assert_int_equal(frame_send(*(int *)arg, large, 8 << 20, -1, 5000), OK);
	free(large);
	return NULL;
}

static void test_large(void **state)
{
	pthread_t sender;
	int fd[2], passed;
	char *bytes;
	size_t n;

	(void)state;
	pair(fd);
	pthread_create(&sender, NULL, send_large, &fd[0]);
	assert_int_equal(frame_recv(fd[1], FRAME_BYTES_MAX, &bytes, &n, &passed, 5000), OK);
	pthread_join(sender, NULL);
	assert_int_equal(n, 8 << 20);
	for (size_t i = 0; i < n; i += 4093)
		assert_int_equal(bytes[i], 'x');
	free(bytes);
	close(fd[0]);
	close(fd[1]);
}

static const struct {
	const char *name;
	unsigned char sent[8];
	size_t sent_n;
	int then_close;
	enum err expect;
} wrongs[] = {
	{"nothing", "", 0, 0, ERR_CONN_TIMEOUT},
	{"end before a frame", "", 0, 1, ERR_SHUTDOWN},
	{"half a length", "\x02\x00", 2, 1, ERR_IO},
	{"half a length, then silence", "\x02\x00", 2, 0, ERR_CONN_TIMEOUT},
	{"length without a body", "\x02\x00\x00\x00", 4, 1, ERR_IO},
	{"half a body", "\x02\x00\x00\x00{", 5, 1, ERR_IO},
	{"half a body, then silence", "\x02\x00\x00\x00{", 5, 0, ERR_CONN_TIMEOUT},
	{"longer than allowed", "\x65\x00\x00\x00", 4, 0, ERR_LIMIT},
	{"absurd", "\xff\xff\xff\xff", 4, 0, ERR_LIMIT},
};

static void test_wrong(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(wrongs); i++) {
		int fd[2], passed;
		char *bytes;
		size_t n;

		pair(fd);
		assert_int_equal(write(fd[0], wrongs[i].sent, wrongs[i].sent_n), wrongs[i].sent_n);
		if (wrongs[i].then_close)
			close(fd[0]);
		assert_int_equal(frame_recv(fd[1], 100, &bytes, &n, &passed, 20), wrongs[i].expect);
		assert_null(bytes);
		if (!wrongs[i].then_close)
			close(fd[0]);
		close(fd[1]);
	}
}

static void test_listen(void **state)
{
	char path[] = "/tmp/frame-XXXXXX", too_long[200];
	int listener, client, server, again;
	struct stat st;

	(void)state;
	assert_non_null(mkdtemp(path));
	char socket_path[64];
	snprintf(socket_path, sizeof(socket_path), "%s/s", path);
	assert_int_equal(frame_connect(socket_path, 10), -1);
	listener = frame_listen(socket_path, 0660);
	assert_true(listener >= 0);
	assert_int_equal(stat(socket_path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
	client = frame_connect(socket_path, 100);
	assert_true(client >= 0);
	server = accept(listener, NULL, NULL);
	assert_true(server >= 0);
	again = frame_listen(socket_path, 0600); /* the file of a dead program is replaced */
	assert_true(again >= 0);
	close(again);
	close(listener);
	close(client);
	close(server);
	unlink(socket_path);
	rmdir(path);
	memset(too_long, 'x', sizeof(too_long) - 1);
	too_long[sizeof(too_long) - 1] = '\0';
	assert_int_equal(frame_listen(too_long, 0600), -1);
	assert_int_equal(errno, ENAMETOOLONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_listen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
