/* Answers: a document in JSON or YAML, a Status, or a plain text. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "mgmt-api/api/api.h"
#include "mgmt-api/yaml/emit.h"

const char *request_query(const struct request *q, const char *name)
{
	for (uint32_t i = 0; i < q->query_n; i++)
		if (strcmp(q->query[i].name, name) == 0)
			return q->query[i].value;
	return "";
}

const char *request_api_version(const struct request *q, char text[static REQUEST_VERSION_MAX])
{
	snprintf(text, REQUEST_VERSION_MAX, "%s%s%s", q->path.group, q->path.group[0] == '\0' ? "" : "/",
		 q->path.version);
	return text;
}

static bool write_yaml(struct answer *a, yyjson_mut_doc *doc)
{
	yyjson_doc *immutable = yyjson_mut_doc_imut_copy(doc, NULL);
	bool good = immutable != NULL &&
		    yaml_emit(yyjson_doc_get_root(immutable), &a->body, &a->body_bytes) == OK;

	yyjson_doc_free(immutable);
	return good;
}

static bool write_json(struct answer *a, yyjson_mut_doc *doc, bool pretty)
{
	yyjson_write_flag flags = YYJSON_WRITE_NEWLINE_AT_END | (pretty ? YYJSON_WRITE_PRETTY_TWO_SPACES : 0);

	a->body = yyjson_mut_write_opts(doc, flags, NULL, &a->body_bytes, NULL);
	return a->body != NULL;
}

void answer_document(struct answer *a, const struct request *q, unsigned code, yyjson_mut_doc *doc)
{
	bool yaml = q->wanted.media == MEDIA_YAML;
	const char *pretty = request_query(q, "pretty");

	CHECK(a->body == NULL && doc != NULL);
	a->code = code;
	a->content_type = yaml ? "application/yaml" : "application/json";
	if (!(yaml ? write_yaml(a, doc)
		   : write_json(a, doc, strcmp(pretty, "true") == 0 || strcmp(pretty, "1") == 0))) {
		a->code = 500;
		a->body_bytes = 0;
	}
}

void answer_refusal(struct answer *a, const struct request *q, const struct refusal *f)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);

	CHECK(doc != NULL && f->type != REFUSAL_NONE);
	yyjson_mut_doc_set_root(doc, refusal_status(f, doc));
	a->retry_after = f->type == REFUSAL_UNAVAILABLE || f->type == REFUSAL_TOO_MANY;
	answer_document(a, q, refusal_code(f->type), doc);
	yyjson_mut_doc_free(doc);
}

void answer_text(struct answer *a, unsigned code, const char *text)
{
	CHECK(a->body == NULL);
	a->code = code;
	a->content_type = "text/plain; charset=utf-8";
	a->body = strdup(text);
	CHECK(a->body != NULL);
	a->body_bytes = strlen(text);
}

void answer_warn(struct answer *a, const char *text)
{
	if (a->warnings_n < API_WARNINGS_MAX)
		a->warnings[a->warnings_n++] = strdup(text);
}

void answer_fini(struct answer *a)
{
	free(a->body);
	for (uint32_t i = 0; i < a->warnings_n; i++)
		free(a->warnings[i]);
	*a = (struct answer){0};
}
