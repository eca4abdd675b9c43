/*
 * The publisher against a data plane of few words: a thread that answers on a real socket and remembers what it was
 * sent. It can refuse, be restarted with or without its content, and go silent.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../test.h"
#include "base/doc.h"
#include "base/frame.h"
#include "control/publish/publish.h"
#include "table/builder.h"
#include "table/table.h"

enum { TIMEOUT_MS = 2000, SEALED = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE };

struct plane {
	char path[64];
	int listening;
	pthread_t thread;
	atomic_int publishes;        /* that it was asked for */
	atomic_int refusals;         /* to give before it says yes */
	atomic_bool silent;
	atomic_bool stop;
	_Atomic uint64_t content;    /* of what it has; 0: nothing */
	_Atomic(const char *) conflicts; /* of addresses, as items */
};

static const char *take(struct plane *p, int memfd)
{
	struct stat st;
	const char *problem = NULL, *where;
	void *block;

	atomic_fetch_add(&p->publishes, 1);
	if (atomic_load(&p->refusals) > 0) {
		atomic_fetch_sub(&p->refusals, 1);
		return "a configured limit is reached";
	}
	if (memfd < 0 || fstat(memfd, &st) != 0 || fcntl(memfd, F_GET_SEALS) != SEALED)
		return "not a sealed memfd";
	block = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, memfd, 0);
	if (block == MAP_FAILED)
		return "cannot be mapped";
	if (table_verify(block, (size_t)st.st_size, &where) != OK)
		problem = "not a generation";
	else
		atomic_store(&p->content, ((const struct table *)block)->content);
	munmap(block, (size_t)st.st_size);
	return problem;
}

static void answer(struct plane *p, const char *request, size_t n, int memfd, char *reply, size_t size)
{
	yyjson_doc *doc = yyjson_read(request, n, 0);
	const char *op = doc_str(yyjson_doc_get_root(doc), "op");

	if (strcmp(op, "generation") == 0) {
		snprintf(reply, size, "{\"ok\":true,\"resourceVersion\":\"1\",\"content\":\"%016lx\",\"alive\":1}",
		         (unsigned long)atomic_load(&p->content));
	} else if (strcmp(op, "conflicts") == 0) {
		const char *items = atomic_load(&p->conflicts);

		snprintf(reply, size, "{\"ok\":true,\"items\":[%s]}", items != NULL ? items : "");
	} else {
		const char *problem = take(p, memfd);

		snprintf(reply, size, problem == NULL ? "{\"ok\":true}" : "{\"ok\":false,\"reason\":\"%s\"}", problem);
	}
	yyjson_doc_free(doc);
}

static void converse(struct plane *p, int fd)
{
	while (!atomic_load(&p->stop)) {
		char *request, reply[1024];
		size_t n;
		int memfd;
		const enum err e = frame_recv(fd, 1 << 16, &request, &n, &memfd, 20);

		if (e == ERR_CONN_TIMEOUT)
			continue;
		if (e != OK)
			return;
		answer(p, request, n, memfd, reply, sizeof(reply));
		free(request);
		if (memfd >= 0)
			close(memfd);
		if (!atomic_load(&p->silent) && frame_send(fd, reply, strlen(reply), -1, TIMEOUT_MS) != OK)
			return;
	}
}

static void *serve(void *arg)
{
	struct plane *p = arg;

	while (!atomic_load(&p->stop)) {
		const int fd = accept4(p->listening, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0) {
			usleep(2000);
			continue;
		}
		converse(p, fd);
		close(fd);
	}
	return NULL;
}

static void plane_start(struct plane *p)
{
	atomic_store(&p->stop, false);
	p->listening = frame_listen(p->path, 0600);
	assert_true(p->listening >= 0);
	assert_int_equal(pthread_create(&p->thread, NULL, serve, p), 0);
}

static void plane_stop(struct plane *p)
{
	atomic_store(&p->stop, true);
	pthread_join(p->thread, NULL);
	close(p->listening);
	unlink(p->path);
}

/* A generation whose content follows from `workers`; without them it has no ports either. */
static struct builder *generation(uint32_t workers, uint64_t version, const struct table **t, size_t *bytes)
{
	const struct table_port port = {.mtu = 1500};
	struct builder *b = builder_new();
	const struct table_list ports = builder_list(b, &port, sizeof(port), workers > 0);

	builder_root(b)->ports = ports;
	builder_root(b)->workers = workers;
	builder_root(b)->resource_version = version;
	assert_int_equal(builder_finish(b, t, bytes), OK);
	return b;
}

static void want(struct publisher *p, uint32_t workers, uint64_t version)
{
	const struct table *t;
	size_t bytes;
	struct builder *b = generation(workers, version, &t, &bytes);

	assert_int_equal(publisher_want(p, t, bytes), OK);
	builder_free(b);
}

struct stage {
	struct plane plane;
	struct publisher *publisher;
};

static int set_up(void **state)
{
	static unsigned n;
	struct stage *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	snprintf(s->plane.path, sizeof(s->plane.path), "/tmp/publish-%d-%u.sock", (int)getpid(), n++);
	s->publisher = publisher_new(s->plane.path);
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	struct stage *s = *state;

	publisher_free(s->publisher);
	free(s);
	return 0;
}

static void test_nothing_wanted(void **state)
{
	struct stage *s = *state;

	assert_int_equal(publisher_push(s->publisher, TIMEOUT_MS)->state, PUBLISH_NONE);
}

static void test_first(void **state)
{
	struct stage *s = *state;
	const struct publish_verdict *v;

	want(s->publisher, 1, 7);
	v = publisher_push(s->publisher, TIMEOUT_MS);
	assert_int_equal(v->state, PUBLISH_UNREACHABLE);
	assert_int_equal(v->live_version, 0);
	plane_start(&s->plane);
	v = publisher_push(s->publisher, TIMEOUT_MS);
	assert_int_equal(v->state, PUBLISH_LIVE);
	assert_int_equal(v->live_version, 7);
	assert_int_equal(s->plane.publishes, 1);
	plane_stop(&s->plane);
}

static void test_equal_content(void **state)
{
	struct stage *s = *state;
	const struct publish_verdict *v;

	plane_start(&s->plane);
	want(s->publisher, 1, 7);
	publisher_push(s->publisher, TIMEOUT_MS);
	want(s->publisher, 1, 8);
	v = publisher_push(s->publisher, TIMEOUT_MS);
	assert_int_equal(v->state, PUBLISH_LIVE);
	assert_int_equal(v->live_version, 8);
	assert_int_equal(s->plane.publishes, 1);
	want(s->publisher, 2, 9);
	assert_int_equal(publisher_push(s->publisher, TIMEOUT_MS)->live_version, 9);
	assert_int_equal(s->plane.publishes, 2);
	plane_stop(&s->plane);
}

/* Control was restarted: the data plane has the content already, from the one before. */
static void test_found_there(void **state)
{
	struct stage *s = *state;
	const struct table *t;
	size_t bytes;
	struct builder *b = generation(3, 1, &t, &bytes);

	s->plane.content = t->content;
	builder_free(b);
	plane_start(&s->plane);
	want(s->publisher, 3, 20);
	assert_int_equal(publisher_push(s->publisher, TIMEOUT_MS)->state, PUBLISH_LIVE);
	assert_int_equal(s->plane.publishes, 0);
	plane_stop(&s->plane);
}

static void test_restart(void **state)
{
	struct stage *s = *state;

	plane_start(&s->plane);
	want(s->publisher, 1, 7);
	publisher_push(s->publisher, TIMEOUT_MS);
	plane_stop(&s->plane);
	assert_int_equal(publisher_push(s->publisher, TIMEOUT_MS)->state, PUBLISH_UNREACHABLE);
	assert_int_equal(publisher_verdict(s->publisher)->live_version, 7);
	/* It comes back with what it had stored ... */
	plane_start(&s->plane);
	assert_int_equal(publisher_push(s->publisher, TIMEOUT_MS)->state, PUBLISH_LIVE);
	assert_int_equal(s->plane.publishes, 1);
	plane_stop(&s->plane);
	/* ... or without. */
	s->plane.content = 0;
	plane_start(&s->plane);
	assert_int_equal(publisher_push(s->publisher, TIMEOUT_MS)->state, PUBLISH_LIVE);
	assert_int_equal(s->plane.publishes, 2);
	plane_stop(&s->plane);
}

static void test_refused(void **state)
{
	struct stage *s = *state;
	const struct publish_verdict *v;

	plane_start(&s->plane);
	want(s->publisher, 1, 7);
	publisher_push(s->publisher, TIMEOUT_MS);
	/* A reason that passes is not even told ... */
	s->plane.refusals = 2;
	want(s->publisher, 2, 8);
	assert_int_equal(publisher_push(s->publisher, TIMEOUT_MS)->state, PUBLISH_LIVE);
	assert_int_equal(s->plane.publishes, 4);
	/* ... one that stays is, and what was served before still is. */
	s->plane.refusals = 1000;
	want(s->publisher, 3, 9);
	v = publisher_push(s->publisher, TIMEOUT_MS);
	assert_int_equal(v->state, PUBLISH_REFUSED);
	assert_string_equal(v->reason, "a configured limit is reached");
	assert_int_equal(v->resource_version, 9);
	assert_int_equal(v->live_version, 8);
	/* Not at once again; the next wanted one is offered at once. */
	const int publishes = s->plane.publishes;

	publisher_push(s->publisher, TIMEOUT_MS);
	assert_int_equal(s->plane.publishes, publishes);
	s->plane.refusals = 0;
	want(s->publisher, 4, 10);
	assert_int_equal(publisher_push(s->publisher, TIMEOUT_MS)->live_version, 10);
	/* And the refused one some time later. */
	s->plane.refusals = 5;
	want(s->publisher, 5, 11);
	assert_int_equal(publisher_push(s->publisher, TIMEOUT_MS)->state, PUBLISH_REFUSED);
	for (int i = 0; i < 100 && publisher_push(s->publisher, TIMEOUT_MS)->state == PUBLISH_REFUSED; i++)
		usleep(20000);
	assert_int_equal(publisher_verdict(s->publisher)->state, PUBLISH_LIVE);
	plane_stop(&s->plane);
}

/* What could not be made is told as refused; what is served stays, and what is wanted next is looked at anew. */
static void test_not_made(void **state)
{
	struct stage *s = *state;
	const struct publish_verdict *v;

	publisher_refuse(s->publisher, 6, "too large");
	assert_int_equal(publisher_push(s->publisher, TIMEOUT_MS)->state, PUBLISH_REFUSED);
	plane_start(&s->plane);
	want(s->publisher, 1, 7);
	assert_int_equal(publisher_push(s->publisher, TIMEOUT_MS)->state, PUBLISH_LIVE);
	publisher_refuse(s->publisher, 8, "too large");
	v = publisher_push(s->publisher, TIMEOUT_MS);
	assert_int_equal(v->state, PUBLISH_REFUSED);
	assert_string_equal(v->reason, "too large");
	assert_int_equal(v->resource_version, 8);
	assert_int_equal(v->live_version, 7);
	/* Back to what is there already: live again without a word. */
	want(s->publisher, 1, 9);
	v = publisher_push(s->publisher, TIMEOUT_MS);
	assert_int_equal(v->state, PUBLISH_LIVE);
	assert_string_equal(v->reason, "");
	assert_int_equal(v->live_version, 9);
	assert_int_equal(s->plane.publishes, 1);
	plane_stop(&s->plane);
}

static const struct publish_verdict *push_until(struct publisher *p, uint32_t conflicts)
{
	for (int i = 0; i < 150 && publisher_push(p, TIMEOUT_MS)->conflicts_n != conflicts; i++)
		usleep(20000);
	return publisher_verdict(p);
}

/* Who claims an address of the box is part of the verdict within a second or so, and gone from it when it is over. */
static void test_conflicts(void **state)
{
	struct stage *s = *state;
	struct publish_verdict first;
	const struct publish_verdict *v;
	char text[ADDR_TEXT_MAX];

	plane_start(&s->plane);
	want(s->publisher, 1, 7);
	first = *publisher_push(s->publisher, TIMEOUT_MS);
	assert_int_equal(first.conflicts_n, 0);
	s->plane.conflicts = "{\"address\":\"198.18.0.11\",\"usable\":true,\"claimant\":\"02:00:00:00:00:99\"},"
	                     "{\"address\":\"no address\"},"
	                     "{\"address\":\"198.18.0.10\",\"usable\":false,\"claimant\":\"02:00:00:00:00:98\"}";
	v = push_until(s->publisher, 2);
	assert_int_equal(v->state, PUBLISH_LIVE);
	assert_int_equal(v->conflicts_n, 2);
	assert_string_equal(addr_print(&v->conflicts[0].addr, text), "198.18.0.10");
	assert_string_equal(v->conflicts[0].claimant, "02:00:00:00:00:98");
	assert_false(v->conflicts[0].usable);
	assert_true(v->conflicts[1].usable);
	assert_false(publish_verdict_equal(v, &first));
	first = *v;
	assert_true(publish_verdict_equal(v, &first));
	first.conflicts[0].usable = true;
	assert_false(publish_verdict_equal(v, &first));
	s->plane.conflicts = NULL;
	assert_int_equal(push_until(s->publisher, 0)->conflicts_n, 0);
	assert_int_equal(s->plane.publishes, 1);
	plane_stop(&s->plane);
}

/* Before there is a Machine there is nothing that a data plane could start with. */
static void test_no_ports(void **state)
{
	struct stage *s = *state;

	plane_start(&s->plane);
	want(s->publisher, 0, 7);
	assert_int_equal(publisher_push(s->publisher, TIMEOUT_MS)->state, PUBLISH_REFUSED);
	assert_int_equal(s->plane.publishes, 0);
	want(s->publisher, 1, 8);
	assert_int_equal(publisher_push(s->publisher, TIMEOUT_MS)->state, PUBLISH_LIVE);
	plane_stop(&s->plane);
}

/* The deadline holds, and a late answer is never taken for another question's. */
static void test_silent(void **state)
{
	struct stage *s = *state;

	plane_start(&s->plane);
	s->plane.silent = true;
	want(s->publisher, 1, 7);
	assert_int_equal(publisher_push(s->publisher, 100)->state, PUBLISH_UNREACHABLE);
	s->plane.silent = false;
	assert_int_equal(publisher_push(s->publisher, TIMEOUT_MS)->state, PUBLISH_LIVE);
	plane_stop(&s->plane);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	static const struct CMUnitTest tests[] = {
		TEST(test_nothing_wanted), TEST(test_first), TEST(test_equal_content), TEST(test_found_there),
		TEST(test_restart), TEST(test_refused), TEST(test_no_ports), TEST(test_not_made), TEST(test_silent),
		TEST(test_conflicts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
