/*
 * Chunked bodies: any bytes to h1_chunk(), whole and cut anywhere, against llhttp.
 *
 * What must hold: the cuts make no difference; framing and body together are what was looked at; and a body that we
 * take to its last chunk is, to llhttp in strict mode, the same bytes with the same end. Where llhttp refuses what we
 * take, it is for what stands in an extension, which we skip and never pass on. Where we refuse what llhttp takes (more
 * than 16 digits of a size, long extensions) we are the stricter one, which is harmless.
 *
 * The first byte of the input says how it is cut.
 */
#include "tests/fuzz/http.h"

enum { HEAD_MAX = 128 };

struct result {
	char body[BODY_MAX];
	size_t n;                /* of the body */
	size_t end;              /* behind the last chunk's line; 0: it did not come */
	bool extension;
	enum err e;
};

/* Up to `step` bytes at a time; 0: all. */
static void decode(const char *bytes, size_t n, size_t step, struct result *r)
{
	struct h1_chunk c = {0};
	size_t at = 0;

	memset(r, 0, offsetof(struct result, e) + sizeof(r->e));
	while (at < n) {
		const uint32_t len = (uint32_t)(step && step < n - at ? step : n - at);
		uint32_t framing = 0, body = 0;

		r->e = h1_chunk(&c, bytes + at, len, &framing, &body);
		if (r->e != OK && r->e != ERR_AGAIN)
			return;
		MUST(framing + body <= len && (framing + body > 0));
		for (uint32_t i = 0; i < framing; i++)
			r->extension = r->extension || bytes[at + i] == ';';
		at += framing;
		if (r->e == OK && body == 0) {
			r->end = at;
			return;
		}
		memcpy(r->body + r->n, bytes + at, body);
		r->n += body;
		at += body;
	}
}

static void check_llhttp(const char *bytes, const struct result *r)
{
	static const char head[HEAD_MAX] = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
	static const llhttp_settings_t settings = {.on_body = oracle_body, .on_message_complete = oracle_end};
	static struct bodies got;
	llhttp_errno_t e;
	llhttp_t p;

	memset(&got, 0, sizeof(got));
	llhttp_init(&p, HTTP_REQUEST, &settings);
	p.data = &got;
	MUST(llhttp_execute(&p, head, strlen(head)) == HPE_OK);
	e = llhttp_execute(&p, bytes, r->end);
	if (e == HPE_OK)
		e = llhttp_execute(&p, "\r\n", 2);
	if (e != HPE_OK) {
		MUST(r->extension);
		return;
	}
	MUST(got.messages == 1 && got.n == r->n + 1 && memcmp(got.text, r->body, r->n) == 0);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	static struct result whole, cut;

	if (n < 1 || n > 8000)
		return 0;
	decode((const char *)bytes + 1, n - 1, 0, &whole);
	decode((const char *)bytes + 1, n - 1, 1 + bytes[0] % 7, &cut);
	MUST(whole.n == cut.n && whole.end == cut.end && memcmp(whole.body, cut.body, whole.n) == 0);
	MUST(whole.e == cut.e);
	if (whole.end)
		check_llhttp((const char *)bytes + 1, &whole);
	return 0;
}
