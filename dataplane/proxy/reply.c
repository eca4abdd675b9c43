/*
 * What the gateway answers itself: statuses, bodies and flags are Envoy's (its local reply catalogue), so that people
 * and dashboards that know Envoy read them unchanged. As with Envoy Gateway there is no Server field.
 */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "proxy/exchange.h"

#define BEFORE_HEADERS "upstream connect error or disconnect/reset before headers. reset reason: "
#define RESET_BEFORE "upstream_reset_before_response_started"
#define RESET(why) RESET_BEFORE "{" why "}"

const struct reason reason_large_head = {431, "DPE", "", "request_headers_too_large"};
const struct reason reason_no_host = {400, "", "", "missing_host_header"};
const struct reason reason_underscore = {400, "DPE", "", "http1.unexpected_underscore"};
const struct reason reason_bad_path = {400, "", "", "path_normalization_failed"};
const struct reason reason_long_path = {414, "", "", "path_normalization_failed"};
/* With the path as location. */
const struct reason reason_normal_form = {307, "", "", "path_normalization_failed"};
const struct reason reason_timeout = {504, "UT", "upstream request timeout", "upstream_response_timeout"};
const struct reason reason_idle_whole = {504, "SI", "stream timeout", "stream_idle_timeout"};
const struct reason reason_idle_request = {408, "SI", "stream timeout", "stream_idle_timeout"};
const struct reason reason_no_memory = {503, "", "", "no_memory"};
const struct reason reason_overload = {503, "OM", "", "overload"};
const struct reason reason_no_route = {404, "NR", "", "route_not_found"};
const struct reason reason_no_connect = {501, "NR", "", "connect_not_allowed"};
const struct reason reason_no_backend = {500, "", "", "direct_response"};
const struct reason reason_no_endpoints = {503, "UH", "no healthy upstream", "no_healthy_upstream"};
const struct reason reason_no_endpoints_at_all = {503, "UH", "", "direct_response"};
const struct reason reason_upgrade = {403, "", "", "upgrade_failed"};
const struct reason reason_protocol = {502, "UPE", BEFORE_HEADERS "protocol error", RESET("protocol_error")};

/* Why a connection or stream to an upstream ended: connected says whether the request had a connection. */
const struct reason *reason_of(enum err why, bool connected)
{
	static const struct reason refused = {503, "UF", BEFORE_HEADERS "remote connection failure",
		RESET("remote_connection_failure")};
	static const struct reason unreachable = {503, "UF", BEFORE_HEADERS "local connection failure",
		RESET("local_connection_failure")};
	static const struct reason timeout = {503, "UF", BEFORE_HEADERS "connection timeout",
		RESET("connection_timeout")};
	static const struct reason ended = {503, "UC", BEFORE_HEADERS "connection termination",
		RESET("connection_termination")};
	static const struct reason overflow = {503, "UO", BEFORE_HEADERS "overflow", RESET("overflow")};
	static const struct reason unhealthy = {503, "UH", "no healthy upstream", "no_healthy_upstream"};

	switch (why) {
	case ERR_NO_HEALTHY_UPSTREAM:
	case ERR_NOT_FOUND:
		return &unhealthy;
	case ERR_UPSTREAM_OVERFLOW:
		return &overflow;
	case ERR_HTTP_SYNTAX:
	case ERR_HTTP_FRAMING:
	case ERR_HTTP_VERSION:
	case ERR_HTTP_HEADERS_TOO_LARGE:
	case ERR_HTTP_NOT_IMPLEMENTED:
	case ERR_UPSTREAM_PROTOCOL:
		return &reason_protocol;
	case ERR_NO_MEMORY:
	case ERR_LIMIT:
	case ERR_FULL:
		return &reason_no_memory;
	default:
		break;
	}
	if (connected)
		return &ended;
	switch (why) {
	case ERR_CONN_TIMEOUT:
		return &timeout;
	case ERR_NO_PORTS:
	case ERR_NO_ROUTE:
	case ERR_NO_ADDRESS:
		return &unreachable;
	default:
		return &refused;
	}
}

/* What is wrong with the upstream's answer has another name once it has begun; all else is told as it is. */
const char *reason_details(const struct reason *why, bool responding)
{
	if (why->details == NULL)
		return "";
	if (responding && strncmp(why->details, RESET_BEFORE, strlen(RESET_BEFORE)) == 0)
		return "upstream_reset_after_response_started";
	return why->details;
}

const struct reason *reason_of_client(enum err why, bool head, bool refused)
{
	static const struct reason syntax = {400, "DPE", "", "http1.codec_error"};
	static const struct reason slow_head = {408, "", "", "request_header_timeout"};
	static const struct reason slow_body = {408, "", "", "request_overall_timeout"};
	static const struct reason left = {0, "DC", "", "downstream_remote_disconnect"};
	static const struct reason cut_off = {0, "DC", "", "downstream_local_disconnect"};

	switch (why) {
	case ERR_HTTP_TIMEOUT:
		return !refused ? &cut_off : head ? &slow_head : &slow_body;
	case ERR_HTTP_HEADERS_TOO_LARGE:
		return &reason_large_head;
	case ERR_NO_MEMORY:
	case ERR_LIMIT:
	case ERR_CONN_ABORTED:
	case ERR_SHUTDOWN:
		return refused ? &reason_overload : &cut_off;
	case ERR_HTTP_SYNTAX:
	case ERR_HTTP_FRAMING:
		return &syntax;
	default:
		return refused ? &syntax : &left;
	}
}

/* ---- Date ---- */

/* The civil date of a day number since 1970-01-01, by the 400-year cycle that begins in March. */
static void civil(uint64_t days, unsigned *year, unsigned *month, unsigned *day)
{
	const uint64_t shifted = days + 719468, era = shifted / 146097;
	const unsigned of_era = (unsigned)(shifted % 146097);
	const unsigned year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	const unsigned of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	const unsigned from_march = (5 * of_year + 2) / 153;

	*day = of_year - (153 * from_march + 2) / 5 + 1;
	*month = from_march < 10 ? from_march + 3 : from_march - 9;
	*year = (unsigned)(era * 400) + year_of_era + (*month <= 2);
}

struct text proxy_date_line(struct proxy *p)
{
	static const char days[] = "ThuFriSatSunMonTueWed", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	const struct text line = {.at = p->date, .len = DATE_LINE};
	const uint64_t now_s = p->shard->wall_us / 1000000;
	unsigned year, month, day;
	char text[64];

	if (now_s == p->date_s)
		return line;
	p->date_s = now_s;
	civil(now_s / 86400, &year, &month, &day);
	snprintf(text, sizeof(text), "date: %.3s, %02u %.3s %04u %02u:%02u:%02u GMT\r\n",
	         &days[now_s / 86400 % 7 * 3], day, &months[(month - 1) * 3], year % 10000,
	         (unsigned)(now_s / 3600 % 24), (unsigned)(now_s / 60 % 60), (unsigned)(now_s % 60));
	memcpy(p->date, text, DATE_LINE);
	return line;
}

/* ---- sending ---- */

static enum err add_fields(struct exchange *x, struct http_message *m, const struct filter_reply *r)
{
	struct arena *a = http_stream_arena(x->down);
	enum err e = http_add_line(m, a, HTTP_FIELD_DATE, proxy_date_line(x->proxy));

	if (e == OK && r->location.len > 0)
		e = http_add(m, a, TEXT("location"), r->location);
	if (e == OK && r->body.len > 0)
		e = http_add(m, a, TEXT("content-type"), TEXT("text/plain"));
	if (e == OK && strcmp(x->flags, "UO") == 0)
		e = http_add(m, a, TEXT("x-envoy-overloaded"), TEXT("true"));
	for (unsigned i = 0; e == OK && i < r->fields_n; i++)
		e = http_add(m, a, r->fields[i].name, r->fields[i].value);
	return e;
}

enum err local_reply_send(struct exchange *x, const struct filter_reply *r)
{
	const bool end = r->body.len == 0 || x->method == HTTP_HEAD;
	struct http_message m;
	enum err e;

	http_message_init(&m);
	m.status = r->status;
	m.body = HTTP_BODY_LENGTH;
	m.content_length = r->body.len;
	e = add_fields(x, &m, r);
	if (e != OK)
		return e;
	if (x->chain != NULL)
		e = chain_local(x->chain, &m);
	if (e == OK)
		e = http_send_head(x->down, &m, end);
	if (e == OK && !end)
		e = http_send_text(x->down, r->body);
	if (e == OK && !end)
		e = http_send_end(x->down, NULL);
	x->to_down.bytes = end ? 0 : r->body.len;
	x->status = r->status;
	count(x->proxy->shard->counters, C_local_replies);
	return e;
}
