/* See the header. Families: Transfer-Encoding, Content-Length, chunks, heads; each a product of lists of texts. */
#include "tests/support/smuggle.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

struct piece {
	const char *at;
	size_t n;
};

#define P(literal) {(literal), sizeof(literal) - 1}
#define N(list) (sizeof(list) / sizeof((list)[0]))
#define HOST "Host: a.example\r\n"
#define SMUGGLED "GET /smuggled HTTP/1.1\r\n" HOST "\r\n"

/* ---- Transfer-Encoding ---- */

static const struct piece te_names[] = {
	P("Transfer-Encoding"), P("transfer-encoding"), P("TRANSFER-ENCODING"), P("tRANSFER-eNCODING"),
	P("Transfer-Encoding "), P("Transfer-Encoding\t"), P(" Transfer-Encoding"), P("\tTransfer-Encoding"),
	P("\x0bTransfer-Encoding"), P("\x0cTransfer-Encoding"), P("Transfer-Encoding\x0b"), P("Transfer_Encoding"),
	P("Transfer Encoding"), P("Transfer--Encoding"), P("Transfer-Encoding\0"), P("\0Transfer-Encoding"),
	P("Transfer\0-Encoding"), P("Transfer-Encoding\x7f"), P("\xffTransfer-Encoding"), P("Transfer-Encod\xefng"),
	P("\"Transfer-Encoding\""), P("Transfer-Encoding;"), P("Transfer-Encoding:"), P("Transfer-Encoding,"),
	P("X: y\rTransfer-Encoding"), P("X: y\nTransfer-Encoding"), P("X: y\r\rTransfer-Encoding"),
	P("X: y\n\rTransfer-Encoding"), P("X: y\r\n\rTransfer-Encoding"), P("X: y\r\n Transfer-Encoding"),
	P("X: y\x85Transfer-Encoding"), P("Transfer-Encoding\r\n"), P("Transfer-\r\nEncoding"), P("Transfer-Encodin"),
	P("ransfer-Encoding"), P(":Transfer-Encoding"), P("Content-Encoding"), P("TE"),
};
static const struct piece te_values[] = {
	P(" chunked"), P("chunked"), P("  chunked"), P("\tchunked"), P(" \t chunked \t "), P(" CHUNKED"), P(" cHuNkEd"),
	P("\x0b" "chunked"), P("\x0c" "chunked"), P(" chunked\x0b"), P(" chunked\0"), P(" \0chunked"), P(" chun\0ked"),
	P(" \"chunked\""), P(" 'chunked'"), P(" \xa0" "chunked"), P(" \xff" "chunked"), P(" chunked\x7f"), P(" chunked\x80"),
	P(" chunked, identity"), P(" identity, chunked"), P(" chunked,chunked"), P(" ,chunked"), P(" chunked,"), P(" , ,chunked"),
	P(" gzip, chunked"), P(" chunked, gzip"), P(" chunked;q=1"), P(" chunked;"), P(" chunked; x=y"), P(" xchunked"),
	P(" chunkedx"), P(" chunk"), P(" chunked chunked"), P(" identity"), P(" "), P(""), P(" cow"),
	P("\r\n chunked"), P("\r\n\tchunked"), P(" x\r\n chunked"), P("\nchunked"), P("\rchunked"), P(" chunked\r"), P(" chunked\n"),
	P(" chunked\r\nTransfer-Encoding: identity"), P(" identity\r\nTransfer-Encoding: chunked"),
	P(" chunked\r\nTransfer-Encoding: chunked"), P(" x\r\nTransfer-Encoding: chunked"),
};
enum { COMPANIONS = 3 };
static const char *const companions[COMPANIONS] = {"alone", "length before", "length behind"};

/* ---- Content-Length ---- */

static const struct piece cl_names[] = {
	P("Content-Length"), P("content-length"), P("CONTENT-LENGTH"), P("Content-Length "), P("Content-Length\t"),
	P(" Content-Length"), P("\x0b" "Content-Length"), P("Content_Length"), P("Content-Length\0"), P("Content\0-Length"),
	P("X: y\nContent-Length"), P("X: y\rContent-Length"), P("Content-Length:"), P("\"Content-Length\""),
	P("Content-Len\xe7th"), P("Content Length"),
};
static const struct piece cl_values[] = {
	P(" 5"), P("5"), P(" 5 "), P("\t5\t"), P(" +5"), P(" -5"), P(" 5,5"), P(" 5, 5"), P(" 5,6"), P(" ,5"), P(" 5,"),
	P(" 05"), P(" 0000000000000000000005"), P(" 0x5"), P(" 5h"), P(" 5.0"), P(" 5e0"), P(" 5;"), P(" 5 5"), P(" \"5\""),
	P(" '5'"), P(" \0005"), P(" 5\0"), P(" \x0b" "5"), P(" 5\x0c"), P(" \xef\xbc\x95"), P(" 5\xa0"), P(""), P(" "),
	P(" 18446744073709551621"), P(" 9223372036854775808"), P(" 99999999999999999999"), P(" 4294967301"), P(" \xd9\xa5"),
	P(" 5\r\nContent-Length: 5"), P(" 5\r\nContent-Length: 6"), P(" 6\r\nContent-Length: 5"),
	P(" 5\r\nContent-Length: "), P("\r\n 5"), P("\r\n\t5"), P(" 5\r\n 0"), P("\n5"), P("\r5"), P(" 5\rX: y"), P(" 5\nX: y"),
};
static const struct piece cl_methods[] = {P("POST"), P("GET")};

/* ---- chunks: the body behind a head that says chunked ---- */

static const struct piece chunk_bodies[] = {
	/* sizes */
	P("5\r\nhello\r\n0\r\n\r\n"), P("05\r\nhello\r\n0\r\n\r\n"), P("0000000000000005\r\nhello\r\n0\r\n\r\n"),
	P("00000000000000005\r\nhello\r\n0\r\n\r\n"), P("0x5\r\nhello\r\n0\r\n\r\n"), P("0X5\r\nhello\r\n0\r\n\r\n"),
	P("+5\r\nhello\r\n0\r\n\r\n"), P("-5\r\nhello\r\n0\r\n\r\n"), P(" 5\r\nhello\r\n0\r\n\r\n"), P("\t5\r\nhello\r\n0\r\n\r\n"),
	P("5 \r\nhello\r\n0\r\n\r\n"), P("5\t\r\nhello\r\n0\r\n\r\n"), P("5_0\r\nhello\r\n0\r\n\r\n"), P("5g\r\nhello\r\n0\r\n\r\n"),
	P("5.0\r\nhello\r\n0\r\n\r\n"), P("5,\r\nhello\r\n0\r\n\r\n"), P("\"5\"\r\nhello\r\n0\r\n\r\n"),
	P("\0005\r\nhello\r\n0\r\n\r\n"), P("5\0\r\nhello\r\n0\r\n\r\n"), P("5\x0b\r\nhello\r\n0\r\n\r\n"),
	P("\r\n5\r\nhello\r\n0\r\n\r\n"), P("\r\nhello\r\n0\r\n\r\n"), P("\n0\r\n\r\n"),
	P("10000000000000005\r\nhello\r\n0\r\n\r\n"), P("100000000000000005\r\nhello\r\n0\r\n\r\n"),
	P("ffffffffffffffff\r\nhello\r\n0\r\n\r\n"), P("fffffffffffffffff\r\nhello\r\n0\r\n\r\n"),
	P("8000000000000000\r\nhello\r\n0\r\n\r\n"), P("100000005\r\nhello\r\n0\r\n\r\n"), P("80000005\r\nhello\r\n0\r\n\r\n"),
	P("\xef\xbc\x95\r\nhello\r\n0\r\n\r\n"), P("5\xa0\r\nhello\r\n0\r\n\r\n"), P("6\r\nhello\r\n0\r\n\r\n"),
	P("4\r\nhello\r\n0\r\n\r\n"), P("a\r\nhello\r\n0\r\n\r\n"), P("A\r\n0123456789\r\n0\r\n\r\n"),
	/* line ends behind sizes and data (TERM, ONE.TWO, TWO.ONE, ZERO.TWO) */
	P("5\nhello\r\n0\r\n\r\n"), P("5\rhello\r\n0\r\n\r\n"), P("5\r\rhello\r\n0\r\n\r\n"), P("5\n\nhello\r\n0\r\n\r\n"),
	P("5\n\rhello\r\n0\r\n\r\n"), P("5\r\r\nhello\r\n0\r\n\r\n"), P("5\rX\nhello\r\n0\r\n\r\n"), P("5\x85hello\r\n0\r\n\r\n"),
	P("5\r\nhello\n0\r\n\r\n"), P("5\r\nhello\r0\r\n\r\n"), P("5\r\nhello0\r\n\r\n"), P("5\r\nhelloX\n0\r\n\r\n"),
	P("5\r\nhello\rX0\r\n\r\n"), P("5\r\nhelloXX0\r\n\r\n"), P("5\r\nhello\r\r\n0\r\n\r\n"), P("5\r\nhello\r\n\r\n0\r\n\r\n"),
	P("5\r\nhello\n\n0\r\n\r\n"), P("5\r\nhello\n\r0\r\n\r\n"), P("5\r\nhello\r\n 0\r\n\r\n"), P("5\r\nhello  0\r\n\r\n"),
	/* extensions (TERM.EXT, EXT.TERM) */
	P("5;\r\nhello\r\n0\r\n\r\n"), P("5;a\r\nhello\r\n0\r\n\r\n"), P("5;a=b\r\nhello\r\n0\r\n\r\n"),
	P("5;a=\"b;c\"\r\nhello\r\n0\r\n\r\n"), P("5 ;a=b\r\nhello\r\n0\r\n\r\n"), P("5; a = b\r\nhello\r\n0\r\n\r\n"),
	P("5;a\nhello\r\n0\r\n\r\n"), P("5;\nxx\r\nhello\r\n0\r\n\r\n"), P("5;\n0\r\nhello\r\n0\r\n\r\n"),
	P("5;a\rhello\r\n0\r\n\r\n"), P("5;\rxx\r\nhello\r\n0\r\n\r\n"), P("5;\r\rxx\r\nhello\r\n0\r\n\r\n"),
	P("5;\n\r\nhello\r\n0\r\n\r\n"), P("5;\x85xx\r\nhello\r\n0\r\n\r\n"), P("5;a=\"\r\n0\r\n\r\n\"\r\nhello\r\n0\r\n\r\n"),
	P("5;a=\"\\\r\nhello\r\n0\r\n\r\n"), P("5;\0\r\nhello\r\n0\r\n\r\n"), P("5;\x7f\r\nhello\r\n0\r\n\r\n"),
	P("5;\x01\r\nhello\r\n0\r\n\r\n"), P("5,a\r\nhello\r\n0\r\n\r\n"), P("5:a\r\nhello\r\n0\r\n\r\n"),
	P("2;\nxx\r\n4c\r\n0\r\n\r\n"), P("1;\na\r\n0\r\n\r\n"),
	/* the end, spills, trailers */
	P("0\r\n\r\n"), P("00\r\n\r\n"), P("0000000000000000\r\n\r\n"), P("00000000000000000\r\n\r\n"), P("0;x\r\n\r\n"),
	P("0;\n\r\n\r\n"), P("0\n\r\n"), P("0\r\n\n"), P("0\n\n"), P("0\r\r"), P("0\r\n\r"), P("0\r\n\rX"), P("0\r\nX\r\n\r\n"),
	P("-0\r\n\r\n"), P("+0\r\n\r\n"), P(" 0\r\n\r\n"), P("0 \r\n\r\n"), P("0x0\r\n\r\n"), P("0\0\r\n\r\n"), P("\r\n\r\n"), P(""),
	P("5\r\nhello\r\n0\r\n"), P("5\r\nhello\r\n"), P("5\r\nhello"), P("5\r\nhel"), P("5\r\nhelloxx\r\n0\r\n\r\n"),
	P("5\r\nhello\r\n0\r\nX-T: v\r\n\r\n"), P("0\r\nX-T : v\r\n\r\n"), P("0\r\n X-T: v\r\n\r\n"), P("0\r\nX-T: v\r\n w\r\n\r\n"),
	P("0\r\nX-T: v\n\r\n"), P("0\r\nX-T: v\r\r\n\r\n"), P("0\r\nX-T: \0\r\n\r\n"), P("0\r\n: v\r\n\r\n"), P("0\r\nX-T\r\n\r\n"),
	P("0\r\nContent-Length: 50\r\n\r\n"), P("0\r\nTransfer-Encoding: chunked\r\n\r\n"), P("0\r\nHost: evil\r\n\r\n"),
	P("0\r\nAuthorization: x\r\n\r\n"), P("0\r\nConnection: close\r\n\r\n"), P("0\r\nUpgrade: h2c\r\n\r\n"),
	P("0\r\nExpect: 100-continue\r\n\r\n"), P("0\r\nTrailer: x\r\n\r\n"), P("0\r\nContent_Length: 50\r\n\r\n"),
	P("5\r\nhello\r\n-1\r\n\r\n"), P("5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n"), P("1\r\nx\r\n1\r\ny\r\n1\r\nz\r\n0\r\n\r\n"),
};

/* ---- whole heads ---- */

static const struct piece heads[] = {
	P("GET /x HTTP/1.1\r\n" HOST "\r\n"), P("GET /x HTTP/1.1\n" HOST "\r\n"), P("GET /x HTTP/1.1\r" HOST "\r\n"),
	P("GET /x HTTP/1.1\r\n" HOST "\n"), P("GET /x HTTP/1.1\r\n" HOST "\r"), P("GET /x HTTP/1.1\r\n" HOST "\r\n\r"),
	P("GET /x HTTP/1.1\r\n" HOST "\r\n\n"), P("\r\nGET /x HTTP/1.1\r\n" HOST "\r\n"), P("\nGET /x HTTP/1.1\r\n" HOST "\r\n"),
	P("GET  /x HTTP/1.1\r\n" HOST "\r\n"), P("GET /x  HTTP/1.1\r\n" HOST "\r\n"), P("GET\t/x HTTP/1.1\r\n" HOST "\r\n"),
	P("GET /x\tHTTP/1.1\r\n" HOST "\r\n"), P("GET /x HTTP/1.1 \r\n" HOST "\r\n"), P(" GET /x HTTP/1.1\r\n" HOST "\r\n"),
	P("GET /x\x0bHTTP/1.1\r\n" HOST "\r\n"), P("GET /x\0 HTTP/1.1\r\n" HOST "\r\n"), P("GET /x HTTP/1.1\0\r\n" HOST "\r\n"),
	P("GET /x HTTP/1.1\r\n\r\n" HOST "\r\n"), P("GET /x HTTP/1.1\r\n " HOST "\r\n"), P("GET /x HTTP/1.1\r\nHost : a.example\r\n\r\n"),
	P("GET /x HTTP/1.1\r\nHost\r\n\r\n"), P("GET /x HTTP/1.1\r\n" HOST HOST "\r\n"), P("GET /x HTTP/1.1\r\n" HOST "Host: b\r\n\r\n"),
	P("GET /x HTTP/1.1\r\nHost: a.example, b\r\n\r\n"), P("GET /x HTTP/1.1\r\nHost: a.example b\r\n\r\n"),
	P("GET /x HTTP/1.1\r\nHost: a@b\r\n\r\n"), P("GET /x HTTP/1.1\r\nHost: a/b\r\n\r\n"), P("GET /x HTTP/1.1\r\nHost:\r\n\r\n"),
	P("GET /x HTTP/1.1\r\nHost: a.example\0b\r\n\r\n"), P("GET /x HTTP/1.1\r\n: v\r\n" HOST "\r\n"),
	P("GET /x HTTP/1.1\r\n" HOST "X\0: v\r\n\r\n"), P("GET /x HTTP/1.1\r\n" HOST "X: \0\r\n\r\n"),
	P("GET /x HTTP/1.1\r\n" HOST "X: a\r b\r\n\r\n"), P("GET /x HTTP/1.1\r\n" HOST "X: a\n b\r\n\r\n"),
	P("GET /x HTTP/1.1\r\n" HOST "X: a\r\n b\r\n\r\n"), P("GET /x HTTP/1.1\r\n" HOST "X: a\nGET /y HTTP/1.1\r\n\r\n"),
	P("GET /x HTTP/1.1\r\n" HOST "X\x80: a\r\n\r\n"), P("GET /x HTTP/1.1\r\n" HOST "X: a\x01\r\n\r\n"),
	P("GET /x#y HTTP/1.1\r\n" HOST "\r\n"), P("GET /x\x80 HTTP/1.1\r\n" HOST "\r\n"), P("GET http://b/x HTTP/1.1\r\n" HOST "\r\n"),
	P("GET http://a.example/x HTTP/1.1\r\n" HOST "\r\n"), P("GET http://u@a.example/x HTTP/1.1\r\n" HOST "\r\n"),
	P("GET //a.example/x HTTP/1.1\r\n" HOST "\r\n"), P("GET x HTTP/1.1\r\n" HOST "\r\n"), P("GET * HTTP/1.1\r\n" HOST "\r\n"),
	P("OPTIONS * HTTP/1.1\r\n" HOST "\r\n"), P("CONNECT a.example:80 HTTP/1.1\r\n" HOST "\r\n"), P("get /x HTTP/1.1\r\n" HOST "\r\n"),
	P("GET /x HTTP/1.0\r\n" HOST "Connection: keep-alive\r\n\r\n"), P("GET /x HTTP/0.9\r\n" HOST "\r\n"), P("GET /x\r\n" HOST "\r\n"),
	P("GET /x HTTP/1.2\r\n" HOST "\r\n"), P("GET /x HTTP/2.0\r\n" HOST "\r\n"), P("GET /x HTTP/01.1\r\n" HOST "\r\n"),
	P("GET /x HTTP/1.1\r\n" HOST "Connection: Host\r\n\r\n"), P("GET /x HTTP/1.1\r\n" HOST "Connection: Content-Length\r\n\r\n"),
	P("POST /x HTTP/1.1\r\n" HOST "Connection: Content-Length\r\nContent-Length: 5\r\n\r\nhello"),
	P("POST /x HTTP/1.1\r\n" HOST "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
	P("POST /x HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
	P("POST /x HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello"),
	P("POST /x HTTP/1.1\r\n" HOST "Expect: x 100-continue\r\nContent-Length: 5\r\n\r\nhello"),
	P("POST /x HTTP/1.1\r\n" HOST "Expect: 100-continue, x\r\nContent-Length: 5\r\n\r\nhello"),
	P("POST /x HTTP/1.1\r\n" HOST "Expect:\n100-continue\r\nContent-Length: 5\r\n\r\nhello"),
	P("GET /x HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello"),
	P("GET /x HTTP/1.1\r\n" HOST "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"),
	P("GET /x HTTP/1.1\r\n" HOST "Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n"),
	P("POST /x HTTP/1.1\r\n" HOST "Upgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 5\r\n\r\nhello"),
	P("GET /x HTTP/1.1\r\n" HOST "Upgrade: TLS/1.0\r\nConnection: Upgrade\r\n\r\n"),
	P("HEAD /x HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello"), P("GET /x HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello"),
	P("DELETE /x HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello"), P("TRACE /x HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello"),
};

/* ---- numbers to variants ---- */

static void put(struct smuggle *s, const char *at, size_t n)
{
	assert(s->n + n <= SMUGGLE_BYTES_MAX);
	memcpy(s->bytes + s->n, at, n);
	s->n += n;
}

static void put_text(struct smuggle *s, const char *text)
{
	put(s, text, strlen(text));
}

static void put_piece(struct smuggle *s, const struct piece *p)
{
	put(s, p->at, p->n);
}

static void name_text(struct smuggle *s, const char *text)
{
	const size_t at = strlen(s->name);

	snprintf(s->name + at, sizeof(s->name) - at, "%s", text);
}

static void name_piece(struct smuggle *s, const struct piece *p)
{
	char escaped[8];

	name_text(s, " [");
	for (size_t i = 0; i < p->n; i++) {
		const unsigned char b = (unsigned char)p->at[i];

		if (b >= 0x20 && b < 0x7f)
			snprintf(escaped, sizeof(escaped), "%c", b);
		else
			snprintf(escaped, sizeof(escaped), b == '\r' ? "\\r" : b == '\n' ? "\\n" : b == '\t' ? "\\t" : "\\x%02x", b);
		name_text(s, escaped);
	}
	name_text(s, "]");
}

static void make_te(unsigned i, struct smuggle *s)
{
	static const char body[] = "0\r\n\r\n" SMUGGLED;
	const struct piece *name = &te_names[i / COMPANIONS / N(te_values)], *value = &te_values[i / COMPANIONS % N(te_values)];
	const unsigned companion = i % COMPANIONS;
	char length[64];

	name_text(s, "te");
	name_piece(s, name);
	name_piece(s, value);
	name_text(s, " ");
	name_text(s, companions[companion]);
	snprintf(length, sizeof(length), "Content-Length: %zu\r\n", sizeof(body) - 1);
	put_text(s, "POST /te HTTP/1.1\r\n" HOST);
	put_text(s, companion == 1 ? length : "");
	put_piece(s, name);
	put_text(s, ":");
	put_piece(s, value);
	put_text(s, "\r\n");
	put_text(s, companion == 2 ? length : "");
	put_text(s, "\r\n");
	put_text(s, body);
}

static void make_cl(unsigned i, struct smuggle *s)
{
	const struct piece *method = &cl_methods[i % N(cl_methods)], *value = &cl_values[i / N(cl_methods) % N(cl_values)];
	const struct piece *name = &cl_names[i / N(cl_methods) / N(cl_values)];

	name_text(s, "cl");
	name_piece(s, method);
	name_piece(s, name);
	name_piece(s, value);
	put_piece(s, method);
	put_text(s, " /cl HTTP/1.1\r\n" HOST);
	put_piece(s, name);
	put_text(s, ":");
	put_piece(s, value);
	put_text(s, "\r\n\r\nhello" SMUGGLED);
}

static void make_chunks(unsigned i, struct smuggle *s)
{
	name_text(s, "chunks");
	name_piece(s, &chunk_bodies[i]);
	put_text(s, "POST /chunks HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
	put_piece(s, &chunk_bodies[i]);
	put_text(s, SMUGGLED);
}

static void make_head(unsigned i, struct smuggle *s)
{
	name_text(s, "head");
	name_piece(s, &heads[i]);
	put_piece(s, &heads[i]);
	put_text(s, SMUGGLED);
}

static const struct {
	unsigned n;
	void (*make)(unsigned i, struct smuggle *s);
} families[] = {
	{N(te_names) * N(te_values) * COMPANIONS, make_te},
	{N(cl_names) * N(cl_values) * N(cl_methods), make_cl},
	{N(chunk_bodies), make_chunks},
	{N(heads), make_head},
};

unsigned smuggle_count(void)
{
	unsigned n = 0;

	for (size_t i = 0; i < N(families); i++)
		n += families[i].n;
	return n;
}

void smuggle_make(unsigned i, struct smuggle *out)
{
	size_t family = 0;

	while (i >= families[family].n) {
		i -= families[family++].n;
		assert(family < N(families));
	}
	out->name[0] = '\0';
	out->n = 0;
	families[family].make(i, out);
}
