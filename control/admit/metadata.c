/* See metadata.h. Names: RFC 1123 subdomains; for Namespaces labels, for Services RFC 1035 labels. */
#include "control/admit/metadata.h"

#include <stdio.h>
#include <string.h>

#include "control/admit/pattern.h"
#include "control/random.h"

enum { LABEL_MAX = 63, NAME_MAX_CHARACTERS = 253, ANNOTATION_BYTES_MAX = 256 << 10, SUFFIX = 5 };

static const char label_1123[] = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";
static const char label_1035[] = "^[a-z]([-a-z0-9]*[a-z0-9])?$";
static const char subdomain[] = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
static const char qualified[] = "^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$";
static const char label_value[] = "^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$";

struct name_rule {
	const char *kind;
	const char *pattern;
	size_t max;
	const char *words;
};

static const struct name_rule name_rules[] = {
	{"Namespace", label_1123, LABEL_MAX,
	 "a DNS label: lower case letters, digits and '-', beginning and ending with a "
	 "letter or digit"},
	{"Service", label_1035, LABEL_MAX, "a DNS label: lower case letters, digits and '-', beginning with a letter"},
	{NULL, subdomain, NAME_MAX_CHARACTERS,
	 "a DNS subdomain: lower case letters, digits, '-' and '.', beginning and ending "
	 "with a letter or digit"},
};

static const char *text_of(yyjson_mut_val *object, const char *name)
{
	const char *s = yyjson_mut_get_str(yyjson_mut_obj_get(object, name));

	return s ? s : "";
}

static void check_name(const struct kind *kind, const char *name, struct causes *causes)
{
	const struct name_rule *rule = name_rules;

	while (rule->kind && strcmp(rule->kind, kind->name) != 0)
		rule++;
	if (strlen(name) > rule->max)
		causes_add(causes, CAUSE_TOO_LONG, "metadata.name", "Too long: may not be more than %zu characters",
			   rule->max);
	else if (!pattern_matches(rule->pattern, name))
		causes_add(causes, CAUSE_INVALID, "metadata.name", "Invalid value: \"%s\": must be %s", name,
			   rule->words);
}

/* Letters and digits that cannot be read as one another, nor make words. */
static void make_name(yyjson_mut_doc *doc, yyjson_mut_val *metadata, const char *prefix)
{
	static const char letters[] = "bcdfghjklmnpqrstvwxz2456789";
	char name[NAME_MAX_CHARACTERS + 1];
	uint8_t bytes[SUFFIX];
	int n = snprintf(name, sizeof(name) - SUFFIX, "%s", prefix);
	size_t at = n < (int)sizeof(name) - SUFFIX ? (size_t)n : sizeof(name) - SUFFIX - 1;

	random_bytes(bytes, sizeof(bytes));
	for (size_t i = 0; i < SUFFIX; i++)
		name[at + i] = letters[bytes[i] % (sizeof(letters) - 1)];
	name[at + SUFFIX] = 0;
	yyjson_mut_obj_put(metadata, yyjson_mut_str(doc, "name"), yyjson_mut_strcpy(doc, name));
}

/* YAML reads many a name as something else: no, 123. What is no text must not pass for one that is not there. */
static bool are_texts(yyjson_mut_val *metadata, struct causes *causes)
{
	static const char *const names[] = {"name", "generateName", "namespace"};
	const size_t before = causes->total;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		yyjson_mut_val *value = yyjson_mut_obj_get(metadata, names[i]);
		char path[32];

		snprintf(path, sizeof(path), "metadata.%s", names[i]);
		if (value && !yyjson_mut_is_str(value) && !yyjson_mut_is_null(value))
			causes_add(causes, CAUSE_TYPE, path, "Invalid value: must be of type string; "
				   "a number or a truth value of YAML needs quotes to be one");
	}
	return causes->total == before;
}

void metadata_identity(const struct kind *kind, yyjson_mut_doc *doc, yyjson_mut_val *metadata, struct causes *causes)
{
	const char *namespace = text_of(metadata, "namespace"), *prefix = text_of(metadata, "generateName");

	if (!are_texts(metadata, causes))
		return;
	if (!*text_of(metadata, "name") && *prefix)
		make_name(doc, metadata, prefix);
	if (!*text_of(metadata, "name"))
		causes_add(causes, CAUSE_REQUIRED, "metadata.name", "Required value: name or generateName is required");
	else
		check_name(kind, text_of(metadata, "name"), causes);
	if (!kind->namespaced && *namespace)
		causes_add(causes, CAUSE_FORBIDDEN, "metadata.namespace", "Forbidden: %s has no namespace", kind->name);
	if (!kind->namespaced)
		yyjson_mut_obj_remove_str(metadata, "namespace");
	else if (!*namespace)
		yyjson_mut_obj_put(metadata, yyjson_mut_str(doc, "namespace"), yyjson_mut_str(doc, "default"));
	else if (strlen(namespace) > LABEL_MAX || !pattern_matches(label_1123, namespace))
		causes_add(causes, CAUSE_INVALID, "metadata.namespace", "Invalid value: \"%s\": must be a DNS label",
			   namespace);
}

/* "prefix/name" or "name". */
static bool is_key(const char *key)
{
	const char *slash = strchr(key, '/'), *name = slash ? slash + 1 : key;
	char prefix[NAME_MAX_CHARACTERS + 1];

	if (strlen(name) > LABEL_MAX || !pattern_matches(qualified, name))
		return false;
	if (!slash)
		return true;
	if ((size_t)(slash - key) > NAME_MAX_CHARACTERS)
		return false;
	memcpy(prefix, key, (size_t)(slash - key));
	prefix[slash - key] = 0;
	return pattern_matches(subdomain, prefix);
}

static void check_labels(yyjson_mut_val *labels, struct causes *causes)
{
	yyjson_mut_val *key, *value;
	size_t i, max;

	yyjson_mut_obj_foreach(labels, i, max, key, value) {
		const char *name = yyjson_mut_get_str(key), *text = yyjson_mut_get_str(value);

		if (!is_key(name))
			causes_add(causes, CAUSE_INVALID, "metadata.labels",
				   "Invalid value: \"%.300s\": must be a label key", name);
		if (text && (strlen(text) > LABEL_MAX || !pattern_matches(label_value, text)))
			causes_add(causes, CAUSE_INVALID, "metadata.labels",
				   "Invalid value: \"%.80s\": must be a label value: at most 63 "
				   "letters, digits, '-', '_' or '.', beginning and ending with a letter or digit",
				   text);
	}
}

static void check_annotations(yyjson_mut_val *annotations, struct causes *causes)
{
	yyjson_mut_val *key, *value;
	size_t i, max, bytes = 0;

	yyjson_mut_obj_foreach(annotations, i, max, key, value) {
		bytes += yyjson_mut_get_len(key) + yyjson_mut_get_len(value);
		if (!is_key(yyjson_mut_get_str(key)))
			causes_add(causes, CAUSE_INVALID, "metadata.annotations",
				   "Invalid value: \"%.300s\": must be an annotation key", yyjson_mut_get_str(key));
	}
	if (bytes > ANNOTATION_BYTES_MAX)
		causes_add(causes, CAUSE_TOO_LONG, "metadata.annotations", "Too long: may not be more than %d bytes",
		           ANNOTATION_BYTES_MAX);
}

void metadata_check(yyjson_mut_val *metadata, struct causes *causes)
{
	check_labels(yyjson_mut_obj_get(metadata, "labels"), causes);
	check_annotations(yyjson_mut_obj_get(metadata, "annotations"), causes);
}

/* RFC 9562, 5.4: 122 random bits. */
static void make_uid(char text[static 37])
{
	uint8_t b[16];

	random_bytes(b, sizeof(b));
	b[6] = (uint8_t)(0x40 | (b[6] & 0x0f));
	b[8] = (uint8_t)(0x80 | (b[8] & 0x3f));
	snprintf(text, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2],
		 b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

static void put(yyjson_mut_doc *doc, yyjson_mut_val *metadata, const char *name, yyjson_mut_val *value)
{
	yyjson_mut_obj_remove_str(metadata, name);
	if (value)
		yyjson_mut_obj_add_val(doc, metadata, name, value);
}

void metadata_stamp(yyjson_mut_doc *doc, yyjson_mut_val *metadata, yyjson_val *old, const char *now)
{
	static const char *const kept[] = {"uid", "creationTimestamp", "generation", "deletionTimestamp",
	                                   "deletionGracePeriodSeconds", "generateName"};
	yyjson_val *before = doc_get(old, "metadata");
	char uid[37];

	put(doc, metadata, "managedFields", NULL);
	put(doc, metadata, "selfLink", NULL);
	put(doc, metadata, "resourceVersion", NULL);
	for (size_t i = 0; old && i < sizeof(kept) / sizeof(kept[0]); i++)
		put(doc, metadata, kept[i], yyjson_val_mut_copy(doc, doc_get(before, kept[i])));
	if (old)
		return;
	make_uid(uid);
	put(doc, metadata, "uid", yyjson_mut_strcpy(doc, uid));
	put(doc, metadata, "creationTimestamp", yyjson_mut_strcpy(doc, now));
	put(doc, metadata, "generation", yyjson_mut_sint(doc, 1));
	put(doc, metadata, "deletionTimestamp", NULL);
	put(doc, metadata, "deletionGracePeriodSeconds", NULL);
}
