/*
 * The access log's thread. A producer writes numbered records into rings as workers do; whatever happens to the output, the
 * lines of those that the ring took are all there in order, or are said to be lost.
 */
#include "../test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "proxy/access.h"
#include "worker/scribe.h"

enum { RING_BYTES = 1 << 16, LINES_MAX = 1 << 20 };

static char dir[] = "/tmp/scribe-XXXXXX", path[64], old[64];
static struct logring *ring[2];
static struct scribe *scribe;
static unsigned next[2], refused;

static int64_t clock_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int start(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/scribe-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/access.log", dir);
	snprintf(old, sizeof(old), "%s/access.log.1", dir);
	for (unsigned i = 0; i < 2; i++) {
		ring[i] = logring_new(RING_BYTES);
		next[i] = 0;
	}
	refused = 0;
	return 0;
}

static int end(void **state)
{
	(void)state;
	scribe_free(scribe);
	scribe = NULL;
	for (unsigned i = 0; i < 2; i++)
		logring_free(ring[i]);
	unlink(path);
	unlink(old);
	return rmdir(dir);
}

static void open_scribe(void)
{
	scribe = scribe_new(path);
	assert_non_null(scribe);
	assert_int_equal(scribe_start(scribe, ring, 2), OK);
}

/* "/<ring>/<number>" is the path of the request. False: the ring is full. */
static bool put(unsigned r)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "/%u/%u", r, next[r]);
	struct access_record *a = logring_reserve(ring[r], sizeof(*a) + (size_t)n);

	if (!a) {
		refused++;
		return false;
	}
	*a = (struct access_record){.status = 200, .version = 11, .path_len = (uint16_t)n};
	memcpy(a->texts, text, (size_t)n);
	logring_commit(ring[r], sizeof(*a) + (size_t)n);
	next[r]++;
	return true;
}

/* Puts one into each ring, waiting for room. */
static void put_both(void)
{
	for (unsigned r = 0; r < 2; r++)
		while (!put(r))
			usleep(100);
}

static size_t read_all(const char *name, char *text, size_t size)
{
	int fd = open(name, O_RDONLY);
	ssize_t n = fd < 0 ? 0 : read(fd, text, size - 1);

	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	return n > 0 ? (size_t)n : 0;
}

/* Whole lines of text, in order: each ring's numbers go on where seen[] ends. What stands behind the last is torn. */
static void see(char *text, unsigned seen[2])
{
	char *line = text, *rest;

	for (; (rest = strchr(line, '\n')); line = rest + 1) {
		unsigned r, number;

		*rest = '\0';
		assert_int_equal(sscanf(line, "[1970-01-01T00:00:00.000Z] \"- /%u/%u HTTP/1.1\" 200", &r, &number), 2);
		assert_true(r < 2);
		assert_int_equal(number, seen[r]);
		seen[r]++;
	}
}

static void expect_all(const unsigned seen[2])
{
	assert_int_equal(seen[0], next[0]);
	assert_int_equal(seen[1], next[1]);
}

/* The format is another one from one line to the next; all lines are there. */
static void test_format(void **state)
{
	static char text[1 << 16];
	unsigned seen[3] = {0};

	(void)state;
	open_scribe();
	for (unsigned step = 0; step < 3; step++) {
		if (step > 0)
			scribe_format(scribe, step == 1 ? access_print_json : access_print);
		for (unsigned i = 0; i < 10; i++)
			put_both();
		for (int64_t until = clock_ms() + 3000; clock_ms() < until; usleep(1000)) {
			size_t lines = 0;

			read_all(path, text, sizeof(text));
			for (const char *p = text; (p = strchr(p, '\n')); p++)
				lines++;
			if (lines == (step + 1) * 20)
				break;
		}
	}
	assert_int_equal(scribe_stop(scribe), 0);
	for (const char *p = text; *p; p = strchr(p, '\n') + 1) {
		const unsigned step = *p == '{' ? 1 : seen[1] > 0 ? 2 : 0;

		seen[step]++;
	}
	for (unsigned step = 0; step < 3; step++)
		assert_int_equal(seen[step], 20);
}

static void test_file(void **state)
{
	static char text[LINES_MAX];
	unsigned seen[2] = {0};

	(void)state;
	open_scribe();
	for (unsigned i = 0; i < 2000; i++)
		put_both();
	assert_int_equal(scribe_stop(scribe), 0);
	read_all(path, text, sizeof(text));
	see(text, seen);
	expect_all(seen);
	assert_int_equal(seen[0], 2000);
}

/* logrotate: rename, tell, and the next rename only when the new file is there. */
static void test_reopen(void **state)
{
	static char text[LINES_MAX];
	unsigned seen[2] = {0}, files = 0;

	(void)state;
	open_scribe();
	for (unsigned turn = 0; turn < 20; turn++) {
		assert_int_equal(rename(path, old), 0);
		for (unsigned i = 0; i < 20; i++)
			put_both(); /* into the old one, or the new */
		scribe_reopen(scribe);
		while (access(path, F_OK) != 0) {
			put_both();
			usleep(100);
		}
		usleep(1000); /* the old one is closed only behind its last line */
		read_all(old, text, sizeof(text));
		see(text, seen);
		unlink(old);
		files++;
	}
	assert_int_equal(scribe_stop(scribe), 0);
	read_all(path, text, sizeof(text));
	see(text, seen);
	expect_all(seen);
	assert_int_equal(files, 20);
}

/* A disk that is full in the middle of a line, and is emptied. RLIMIT_FSIZE stands for it: a write is cut, then fails. */
static void limit_files(rlim_t bytes)
{
	struct rlimit l;

	getrlimit(RLIMIT_FSIZE, &l);
	l.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &l), 0);
}

static void test_full_disk(void **state)
{
	static char text[LINES_MAX];
	unsigned seen[2] = {0};
	size_t n;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	open_scribe();
	put_both();
	limit_files(1000); /* in the middle of a line */
	while (put(0) || put(1))
		;
	usleep(150000);
	while (put(0) || put(1)) /* what it had taken into its buffer made room once */
		;
	refused = 0;
	assert_false(put(0)); /* counted by the worker */
	assert_int_equal(refused, 1);
	n = read_all(path, text, sizeof(text));
	assert_int_equal(n, 1000);
	limit_files(RLIM_INFINITY);
	assert_int_equal(scribe_stop(scribe), 0);
	read_all(path, text, sizeof(text));
	see(text, seen);
	expect_all(seen);
}

/* The same, but what helps is another file: the line that was cut is whole there. */
static void test_full_disk_then_reopen(void **state)
{
	static char text[LINES_MAX];
	unsigned seen[2] = {0};

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	open_scribe();
	limit_files(1000);
	for (unsigned i = 0; i < 50; i++)
		put_both();
	usleep(150000);
	assert_int_equal(rename(path, old), 0);
	limit_files(RLIM_INFINITY);
	scribe_reopen(scribe);
	assert_int_equal(scribe_stop(scribe), 0);
	read_all(old, text, sizeof(text));
	see(text, seen);
	read_all(path, text, sizeof(text));
	see(text, seen);
	expect_all(seen);
}

/* A FIFO without a reader neither holds up the start nor the end; with a reader everything comes. */
static void test_fifo_without_reader(void **state)
{
	int64_t before = clock_ms();
	uint64_t lost;

	(void)state;
	assert_int_equal(mkfifo(path, 0600), 0);
	open_scribe();
	for (unsigned i = 0; i < 100; i++) {
		while (put(0) || put(1))
			;
		usleep(3000);
	}
	assert_true(refused > 0);
	assert_false(put(0));
	lost = scribe_stop(scribe);
	assert_true(lost > 0 && lost < next[0] + next[1]);
	assert_true(clock_ms() - before < 5000);
}

static void test_fifo_with_a_slow_reader(void **state)
{
	static char text[LINES_MAX];
	unsigned seen[2] = {0};
	size_t n = 0;
	int fd;

	(void)state;
	assert_int_equal(mkfifo(path, 0600), 0);
	open_scribe();
	fd = open(path, O_RDONLY | O_NONBLOCK);
	for (unsigned i = 0; i < 600; i++) {
		ssize_t got = read(fd, text + n, 300);

		n += got > 0 ? (size_t)got : 0;
		put(0);
		put(1);
		usleep(200);
	}
	for (unsigned i = 0; i < 200; i++) {
		ssize_t got = read(fd, text + n, sizeof(text) - 1 - n);

		n += got > 0 ? (size_t)got : 0;
		usleep(2000);
	}
	text[n] = '\0';
	close(fd);
	see(text, seen);
	expect_all(seen);
	assert_int_equal(scribe_stop(scribe), 0);
}

static void test_nothing_takes_it(void **state)
{
	(void)state;
	assert_int_equal(symlink("/dev/full", path), 0);
	open_scribe();
	for (unsigned i = 0; i < 10; i++)
		put_both();
	assert_int_equal(scribe_stop(scribe), 20);
}

static void test_cannot_be_opened(void **state)
{
	(void)state;
	snprintf(path, sizeof(path), "%s/nowhere/access.log", dir);
	assert_null(scribe_new(path));
	assert_int_equal(errno, ENOENT);
}

/* A new file that cannot be made: the old one is written on. */
static void test_reopen_fails(void **state)
{
	static char text[LINES_MAX];
	unsigned seen[2] = {0};

	(void)state;
	open_scribe();
	put_both();
	assert_int_equal(rename(path, old), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	scribe_reopen(scribe);
	usleep(50000);
	put_both();
	assert_int_equal(scribe_stop(scribe), 0);
	assert_int_equal(rmdir(path), 0);
	read_all(old, text, sizeof(text));
	see(text, seen);
	expect_all(seen);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_file, start, end),
		cmocka_unit_test_setup_teardown(test_format, start, end),
		cmocka_unit_test_setup_teardown(test_reopen, start, end),
		cmocka_unit_test_setup_teardown(test_full_disk, start, end),
		cmocka_unit_test_setup_teardown(test_full_disk_then_reopen, start, end),
		cmocka_unit_test_setup_teardown(test_fifo_without_reader, start, end),
		cmocka_unit_test_setup_teardown(test_fifo_with_a_slow_reader, start, end),
		cmocka_unit_test_setup_teardown(test_nothing_takes_it, start, end),
		cmocka_unit_test_setup_teardown(test_cannot_be_opened, start, end),
		cmocka_unit_test_setup_teardown(test_reopen_fails, start, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
