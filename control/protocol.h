/*
 * What sluice-api asks of sluice-control over control.sock (base/frame.h): one JSON request, one JSON reply.
 *
 *   {"verb":"authenticate", "token":"..."}
 *       -> {"code":200, "user":{"name":"admin","groups":["..."],"role":"admin"}} or {"code":401,"status":{...}}
 *   {"verb":"apply"|"create"|"update"|"delete"|"get"|"list", "user":"<name>", "token":"...", "dryRun":false,
 *    "fieldValidation":"Strict"|"Warn"|"Ignore",
 *    "objects":[{"apiVersion":..,"kind":..,"metadata":{..},..}]}
 *       One transaction: all objects or none. create: must not exist. update: must exist, metadata.resourceVersion (if
 *       given) must match. apply: create or replace (spec and the other top-level fields but status; labels and
 *       annotations replaced). delete: objects name kind, namespace and name; uid and resourceVersion, if given, are
 *       preconditions. "subresource":"status" with update replaces only status.
 *       get and list are only needed for Secrets (sealed in the store): all else the API reads from the store itself.
 *       -> {"code":200|201, "resourceVersion":"123", "warnings":["..."],
 *           "results":[{"code":201, "result":"created"|"configured"|"unchanged"|"deleted", "object":{..}}]}
 *       or {"code":422, "failed":<index of the object>, "status":{metav1.Status with details.causes}}: nothing changed.
 *   {"verb":"ready"} -> {"code":200, "resourceVersion":"123", "published":"120", "dataplane":true, "reason":"..."}
 *       "reason" only when the data plane refused the newest generation: it then serves the one of "published".
 *
 * The local socket is trusted by its file mode: a request that comes with "local":true needs no token (control checks
 * the peer's credentials, SO_PEERCRED: root or its own user).
 */
#ifndef CONTROL_PROTOCOL_H
#define CONTROL_PROTOCOL_H

enum { CONTROL_REQUEST_BYTES_MAX = 16 << 20 };

#endif
