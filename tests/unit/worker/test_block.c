/* Blocks: seals, verification, the state directory; every way in which a block can be refused. */
#include "../test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/table_fixture.h"
#include "worker/block.h"
#include "worker/machine.h"

static const struct fixture lab = {
	.resource_version = 7,
	.ports = {{.name = "client"}},
	.addresses = {{"198.18.0.1/24", 0, false}},
};

enum { ALL = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW };

static int memfd_of(const void *bytes, size_t n, int seals)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_int_equal(write(fd, bytes, n), n);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

static const struct {
	const char *name;
	int seals;
	size_t cut;      /* bytes left away at the end */
	size_t flip;     /* offset of a byte that is wrong; 0: none */
	bool accepted;
} cases[] = {
	{"good", ALL, 0, 0, true},
	{"not sealed", 0, 0, 0, false},
	{"may be written", F_SEAL_SHRINK | F_SEAL_GROW, 0, 0, false},
	{"may shrink", F_SEAL_WRITE | F_SEAL_GROW, 0, 0, false},
	{"may grow", F_SEAL_WRITE | F_SEAL_SHRINK, 0, 0, false},
	{"cut", ALL, 8, 0, false},
	{"only a byte", ALL, SIZE_MAX, 0, false},
	{"wrong magic", ALL, 0, 1, false},
	{"wrong checksum", ALL, 0, sizeof(struct table) + 3, false},
};

static void test_open(void **state)
{
	size_t bytes;
	struct table *t = fixture_table(&lab, &bytes);

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		char *copy = malloc(bytes), why[BLOCK_WHY_MAX] = "";
		const struct table *opened = NULL;
		int fd;
		enum err e;

		memcpy(copy, t, bytes);
		if (cases[i].flip)
			copy[cases[i].flip] ^= 0x40;
		fd = memfd_of(copy, cases[i].cut == SIZE_MAX ? 1 : bytes - cases[i].cut, cases[i].seals);
		e = block_open(fd, &opened, why);
		close(fd);
		free(copy);
		if (!e != cases[i].accepted)
			fail_msg("%s: %s %s", cases[i].name, err_name(e), why);
		if (e) {
			assert_string_not_equal(why, "");
			continue;
		}
		assert_memory_equal(opened, t, bytes);
		assert_int_equal((uintptr_t)opened % BLOCK_PAGE, 0);
		/* The kernel may not write there either. */
		fd = open("/dev/zero", O_RDONLY);
		assert_int_equal(read(fd, (void *)(uintptr_t)opened, 8), -1);
		close(fd);
		block_close(opened);
	}
	free(t);
}

static void damage(const char *dir, off_t at)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/generation", dir);
	fd = open(path, O_WRONLY);
	assert_int_equal(pwrite(fd, "x", 1, at), 1);
	close(fd);
}

static void test_state(void **state)
{
	char dir[] = "/tmp/block-XXXXXX", why[BLOCK_WHY_MAX], command[64];
	const struct table *loaded;
	size_t bytes;
	struct table *t = fixture_table(&lab, &bytes);

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(block_load(dir, &loaded, why), ERR_NOT_FOUND);
	for (unsigned i = 0; i < 2; i++) { /* again: the old one is replaced */
		assert_int_equal(block_save(dir, t), OK);
		assert_int_equal(block_load(dir, &loaded, why), OK);
		assert_int_equal(loaded->resource_version, 7);
		assert_memory_equal(loaded, t, bytes);
		block_close(loaded);
	}
	damage(dir, sizeof(struct table) + 1);
	assert_int_not_equal(block_load(dir, &loaded, why), OK);
	assert_int_equal(block_save("/nonexistent", t), ERR_IO);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	assert_int_equal(system(command), 0);
	free(t);
}

static uint64_t version_in(const char *dir)
{
	char why[BLOCK_WHY_MAX];
	const struct table *t;
	uint64_t version = 0;

	if (!block_load(dir, &t, why)) {
		version = t->resource_version;
		block_close(t);
	}
	return version;
}

/* The kept one comes back once, and only if the one on trial was not settled. */
static void test_trial(void **state)
{
	static const struct fixture next = {
		.resource_version = 8, .ports = {{.name = "typo"}}, .addresses = {{"198.18.0.1/24", 0, false}},
	};
	char dir[] = "/tmp/block-XXXXXX", command[64];
	size_t bytes;
	struct table *good = fixture_table(&lab, &bytes), *other = fixture_table(&next, &bytes);

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(block_restore(dir), ERR_NOT_FOUND);
	for (unsigned settled = 0; settled < 2; settled++) {
		assert_int_equal(block_keep(dir, good), OK);
		assert_int_equal(block_save(dir, other), OK);
		assert_int_equal(version_in(dir), 8);
		if (settled)
			assert_true(block_settle(dir));
		assert_int_equal(block_restore(dir), settled ? ERR_NOT_FOUND : OK);
		assert_int_equal(version_in(dir), settled ? 8 : 7);
		assert_false(block_settle(dir));
	}
	assert_int_equal(block_keep("/nonexistent", good), ERR_IO);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	assert_int_equal(system(command), 0);
	free(good);
	free(other);
}

static void test_blame(void **state)
{
	static const struct block_blame b = {0xfedcba9876543210, "port client: device net_x0 cannot be made"};
	char dir[] = "/tmp/block-XXXXXX", path[64];
	struct block_blame read = {0};
	FILE *f;

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_string_equal(block_blamed(dir).why, "");
	assert_int_equal(block_blame(dir, &b), OK);
	read = block_blamed(dir);
	assert_true(read.machine == b.machine);
	assert_string_equal(read.why, b.why);
	snprintf(path, sizeof(path), "%s/generation.bad", dir);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs("no digest", f);
	fclose(f);
	assert_string_equal(block_blamed(dir).why, "");
	block_forgive(dir);
	assert_int_equal(rmdir(dir), 0); /* nothing is left */
}

#define AF_PACKET(interface) "net_af_packet0,iface=" interface

static const struct {
	const char *name;
	const char *device;
	uint16_t workers;
	bool accepted, same;     /* same: as the first row's machine */
} machines[] = {
	{"loopback", AF_PACKET("lo"), 1, true, true},
	{"queues are ours", AF_PACKET("lo") ",qpairs=4", 1, true, true},
	{"more workers", AF_PACKET("lo"), 2, true, false},
	{"no interface", AF_PACKET("nonesuch0"), 1, false, false},
	{"too long for one", AF_PACKET("an-interface-of-a-long-name"), 1, false, false},
	{"not af_packet", "net_nonesuch0", 1, true, false},
	{"PCI address", "0000:03:00.1", 1, true, false},
	{"PCI address without domain, arguments", "af:00.0,representor=0", 1, true, false},
	{"PCI address with more", "0000:03:00.1 --no-huge", 1, false, false},
	{"an option", "--lcores=0", 1, false, false},
	{"a class, which EAL does not survive", "class=eth", 1, false, false},
	{"a bus", "bus=vdev,name=x", 1, false, false},
	{"commas", ",,,,", 1, false, false},
	{"some name", "a,b,c", 1, false, false},
};

static void test_machine(void **state)
{
	uint64_t first = 0;

	(void)state;
	for (size_t i = 0; i < LENGTH(machines); i++) {
		struct fixture f = {
			.workers = machines[i].workers, .ports = {{"client", machines[i].device, 0}},
			.addresses = {{"198.18.0.1/24", 0, false}},
		};
		char why[MACHINE_WHY_MAX] = "";
		size_t bytes;
		struct table *t = fixture_table(&f, &bytes);

		first = i == 0 ? machine_digest(t) : first;
		if (!machine_check(t, why) != machines[i].accepted || (why[0] == '\0') != machines[i].accepted)
			fail_msg("%s: %s", machines[i].name, why);
		if ((machine_digest(t) == first) != machines[i].same)
			fail_msg("%s: digest", machines[i].name);
		free(t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open),
		cmocka_unit_test(test_state),
		cmocka_unit_test(test_trial),
		cmocka_unit_test(test_blame),
		cmocka_unit_test(test_machine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
