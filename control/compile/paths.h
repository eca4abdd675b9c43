/*
 * Virtual hosts and their path tries: from the model's attachments to the tables' vhosts, nodes, edges and matches.
 */
#ifndef COMPILE_PATHS_H
#define COMPILE_PATHS_H

#include "control/model/model.h"
#include "control/model/region.h"
#include "table/builder.h"

struct paths;

struct paths *paths_put(const struct model *m, struct builder *b, struct region *r);
/* The index of a live listener's virtual hosts. */
void paths_hosts(const struct paths *p, const struct model_listener *l, struct builder *b, struct region *r,
                 struct table_listener *out);

#endif
