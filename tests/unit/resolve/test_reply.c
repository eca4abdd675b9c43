/* What is taken from DNS messages: addresses of the name and of its aliases, of other hosts, and nothing else. */
#include "tests/unit/test.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/resolve/reply.h"

/* "OWNER TTL A|AAAA|CNAME VALUE"; until null. */
static const struct {
	const char *name;
	const char *records[6];
	const char *v4, *v6;             /* addresses taken; "": none */
	uint32_t ttl_s;                  /* of the family that has some */
} cases[] = {
	{"addresses", {"x.example 60 A 192.0.2.1", "x.example 30 A 192.0.2.2"}, " 192.0.2.1 192.0.2.2", "", 30},
	{"of both families", {"x.example 60 A 192.0.2.1", "x.example 60 AAAA 2001:db8::1"}, " 192.0.2.1", " 2001:db8::1", 60},
	{"in capitals", {"X.Example 60 A 192.0.2.1"}, " 192.0.2.1", "", 60},
	{"of another name", {"y.example 60 A 192.0.2.1"}, "", "", 0},
	{"of another name too", {"x.example 60 A 192.0.2.1", "y.example 1 A 192.0.2.2"}, " 192.0.2.1", "", 60},
	{"of an alias", {"x.example 60 CNAME y.example", "y.example 90 A 192.0.2.1"}, " 192.0.2.1", "", 60},
	{"of aliases in any order",
	 {"z.example 90 A 192.0.2.1", "y.example 20 CNAME z.example", "x.example 60 CNAME y.example"}, " 192.0.2.1", "", 20},
	{"of an alias on its way", {"x.example 60 CNAME y.example", "x.example 60 A 192.0.2.1"}, "", "", 0},
	{"aliases in a circle", {"x.example 60 CNAME y.example", "y.example 60 CNAME x.example"}, "", "", 0},
	{"an alias of itself", {"x.example 60 CNAME x.example", "x.example 60 A 192.0.2.1"}, " 192.0.2.1", "", 60},
	{"nothing", {NULL}, "", "", 0},
	{"the box itself", {"x.example 60 A 127.0.0.1", "x.example 60 AAAA ::1", "x.example 60 A 127.9.9.9"}, "", "", 0},
	{"nobody", {"x.example 60 A 0.0.0.0", "x.example 60 AAAA ::"}, "", "", 0},
	{"everybody", {"x.example 60 A 224.0.0.1", "x.example 60 A 255.255.255.255", "x.example 60 AAAA ff02::1"}, "", "", 0},
	{"IPv4 in the clothes of IPv6", {"x.example 60 AAAA ::ffff:127.0.0.1", "x.example 60 AAAA ::ffff:192.0.2.1"}, "", "",
	 0},
	{"a good one among bad ones", {"x.example 1 A 127.0.0.1", "x.example 60 A 192.0.2.1"}, " 192.0.2.1", "", 60},
};

static void add(ares_dns_record_t *record, const char *text)
{
	char owner[64], type[8], value[64];
	ares_dns_rr_t *rr;
	unsigned ttl_s;

	assert_int_equal(sscanf(text, "%63s %u %7s %63s", owner, &ttl_s, type, value), 4);
	assert_int_equal(ares_dns_record_rr_add(&rr, record, ARES_SECTION_ANSWER, owner,
	                                        type[0] == 'C' ? ARES_REC_TYPE_CNAME :
	                                        type[1] == 'A' ? ARES_REC_TYPE_AAAA : ARES_REC_TYPE_A,
	                                        ARES_CLASS_IN, ttl_s), ARES_SUCCESS);
	if (type[0] == 'C') {
		assert_int_equal(ares_dns_rr_set_str(rr, ARES_RR_CNAME_CNAME, value), ARES_SUCCESS);
		return;
	}
	if (type[1] == 'A') {
		struct ares_in6_addr in6;

		assert_int_equal(inet_pton(AF_INET6, value, &in6), 1);
		assert_int_equal(ares_dns_rr_set_addr6(rr, ARES_RR_AAAA_ADDR, &in6), ARES_SUCCESS);
	} else {
		struct in_addr in;

		assert_int_equal(inet_pton(AF_INET, value, &in), 1);
		assert_int_equal(ares_dns_rr_set_addr(rr, ARES_RR_A_ADDR, &in), ARES_SUCCESS);
	}
}

static void check(size_t i, const ares_dns_record_t *record, unsigned family, const char *want)
{
	struct reply reply = {0};
	char got[256] = "";
	size_t used = 0;

	reply_read(record, "x.example", family, &reply);
	for (size_t k = 0; k < reply.n; k++) {
		char text[ADDR_TEXT_MAX];

		used += (size_t)snprintf(got + used, sizeof(got) - used, " %s", addr_print(&reply.addrs[k], text));
	}
	if (strcmp(got, want) != 0)
		fail_msg("%s: taken%s", cases[i].name, got);
	if ((reply.kind == REPLY_ADDRESSES) != (want[0] != '\0') || (reply.kind == REPLY_NONE) != (reply.why != NULL))
		fail_msg("%s: kind %d", cases[i].name, (int)reply.kind);
	if (reply.kind == REPLY_ADDRESSES && reply.ttl_s != cases[i].ttl_s)
		fail_msg("%s: TTL %u", cases[i].name, reply.ttl_s);
	free(reply.addrs);
}

static void test_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		ares_dns_record_t *record = NULL;

		assert_int_equal(ares_dns_record_create(&record, 1, 0, ARES_OPCODE_QUERY, ARES_RCODE_NOERROR), ARES_SUCCESS);
		for (size_t k = 0; k < LENGTH(cases[i].records) && cases[i].records[k] != NULL; k++)
			add(record, cases[i].records[k]);
		check(i, record, FAMILY_V4, cases[i].v4);
		check(i, record, FAMILY_V6, cases[i].v6);
		ares_dns_record_destroy(record);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_read)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
