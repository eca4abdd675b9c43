/*
 * Manifests: the objects of files, directories or standard input, and where in which file each of them stands.
 *
 * A List is its items. The objects of all files make one transaction, so an error that the server reports for object
 * number i, field f, is led back to file, line and column.
 */
#ifndef MGMT_API_CTL_MANIFEST_H
#define MGMT_API_CTL_MANIFEST_H

#include "mgmt-api/yaml/load.h"

struct manifest_file {
	char *path;                     /* "<stdin>" for - */
	char *text;
	size_t bytes;
	struct yaml_documents documents;
};

struct manifest_object {
	yyjson_mut_val *value;          /* belongs to its file's documents */
	size_t file;
	size_t document;
	long item;                      /* of a List; -1: the document itself */
};

struct manifest {
	struct manifest_file *files;
	size_t files_n;
	struct manifest_object *objects;
	size_t objects_n;
};

/* Every path may be a file, a directory (its *.yaml, *.yml and *.json in order of name) or "-". False after a message.
 */
bool manifest_read(struct manifest *m, const char *const *paths, size_t n);
void manifest_fini(struct manifest *m);
/* Prints "file:line:column: " of a field of an object to standard error. */
void manifest_print_place(const struct manifest *m, size_t object, const char *field);
/* All objects but those that skip[] marks (null: none), as one JSON List; malloc'ed. */
char *manifest_list(const struct manifest *m, const bool *skip, size_t *bytes);

#endif
