/* What commands share: names, paths and error messages. */
#include "mgmt-api/ctl/ctl.h"

#include <stdio.h>
#include <string.h>

const struct kind *ctl_kind(const char *word)
{
	const struct kind *kind = kind_by_word(word);

	if (kind == NULL && strchr(word, '/') != NULL)
		fprintf(stderr, "error: \"%s\": kind and name are two words\n", word);
	else if (kind == NULL)
		fprintf(stderr, "error: the server doesn't have a resource type \"%s\" (sluicectl --help lists them)\n",
			word);
	return kind;
}

void ctl_path(char out[static CTL_PATH_MAX], const struct kind *kind, const char *namespace, const char *name)
{
	size_t n = (size_t)snprintf(out, CTL_PATH_MAX, "/%s%s/%s", kind->group[0] == '\0' ? "api" : "apis/",
				    kind->group, kind->stored_version);

	if (kind->namespaced && namespace != NULL) {
		n += (size_t)snprintf(out + n, CTL_PATH_MAX - n, "/namespaces/");
		ctl_encode(out + n, CTL_PATH_MAX - n, namespace);
		n += strlen(out + n);
	}
	n += (size_t)snprintf(out + n, CTL_PATH_MAX - n, "/%s", kind->plural);
	if (name != NULL && n + 1 < CTL_PATH_MAX) {
		out[n++] = '/';
		out[n] = '\0';
		ctl_encode(out + n, CTL_PATH_MAX - n, name);
	}
}

void ctl_encode(char *out, size_t space, const char *text)
{
	size_t n = 0;

	for (; *text != '\0' && n + 4 < space; text++) {
		unsigned char c = (unsigned char)*text;

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		    strchr("-._~", c) != NULL)
			out[n++] = (char)c;
		else
			n += (size_t)snprintf(out + n, space - n, "%%%02X", c);
	}
	out[n] = '\0';
}

void ctl_print_name(const struct kind *kind, const char *name)
{
	printf("%s%s%s/%s", kind->singular, kind->group[0] == '\0' ? "" : ".", kind->group, name);
}

void ctl_warnings(const struct client_reply *r)
{
	for (size_t i = 0; i < r->warnings_n; i++)
		fprintf(stderr, "Warning: %s\n", r->warnings[i]);
}

int ctl_refused(const struct client_reply *r)
{
	yyjson_doc *doc = yyjson_read(r->body, r->body_bytes, 0);
	yyjson_val *status = yyjson_doc_get_root(doc);
	const char *reason = doc_str(status, "reason"), *message = doc_str(status, "message");

	ctl_warnings(r);
	if (message[0] == '\0')
		fprintf(stderr, "error: from server: HTTP %ld: %.200s\n", r->code, r->body);
	else if (reason[0] == '\0')
		fprintf(stderr, "error: from server: %s\n", message);
	else
		fprintf(stderr, "error: from server (%s): %s\n", reason, message);
	yyjson_doc_free(doc);
	return r->code == 503 || r->code == 504 ? CTL_NO_ANSWER : CTL_FAILED;
}
