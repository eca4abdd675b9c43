/* Bodies of writes: one object that must fit the path, or a transaction of many. */
#ifndef MGMT_API_API_BODY_H
#define MGMT_API_API_BODY_H

#include "mgmt-api/api/api.h"
#include "mgmt-api/yaml/load.h"

/* Reads the body as documents, by its Content-Type. */
bool body_read(const struct request *q, struct yaml_documents *out, struct refusal *f);
/* The one object of a body, checked against the path; namespace and generateName are filled in. */
yyjson_mut_val *body_object(const struct request *q, struct yaml_documents *documents, struct refusal *f);
/* dryRun and fieldValidation into a request to control. */
bool body_options(const struct request *q, yyjson_mut_doc *request, const char *validation_default, struct refusal *f);

#endif
