/* Rules of ConfigMaps and Secrets: keys that can be file names, a bound of the whole, what a certificate needs. */
#include "control/admit/pattern.h"
#include "control/admit/rules.h"

enum { DATA_BYTES_MAX = 1 << 20 };

static size_t check_keys(yyjson_mut_val *root, const char *field, struct causes *causes)
{
	yyjson_mut_val *key, *value;
	size_t i, max, bytes = 0;

	yyjson_mut_obj_foreach(yyjson_mut_obj_get(root, field), i, max, key, value) {
		const char *text = yyjson_mut_get_str(key);

		bytes += yyjson_mut_get_len(value);
		if (!pattern_matches("^[-._a-zA-Z0-9]{1,253}$", text) || pattern_matches("^\\.\\.?$", text))
			causes_add(causes, CAUSE_INVALID, rule_path("%s[%.200s]", field, text).text,
				   "Invalid value: a key must consist of letters, digits, '-', '_' and '.'");
	}
	return bytes;
}

static void check_size(size_t bytes, struct causes *causes)
{
	if (bytes > DATA_BYTES_MAX)
		causes_add(causes, CAUSE_TOO_LONG, "data", "Too long: may not be more than %d bytes", DATA_BYTES_MAX);
}

void rules_config_map(yyjson_mut_val *root, yyjson_val *old, struct causes *causes)
{
	yyjson_mut_val *key, *value;
	size_t i, max, bytes = check_keys(root, "data", causes) + check_keys(root, "binaryData", causes) / 4 * 3;

	(void)old;
	check_size(bytes, causes);
	yyjson_mut_obj_foreach(yyjson_mut_obj_get(root, "binaryData"), i, max, key,
			       value) if (yyjson_mut_obj_get(yyjson_mut_obj_get(root, "data"), yyjson_mut_get_str(key)))
		causes_add(causes, CAUSE_DUPLICATE, rule_path("binaryData[%.200s]", yyjson_mut_get_str(key)).text,
			   "Duplicate value: the key is in data too");
}

void rules_secret(yyjson_mut_val *root, yyjson_val *old, struct causes *causes)
{
	static const char *const needed[] = {"tls.crt", "tls.key"};

	check_size(check_keys(root, "data", causes) / 4 * 3, causes);
	if (old && !mut_is(root, "type", doc_str(old, "type")))
		causes_add(causes, CAUSE_INVALID, "type", "Invalid value: \"%.80s\": field is immutable",
			   mut_text(root, "type"));
	for (size_t i = 0; mut_is(root, "type", "kubernetes.io/tls") && i < 2; i++)
		if (!yyjson_mut_obj_get(yyjson_mut_obj_get(root, "data"), needed[i]))
			causes_add(causes, CAUSE_REQUIRED, rule_path("data[%s]", needed[i]).text, "Required value");
}
