/*
 * ResponseHeaderModifier: sets, adds and removes header fields of the response (header_edits.h has the rules), also of
 * those that the gateway makes itself once the request has passed this filter.
 */
#include "filter/header_edits.h"

static enum err compile(const struct filter_source *from, struct builder *b, uint32_t *offset,
                        struct filter_problem *problem)
{
	struct header_edits edits = {0};
	const enum err e =
		header_edits_compile(from->spec, "responseHeaderModifier", HEADERS_OF_RESPONSE, b, &edits, problem);

	if (e == OK)
		*offset = builder_put(b, &edits, sizeof(edits));
	return e;
}

static enum err verify(const void *block, size_t bytes, const void *config)
{
	return header_edits_verify(block, bytes, config);
}

static enum filter_verdict on_response(struct filter_exchange *x, void *copied)
{
	return header_edits_apply(copied, x->response, x->arena) ? FILTER_CONTINUE : filter_no_memory(x);
}

const struct filter filter_response_header_modifier = {
	.name = "response_header_modifier",
	.type = "ResponseHeaderModifier",
	.member = "responseHeaderModifier",
	.config_bytes = sizeof(struct header_edits),
	.of_replies = true,
	.compile = compile,
	.verify = verify,
	.copy = header_edits_copy,
	.on_response = on_response,
};
