/*
 * A rig for the HTTP layer: pipe.h, and above the layer a recorder that writes down what it is told and answers by a
 * plan. Its log, one event after the other:
 *     <GET /a host 11 none>  {name: value}...   (body...)   .   or  .{trailer: value}   !error   ?status error
 */
#ifndef TESTS_UNIT_HTTP_RIG_H
#define TESTS_UNIT_HTTP_RIG_H

#include "tests/unit/http/pipe.h"

/* The recorder. */

enum plan {
	REPLY,            /* a response with body "ok" when the request is whole */
	REPLY_EARLY,      /* the same, at the head */
	ECHO,             /* the request's body comes back, chunked, with back-pressure */
	HOLD,             /* nothing: the test answers */
	RESET_AT_HEAD, RESET_AT_BODY, RESET_AT_END,
	CONTINUE,         /* 100 at the head, then like REPLY */
};

struct recorder {
	enum plan plan;
	char log[LOG_MAX];
	size_t log_n;
	bool in_body;
	struct http_stream *stream;      /* the present one */
	unsigned opened, closed, refused, idles, writables;
	uint64_t body_bytes, sent_bytes;
	bool keep_credit;                /* credit is given back at the end of the test's choice */
	uint32_t credit;
	struct slice waiting[SLICES_MAX];/* ECHO: refused by http_send_body() */
	uint32_t waiting_credit[SLICES_MAX];
	unsigned waiting_first, waiting_n;
	bool end_waits;
	enum err why;
	uint16_t refused_status;
};

static struct recorder recorder;

static void record(const char *text, size_t n)
{
	assert_true(recorder.log_n + n < LOG_MAX);
	if (n)
		memcpy(recorder.log + recorder.log_n, text, n);
	recorder.log_n += n;
	recorder.log[recorder.log_n] = 0;
}

static void record_text(const char *text)
{
	if (recorder.in_body)
		record(")", 1);
	recorder.in_body = false;
	record(text, strlen(text));
}

static void record_fields(const struct http_message *m)
{
	for (unsigned i = 0; i < m->fields_n; i++)
		if (!m->fields[i].removed) {
			record_text("{");
			record(m->fields[i].name.at, m->fields[i].name.len);
			record_text(": ");
			record(m->fields[i].value.at, m->fields[i].value.len);
			record_text("}");
		}
}

static void reply(struct http_stream *s)
{
	struct http_message m;

	http_message_init(&m);
	m.status = 200;
	m.body = HTTP_BODY_LENGTH;
	m.content_length = 2;
	assert_int_equal(http_send_head(s, &m, false), OK);
	assert_int_equal(http_send_text(s, TEXT("ok")), OK);
	assert_int_equal(http_send_end(s, NULL), OK);
}

static void echo_begin(struct http_stream *s)
{
	struct http_message m;

	http_message_init(&m);
	m.status = 200;
	m.body = HTTP_BODY_CHUNKED;
	assert_int_equal(http_send_head(s, &m, false), OK);
}

static void reset_stream(void)
{
	struct http_stream *s = recorder.stream;

	recorder.stream = NULL;
	recorder.credit = 0;
	recorder.closed++;
	record_text("!reset");
	http_reset(s, ERR_CONN_ABORTED);
}

static void rec_head(void *user, struct http_message *m)
{
	static const char *const bodies[] = {"none", "length", "chunked", "close"};
	char line[128];

	(void)user;
	if (m->status) {
		snprintf(line, sizeof(line), "<%u %u %s", m->status, m->version, bodies[m->body]);
		record_text(line);
	} else {
		record_text("<");
		record(m->method_text.at, m->method_text.len);
		record_text(" ");
		record(m->path.at, m->path.len);
		record_text(" ");
		record(m->authority.at, m->authority.len);
		snprintf(line, sizeof(line), " %u %s", m->version, bodies[m->body]);
		record_text(line);
	}
	if (m->body == HTTP_BODY_LENGTH) {
		snprintf(line, sizeof(line), " %lu", (unsigned long)m->content_length);
		record_text(line);
	}
	record_text(m->expect_continue ? " expect>" : m->keep_alive ? ">" : " last>");
	record_fields(m);
	if (m->status)
		return;
	if (recorder.plan == ECHO)
		echo_begin(recorder.stream);
	else if (recorder.plan == REPLY_EARLY)
		reply(recorder.stream);
	else if (recorder.plan == RESET_AT_HEAD)
		reset_stream();
	else if (recorder.plan == CONTINUE) {
		struct http_message interim;

		http_message_init(&interim);
		interim.status = 100;
		assert_int_equal(http_send_head(recorder.stream, &interim, false), OK);
	}
}

static void echo_flush(void)
{
	while (recorder.waiting_n) {
		const unsigned i = recorder.waiting_first % SLICES_MAX;

		if (!http_send_body(recorder.stream, recorder.waiting[i]))
			return;
		http_credit(recorder.stream, recorder.waiting_credit[i]);
		recorder.waiting_first++;
		recorder.waiting_n--;
	}
	if (recorder.end_waits && http_send_end(recorder.stream, NULL) == OK)
		recorder.end_waits = false;
}

static void rec_body(void *user, struct slice s, uint32_t credit)
{
	(void)user;
	assert_true(s.len > 0);
	if (!recorder.in_body)
		record("(", 1);
	recorder.in_body = true;
	record(slice_at(&s), s.len);
	recorder.body_bytes += s.len;
	if (recorder.plan == ECHO) {
		const unsigned i = (recorder.waiting_first + recorder.waiting_n++) % SLICES_MAX;

		recorder.waiting[i] = s;
		recorder.waiting_credit[i] = credit;
		echo_flush();
		return;
	}
	slice_free(&s);
	recorder.credit += credit;
	if (recorder.plan == RESET_AT_BODY) {
		reset_stream();
	} else if (!recorder.keep_credit) {
		http_credit(recorder.stream, recorder.credit);
		recorder.credit = 0;
	}
}

static void rec_end(void *user, struct http_message *trailers)
{
	(void)user;
	record_text(".");
	if (trailers)
		record_fields(trailers);
	if (recorder.plan == ECHO) {
		recorder.end_waits = true;
		echo_flush();
	} else if ((recorder.plan == REPLY || recorder.plan == CONTINUE) && recorder.stream &&
	           h1_of(recorder.stream)->role == H1_SERVER) {
		reply(recorder.stream);
	} else if (recorder.plan == RESET_AT_END) {
		reset_stream();
	}
}

static void rec_writable(void *user)
{
	(void)user;
	recorder.writables++;
	if (recorder.plan == ECHO)
		echo_flush();
}

static void rec_sent(void *user, uint32_t bytes)
{
	(void)user;
	recorder.sent_bytes += bytes;
}

static void rec_closed(void *user, enum err why)
{
	(void)user;
	assert_non_null(recorder.stream);
	recorder.stream = NULL;
	recorder.closed++;
	recorder.credit = 0;
	recorder.why = why;
	for (; recorder.waiting_n; recorder.waiting_n--)
		slice_free(&recorder.waiting[recorder.waiting_first++ % SLICES_MAX]);
	if (why) {
		record_text("!");
		record_text(err_name(why));
	}
}

static const struct http_stream_ops rec_ops = {
	.on_head = rec_head, .on_body = rec_body, .on_end = rec_end, .on_writable = rec_writable, .on_sent = rec_sent,
	.on_closed = rec_closed,
};

static void rec_stream(void *up, struct http_stream *s)
{
	(void)up;
	assert_null(recorder.stream);
	recorder.stream = s;
	recorder.opened++;
	recorder.sent_bytes = 0;
	http_set_stream_user(s, &rec_ops, NULL);
}

static void rec_bad_request(void *up, struct tls_conn *c, enum err why, struct http_refusal answer)
{
	char line[64];

	(void)up;
	assert_non_null(c);
	recorder.refused++;
	recorder.refused_status = answer.status;
	snprintf(line, sizeof(line), "?%u %s", answer.status, err_name(why));
	record_text(line);
}

static const struct http_up rec_up = {.on_stream = rec_stream, .on_bad_request = rec_bad_request};

static inline void rig_start(enum plan plan)
{
	memset(&recorder, 0, sizeof(recorder));
	recorder.plan = plan;
	rig.conns_n = 0;
}

static inline int rig_setup(void **state)
{
	(void)state;
	rig_open(&rec_up);
	return 0;
}

static inline int rig_teardown(void **state)
{
	(void)state;
	rig_close();
	return 0;
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, rig_setup, rig_teardown)

#endif
