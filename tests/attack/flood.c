/*
 * Sends frames made of a template at a rate: flood INTERFACE COUNT RATE SEED < TEMPLATES
 *
 * A line of the input is a template, taken in turn: the frame in hexadecimal, then fields OFFSET:LENGTH that get bytes
 * by the seed. They are the same for the same COUNT and SEED, so that a second run can take back what the first one
 * began. Checksums of IPv4, TCP and ICMPv6 are made anew; a template that wants them wrong is no flood's.
 * Prints how many frames were sent, and how many per second. What the interface does not take at once is left out.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { TEMPLATES = 64, FIELDS = 16, FRAME = 1514, BURST = 32, ETHER = 14 };

struct template {
	uint8_t frame[FRAME];
	size_t size;
	struct {
		unsigned at, n;
	} field[FIELDS];
	unsigned fields;
};

static struct template templates[TEMPLATES];
static unsigned templates_n;
static uint64_t state;

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t next_random(void)
{
	uint64_t z = (state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static void read_template(struct template *t, char *line)
{
	char *word = strtok(line, " \n");
	unsigned byte;

	for (; word && t->size < FRAME && sscanf(word, "%2x", &byte) == 1; word += 2)
		t->frame[t->size++] = (uint8_t)byte;
	while ((word = strtok(NULL, " \n")) && t->fields < FIELDS) {
		if (sscanf(word, "%u:%u", &t->field[t->fields].at, &t->field[t->fields].n) != 2 ||
		    t->field[t->fields].at + t->field[t->fields].n > t->size) {
			fprintf(stderr, "bad field %s\n", word);
			exit(1);
		}
		t->fields++;
	}
}

static void read_templates(void)
{
	static char line[FRAME * 2 + 256];

	while (templates_n < TEMPLATES && fgets(line, sizeof(line), stdin))
		read_template(&templates[templates_n++], line);
	if (templates_n == 0) {
		fprintf(stderr, "no template\n");
		exit(1);
	}
}

static uint32_t sum(const uint8_t *at, size_t n, uint32_t total)
{
	for (; n > 1; n -= 2, at += 2)
		total += (uint32_t)at[0] << 8 | at[1];
	return n ? total + ((uint32_t)at[0] << 8) : total;
}

static void put_sum(uint8_t *at, uint32_t total)
{
	while (total >> 16)
		total = (total & 0xffff) + (total >> 16);
	at[0] = (uint8_t)(~total >> 8);
	at[1] = (uint8_t)~total;
}

/* Over the pseudo header of either family, and what it is of; the checksum lies at `at`. */
static void sum_upper(uint8_t *upper, size_t n, size_t at, uint32_t protocol, const uint8_t *addresses, size_t addresses_n)
{
	if (n < at + 4)
		return;
	memset(upper + at, 0, 2);
	put_sum(upper + at, sum(upper, n, sum(addresses, addresses_n, protocol + (uint32_t)n)));
}

static void make_sums(uint8_t *frame, size_t size)
{
	const unsigned type = (unsigned)frame[12] << 8 | frame[13];
	uint8_t *ip = frame + ETHER;

	if (type == ETHERTYPE_IP && size >= ETHER + 20) {
		memset(ip + 10, 0, 2);
		put_sum(ip + 10, sum(ip, 20, 0));
		if (ip[9] == IPPROTO_TCP && (ip[6] & 0x3f) == 0 && ip[7] == 0)
			sum_upper(ip + 20, size - ETHER - 20, 16, IPPROTO_TCP, ip + 12, 8);
	} else if (type == ETHERTYPE_IPV6 && size >= ETHER + 40) {
		if (ip[6] == IPPROTO_TCP)
			sum_upper(ip + 40, size - ETHER - 40, 16, IPPROTO_TCP, ip + 8, 32);
		else if (ip[6] == IPPROTO_ICMPV6)
			sum_upper(ip + 40, size - ETHER - 40, 2, IPPROTO_ICMPV6, ip + 8, 32);
	}
}

static size_t make(uint8_t *frame, const struct template *t)
{
	memcpy(frame, t->frame, t->size);
	for (unsigned f = 0; f < t->fields; f++) {
		uint64_t bits = 0;

		for (unsigned i = 0; i < t->field[f].n; i++, bits >>= 8) {
			if (i % 8 == 0)
				bits = next_random();
			frame[t->field[f].at + i] = (uint8_t)bits;
		}
	}
	make_sums(frame, t->size);
	return t->size;
}

static int open_socket(const char *interface)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(interface)};
	const int one = 1;
	int fd = socket(AF_PACKET, SOCK_RAW, 0); /* protocol 0: it receives nothing */

	if (fd < 0 || at.sll_ifindex == 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)))
		fail(interface);
	setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one));
	return fd;
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void wait_until(double when)
{
	const double left = when - now_s();

	if (left > 0)
		usleep((unsigned)(left * 1e6));
}

int main(int argc, char **argv)
{
	static uint8_t frames[BURST][FRAME];
	static struct iovec parts[BURST];
	static struct mmsghdr messages[BURST];
	unsigned long count, rate, made = 0, sent = 0;
	double start;
	int fd;

	if (argc != 5) {
		fprintf(stderr, "usage: flood INTERFACE COUNT RATE SEED < TEMPLATES\n");
		return 2;
	}
	count = strtoul(argv[2], NULL, 10);
	rate = strtoul(argv[3], NULL, 10);
	state = strtoull(argv[4], NULL, 10);
	read_templates();
	fd = open_socket(argv[1]);
	start = now_s();
	while (made < count) {
		unsigned n = 0;
		int took;

		for (; n < BURST && made < count; n++, made++) {
			parts[n] = (struct iovec){frames[n], make(frames[n], &templates[made % templates_n])};
			messages[n] = (struct mmsghdr){.msg_hdr = {.msg_iov = &parts[n], .msg_iovlen = 1}};
		}
		took = sendmmsg(fd, messages, n, MSG_DONTWAIT);
		if (took < 0 && errno != EAGAIN && errno != ENOBUFS)
			fail("sendmmsg");
		sent += took > 0 ? (unsigned)took : 0;
		wait_until(start + (double)made / (double)rate);
	}
	printf("%lu %.0f\n", sent, (double)sent / (now_s() - start));
	return 0;
}
