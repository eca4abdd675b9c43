/* The access log record of an exchange, written into the ring in one pass; lost (and counted) when the ring is full. */
#include <string.h>

#include "base/check.h"
#include "proxy/access.h"
#include "proxy/exchange.h"

enum { TEXTS = ACCESS_TEXTS };

static uint16_t cut(struct text t)
{
	return (uint16_t)(t.len < ACCESS_TEXT_MAX ? t.len : ACCESS_TEXT_MAX);
}

/* Texts in the order of the record's length fields. Fills in the lengths and commits. */
static void write_texts(struct proxy *p, struct access_record *r, const struct text texts[TEXTS])
{
	uint16_t *const lengths[TEXTS] = {&r->method_len, &r->path_len, &r->authority_len, &r->user_agent_len,
	                                  &r->request_id_len, &r->forwarded_for_len, &r->rule_len, &r->details_len};
	char *at = r->texts;

	for (unsigned i = 0; i < TEXTS; i++) {
		const uint16_t n = cut(texts[i]);

		*lengths[i] = n;
		if (n > 0)
			memcpy(at, texts[i].at, n);
		at += n;
	}
	logring_commit(p->shard->access_log, (size_t)(at - (char *)r));
	count(p->shard->counters, C_access_logged);
}

static struct access_record *reserve(struct proxy *p, const struct text texts[TEXTS])
{
	size_t bytes = sizeof(struct access_record);
	struct access_record *r;

	if (p->shard->access_log == NULL)
		return NULL;
	for (unsigned i = 0; i < TEXTS; i++)
		bytes += cut(texts[i]);
	r = logring_reserve(p->shard->access_log, bytes);
	if (r == NULL) {
		count(p->shard->counters, C_access_lost);
		count(p->shard->counters, C_limit_log_ring_bytes);
	}
	return r;
}

static struct text value_of(const struct http_message *m, enum http_field_id id)
{
	const struct http_field *f = http_find(m, id);

	return f != NULL ? f->value : (struct text){0};
}

/* What a request's head says; m: null when it says nothing. */
static void take_head(struct text texts[TEXTS], const struct http_message *m)
{
	if (m == NULL)
		return;
	texts[0] = m->method_text;
	texts[1] = m->path;
	texts[2] = m->authority;
	texts[3] = value_of(m, HTTP_FIELD_USER_AGENT);
}

void exchange_log(struct exchange *x)
{
	const struct http_message *m = x->request;
	struct text texts[TEXTS] = {[4] = x->request_id, [5] = x->forwarded_for, [6] = x->rule,
	                              [7] = {.at = x->details, .len = (uint32_t)strlen(x->details)}};
	struct access_record *r;

	take_head(texts, m);
	if (m != NULL)
		texts[1] = x->path;
	r = reserve(x->proxy, texts);
	if (r == NULL)
		return;
	r->start_wall_us = x->start_wall_us;
	r->request_bytes = x->request_bytes;
	r->response_bytes = x->to_down.bytes;
	r->duration_us = (uint32_t)((x->proxy->shard->now_ns - x->start_ns) / 1000);
	r->upstream_us = x->upstream_us;
	r->status = x->status;
	r->version = m != NULL ? m->version : 11;
	memcpy(r->flags, x->flags, sizeof(r->flags));
	r->upstream_port = x->upstream_port;
	r->upstream = x->upstream;
	r->upstream_local = x->upstream_local;
	r->upstream_local_port = x->upstream_local_port;
	r->client = x->client;
	write_texts(x->proxy, r, texts);
}

void refused_log(struct proxy *p, const struct tls_conn *c, const struct http_message *m, struct http_refusal answer,
                 const struct reason *why)
{
	struct text texts[TEXTS] = {[7] = {.at = why->details, .len = (uint32_t)strlen(why->details)}};
	struct access_record *r;

	take_head(texts, m);
	r = reserve(p, texts);
	if (r == NULL)
		return;
	*r = (struct access_record){.start_wall_us = p->shard->wall_us, .upstream_us = UINT32_MAX,
	                            .status = answer.status, .response_bytes = answer.body_bytes,
	                            .version = m != NULL ? m->version : 11, .client = *tcp_tuple(tls_tcp(c))};
	memcpy(r->flags, why->flags, sizeof(r->flags));
	write_texts(p, r, texts);
}
