/* See reply.h. The messages themselves are parsed by c-ares. */
#include "control/resolve/reply.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

enum { ALIASES_MAX = 16 };

const char *reply_reason(ares_status_t status)
{
	switch (status) {
	case ARES_ENOTFOUND:
		return "there is no such name (NXDOMAIN)";
	case ARES_ENODATA:
		return "it has no addresses";
	case ARES_ETIMEOUT:
		return "no name server answered in time";
	case ARES_ECONNREFUSED:
		return "no name server can be reached";
	case ARES_ESERVFAIL:
		return "the name server failed (SERVFAIL)";
	case ARES_EREFUSED:
		return "the name server refused to answer";
	default:
		return ares_strerror((int)status);
	}
}

/* Addresses of other hosts: not ours, nobody's and everybody's. */
static bool is_host(const struct addr *a)
{
	if (addr_is_v4(a)) {
		const uint8_t first = a->b[12];

		return first != 0 && first != 127 && first < 224;
	}
	return a->b[0] != 0xff && !(a->q[0] == 0 && a->w[2] == 0 && a->b[12] == 0 && a->b[13] == 0 && a->b[14] == 0 &&
				    a->b[15] <= 1);
}

static bool read_address(const ares_dns_rr_t *rr, ares_dns_rec_type_t type, struct addr *out)
{
	const struct in_addr *v4;
	const struct ares_in6_addr *v6;

	if (ares_dns_rr_get_type(rr) != type)
		return false;
	if (type == ARES_REC_TYPE_A) {
		v4 = ares_dns_rr_get_addr(rr, ARES_RR_A_ADDR);
		if (v4 != NULL)
			*out = addr_v4(v4->s_addr);
		return v4 != NULL;
	}
	v6 = ares_dns_rr_get_addr6(rr, ARES_RR_AAAA_ADDR);
	if (v6 != NULL)
		memcpy(out->b, v6, sizeof(out->b));
	return v6 != NULL && !addr_is_v4(out);
}

/* The name that the aliases of an answer lead to, and the least of their TTLs. */
static const char *follow(const ares_dns_record_t *record, const char *name, uint32_t *ttl_s)
{
	const size_t n = ares_dns_record_rr_cnt(record, ARES_SECTION_ANSWER);

	for (unsigned step = 0; step < ALIASES_MAX; step++) {
		const char *next = NULL;

		for (size_t i = 0; i < n && next == NULL; i++) {
			const ares_dns_rr_t *rr = ares_dns_record_rr_get_const(record, ARES_SECTION_ANSWER, i);

			if (ares_dns_rr_get_type(rr) != ARES_REC_TYPE_CNAME ||
			    strcasecmp(ares_dns_rr_get_name(rr), name) != 0)
				continue;
			next = ares_dns_rr_get_str(rr, ARES_RR_CNAME_CNAME);
			*ttl_s = ares_dns_rr_get_ttl(rr) < *ttl_s ? ares_dns_rr_get_ttl(rr) : *ttl_s;
		}
		if (next == NULL)
			return name;
		name = next;
	}
	return name;
}

void reply_read(const ares_dns_record_t *record, const char *asked, unsigned family, struct reply *out)
{
	const ares_dns_rec_type_t type = family == FAMILY_V4 ? ARES_REC_TYPE_A : ARES_REC_TYPE_AAAA;
	const size_t n = ares_dns_record_rr_cnt(record, ARES_SECTION_ANSWER);
	const char *name;

	out->ttl_s = UINT32_MAX;
	name = follow(record, asked, &out->ttl_s);
	out->addrs = calloc(n > 0 ? n : 1, sizeof(out->addrs[0]));
	CHECK(out->addrs != NULL);
	for (size_t i = 0; i < n; i++) {
		const ares_dns_rr_t *rr = ares_dns_record_rr_get_const(record, ARES_SECTION_ANSWER, i);
		struct addr a;

		if (strcasecmp(ares_dns_rr_get_name(rr), name) != 0 || !read_address(rr, type, &a) || !is_host(&a))
			continue;
		out->addrs[out->n++] = a;
		out->ttl_s = ares_dns_rr_get_ttl(rr) < out->ttl_s ? ares_dns_rr_get_ttl(rr) : out->ttl_s;
	}
	if (out->n > 0)
		out->kind = REPLY_ADDRESSES;
	else
		*out = (struct reply){.kind = REPLY_NONE, .addrs = out->addrs, .why = reply_reason(ARES_ENODATA)};
}
