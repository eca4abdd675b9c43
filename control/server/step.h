/*
 * One object of a request: who is it (identity), what is there (ledger), may this verb (existence, preconditions), is
 * it right (admit), put it, or take it away. What cannot be done is the transaction's failure.
 */
#ifndef SERVER_STEP_H
#define SERVER_STEP_H

#include "control/server/transaction.h"

bool step_take(struct transaction *t, yyjson_val *object, struct result *result);
bool step_find(struct transaction *t, yyjson_val *object, struct result *result); /* what is asked for, as it is kept */

#endif
