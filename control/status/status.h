/*
 * Status: from the model and the data plane's verdict to the status of GatewayClass, Gateway, HTTPRoute, Backend
 * and Machine. Written only when it differs from what is stored; other controllers' entries are left as they are;
 * lastTransitionTime changes only with the condition's value; every condition of ours carries observedGeneration.
 *
 * Programmed follows the verdict: True when the data plane serves the content, False when it refused it; while it
 * cannot be reached, what was said for this generation of the object stands (or Pending, if nothing was).
 *
 * AddressConflict, of Gateways and the Machine, is there from the first time on that another host on the link claimed
 * an address of theirs: True while it does. A Gateway with an address that is not used because of it is not Programmed.
 *
 * The caller (control/reconcile) writes each patch as the status subresource: one write per object, refused by
 * the store when the object is no longer the one that the patch was made from (object->resource_version). Then the
 * next round makes a new one.
 */
#ifndef STATUS_STATUS_H
#define STATUS_STATUS_H

#include "control/model/model.h"
#include "control/publish/publish.h"

struct status_patch {
	const struct object *object; /* borrowed from the snapshot */
	char *status;                /* JSON: the whole new status */
	size_t status_n;
};

struct status_patches {
	struct status_patch *items;
	size_t n;
};

/* now: "2026-01-31T12:00:00Z". */
enum err status_compute(const struct model *m, const struct publish_verdict *v, const char *now,
                        struct status_patches *out) MUST_CHECK;
void status_patches_fini(struct status_patches *p);

#endif
