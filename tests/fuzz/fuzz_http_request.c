/*
 * Requests: any bytes, cut anywhere, to the server's side; what it takes for requests goes out on an upstream
 * connection as a proxy would send it.
 *
 * What must hold: nothing breaks and nothing leaks; the cuts make no difference; and the bytes that went out are, to
 * another parser, exactly as many requests with exactly the same bodies (a request that is two to the next parser is a
 * smuggled one).
 *
 * The first byte of the input says how it is cut.
 */
#include "tests/fuzz/http.h"

static struct {
	struct bodies in;                  /* as the server's side told us */
	size_t first_n;                    /* of the first message, the one that was passed on */
	struct http_client *client;
	struct http_stream *down, *up;
	bool whole;
	unsigned refused;
	char log[BODY_MAX];                /* start lines */
	size_t log_n;
} relay;

static void note(struct text t)
{
	if (relay.log_n + t.len + 1 >= sizeof(relay.log))
		return;
	if (t.len)
		memcpy(relay.log + relay.log_n, t.at, t.len);
	relay.log_n += t.len;
	relay.log[relay.log_n++] = '\n';
}

static void up_head(void *user, struct http_message *m)
{
	(void)user;
	(void)m;
}

static void up_body(void *user, struct slice s, uint32_t credit)
{
	(void)user;
	(void)credit;
	slice_free(&s);
}

static void up_end(void *user, struct http_message *trailers)
{
	(void)user;
	(void)trailers;
}

static void up_writable(void *user)
{
	(void)user;
}

static void up_sent(void *user, uint32_t n)
{
	(void)user;
	(void)n;
}

static void up_closed(void *user, enum err why)
{
	(void)user;
	(void)why;
	relay.up = NULL;
}

static const struct http_stream_ops up_ops = {
	.on_head = up_head, .on_body = up_body, .on_end = up_end, .on_writable = up_writable, .on_sent = up_sent,
	.on_closed = up_closed,
};

static void down_head(void *user, struct http_message *m)
{
	(void)user;
	note(m->method_text);
	note(m->authority);
	note(m->path);
	for (unsigned i = 0; i < m->fields_n; i++) {
		note(m->fields[i].name);
		note(m->fields[i].value);
	}
	relay.whole = false;
	http_remove_hop_by_hop(m);
	relay.up = http_client_stream(relay.client, &up_ops, NULL);
	if (relay.up)
		MUST(http_send_head(relay.up, m, false) == OK);
}

static void down_body(void *user, struct slice s, uint32_t credit)
{
	(void)user;
	MUST(s.len > 0);
	bodies_add(&relay.in, slice_at(&s), s.len);
	http_credit(relay.down, credit);
	if (!relay.up || !http_send_body(relay.up, s))
		slice_free(&s);
}

static void down_end(void *user, struct http_message *trailers)
{
	struct http_message m;

	(void)user;
	bodies_end(&relay.in);
	if (relay.in.messages == 1)
		relay.first_n = relay.in.n;
	relay.whole = true;
	if (relay.up)
		MUST(http_send_end(relay.up, trailers) == OK);
	http_message_init(&m);
	m.status = 204;
	MUST(http_send_head(relay.down, &m, true) == OK);
}

static void down_closed(void *user, enum err why)
{
	(void)user;
	(void)why;
	relay.down = NULL;
	if (relay.up && !relay.whole)
		http_reset(relay.up, ERR_CONN_ABORTED);
	if (relay.up && !relay.whole)
		relay.up = NULL;
}

static const struct http_stream_ops down_ops = {
	.on_head = down_head, .on_body = down_body, .on_end = down_end, .on_writable = up_writable, .on_sent = up_sent,
	.on_closed = down_closed,
};

static void on_stream(void *up, struct http_stream *s)
{
	(void)up;
	MUST(!relay.down);
	relay.down = s;
	http_set_stream_user(s, &down_ops, NULL);
}

static void on_bad_request(void *up, struct tls_conn *c, enum err why, struct http_refusal answer)
{
	(void)up;
	MUST(c && why && answer.status >= 400);
	relay.refused++;
}

static void client_event(void *user)
{
	(void)user;
}

static void client_closed(void *user, enum err why)
{
	(void)user;
	(void)why;
	relay.client = NULL;
}

static const struct http_client_ops client_ops = {
	.on_open = client_event, .on_idle = client_event, .on_closed = client_closed,
};

/* What went out is the first request, exactly; responses do not come, so others are not passed on. */
static void check_sent(const struct tcp_conn *c)
{
	static const llhttp_settings_t settings = {.on_body = oracle_body, .on_message_complete = oracle_end};
	static struct bodies got;
	llhttp_errno_t e;
	llhttp_t p;

	memset(&got, 0, sizeof(got));
	llhttp_init(&p, HTTP_REQUEST, &settings);
	p.data = &got;
	e = llhttp_execute(&p, c->out, c->out_n);
	/* A request for an upgrade is whole, and nothing stands behind it. */
	MUST(e == HPE_OK || (e == HPE_PAUSED_UPGRADE && llhttp_get_error_pos(&p) == c->out + c->out_n));
	if (relay.in.messages == 0)
		MUST(got.messages == 0);
	else
		MUST(got.messages == 1 && got.n == relay.first_n && memcmp(got.text, relay.in.text, got.n) == 0);
}

static void run(const uint8_t *bytes, size_t n, uint8_t seed)
{
	static const struct tcp_connect how;
	struct tcp_conn *c = conn_make(), *up;

	memset(&relay, 0, sizeof(relay));
	MUST(http_connect(rig.http, &how, &client_ops, NULL, &relay.client) == OK);
	up = rig.tcp.last;
	up->ops->on_open(up->user);
	http_serve(rig.http, c);
	feed(c, bytes, n, seed);
	if (!up->aborted)
		check_sent(up);
	rig_end();
	MUST(!relay.down);
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
	static char log[BODY_MAX];
	static struct bodies whole;
	unsigned refused;
	size_t log_n;

	if (n < 1 || n > 8000)
		return 0;
	run(bytes + 1, n - 1, 0);
	memcpy(log, relay.log, log_n = relay.log_n);
	whole = relay.in;
	refused = relay.refused;
	run(bytes + 1, n - 1, bytes[0]);
	MUST(relay.log_n == log_n && memcmp(log, relay.log, log_n) == 0);
	MUST(whole.messages == relay.in.messages && whole.n == relay.in.n && memcmp(whole.text, relay.in.text, whole.n) == 0);
	MUST(refused == relay.refused);
	return 0;
}
