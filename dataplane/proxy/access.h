/*
 * The access log record that an exchange leaves in the worker's log ring; the scribe prints it. One fixed struct
 * followed by the texts, in the order of the length fields.
 *
 * Two formats: Envoy's default text format, and JSON with the fields of Envoy Gateway's default. Texts come from the
 * wire and are escaped, so that whatever a client sends, a record is one line and no field reaches into another.
 */
#ifndef PROXY_ACCESS_H
#define PROXY_ACCESS_H

#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

enum {
	ACCESS_TEXT_MAX = 1024,  /* longer texts are cut */
	ACCESS_TEXTS = 8,
	ACCESS_JSON_MIN = 16384, /* room that a line of JSON needs: less would cut it in the middle */
};

struct access_record {
	uint64_t start_wall_us;
	uint64_t request_bytes, response_bytes;
	uint32_t duration_us, upstream_us;      /* UINT32_MAX: none */
	uint16_t status;
	uint16_t version;                       /* 10, 11, 20 */
	char flags[8];                          /* Envoy's response flags, NUL-ended: "NR", "UF"; "" is "-" */
	uint16_t method_len, path_len, authority_len, user_agent_len, request_id_len, forwarded_for_len, rule_len;
	uint16_t details_len;
	uint16_t upstream_port, upstream_local_port;
	struct addr upstream;                   /* zero: none */
	struct addr upstream_local;             /* ours, towards it */
	struct tuple client;
	char texts[];
};

/* Prints one record as a line (with newline) into line[size]; returns the length; 0 when its lengths lie. */
typedef size_t access_printer(const struct access_record *r, size_t bytes, char *line, size_t size);
access_printer access_print, access_print_json;

#endif
