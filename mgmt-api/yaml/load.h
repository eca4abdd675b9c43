/*
 * Text to documents: a stream of YAML or JSON documents becomes mutable JSON values.
 *
 * Scalars mean what sigs.k8s.io/yaml makes of them, because that is what every manifest was written against: YAML 1.1
 * words (yes, no, on, off, y, n as well as true and false) are booleans, 0x, 0o, 0b and a leading 0 are bases, 1_000 is
 * a number, dates stay strings, quoted scalars are always strings, and a key that is a number or a boolean becomes its
 * text. Stricter than Kubernetes where leniency only hides mistakes: duplicate keys, unknown tags, NaN and infinities
 * are refused.
 *
 * A text that begins with {" is JSON (one value after another, with or without --- between them).
 *
 * Input is bounded in bytes, depth, documents and nodes; what aliases and merge keys copy is bounded separately, so
 * that a small text cannot become a large document.
 */
#ifndef MGMT_API_YAML_LOAD_H
#define MGMT_API_YAML_LOAD_H

#include <stdint.h>

#include "base/doc.h"
#include "base/err.h"

enum {
	YAML_BYTES_MAX = 16 << 20,
	YAML_DEPTH_MAX = 100,
	YAML_DOCUMENTS_MAX = 50000,
	YAML_NODES_MAX = 4 << 20,
	YAML_COPIES_MAX = 100000,   /* nodes made by aliases and merge keys */
};

struct yaml_error {
	uint32_t line;              /* from 1; 0 when the error has no place */
	uint32_t column;            /* from 1, in characters */
	char text[256];             /* one clause, no full stop */
};

struct yaml_document {
	yyjson_mut_val *root;
	uint32_t line;              /* where its first node begins */
};

struct yaml_documents {
	yyjson_mut_doc *doc;        /* owns all values */
	struct yaml_document *items; /* empty documents are left out */
	size_t n;
};

/* Errors: INVALID (syntax or meaning), LIMIT, NO_MEMORY; *out is then empty and *error says where and why. */
enum err yaml_load(const char *text, size_t bytes, struct yaml_documents *out, struct yaml_error *error) MUST_CHECK;
void yaml_documents_fini(struct yaml_documents *documents);

/*
 * Where is the value that a path ("spec.rules[0].matches") names in document number `index` (of those that yaml_load
 * returns)? Of a path that leads nowhere, the place of the deepest part that exists. False: no such document.
 */
bool yaml_locate(const char *text, size_t bytes, size_t index, const char *path, uint32_t *line, uint32_t *column);

#endif
