/* Reading manifests. */
#include "mgmt-api/ctl/manifest.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/check.h"

static bool read_all(FILE *file, char **text, size_t *bytes)
{
	size_t space = 0, n;

	*text = NULL;
	*bytes = 0;
	do {
		if (*bytes + 65536 > space) {
			space = space == 0 ? 131072 : space * 2;
			*text = realloc(*text, space);
			CHECK(*text != NULL);
		}
		n = fread(*text + *bytes, 1, space - *bytes - 1, file);
		*bytes += n;
	} while (n > 0 && *bytes <= YAML_BYTES_MAX);
	(*text)[*bytes] = '\0';
	return ferror(file) == 0;
}

static void object_add(struct manifest *m, yyjson_mut_val *value, size_t file, size_t document, long item)
{
	if ((m->objects_n & (m->objects_n - 1)) == 0) {
		m->objects = realloc(m->objects, (m->objects_n == 0 ? 1 : m->objects_n * 2) * sizeof(*m->objects));
		CHECK(m->objects != NULL);
	}
	m->objects[m->objects_n++] = (struct manifest_object){.value = value, .file = file, .document = document,
							      .item = item};
}

static bool is_list(yyjson_mut_val *value)
{
	const char *kind = yyjson_mut_get_str(yyjson_mut_obj_get(value, "kind"));
	size_t n = kind == NULL ? 0 : strlen(kind);

	return n >= 4 && strcmp(kind + n - 4, "List") == 0 && yyjson_mut_is_arr(yyjson_mut_obj_get(value, "items"));
}

/* Not an object, or one without a kind: said here, where the line is known. */
static bool objects_collect(struct manifest *m, size_t file)
{
	const struct manifest_file *f = &m->files[file];

	for (size_t i = 0; i < f->documents.n; i++) {
		yyjson_mut_val *root = f->documents.items[i].root, *item;
		yyjson_mut_arr_iter items;
		long number = 0;

		if (!yyjson_mut_is_obj(root)) {
			fprintf(stderr,
				"%s:%u:1: not an object: a manifest is a mapping with apiVersion, kind and metadata\n",
				f->path, f->documents.items[i].line);
			return false;
		}
		if (!is_list(root)) {
			object_add(m, root, file, i, -1);
			continue;
		}
		yyjson_mut_arr_iter_init(yyjson_mut_obj_get(root, "items"), &items);
		while ((item = yyjson_mut_arr_iter_next(&items)) != NULL)
			object_add(m, item, file, i, number++);
	}
	return true;
}

static bool file_read(struct manifest *m, const char *path)
{
	bool standard_input = strcmp(path, "-") == 0, good;
	FILE *file = standard_input ? stdin : fopen(path, "re");
	struct manifest_file *f;
	struct yaml_error error;

	if (file == NULL) {
		fprintf(stderr, "error: %s: %s\n", path, strerror(errno));
		return false;
	}
	m->files = realloc(m->files, (m->files_n + 1) * sizeof(*m->files));
	CHECK(m->files != NULL);
	f = &m->files[m->files_n++];
	*f = (struct manifest_file){.path = strdup(standard_input ? "<stdin>" : path)};
	CHECK(f->path != NULL);
	good = read_all(file, &f->text, &f->bytes);
	if (!standard_input)
		fclose(file);
	if (!good) {
		fprintf(stderr, "error: %s: cannot be read\n", path);
		return false;
	}
	if (yaml_load(f->text, f->bytes, &f->documents, &error) != OK) {
		if (error.line == 0)
			fprintf(stderr, "%s: %s\n", f->path, error.text);
		else
			fprintf(stderr, "%s:%u:%u: %s\n", f->path, error.line, error.column, error.text);
		return false;
	}
	return objects_collect(m, m->files_n - 1);
}

static int wanted(const struct dirent *e)
{
	static const char *const endings[] = {".yaml", ".yml", ".json"};
	size_t n = strlen(e->d_name);

	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++)
		if (n > strlen(endings[i]) && strcmp(e->d_name + n - strlen(endings[i]), endings[i]) == 0)
			return e->d_name[0] != '.';
	return 0;
}

/* Bytewise order, whatever the locale: the order of files is part of what a message says. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static bool directory_read(struct manifest *m, const char *path)
{
	struct dirent **entries;
	int n = scandir(path, &entries, wanted, by_name);
	char name[4096];
	bool good = n > 0;

	if (n < 0) {
		fprintf(stderr, "error: %s: %s\n", path, strerror(errno));
		return false;
	}
	if (n == 0)
		fprintf(stderr, "error: %s: no *.yaml, *.yml or *.json in it\n", path);
	for (int i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "%s/%s", path, entries[i]->d_name);
		good = good && file_read(m, name);
		free(entries[i]);
	}
	free(entries);
	return good;
}

bool manifest_read(struct manifest *m, const char *const *paths, size_t n)
{
	struct stat s;

	*m = (struct manifest){0};
	for (size_t i = 0; i < n; i++) {
		bool directory = strcmp(paths[i], "-") != 0 && stat(paths[i], &s) == 0 && S_ISDIR(s.st_mode);

		if (!(directory ? directory_read(m, paths[i]) : file_read(m, paths[i])))
			return false;
	}
	if (m->objects_n == 0)
		fprintf(stderr, "error: no objects passed\n");
	return m->objects_n > 0;
}

void manifest_fini(struct manifest *m)
{
	for (size_t i = 0; i < m->files_n; i++) {
		yaml_documents_fini(&m->files[i].documents);
		free(m->files[i].path);
		free(m->files[i].text);
	}
	free(m->files);
	free(m->objects);
	*m = (struct manifest){0};
}

void manifest_print_place(const struct manifest *m, size_t object, const char *field)
{
	const struct manifest_object *o = &m->objects[object];
	const struct manifest_file *f = &m->files[o->file];
	uint32_t line, column;
	char path[1024];

	if (o->item < 0)
		snprintf(path, sizeof(path), "%s", field);
	else
		snprintf(path, sizeof(path), "items[%ld]%s%s", o->item, field[0] == '\0' ? "" : ".", field);
	if (yaml_locate(f->text, f->bytes, o->document, path, &line, &column))
		fprintf(stderr, "%s:%u:%u: ", f->path, line, column);
	else
		fprintf(stderr, "%s:%u: ", f->path, f->documents.items[o->document].line);
}

char *manifest_list(const struct manifest *m, const bool *skip, size_t *bytes)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *root, *items;
	char *text;

	CHECK(doc != NULL);
	root = yyjson_mut_obj(doc);
	yyjson_mut_doc_set_root(doc, root);
	yyjson_mut_obj_add_str(doc, root, "apiVersion", "v1");
	yyjson_mut_obj_add_str(doc, root, "kind", "List");
	items = yyjson_mut_obj_add_arr(doc, root, "items");
	for (size_t i = 0; i < m->objects_n; i++)
		if (skip == NULL || !skip[i])
			yyjson_mut_arr_append(items, yyjson_mut_val_mut_copy(doc, m->objects[i].value));
	text = yyjson_mut_write(doc, 0, bytes);
	yyjson_mut_doc_free(doc);
	CHECK(text != NULL);
	return text;
}
