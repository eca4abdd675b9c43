/*
 * capture: frames of the data plane's ports as pcapng, to standard output or a file. The filter is libpcap's language
 * (pcap-filter(7)), compiled here; the data plane gets the program and one end of a socket, and writes into it until it
 * has written as many frames as were asked for, or we want no more: at SIGINT or SIGTERM we say so and take what is
 * still on its way, so the file is whole.
 *
 *      sluicectl capture -c 100 -w web.pcapng tcp port 80
 *      sluicectl capture tcp port 80 | tshark -r -
 */
#include <errno.h>
#include <fcntl.h>
#include <pcap/pcap.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "mgmt-api/ctl/ctl.h"

enum { FILTER_MAX = 8192, SNAP_MAX = 65535, FILE_MODE = 0600, BLOCK = 1 << 16 };

/* False after an error message. */
static bool number(const char *option, const char *word, uint64_t most, yyjson_mut_doc *d, const char *name)
{
	char *end;
	unsigned long long n;

	if (word == NULL)
		return true;
	errno = 0;
	n = strtoull(word, &end, 10);
	if (*word < '0' || *word > '9' || *end != '\0' || errno != 0 || n == 0 || n > most) {
		fprintf(stderr, "error: %s %s: not a number from 1 to %llu\n", option, word, (unsigned long long)most);
		return false;
	}
	yyjson_mut_obj_add_uint(d, yyjson_mut_doc_get_root(d), name, n);
	return true;
}

/* The words are one expression, as tcpdump takes them. */
static bool filter_add(const struct options *o, yyjson_mut_doc *d)
{
	char text[FILTER_MAX] = "";
	size_t n = 0;
	struct bpf_program program;
	pcap_t *ethernet;
	yyjson_mut_val *list;

	for (size_t i = 0; i < o->arguments_n; i++) {
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", i > 0 ? " " : "", o->arguments[i]);
		if (n >= sizeof(text)) {
			fprintf(stderr, "error: the filter is longer than %d bytes\n", FILTER_MAX - 1);
			return false;
		}
	}
	if (n == 0)
		return true;
	ethernet = pcap_open_dead(DLT_EN10MB, SNAP_MAX);
	CHECK(ethernet != NULL);
	if (pcap_compile(ethernet, &program, text, 1, PCAP_NETMASK_UNKNOWN) < 0) {
		fprintf(stderr, "error: filter \"%s\": %s\n", text, pcap_geterr(ethernet));
		pcap_close(ethernet);
		return false;
	}
	list = yyjson_mut_obj_add_arr(d, yyjson_mut_doc_get_root(d), "filter");
	for (unsigned i = 0; i < program.bf_len; i++) {
		const struct bpf_insn *b = &program.bf_insns[i];
		yyjson_mut_val *each = yyjson_mut_arr_add_arr(d, list);

		yyjson_mut_arr_add_uint(d, each, b->code);
		yyjson_mut_arr_add_uint(d, each, b->jt);
		yyjson_mut_arr_add_uint(d, each, b->jf);
		yyjson_mut_arr_add_uint(d, each, b->k);
	}
	pcap_freecode(&program);
	pcap_close(ethernet);
	return true;
}

/* The request, to be freed; null after an error message. */
static char *request_make(const struct options *o)
{
	yyjson_mut_doc *d = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *root = yyjson_mut_obj(d);
	char *text = NULL;

	yyjson_mut_doc_set_root(d, root);
	yyjson_mut_obj_add_str(d, root, "op", "capture");
	if (o->port != NULL)
		yyjson_mut_obj_add_str(d, root, "port", o->port);
	if (number("--count", o->count, INT64_MAX - 1, d, "count") && number("--snap", o->snap, SNAP_MAX, d, "snap") &&
	    filter_add(o, d))
		text = yyjson_mut_write(d, 0, NULL);
	yyjson_mut_doc_free(d);
	return text;
}

static bool ask(const struct options *o, const char *request, int pass_fd, int *code)
{
	size_t n;
	char *reply = dataplane_ask_with(o, request, pass_fd, &n);
	yyjson_doc *doc = reply != NULL ? yyjson_read(reply, n, 0) : NULL;
	bool ok = doc_bool(yyjson_doc_get_root(doc), "ok", false);

	*code = CTL_DONE;
	if (reply == NULL) {
		*code = CTL_NO_ANSWER;
	} else if (!ok) {
		fprintf(stderr, "error: the data plane refused: %s\n", doc_str(yyjson_doc_get_root(doc), "reason"));
		*code = CTL_FAILED;
	}
	yyjson_doc_free(doc);
	free(reply);
	return ok;
}

static bool write_all(int to, const char *at, ssize_t n)
{
	while (n > 0) {
		ssize_t written = write(to, at, (size_t)n);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return false;
		at += written;
		n -= written;
	}
	return true;
}

static void signals_set(sigset_t *s)
{
	sigemptyset(s);
	sigaddset(s, SIGINT);
	sigaddset(s, SIGTERM);
}

static int signals_open(void)
{
	sigset_t s;

	signals_set(&s);
	signal(SIGPIPE, SIG_IGN);
	sigprocmask(SIG_BLOCK, &s, NULL);
	return signalfd(-1, &s, SFD_CLOEXEC);
}

/* Takes the one that came; a second one ends us. */
static void signals_close(int fd)
{
	struct signalfd_siginfo came;
	sigset_t s;

	signals_set(&s);
	while (read(fd, &came, sizeof(came)) < 0 && errno == EINTR)
		;
	close(fd);
	sigprocmask(SIG_UNBLOCK, &s, NULL);
}

/* Until the data plane closes. */
static int copy(int from, int to, int signals)
{
	static char block[BLOCK];
	struct pollfd p[2] = {{.fd = from, .events = POLLIN}, {.fd = signals, .events = POLLIN}};

	for (;;) {
		ssize_t n;

		if (poll(p, 2, -1) < 0)
			continue;
		if (p[1].revents) {
			p[1].fd = -1;
			signals_close(signals);
			(void)shutdown(from, SHUT_WR);
		}
		if (!p[0].revents)
			continue;
		n = read(from, block, sizeof(block));
		if (n == 0)
			return CTL_DONE;
		if (n < 0 || !write_all(to, block, n)) {
			if (errno == EPIPE)
				return CTL_DONE; /* who reads from us has enough */
			fprintf(stderr, "error: %s: %s\n", n < 0 ? "the data plane" : "the output", strerror(errno));
			return CTL_FAILED;
		}
	}
}

static int run(const struct options *o, const char *request, int to)
{
	int sockets[2], signals = signals_open(), code;

	if (signals < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) < 0) {
		fprintf(stderr, "error: %s\n", strerror(errno));
		return CTL_FAILED;
	}
	if (ask(o, request, sockets[1], &code)) {
		close(sockets[1]);
		code = copy(sockets[0], to, signals);
	}
	close(sockets[0]);
	return code;
}

int capture_run(const struct command *self, const struct options *o)
{
	int to = STDOUT_FILENO, code;
	char *request;

	if (o->client.server != NULL)
		return usage_error(self, "only works on the box itself (with --run)");
	if (o->write == NULL && isatty(to))
		return usage_error(self, "pcapng is not for terminals: give -w FILE, or a pipe");
	request = request_make(o);
	if (request == NULL)
		return CTL_USAGE;
	if (o->write != NULL)
		to = open(o->write, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, FILE_MODE);
	if (to < 0) {
		fprintf(stderr, "error: %s: %s\n", o->write, strerror(errno));
		free(request);
		return CTL_INPUT;
	}
	code = run(o, request, to);
	free(request);
	return code;
}
