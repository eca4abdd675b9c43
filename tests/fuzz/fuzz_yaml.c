/* Any bytes through the YAML and JSON reader; what it takes is printed, and read back it must print the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "mgmt-api/yaml/emit.h"
#include "mgmt-api/yaml/load.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static char *print(yyjson_mut_val *root)
{
	yyjson_doc *doc = yyjson_mut_val_imut_copy(root, NULL);
	size_t bytes;
	char *yaml;

	CHECK(doc != NULL);
	CHECK(yaml_emit(yyjson_doc_get_root(doc), &yaml, &bytes) == OK && strlen(yaml) == bytes);
	yyjson_doc_free(doc);
	return yaml;
}

/* Texts are compared, not values: 8.0 is printed as 8, which is another type to yyjson but the same to JSON. */
static void round_trip(yyjson_mut_val *root)
{
	struct yaml_documents again;
	struct yaml_error error;
	char *first = print(root), *second;

	CHECK(yaml_load(first, strlen(first), &again, &error) == OK);
	if (!yyjson_mut_is_null(root)) {
		CHECK(again.n == 1);
		second = print(again.items[0].root);
		CHECK(strcmp(first, second) == 0);
		free(second);
	}
	yaml_documents_fini(&again);
	free(first);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct yaml_documents documents;
	struct yaml_error error;
	uint32_t line, column;

	if (yaml_load((const char *)bytes, n, &documents, &error) == OK) {
		for (size_t i = 0; i < documents.n; i++)
			round_trip(documents.items[i].root);
		yaml_documents_fini(&documents);
	}
	yaml_locate((const char *)bytes, n, 0, "a.b[0].c", &line, &column);
	return 0;
}
