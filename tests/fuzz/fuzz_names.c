/*
 * Answers of name servers, and the file of last good addresses. The first byte says which; the rest is a DNS message
 * (c-ares takes it apart, we take from it) or the file. Whatever comes: addresses of other hosts, in order, each once.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/check.h"
#include "control/resolve/reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_answers(struct book *b)
{
	struct answers *all = book_answers(b);

	for (uint32_t i = 0; i < all->n; i++) {
		const struct answer *a = &all->items[i];

		CHECK(a->v4_n <= a->n && a->n <= 2 * BOOK_ADDRESSES_MAX);
		CHECK(i == 0 || strcmp(all->items[i - 1].name, a->name) < 0);
		CHECK(answers_find(all, a->name) == a);
		for (uint32_t k = 0; k < a->n; k++) {
			CHECK(addr_is_v4(&a->addrs[k]) == (k < a->v4_n));
			CHECK(k == 0 || k == a->v4_n || memcmp(&a->addrs[k - 1], &a->addrs[k], sizeof(a->addrs[k])) < 0);
		}
	}
	answers_put(all);
}

static void read_message(struct book *b, const uint8_t *data, size_t size)
{
	static const char *const name = "x.example";
	struct reply reply[FAMILIES] = {0};
	ares_dns_record_t *record = NULL;

	if (ares_dns_parse(data, size, 0, &record) != ARES_SUCCESS)
		return;
	book_want(b, &name, 1, 0);
	for (unsigned i = 0; i < FAMILIES; i++) {
		reply_read(record, name, i, &reply[i]);
		CHECK((reply[i].kind == REPLY_ADDRESSES) == (reply[i].n > 0));
		for (size_t k = 0; k < reply[i].n; k++) {
			CHECK(addr_is_v4(&reply[i].addrs[k]) == (i == FAMILY_V4));
			CHECK(i != FAMILY_V4 || reply[i].addrs[k].b[12] != 127);
		}
	}
	book_answer(b, name, reply, 0);
	for (unsigned i = 0; i < FAMILIES; i++)
		free(reply[i].addrs);
	ares_dns_record_destroy(record);
}

static void read_file(struct book *b, const uint8_t *data, size_t size)
{
	const int fd = memfd_create("names", 0);
	char path[64];

	CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	book_load(b, path);
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct book *b = book_new();

	if (size > 0 && data[0] % 2 == 0)
		read_message(b, data + 1, size - 1);
	else if (size > 0)
		read_file(b, data + 1, size - 1);
	check_answers(b);
	book_free(b);
	return 0;
}
