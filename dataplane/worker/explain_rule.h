/*
 * What follows from a rule: filters in order, the share of each backend, its endpoints and which of them are ejected;
 * for every timeout, retry and session the value that counts and the object that it is from ("HTTPRoute default/shop
 * rule 0") or "default", with the limit's name where it is one ("default (limits: stream_idle_s)").
 */
#ifndef WORKER_EXPLAIN_RULE_H
#define WORKER_EXPLAIN_RULE_H

#include "base/doc.h"
#include "table/table.h"
#include "upstream/health.h"

/* health: null when nobody knows. Adds members to item. */
void explain_rule(yyjson_mut_doc *d, yyjson_mut_val *item, const struct table *t, const struct health *health,
                  const struct table_rule *r);

#endif
