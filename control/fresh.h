/*
 * A fresh box: the objects that are always there. Made at start when missing: the namespace `default` and the
 * GatewayClass `sluice`, so that a first Gateway needs nothing else.
 */
#ifndef CONTROL_FRESH_H
#define CONTROL_FRESH_H

#include <stdbool.h>

#include "control/store/ledger.h"

bool fresh_box(struct ledger *l, char error[static 256]);

#endif
