/*
 * RequestHeaderModifier: sets, adds and removes header fields of the request (header_edits.h has the rules). Setting
 * Host changes the authority that the backend is sent.
 */
#include "filter/header_edits.h"

static enum err compile(const struct filter_source *from, struct builder *b, uint32_t *offset,
                        struct filter_problem *problem)
{
	struct header_edits edits = {0};
	const enum err e =
		header_edits_compile(from->spec, "requestHeaderModifier", HEADERS_OF_REQUEST, b, &edits, problem);

	if (e == OK)
		*offset = builder_put(b, &edits, sizeof(edits));
	return e;
}

static enum err verify(const void *block, size_t bytes, const void *config)
{
	return header_edits_verify(block, bytes, config);
}

static enum filter_verdict on_request(struct filter_exchange *x, void *copied)
{
	return header_edits_apply(copied, x->request, x->arena) ? FILTER_CONTINUE : filter_no_memory(x);
}

const struct filter filter_request_header_modifier = {
	.name = "request_header_modifier",
	.type = "RequestHeaderModifier",
	.member = "requestHeaderModifier",
	.config_bytes = sizeof(struct header_edits),
	.compile = compile,
	.verify = verify,
	.copy = header_edits_copy,
	.on_request = on_request,
};
