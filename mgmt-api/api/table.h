/* meta.k8s.io/v1 Table: how a server prints objects for kubectl and sluicectl, by the printer columns of their kind. */
#ifndef MGMT_API_API_TABLE_H
#define MGMT_API_API_TABLE_H

#include "base/doc.h"
#include "control/schema/kind.h"

enum table_object { TABLE_OBJECT_METADATA, TABLE_OBJECT_NONE, TABLE_OBJECT_WHOLE };

/* A Table of the objects (an array in doc), which may become part of it. now_s: seconds since the epoch, for ages. */
yyjson_mut_val *table_make(yyjson_mut_doc *doc, const struct kind *kind, yyjson_mut_val *objects, int64_t now_s,
			   enum table_object object);

#endif
