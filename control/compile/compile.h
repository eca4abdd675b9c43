/*
 * The compiler: from the model to a generation. The same objects give the same bytes, whatever the order they came in.
 */
#ifndef COMPILE_COMPILE_H
#define COMPILE_COMPILE_H

#include "control/model/model.h"
#include "table/builder.h"

struct generation {
	struct builder *builder;     /* owns the block */
	const struct table *table;
	size_t bytes;
};

enum err generation_compile(const struct model *m, struct generation *out) MUST_CHECK;
void generation_fini(struct generation *g);

#endif
