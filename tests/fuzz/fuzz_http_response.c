/*
 * Responses: any bytes, cut anywhere, from an upstream; what the client's side takes for the response goes to a
 * client as a proxy would send it.
 *
 * What must hold: nothing breaks and nothing leaks; the cuts make no difference; and what the client receives is, to
 * another parser, the one response with exactly the same body, unless it is visibly cut off.
 *
 * The first byte of the input says how it is cut; the second: bit 0 the request is HEAD, bit 1 the upstream closes at
 * the end, bit 2 the client speaks HTTP/1.0.
 */
#include "tests/fuzz/http.h"

static struct {
	struct bodies out;
	struct http_client *client;
	struct http_stream *down, *up;
	unsigned heads, interims, ended, idle;
	uint16_t status;
	bool failed;
} relay;

static void ignore_head(void *user, struct http_message *m)
{
	(void)user;
	(void)m;
}

static void ignore(void *user)
{
	(void)user;
}

static void ignore_sent(void *user, uint32_t n)
{
	(void)user;
	(void)n;
}

static void drop_body(void *user, struct slice s, uint32_t credit)
{
	(void)user;
	(void)credit;
	slice_free(&s);
}

static void down_end(void *user, struct http_message *trailers)
{
	(void)user;
	(void)trailers;
}

static void down_closed(void *user, enum err why)
{
	(void)user;
	(void)why;
	relay.down = NULL;
}

static const struct http_stream_ops down_ops = {
	.on_head = ignore_head, .on_body = drop_body, .on_end = down_end, .on_writable = ignore, .on_sent = ignore_sent,
	.on_closed = down_closed,
};

static bool bodiless(const struct http_message *m, bool head)
{
	return head || m->body == HTTP_BODY_NONE || m->status == 204 || m->status == 304;
}

static bool head_request;

static void up_head(void *user, struct http_message *m)
{
	(void)user;
	MUST(relay.ended == 0 && relay.heads == 0);
	if (m->status < 200)
		relay.interims++;
	else
		relay.heads++;
	relay.status = m->status;
	http_remove_hop_by_hop(m);
	if (relay.down && http_send_head(relay.down, m, m->status >= 200 && bodiless(m, head_request)) != OK)
		MUST(false);
}

static void up_body(void *user, struct slice s, uint32_t credit)
{
	(void)user;
	MUST(s.len > 0 && relay.heads == 1 && relay.ended == 0);
	bodies_add(&relay.out, slice_at(&s), s.len);
	http_credit(relay.up, credit);
	if (!relay.down || !http_send_body(relay.down, s))
		slice_free(&s);
}

static void up_end(void *user, struct http_message *trailers)
{
	(void)user;
	MUST(relay.heads == 1);
	relay.ended++;
	bodies_end(&relay.out);
	if (relay.down)
		MUST(http_send_end(relay.down, trailers) == OK);
}

static void up_closed(void *user, enum err why)
{
	(void)user;
	MUST((why == OK) == (relay.ended == 1));
	relay.up = NULL;
	relay.failed = why != OK;
	if (why && relay.down) {
		http_reset(relay.down, why);
		relay.down = NULL;
	}
}

static const struct http_stream_ops up_ops = {
	.on_head = up_head, .on_body = up_body, .on_end = up_end, .on_writable = ignore, .on_sent = ignore_sent,
	.on_closed = up_closed,
};

static void on_stream(void *up, struct http_stream *s)
{
	(void)up;
	relay.down = s;
	http_set_stream_user(s, &down_ops, NULL);
}

static void on_bad_request(void *up, struct tls_conn *c, enum err why, struct http_refusal answer)
{
	(void)up;
	(void)c;
	(void)why;
	(void)answer;
	MUST(false);
}

static void on_idle(void *user)
{
	(void)user;
	MUST(relay.ended == 1);
	relay.idle++;
}

static void client_closed(void *user, enum err why)
{
	(void)user;
	(void)why;
	relay.client = NULL;
}

static const struct http_client_ops client_ops = {.on_open = ignore, .on_idle = on_idle, .on_closed = client_closed};

static int oracle_head(llhttp_t *p)
{
	if (p->status_code < 200)
		return 0;
	return head_request || p->status_code == 204 || p->status_code == 304 ? 1 : 0;
}

/* Interim responses end like messages without body: only the final one counts. */
static int oracle_message(llhttp_t *p)
{
	if (p->status_code >= 200)
		bodies_end(p->data);
	return 0;
}

static void check_received(const struct tcp_conn *c)
{
	static const llhttp_settings_t settings = {
		.on_headers_complete = oracle_head, .on_body = oracle_body, .on_message_complete = oracle_message,
	};
	static struct bodies got;
	llhttp_t p;

	memset(&got, 0, sizeof(got));
	llhttp_init(&p, HTTP_RESPONSE, &settings);
	p.data = &got;
	MUST(llhttp_execute(&p, c->out, c->out_n) == HPE_OK);
	if (!got.messages)
		MUST(llhttp_finish(&p) == HPE_OK);
	MUST(got.messages == 1 && got.n == relay.out.n && memcmp(got.text, relay.out.text, got.n) == 0);
}

static void run(const uint8_t *bytes, size_t n, uint8_t seed, uint8_t how)
{
	static const struct tcp_connect none;
	static const char *const lines[] = {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
	                                    "GET / HTTP/1.0\r\n\r\n", "HEAD / HTTP/1.0\r\n\r\n"};
	struct tcp_conn *down = conn_make(), *up;
	struct http_message m;
	const char *line = lines[(how & 1) | (how >> 1 & 2)];

	memset(&relay, 0, sizeof(relay));
	head_request = how & 1;
	http_serve(rig.http, down);
	rig_input(down, line, strlen(line));
	MUST(relay.down);
	MUST(http_connect(rig.http, &none, &client_ops, NULL, &relay.client) == OK);
	up = rig.tcp.last;
	up->ops->on_open(up->user);
	relay.up = http_client_stream(relay.client, &up_ops, NULL);
	MUST(relay.up);
	http_message_init(&m);
	m.method = head_request ? HTTP_HEAD : HTTP_GET;
	m.method_text = head_request ? TEXT("HEAD") : TEXT("GET");
	m.path = TEXT("/");
	m.authority = TEXT("a");
	MUST(http_send_head(relay.up, &m, true) == OK);
	feed(up, bytes, n, seed);
	if (how & 2)
		rig_eof(up);
	rig_tick(1);
	if (relay.ended && !relay.failed)
		check_received(down);
	rig_end();
	MUST(!relay.up && !relay.down);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const struct http_up up = {.on_stream = on_stream, .on_bad_request = on_bad_request};

	(void)argc;
	(void)argv;
	rig_open(&up);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	static struct bodies whole;
	unsigned heads, interims, ended, idle;

	if (n < 2 || n > 8000)
		return 0;
	run(bytes + 2, n - 2, 0, bytes[1]);
	whole = relay.out;
	heads = relay.heads;
	interims = relay.interims;
	ended = relay.ended;
	idle = relay.idle;
	run(bytes + 2, n - 2, bytes[0], bytes[1]);
	MUST(heads == relay.heads && interims == relay.interims && ended == relay.ended);
	MUST(whole.n == relay.out.n && memcmp(whole.text, relay.out.text, whole.n) == 0);
	(void)idle;
	return 0;
}
