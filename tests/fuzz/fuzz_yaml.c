/* Any bytes through the YAML and JSON reader; what it takes is printed and must be read back as the same value. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "mgmt-api/yaml/emit.h"
#include "mgmt-api/yaml/load.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void round_trip(yyjson_mut_val *root)
{
	yyjson_doc *doc = yyjson_mut_val_imut_copy(root, NULL), *back;
	struct yaml_documents again;
	struct yaml_error error;
	size_t yaml_bytes;
	char *yaml;

	CHECK(doc != NULL);
	CHECK(yaml_emit(yyjson_doc_get_root(doc), &yaml, &yaml_bytes) == OK);
	CHECK(yaml_load(yaml, yaml_bytes, &again, &error) == OK && again.n == 1);
	back = yyjson_mut_val_imut_copy(again.items[0].root, NULL);
	CHECK(back != NULL && yyjson_equals(yyjson_doc_get_root(doc), yyjson_doc_get_root(back)));
	yyjson_doc_free(back);
	yyjson_doc_free(doc);
	yaml_documents_fini(&again);
	free(yaml);
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
