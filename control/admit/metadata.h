/* The rules of metadata that schemas do not say: what names, labels and annotations may look like. */
#ifndef ADMIT_METADATA_H
#define ADMIT_METADATA_H

#include "control/admit/causes.h"
#include "control/schema/kind.h"

/* Name and namespace; makes the name from generateName when there is none. */
void metadata_identity(const struct kind *kind, yyjson_mut_doc *doc, yyjson_mut_val *metadata, struct causes *causes);
void metadata_check(yyjson_mut_val *metadata, struct causes *causes);
/* What only the server sets: from the old object, or made anew. */
void metadata_stamp(yyjson_mut_doc *doc, yyjson_mut_val *metadata, yyjson_val *old, const char *now);

#endif
