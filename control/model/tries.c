/*
 * What a rule says of its tries at a backend and of staying with one: retry, sessionPersistence.
 *
 * Left out of `retry`: attempts are 2, codes 503, as Envoy Gateway's defaults. A session without a name is given one
 * that follows from the rule's place, so that it stays the same.
 */
#include <string.h>

#include "control/model/build.h"
#include "filter/header_edits.h"
#include "table/table.h"

enum { ATTEMPTS = 2, ATTEMPTS_MAX = 100, STATUS_UNAVAILABLE = 503, CODE_MIN = 400, CODE_MAX = 599 };

static void add_code(struct table_retry *r, int64_t code)
{
	r->codes[(code - CODE_MIN) / 64] |= UINT64_C(1) << ((code - CODE_MIN) % 64);
}

const char *read_retry(struct build *b, yyjson_val *spec, struct table_retry *out)
{
	yyjson_val *codes = doc_get(spec, "codes"), *code;
	const char *backoff = doc_str(spec, "backoff");
	const int64_t attempts = doc_int(spec, "attempts", ATTEMPTS);
	size_t i, n;

	*out = (struct table_retry){0};
	if (spec == NULL)
		return NULL;
	if (attempts < 1 || attempts > ATTEMPTS_MAX)
		return region_print(b->region, "retry.attempts: %lld is not between 1 and %d", (long long)attempts,
				    ATTEMPTS_MAX);
	if (backoff[0] != '\0' && !duration_parse(backoff, &out->backoff_ms))
		return region_print(b->region, "retry.backoff: \"%s\" is not a duration of less than 49 days", backoff);
	out->attempts = (uint16_t)attempts;
	yyjson_arr_foreach(codes, i, n, code) {
		const int64_t status = yyjson_get_sint(code);

		if (!yyjson_is_int(code) || status < CODE_MIN || status > CODE_MAX)
			return region_print(b->region, "retry.codes[%zu]: is not a status from 400 to 599", i);
		add_code(out, status);
	}
	if (yyjson_arr_size(codes) == 0)
		add_code(out, STATUS_UNAVAILABLE);
	return NULL;
}

static const char *session_name(struct build *b, const struct object *route, size_t rule, const char *given)
{
	const char *place;

	if (given[0] != '\0')
		return given;
	place = region_print(b->region, "%s/%s/%zu", route->namespace, route->name, rule);
	return region_print(b->region, "sluice-session-%016llx", (unsigned long long)table_id(place, strlen(place)));
}

const char *read_session(struct build *b, const struct object *route, size_t rule, yyjson_val *spec,
                         struct model_session *out)
{
	const char *type = doc_str(spec, "type"), *timeout = doc_str(spec, "absoluteTimeout");
	uint64_t ms = 0;

	*out = (struct model_session){0};
	if (spec == NULL)
		return NULL;
	out->name = session_name(b, route, rule, doc_str(spec, "sessionName"));
	if (!header_is_token(out->name, strlen(out->name)))
		return region_print(b->region, "sessionPersistence.sessionName: \"%s\" cannot be the name of a cookie "
				    "or a header", out->name);
	if (http_field_id((struct text){.at = out->name, .len = (uint32_t)strlen(out->name)}) != HTTP_FIELD_OTHER)
		return region_print(b->region, "sessionPersistence.sessionName: \"%s\" is taken", out->name);
	if (timeout[0] != '\0' && !duration_parse_long(timeout, &ms))
		return region_print(b->region, "sessionPersistence.absoluteTimeout: \"%s\" is not a duration",
				    timeout);
	out->timeout_s = (uint32_t)((ms + 999) / 1000);
	out->permanent = strcmp(doc_str(doc_get(spec, "cookieConfig"), "lifetimeType"), "Permanent") == 0;
	if (out->permanent && out->timeout_s == 0)
		return "sessionPersistence.absoluteTimeout: a permanent cookie needs one";
	out->kind = strcmp(type, "Header") == 0 ? TABLE_SESSION_HEADER : TABLE_SESSION_COOKIE;
	return NULL;
}
