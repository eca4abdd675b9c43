/*
 * sluicectl: what its commands share. A command is one file and one line in the table of main.c.
 *
 * Exit codes: 0 done; 1 refused, failed or not found; 2 wrong usage; 3 a file cannot be read or is no valid YAML;
 * 4 no answer within the timeout.
 */
#ifndef MGMT_API_CTL_CTL_H
#define MGMT_API_CTL_CTL_H

#include "control/schema/kind.h"
#include "mgmt-api/ctl/client.h"

enum { CTL_DONE, CTL_FAILED, CTL_USAGE, CTL_INPUT, CTL_NO_ANSWER };
enum { CTL_FILES_MAX = 64, CTL_HEADERS_MAX = 64, CTL_PATH_MAX = 2048 };

enum output { OUTPUT_TABLE, OUTPUT_WIDE, OUTPUT_YAML, OUTPUT_JSON, OUTPUT_NAME };

struct options {
	struct client_options client;
	const char *namespace;          /* null: not given */
	bool all_namespaces;
	enum output output;
	const char *selector;           /* null: not given */
	const char *files[CTL_FILES_MAX];
	size_t files_n;
	const char *headers[CTL_HEADERS_MAX];
	size_t headers_n;
	bool dry_run;
	bool ignore_not_found;
	bool no_headers;
	bool info;
	const char *port;               /* null: not given; so the next three */
	const char *count;
	const char *snap;
	const char *write;
	const char *const *arguments;   /* after the command's name */
	size_t arguments_n;
};

struct command {
	const char *name;
	const char *arguments;          /* of its usage line */
	const char *summary;
	const char *accepts;            /* letters of the options that it takes, beside the general ones */
	int (*run)(const struct command *self, const struct options *o);
};

int apply_run(const struct command *self, const struct options *o);
int get_run(const struct command *self, const struct options *o);
int delete_run(const struct command *self, const struct options *o);
int walk_run_command(const struct command *self, const struct options *o);
int wait_ready_run(const struct command *self, const struct options *o);
int capture_run(const struct command *self, const struct options *o);
int explain_run(const struct command *self, const struct options *o);
int version_run(const struct command *self, const struct options *o);
int usage_error(const struct command *self, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Asks the data plane of this box, over its own socket: its answer, to be freed; null after an error message. */
char *dataplane_ask(const struct options *o, const char *request, size_t *n);
/* The same, and a descriptor goes with the request (-1: none). */
char *dataplane_ask_with(const struct options *o, const char *request, int pass_fd, size_t *n);
/* The kind that a word means ("httproute", "gtw", "Gateway.gateway.networking.k8s.io"); null after an error message. */
const struct kind *ctl_kind(const char *word);
/* "/apis/gateway.networking.k8s.io/v1/namespaces/default/httproutes/shop"; namespace and name may be null. */
void ctl_path(char out[static CTL_PATH_MAX], const struct kind *kind, const char *namespace, const char *name);
/* Appends text to a query, percent-encoded. */
void ctl_encode(char *out, size_t space, const char *text);
/* "httproute.gateway.networking.k8s.io/shop" */
void ctl_print_name(const struct kind *kind, const char *name);
/* Prints an error answer as kubectl does, and the server's warnings; returns the exit code. */
int ctl_refused(const struct client_reply *r);
void ctl_warnings(const struct client_reply *r);

#endif
