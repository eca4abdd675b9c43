/*
 * From a field path back to a place in the text: the events are walked again, descending only where the path leads.
 * It runs once, for the one error that is shown to a person, so it favours shortness over speed.
 */
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/check.h"
#include "mgmt-api/yaml/load.h"

enum { SEGMENT_MAX = 300 };

struct walker {
	yaml_parser_t parser;
	yaml_event_t event;
	bool broken;
	uint32_t line, column;
};

static yaml_event_type_t next(struct walker *w)
{
	if (w->broken)
		return YAML_NO_EVENT;
	yaml_event_delete(&w->event);
	if (!yaml_parser_parse(&w->parser, &w->event)) {
		w->broken = true;
		memset(&w->event, 0, sizeof(w->event));
	}
	return w->event.type;
}

static void mark(struct walker *w)
{
	w->line = (uint32_t)w->event.start_mark.line + 1;
	w->column = (uint32_t)w->event.start_mark.column + 1;
}

/* Skips what is left of the node whose first event is the current one. */
static void skip(struct walker *w)
{
	int open = 0;

	for (;;) {
		switch (w->event.type) {
		case YAML_MAPPING_START_EVENT: case YAML_SEQUENCE_START_EVENT:
			open++;
			break;
		case YAML_MAPPING_END_EVENT: case YAML_SEQUENCE_END_EVENT:
			open--;
			break;
		case YAML_NO_EVENT:
			return;
		default:
			break;
		}
		if (open == 0)
			return;
		next(w);
	}
}

/* Takes the first segment off a path: a name, or what stands in brackets. */
static const char *segment_take(const char *path, char out[SEGMENT_MAX])
{
	size_t n;

	if (*path == '.')
		path++;
	if (*path == '[') {
		path++;
		n = strcspn(path, "]");
	} else {
		n = strcspn(path, ".[");
	}
	if (n >= SEGMENT_MAX)
		n = SEGMENT_MAX - 1;
	memcpy(out, path, n);
	out[n] = '\0';
	path += n;
	return *path == ']' ? path + 1 : path;
}

static void descend(struct walker *w, const char *path);

static void descend_mapping(struct walker *w, const char *name, const char *rest)
{
	while (next(w) != YAML_MAPPING_END_EVENT && !w->broken) {
		if (w->event.type == YAML_SCALAR_EVENT && strcmp((const char *)w->event.data.scalar.value, name) == 0) {
			mark(w);
			next(w);
			if (*rest != '\0')
				descend(w, rest);
			w->broken = true; /* found: the walk is over */
			return;
		}
		skip(w);
		next(w);
		skip(w);
	}
}

static void descend_sequence(struct walker *w, const char *index, const char *rest)
{
	char *end;
	unsigned long wanted = strtoul(index, &end, 10);

	if (*end != '\0' || end == index)
		return;
	for (unsigned long i = 0; next(w) != YAML_SEQUENCE_END_EVENT && !w->broken; i++) {
		if (i == wanted) {
			mark(w);
			if (*rest != '\0')
				descend(w, rest);
			w->broken = true;
			return;
		}
		skip(w);
	}
}

static void descend(struct walker *w, const char *path)
{
	char name[SEGMENT_MAX];
	const char *rest = segment_take(path, name);

	if (w->event.type == YAML_MAPPING_START_EVENT)
		descend_mapping(w, name, rest);
	else if (w->event.type == YAML_SEQUENCE_START_EVENT)
		descend_sequence(w, name, rest);
}

static bool empty(const yaml_event_t *e)
{
	return e->type == YAML_SCALAR_EVENT && e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	       (e->data.scalar.length == 0 || strcmp((const char *)e->data.scalar.value, "null") == 0 ||
		strcmp((const char *)e->data.scalar.value, "~") == 0);
}

bool yaml_locate(const char *text, size_t bytes, size_t index, const char *path, uint32_t *line, uint32_t *column)
{
	struct walker w = {0};
	bool found = false;

	CHECK(text != NULL && path != NULL);
	if (!yaml_parser_initialize(&w.parser))
		return false;
	yaml_parser_set_input_string(&w.parser, (const unsigned char *)text, bytes);
	while (!found && !w.broken && next(&w) != YAML_STREAM_END_EVENT) {
		if (w.event.type != YAML_DOCUMENT_START_EVENT)
			continue;
		next(&w);
		if (w.broken || empty(&w.event))
			continue;
		if (index-- == 0) {
			found = true;
			mark(&w);
			if (*path != '\0')
				descend(&w, path);
		} else {
			skip(&w);
		}
	}
	yaml_event_delete(&w.event);
	yaml_parser_delete(&w.parser);
	*line = w.line;
	*column = w.column;
	return found;
}
