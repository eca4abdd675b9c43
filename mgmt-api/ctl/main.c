/*
 * sluicectl: the command line. Commands are a visible table; each takes the general options and those whose letters
 * its line names.
 */
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "mgmt-api/ctl/ctl.h"

static const struct command commands[] = {
	{"apply", "-f FILE|DIR|- ...", "store all objects of the files in one transaction", "fnd", apply_run},
	{"get", "KIND[,KIND...] [NAME]", "show objects", "nAolNI", get_run},
	{"delete", "KIND NAME... | -f FILE|DIR|-", "take objects away", "fndI", delete_run},
	{"wait-ready", "", "wait until what is stored is what the data plane obeys", "", wait_ready_run},
	{"flows", "", "TCP connections of the data plane", "oNi", walk_run_command},
	{"neigh", "", "neighbours (ARP and ND) of the data plane", "oN", walk_run_command},
	{"addresses", "", "addresses of the box, their states, and who else claims them", "oN", walk_run_command},
	{"pools", "", "what packets and objects the data plane holds, of how many", "oN", walk_run_command},
	{"drops", "", "dropped packets by reason", "oN", walk_run_command},
	{"stats", "", "counters of the data plane", "oN", walk_run_command},
	{"workers", "", "workers of the data plane", "oN", walk_run_command},
	{"capture", "[FILTER...]", "frames of the ports, as pcapng, by a filter as tcpdump's", "pcsw", capture_run},
	{"explain", "METHOD URL", "what the data plane would do with a request, and why", "oH", explain_run},
	{"version", "", "versions of this program and of the server", "", version_run},
	{NULL, NULL, NULL, NULL, NULL},
};

static const struct option long_options[] = {
	{"filename", required_argument, NULL, 'f'},
	{"namespace", required_argument, NULL, 'n'},
	{"all-namespaces", no_argument, NULL, 'A'},
	{"output", required_argument, NULL, 'o'},
	{"selector", required_argument, NULL, 'l'},
	{"no-headers", no_argument, NULL, 'N'},
	{"header", required_argument, NULL, 'H'},
	{"ignore-not-found", no_argument, NULL, 'I'},
	{"info", no_argument, NULL, 'i'},
	{"dry-run", optional_argument, NULL, 'd'},
	{"port", required_argument, NULL, 'p'},
	{"count", required_argument, NULL, 'c'},
	{"snap", required_argument, NULL, 's'},
	{"write", required_argument, NULL, 'w'},
	{"run", required_argument, NULL, 'R'},
	{"server", required_argument, NULL, 'S'},
	{"token-file", required_argument, NULL, 'T'},
	{"ca-file", required_argument, NULL, 'C'},
	{"timeout", required_argument, NULL, 'W'},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

static const char general[] = "RSTCWh";

static const struct {
	const char *name;
	enum output output;
} outputs[] = {
	{"wide", OUTPUT_WIDE}, {"yaml", OUTPUT_YAML}, {"json", OUTPUT_JSON}, {"name", OUTPUT_NAME},
};

static void kind_help(const struct kind *kind, FILE *out)
{
	char words[64];
	size_t n = (size_t)snprintf(words, sizeof(words), "%s", kind->singular);

	for (const char *const *s = kind->short_names; *s != NULL && n < sizeof(words); s++)
		n += (size_t)snprintf(words + n, sizeof(words) - n, ", %s", *s);
	fprintf(out, "  %-30s %s%s%s\n", words, kind->group, kind->group[0] == '\0' ? "" : "/", kind->stored_version);
}

static void help(FILE *out)
{
	fputs("usage: sluicectl COMMAND [OPTION]...\n\ncommands:\n", out);
	for (const struct command *c = commands; c->name != NULL; c++)
		fprintf(out, "  %-10s %-30s %s\n", c->name, c->arguments, c->summary);
	fputs("\nkinds (plurals and GROUP-qualified names are understood, too):\n", out);
	for (const struct kind *const *k = kinds; *k != NULL; k++)
		kind_help(*k, out);
	fputs("\noptions of commands:\n"
	      "  -f, --filename FILE|DIR|-   manifests: a file, *.yaml, *.yml, *.json of a directory, standard input\n"
	      "  -n, --namespace NS          namespace (default: default)\n"
	      "  -A, --all-namespaces        of all namespaces\n"
	      "  -o, --output FORMAT         yaml, json, wide or name (flows and the like: json, wide; explain: json)\n"
	      "  -l, --selector SELECTOR     by labels: a=b,c!=d,e in (f,g)\n"
	      "      --dry-run               check everything, store nothing\n"
	      "      --ignore-not-found      what is not there is no error\n"
	      "      --no-headers            no line of column names\n"
	      "  -H, --header 'NAME: VALUE'  a header field of the request that is explained\n"
	      "  -i, --info                  flows: timing, congestion control, sizes, as ss -ti\n"
	      "  -p, --port NAME             capture: of this port only\n"
	      "  -c, --count FRAMES          capture: ends after so many\n"
	      "  -s, --snap BYTES            capture: of each frame at most so many\n"
	      "  -w, --write FILE            capture: into a file instead of standard output\n"
	      "\ngeneral options:\n"
	      "      --run DIR               sockets of the box (default /run/sluice)\n"
	      "      --server URL            https://ADDRESS:PORT instead of the box's own socket\n"
	      "      --token-file FILE       bearer token for --server\n"
	      "      --ca-file FILE          certificate authority for --server (the box's is STATE/api/ca.crt)\n"
	      "      --timeout SECONDS       for an answer, and until ready (default 30; 2 where nothing runs)\n"
	      "\nexit codes: 0 done; 1 refused, failed or not found; 2 wrong usage; 3 a file cannot be read or is not\n"
	      "valid YAML; 4 no answer within the timeout\n",
	      out);
}

int usage_error(const struct command *self, const char *format, ...)
{
	va_list args;

	fputs("error: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\nusage: sluicectl %s%s%s [OPTION]... (sluicectl --help tells more)\n", self->name,
		self->arguments[0] == '\0' ? "" : " ", self->arguments);
	return CTL_USAGE;
}

static bool output_set(struct options *o, const char *word)
{
	for (size_t i = 0; i < sizeof(outputs) / sizeof(outputs[0]); i++) {
		if (strcmp(outputs[i].name, word) == 0) {
			o->output = outputs[i].output;
			return true;
		}
	}
	fprintf(stderr, "error: -o %s: not one of yaml, json, wide, name\n", word);
	return false;
}

static bool timeout_set(struct options *o, const char *word)
{
	char *end;
	unsigned long seconds = strtoul(word, &end, 10);

	if (*end == 's')
		end++;
	if (*word < '0' || *word > '9' || *end != '\0' || seconds == 0 || seconds > 86400) {
		fprintf(stderr, "error: --timeout %s: not a number of seconds\n", word);
		return false;
	}
	o->client.timeout_s = (unsigned)seconds;
	o->client.timeout_given = true;
	return true;
}

static bool option_set(struct options *o, int letter)
{
	switch (letter) {
	case 'f':
		if (o->files_n == CTL_FILES_MAX) {
			fprintf(stderr, "error: more than %d times -f: use a directory\n", CTL_FILES_MAX);
			return false;
		}
		o->files[o->files_n++] = optarg;
		return true;
	case 'n':
		o->namespace = optarg;
		return true;
	case 'A':
		o->all_namespaces = true;
		return true;
	case 'o':
		return output_set(o, optarg);
	case 'l':
		o->selector = optarg;
		return true;
	case 'N':
		o->no_headers = true;
		return true;
	case 'H':
		if (o->headers_n == CTL_HEADERS_MAX) {
			fprintf(stderr, "error: more than %d times -H\n", CTL_HEADERS_MAX);
			return false;
		}
		o->headers[o->headers_n++] = optarg;
		return true;
	case 'I':
		o->ignore_not_found = true;
		return true;
	case 'i':
		o->info = true;
		return true;
	case 'd':
		o->dry_run = optarg == NULL || strcmp(optarg, "none") != 0;
		return true;
	case 'p':
		o->port = optarg;
		return true;
	case 'c':
		o->count = optarg;
		return true;
	case 's':
		o->snap = optarg;
		return true;
	case 'w':
		o->write = optarg;
		return true;
	case 'R':
		o->client.run = optarg;
		return true;
	case 'S':
		o->client.server = optarg;
		return true;
	case 'T':
		o->client.token_file = optarg;
		return true;
	case 'C':
		o->client.ca_file = optarg;
		return true;
	case 'W':
		return timeout_set(o, optarg);
	default:
		return false;
	}
}

/* Options may stand before, between and after the words; `given` collects their letters. */
static bool options_read(struct options *o, int argc, char **argv, char given[static 64])
{
	size_t n = 0;
	int letter;

	while ((letter = getopt_long(argc, argv, "f:n:Ao:l:H:ip:c:s:w:h", long_options, NULL)) != -1) {
		if (letter == 'h') {
			help(stdout);
			exit(CTL_DONE);
		}
		if (!option_set(o, letter))
			return false;
		if (n < 63)
			given[n++] = (char)letter;
	}
	given[n] = '\0';
	return true;
}

static const struct command *find(const char *name)
{
	for (const struct command *c = commands; c->name != NULL; c++)
		if (strcmp(c->name, name) == 0)
			return c;
	return NULL;
}

static const char *option_name(char letter)
{
	for (const struct option *o = long_options; o->name != NULL; o++)
		if (o->val == letter)
			return o->name;
	return "?";
}

static int run(int argc, char **argv)
{
	struct options o = {.client = {.run = "/run/sluice", .timeout_s = 30}};
	const struct command *command;
	char given[64], prefix[] = "error";

	argv[0] = prefix; /* what getopt_long() puts before its messages */
	if (!options_read(&o, argc, argv, given)) {
		fputs("usage: sluicectl COMMAND [OPTION]... (sluicectl --help tells more)\n", stderr);
		return CTL_USAGE;
	}
	if (optind == argc) {
		help(stderr);
		return CTL_USAGE;
	}
	command = find(argv[optind]);
	if (command == NULL) {
		fprintf(stderr, "error: unknown command \"%s\" (sluicectl --help lists them)\n", argv[optind]);
		return CTL_USAGE;
	}
	for (const char *p = given; *p != '\0'; p++)
		if (strchr(command->accepts, *p) == NULL && strchr(general, *p) == NULL)
			return usage_error(command, "does not take --%s", option_name(*p));
	o.arguments = (const char *const *)argv + optind + 1;
	o.arguments_n = (size_t)(argc - optind - 1);
	return command->run(command, &o);
}

CPU_ANY int main(int argc, char **argv)
{
	cpu_check("sluicectl");
	return run(argc, argv);
}
