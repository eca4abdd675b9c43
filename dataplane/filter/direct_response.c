/*
 * DirectResponse: answers by itself (Envoy Gateway: HTTPRouteFilter.directResponse). Status 200 when none is given, the
 * body of the manifest or of a ConfigMap, header fields set and added.
 *
 * Refused: a body that does not fit into a piece of an arena, and one with a "%" that Envoy would take for a command
 * to expand; statuses that Envoy refuses; a body where HTTP allows none.
 */
#include <string.h>

#include "filter/header_edits.h"

struct config {
	uint32_t status;
	uint32_t spare;
	struct table_text body, content_type;
	struct header_edits edits;
};

/* ---- control ---- */

/* Something that Envoy's formatter would look at: "%RESPONSE_CODE%", "%%". */
static bool has_command(struct text body)
{
	for (uint32_t i = 0; i + 1 < body.len; i++) {
		const char next = body.at[i + 1];

		if (body.at[i] == '%' && (next == '%' || (next >= 'A' && next <= 'Z')))
			return true;
	}
	return false;
}

static bool has_no_body(uint32_t status)
{
	return status == 204 || status == 304;
}

static enum err compile_body(const struct filter_source *from, struct builder *b, struct config *c,
                             struct filter_problem *problem)
{
	if (from->text.len == 0)
		return OK;
	if (from->text.len > ARENA_PIECE_MAX)
		return filter_refuse(problem, "directResponse.body", "is longer than %d bytes", ARENA_PIECE_MAX);
	if (has_command(from->text))
		return filter_refuse(problem, "directResponse.body", "command operators (%%) are not supported");
	if (has_no_body(c->status))
		return filter_refuse(problem, "directResponse.body", "status %u has none", c->status);
	c->body = builder_text(b, from->text.at, from->text.len);
	return OK;
}

static enum err compile(const struct filter_source *from, struct builder *b, uint32_t *offset,
                        struct filter_problem *problem)
{
	yyjson_val *type = doc_get(from->spec, "contentType"), *header = doc_get(from->spec, "header");
	const int64_t status = doc_int(from->spec, "statusCode", 200);
	struct config c = {.status = (uint32_t)status};
	enum err e;

	if (status < 200 || status > 599)
		return filter_refuse(problem, "directResponse.statusCode", "must be a number from 200 to 599");
	if (doc_get(header, "remove") != NULL)
		return filter_refuse(problem, "directResponse.header.remove", "is not supported for an answer");
	if (type != NULL) {
		if (!yyjson_is_str(type) || yyjson_get_len(type) > ARENA_PIECE_MAX ||
		    !header_is_value(yyjson_get_str(type), yyjson_get_len(type)))
			return filter_refuse(problem, "directResponse.contentType", "is not a header value");
		c.content_type = builder_text(b, yyjson_get_str(type), yyjson_get_len(type));
	}
	e = compile_body(from, b, &c, problem);
	if (e == OK)
		e = header_edits_compile(header, "directResponse.header", HEADERS_OF_RESPONSE, b, &c.edits, problem);
	if (e == OK)
		*offset = builder_put(b, &c, sizeof(c));
	return e;
}

/* ---- verifier ---- */

static enum err verify(const void *block, size_t bytes, const void *config)
{
	const struct config *c = config;
	enum err e;

	if (c->status < 200 || c->status > 599 || (has_no_body(c->status) && c->body.len > 0))
		return ERR_TABLE_VALUE;
	if (filter_verify_text(block, bytes, c->body) != OK)
		return ERR_TABLE_BOUNDS;
	e = header_verify_value(block, bytes, c->content_type);
	return e != OK ? e : header_edits_verify(block, bytes, &c->edits);
}

/* ---- data plane ---- */

struct copied {
	uint16_t status;
	struct text body, content_type;
	const struct header_edits_copy *edits;
};

static void *copy(struct arena *a, const struct table *t, const void *config)
{
	const struct config *c = config;
	struct copied *to = arena_get(a, sizeof(*to));

	if (to == NULL)
		return NULL;
	*to = (struct copied){
		.status = (uint16_t)c->status, .body = filter_copy_text(a, t, c->body),
		.content_type = filter_copy_text(a, t, c->content_type), .edits = header_edits_copy(a, t, &c->edits),
	};
	return to->body.at != NULL && to->content_type.at != NULL && to->edits != NULL ? to : NULL;
}

static enum filter_verdict on_request(struct filter_exchange *x, void *copied)
{
	const struct copied *c = copied;

	x->reply = (struct filter_reply){.status = c->status, .body = c->body, .details = "direct_response"};
	return FILTER_REPLY;
}

/* Its own answer comes back through it. */
static enum filter_verdict on_response(struct filter_exchange *x, void *copied)
{
	const struct copied *c = copied;

	if (c->content_type.len > 0 && c->body.len > 0 &&
	    http_set(x->response, x->arena, TEXT("content-type"), c->content_type) != OK)
		return filter_no_memory(x);
	return header_edits_apply(c->edits, x->response, x->arena) ? FILTER_CONTINUE : filter_no_memory(x);
}

const struct filter filter_direct_response = {
	.name = "direct_response",
	.type = "DirectResponse",
	.member = "directResponse",
	.config_bytes = sizeof(struct config),
	.of_replies = true,
	.compile = compile,
	.verify = verify,
	.copy = copy,
	.on_request = on_request,
	.on_response = on_response,
};
