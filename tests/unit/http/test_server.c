/* The server's side of HTTP/1: bytes in to messages, errors and bytes out; every case split at every position. */
#include "tests/unit/http/rig.h"

#define OK_200 "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
#define OK_CLOSE "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"
#define OK_10 "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: keep-alive\r\n\r\nok"
#define REFUSAL(status, reason, length) \
	"HTTP/1.1 " status " " reason "\r\ncontent-type: text/plain\r\ncontent-length: " length \
	"\r\nconnection: close\r\n\r\n" reason
#define BAD REFUSAL("400", "Bad Request", "11")
#define GET "GET / HTTP/1.1\r\nHost: a\r\n"
#define POST "POST / HTTP/1.1\r\nHost: a\r\n"
#define A50 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define A250 A50 A50 A50 A50 A50
#define LONG GET "X: " A250 "\r\n\r\n"
#define SYNTAX "?400 http_syntax"
#define FRAMING "?400 http_framing"

struct server_case {
	const char *name;
	const char *in;
	const char *log;
	const char *out;
	enum plan plan;
	size_t in_len;           /* when there is a NUL in it */
};

#define CASE(title, bytes, wanted_log, wanted_out, ...) \
	{.name = title, .in = bytes, .log = wanted_log, .out = wanted_out, __VA_ARGS__}

static const struct server_case cases[] = {
	CASE("plain GET", "GET /a?b=c HTTP/1.1\r\nHost: x.example:80\r\nAccept: */*\r\n\r\n",
	 "<GET /a?b=c x.example:80 11 none>{Host: x.example:80}{Accept: */*}.", OK_200),
	CASE("empty value, spaces around values", "GET / HTTP/1.1\r\nHost:a\r\nA:\r\nB: \t b b \t\r\n\r\n",
	 "<GET / a 11 none>{Host: a}{A: }{B: b b}.", OK_200),
	CASE("two requests", GET "\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
	 "<GET / a 11 none>{Host: a}.<GET /2 a 11 none>{Host: a}.", OK_200 OK_200),
	CASE("one empty line before", "\r\n" GET "\r\n", "<GET / a 11 none>{Host: a}.", OK_200),
	CASE("two empty lines before", "\r\n\r\n" GET "\r\n", SYNTAX, BAD),
	CASE("bare LF before", "\n" GET "\r\n", SYNTAX, BAD),
	CASE("length body", POST "Content-Length: 5\r\n\r\nhelloGET /n HTTP/1.1\r\nHost: a\r\n\r\n",
	 "<POST / a 11 length 5>{Host: a}{Content-Length: 5}(hello).<GET /n a 11 none>{Host: a}.", OK_200 OK_200),
	CASE("length 0", POST "Content-Length: 0\r\n\r\n", "<POST / a 11 length 0>{Host: a}{Content-Length: 0}.", OK_200),
	CASE("chunked body", POST "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=\"y\"\r\n world\r\n0\r\n\r\n",
	 "<POST / a 11 chunked>{Host: a}{Transfer-Encoding: chunked}(hello world).", OK_200),
	CASE("chunked, case", POST "transfer-encoding: CHUNKED\r\n\r\nA\r\n0123456789\r\n00\r\n\r\n",
	 "<POST / a 11 chunked>{Host: a}{transfer-encoding: CHUNKED}(0123456789).", OK_200),
	CASE("trailers", POST "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX-Sum: 7\r\nHost: evil\r\nX-B: \r\n\r\n" GET "\r\n",
	 "<POST / a 11 chunked>{Host: a}{Transfer-Encoding: chunked}(x).{X-Sum: 7}{X-B: }<GET / a 11 none>{Host: a}.",
	 OK_200 OK_200),
	CASE("connection close", GET "Connection: close\r\n\r\n", "<GET / a 11 none last>{Host: a}{Connection: close}.", OK_CLOSE),
	CASE("connection list", GET "Connection: foo, Close\r\n\r\n", "<GET / a 11 none last>{Host: a}{Connection: foo, Close}.",
	 OK_CLOSE),
	CASE("nothing after close", GET "Connection: close\r\n\r\n" GET "\r\n",
	 "<GET / a 11 none last>{Host: a}{Connection: close}.", OK_CLOSE),
	CASE("1.0", "GET / HTTP/1.0\r\n\r\n", "<GET /  10 none last>.", OK_CLOSE),
	CASE("1.0 keep-alive", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
	 "<GET /  10 none>{Connection: keep-alive}.", OK_10),
	CASE("OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "<OPTIONS * a 11 none>{Host: a}.", OK_200),
	CASE("absolute form", "GET http://A.example/x?y HTTP/1.1\r\nHost: a.example\r\n\r\n",
	 "<GET /x?y A.example 11 none>{Host: A.example}.", OK_200),
	CASE("absolute form, another port", "GET http://a:8080/ HTTP/1.1\r\nHost: a\r\n\r\n", "<GET / a:8080 11 none>{Host: a:8080}.", OK_200),
	CASE("absolute form, the port in Host", "GET http://a/ HTTP/1.1\r\nHost: a:80\r\n\r\n", "<GET / a 11 none>{Host: a}.", OK_200),
	CASE("absolute form, an empty port", "GET http://a:/ HTTP/1.1\r\nHost: a\r\n\r\n", "<GET / a: 11 none>{Host: a:}.", OK_200),
	CASE("absolute form, IPv6", "GET http://[::1]:80/ HTTP/1.1\r\nHost: [::1]\r\n\r\n", "<GET / [::1]:80 11 none>{Host: [::1]:80}.", OK_200),
	CASE("absolute form without path", "GET http://a HTTP/1.1\r\nHost: a\r\n\r\n", "<GET / a 11 none>{Host: a}.", OK_200),
	CASE("absolute form, query only", "GET http://a?q HTTP/1.1\r\nHost: a\r\n\r\n", "<GET /?q a 11 none>{Host: a}.", OK_200),
	CASE("absolute form, OPTIONS", "OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n", "<OPTIONS * a 11 none>{Host: a}.", OK_200),
	CASE("IPv6 host", "GET / HTTP/1.1\r\nHost: [2001:db8::1]:8080\r\n\r\n",
	 "<GET / [2001:db8::1]:8080 11 none>{Host: [2001:db8::1]:8080}.", OK_200),
	CASE("expect", POST "Expect: 100-Continue\r\nContent-Length: 2\r\n\r\nhi",
	 "<POST / a 11 length 2 expect>{Host: a}{Expect: 100-Continue}{Content-Length: 2}(hi).",
	 "HTTP/1.1 100 Continue\r\n\r\n" OK_200, .plan = CONTINUE),
	CASE("expect in 1.0 is ignored", "POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi",
	 "<POST /  10 length 2 last>{Expect: 100-continue}{Content-Length: 2}(hi).", OK_CLOSE, .plan = CONTINUE),
	CASE("expect without body", GET "Expect: 100-continue\r\n\r\n", "<GET / a 11 none>{Host: a}{Expect: 100-continue}.", OK_200),
	CASE("early answer to one who waits", POST "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n",
	 "<POST / a 11 length 2 expect>{Host: a}{Expect: 100-continue}{Content-Length: 2}", OK_CLOSE, .plan = REPLY_EARLY),
	CASE("echo", POST "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", NULL, NULL, .plan = ECHO),
	CASE("reset at the head", GET "\r\n", "<GET / a 11 none>{Host: a}!reset", "", .plan = RESET_AT_HEAD),
	CASE("reset at the body", POST "Content-Length: 5\r\n\r\nhello" GET "\r\n", NULL, "", .plan = RESET_AT_BODY),
	CASE("reset at the end", POST "Content-Length: 5\r\n\r\nhello" GET "\r\n",
	 "<POST / a 11 length 5>{Host: a}{Content-Length: 5}(hello).!reset", "", .plan = RESET_AT_END),

	/* Request lines. */
	CASE("version 1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", "?505 http_version", REFUSAL("505", "HTTP Version Not Supported", "26")),
	CASE("version 2.0", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "?505 http_version", REFUSAL("505", "HTTP Version Not Supported", "26")),
	CASE("version 0.9", "GET / HTTP/0.9\r\nHost: a\r\n\r\n", "?505 http_version", REFUSAL("505", "HTTP Version Not Supported", "26")),
	CASE("no version", "GET /\r\nHost: a\r\n\r\n", SYNTAX, BAD),
	CASE("lower-case version", "GET / http/1.1\r\nHost: a\r\n\r\n", SYNTAX, BAD),
	CASE("another protocol", "GET / RTSP/1.0\r\nHost: a\r\n\r\n", SYNTAX, BAD),
	CASE("version 1.10", "GET / HTTP/1.10\r\nHost: a\r\n\r\n", SYNTAX, BAD),
	CASE("lower-case method", "get / HTTP/1.1\r\nHost: a\r\n\r\n", "?501 http_not_implemented", REFUSAL("501", "Not Implemented", "15")),
	CASE("unknown method", "BREW / HTTP/1.1\r\nHost: a\r\n\r\n", "?501 http_not_implemented", REFUSAL("501", "Not Implemented", "15")),
	CASE("method with comma", "GE,T / HTTP/1.1\r\nHost: a\r\n\r\n", SYNTAX, BAD),
	CASE("CONNECT, refused above: the end", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n" GET "\r\n", "<CONNECT / a:443 11 none last>{Host: a:443}.",
	     OK_CLOSE),
	CASE("CONNECT, IPv6", "CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]\r\n\r\n", "<CONNECT / [::1]:443 11 none last>{Host: [::1]:443}.", OK_CLOSE),
	CASE("CONNECT, length 0", "CONNECT a:1 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
	     "<CONNECT / a:1 11 none last>{Host: a:1}{Content-Length: 0}.", OK_CLOSE),
	CASE("CONNECT with a body", "CONNECT a:1 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", FRAMING, BAD),
	CASE("CONNECT to a path", "CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", SYNTAX, BAD),
	CASE("CONNECT to a URI", "CONNECT http://a:1/ HTTP/1.1\r\nHost: a\r\n\r\n", SYNTAX, BAD),
	CASE("CONNECT without port", "CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", SYNTAX, BAD),
	CASE("CONNECT with an empty port", "CONNECT a: HTTP/1.1\r\nHost: a\r\n\r\n", SYNTAX, BAD),
	CASE("CONNECT with a port that is none", "CONNECT a:65536 HTTP/1.1\r\nHost: a\r\n\r\n", SYNTAX, BAD),
	CASE("CONNECT with a user", "CONNECT u@a:1 HTTP/1.1\r\nHost: a\r\n\r\n", SYNTAX, BAD),
	CASE("CONNECT in 1.0", "CONNECT a:1 HTTP/1.0\r\nHost: a\r\n\r\n", "?501 http_not_implemented", REFUSAL("501", "Not Implemented", "15")),
	CASE("two spaces", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", SYNTAX, BAD),
	CASE("two spaces before the version", "GET /  HTTP/1.1\r\nHost: a\r\n\r\n", SYNTAX, BAD),
	CASE("space in target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", SYNTAX, BAD),
	CASE("tab in target", "GET /a\tb HTTP/1.1\r\nHost: a\r\n\r\n", SYNTAX, BAD),
	CASE("space before method", " GET / HTTP/1.1\r\nHost: a\r\n\r\n", SYNTAX, BAD),
	CASE("space behind version", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", SYNTAX, BAD),
	CASE("fragment", "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", SYNTAX, BAD),
	CASE("8-bit target", "GET /\x80 HTTP/1.1\r\nHost: a\r\n\r\n", SYNTAX, BAD),
	CASE("relative target", "GET a HTTP/1.1\r\nHost: a\r\n\r\n", SYNTAX, BAD),
	CASE("asterisk with GET", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", SYNTAX, BAD),
	CASE("absolute form of another scheme", "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", SYNTAX, BAD),
	CASE("absolute form with user", "GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", SYNTAX, BAD),
	CASE("absolute form without host", "GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n", SYNTAX, BAD),
	CASE("absolute form, other host", "GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", SYNTAX, BAD),
	CASE("absolute form, another IPv6", "GET http://[::1]/ HTTP/1.1\r\nHost: [::1\r\n\r\n", SYNTAX, BAD),
	CASE("absolute form, hosts that end with digits", "GET http://a1/ HTTP/1.1\r\nHost: a2\r\n\r\n", SYNTAX, BAD),
	CASE("absolute form, a port and none of a longer host", "GET http://a:1/ HTTP/1.1\r\nHost: a1\r\n\r\n", SYNTAX, BAD),
	CASE("absolute form, no Host", "GET http://a/ HTTP/1.1\r\n\r\n", SYNTAX, BAD),
	CASE("TLS hello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", SYNTAX, BAD, .plan = REPLY, .in_len = 11),

	/* Host. */
	CASE("no Host", "GET / HTTP/1.1\r\nX: a\r\n\r\n", SYNTAX, BAD),
	CASE("two Hosts", GET "Host: a\r\n\r\n", SYNTAX, BAD),
	CASE("two Hosts in 1.0", "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", SYNTAX, BAD),
	CASE("empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", SYNTAX, BAD),
	CASE("Host with path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", SYNTAX, BAD),
	CASE("Host with user", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", SYNTAX, BAD),
	CASE("Host with space", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", SYNTAX, BAD),
	CASE("Host with comma", "GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", SYNTAX, BAD),
	CASE("Host with backslash", "GET / HTTP/1.1\r\nHost: a\\b\r\n\r\n", SYNTAX, BAD),
	CASE("Host with port text", "GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", SYNTAX, BAD),
	CASE("Host with port above 65535", "GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", SYNTAX, BAD),
	CASE("Host with two ports", "GET / HTTP/1.1\r\nHost: a:1:2\r\n\r\n", SYNTAX, BAD),
	CASE("Host with 8 bits", "GET / HTTP/1.1\r\nHost: \xc3\xa4\r\n\r\n", SYNTAX, BAD),
	CASE("Host is a port", "GET / HTTP/1.1\r\nHost: :80\r\n\r\n", SYNTAX, BAD),
	CASE("Host with open bracket", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", SYNTAX, BAD),
	CASE("Host with empty brackets", "GET / HTTP/1.1\r\nHost: []\r\n\r\n", SYNTAX, BAD),
	CASE("Host with text behind brackets", "GET / HTTP/1.1\r\nHost: [::1]a\r\n\r\n", SYNTAX, BAD),

	/* Fields. */
	CASE("folded line", GET "A: b\r\n c\r\n\r\n", SYNTAX, BAD),
	CASE("folded by tab", GET "A: b\r\n\tc\r\n\r\n", SYNTAX, BAD),
	CASE("folded first line", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", SYNTAX, BAD),
	CASE("white space line", GET " \r\n\r\n", SYNTAX, BAD),
	CASE("space before colon", GET "A : b\r\n\r\n", SYNTAX, BAD),
	CASE("tab before colon", GET "A\t: b\r\n\r\n", SYNTAX, BAD),
	CASE("empty name", GET ": b\r\n\r\n", SYNTAX, BAD),
	CASE("no colon", GET "A\r\n\r\n", SYNTAX, BAD),
	CASE("space in name", GET "A b: c\r\n\r\n", SYNTAX, BAD),
	CASE("8 bits in name", GET "A\x80: c\r\n\r\n", SYNTAX, BAD),
	CASE("bracket in name", GET "A(: c\r\n\r\n", SYNTAX, BAD),
	CASE("quote in name", GET "A\": c\r\n\r\n", SYNTAX, BAD),
	CASE("8 bits in value are text", GET "A: \xff\x80\r\n\r\n", "<GET / a 11 none>{Host: a}{A: \xff\x80}.", OK_200),
	CASE("NUL in value", GET "A: b\0c\r\n\r\n", SYNTAX, BAD, .plan = REPLY, .in_len = sizeof(GET "A: b\0c\r\n\r\n") - 1),
	CASE("NUL in name", GET "A\0: b\r\n\r\n", SYNTAX, BAD, .plan = REPLY, .in_len = sizeof(GET "A\0: b\r\n\r\n") - 1),
	CASE("NUL in target", "GET /\0 HTTP/1.1\r\n", SYNTAX, BAD, .plan = REPLY, .in_len = sizeof("GET /\0 HTTP/1.1\r\n") - 1),
	CASE("DEL in value", GET "A: \x7f\r\n\r\n", SYNTAX, BAD),
	CASE("BEL in value", GET "A: \x07\r\n\r\n", SYNTAX, BAD),
	CASE("bare LF ends line", "GET / HTTP/1.1\nHost: a\r\n\r\n", SYNTAX, BAD),
	CASE("bare LF in fields", GET "A: b\nC: d\r\n\r\n", SYNTAX, BAD),
	CASE("bare LF ends section", GET "\n", SYNTAX, BAD),
	CASE("bare CR in value", GET "A: b\rC: d\r\n\r\n", SYNTAX, BAD),
	CASE("bare CR ends line", "GET / HTTP/1.1\rHost: a\r\n\r\n", SYNTAX, BAD),
	CASE("CR LF CR X", GET "\rX\r\n\r\n", SYNTAX, BAD),
	CASE("CR CR LF", GET "A: b\r\r\n\r\n", SYNTAX, BAD),
	CASE("LF CR", "GET / HTTP/1.1\n\rHost: a\r\n\r\n", SYNTAX, BAD),

	/* Framing. */
	CASE("CL and TE", POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", FRAMING, BAD),
	CASE("TE and CL", POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", FRAMING, BAD),
	CASE("two CL, same", POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", FRAMING, BAD),
	CASE("two CL, other", POST "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", FRAMING, BAD),
	CASE("CL list", POST "Content-Length: 5, 5\r\n\r\nhello", FRAMING, BAD),
	CASE("CL +", POST "Content-Length: +5\r\n\r\nhello", FRAMING, BAD),
	CASE("CL -", POST "Content-Length: -5\r\n\r\nhello", FRAMING, BAD),
	CASE("CL hex", POST "Content-Length: 0x5\r\n\r\nhello", FRAMING, BAD),
	CASE("CL float", POST "Content-Length: 5.0\r\n\r\nhello", FRAMING, BAD),
	CASE("CL empty", POST "Content-Length: \r\n\r\nhello", FRAMING, BAD),
	CASE("CL empty, no space", POST "Content-Length:\r\n\r\nhello", FRAMING, BAD),
	CASE("CL with space", POST "Content-Length: 5 5\r\n\r\nhello", FRAMING, BAD),
	CASE("CL 20 digits", POST "Content-Length: 00000000000000000005\r\n\r\nhello", FRAMING, BAD),
	CASE("CL 2^63", POST "Content-Length: 9223372036854775808\r\n\r\n", FRAMING, BAD),
	CASE("CL 2^64+5", POST "Content-Length: 18446744073709551621\r\n\r\nhello", FRAMING, BAD),
	CASE("TE gzip", POST "Transfer-Encoding: gzip\r\n\r\n", "?501 http_not_implemented", REFUSAL("501", "Not Implemented", "15")),
	CASE("TE gzip, chunked", POST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "?501 http_not_implemented",
	 REFUSAL("501", "Not Implemented", "15")),
	CASE("TE identity", POST "Transfer-Encoding: identity\r\n\r\n", "?501 http_not_implemented", REFUSAL("501", "Not Implemented", "15")),
	CASE("TE chunked twice", POST "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", FRAMING, BAD),
	CASE("TE fields twice", POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", FRAMING, BAD),
	CASE("TE comma", POST "Transfer-Encoding: chunked,\r\n\r\n0\r\n\r\n", FRAMING, BAD),
	CASE("TE empty", POST "Transfer-Encoding:\r\n\r\n0\r\n\r\n", FRAMING, BAD),
	CASE("TE quoted", POST "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", FRAMING, BAD),
	CASE("TE in 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", FRAMING, BAD),
	CASE("unknown expectation", POST "Expect: bacon\r\nContent-Length: 1\r\n\r\n", "?417 http_expectation",
	 REFUSAL("417", "Expectation Failed", "18")),

	/* Chunks: the stream is told, the client gets 400. */
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"
#define CHUNKED_LOG "<POST / a 11 chunked>{Host: a}{Transfer-Encoding: chunked}"
	CASE("chunk size empty", CHUNKED "\r\n", CHUNKED_LOG "!http_framing", BAD),
	CASE("chunk size not hex", CHUNKED "g\r\n", CHUNKED_LOG "!http_framing", BAD),
	CASE("chunk size 0x", CHUNKED "0x5\r\nhello\r\n", CHUNKED_LOG "!http_framing", BAD),
	CASE("chunk size negative", CHUNKED "-1\r\n", CHUNKED_LOG "!http_framing", BAD),
	CASE("chunk size with space before", CHUNKED " 5\r\nhello\r\n", CHUNKED_LOG "!http_framing", BAD),
	CASE("chunk size with space behind", CHUNKED "5 \r\nhello\r\n", CHUNKED_LOG "!http_framing", BAD),
	CASE("chunk size 17 digits", CHUNKED "00000000000000005\r\nhello\r\n", CHUNKED_LOG "!http_framing", BAD),
	CASE("chunk size too large", CHUNKED "ffffffffffffffff\r\nhello\r\n", CHUNKED_LOG "!http_framing", BAD),
	CASE("chunk size with bare LF", CHUNKED "5\nhello\r\n", CHUNKED_LOG "!http_framing", BAD),
	CASE("chunk size with CR X", CHUNKED "5\rXhello\r\n", CHUNKED_LOG "!http_framing", BAD),
	CASE("chunk extension with LF", CHUNKED "5;a\nhello\r\n", CHUNKED_LOG "!http_syntax", BAD),
	CASE("chunk extension with NUL", CHUNKED "5;a\0\r\nhello\r\n", CHUNKED_LOG "!http_syntax", BAD, .plan = REPLY,
	 .in_len = sizeof(CHUNKED "5;a\0\r\nhello\r\n") - 1),
	CASE("chunk data without CR LF", CHUNKED "5\r\nhelloX", CHUNKED_LOG "(hello)!http_framing", BAD),
	CASE("chunk data with bare LF", CHUNKED "5\r\nhello\n0\r\n\r\n", CHUNKED_LOG "(hello)!http_framing", BAD),
	CASE("chunk data too long", CHUNKED "4\r\nhello\r\n0\r\n\r\n", CHUNKED_LOG "(hell)!http_framing", BAD),
	CASE("last chunk with bare LF", CHUNKED "0\n\r\n", CHUNKED_LOG "!http_framing", BAD),
	CASE("trailer section with bare LF", CHUNKED "0\r\n\n", CHUNKED_LOG "!http_syntax", BAD),
	CASE("trailer section with bare CR", CHUNKED "0\r\n\rX", CHUNKED_LOG "!http_syntax", BAD),
	CASE("trailer without colon", CHUNKED "0\r\nA\r\n\r\n", CHUNKED_LOG "!http_syntax", BAD),
	CASE("trailer with space before colon", CHUNKED "0\r\nA : b\r\n\r\n", CHUNKED_LOG "!http_syntax", BAD),
	CASE("trailer folded", CHUNKED "0\r\nA: b\r\n c\r\n\r\n", CHUNKED_LOG "!http_syntax", BAD),
};

/* Feeds the case cut at `cut`, or byte by byte, and compares. */
static void run(const struct server_case *t, size_t cut, bool bytewise)
{
	const size_t n = t->in_len ? t->in_len : strlen(t->in);
	struct tcp_conn *c;

	rig_start(t->plan);
	c = rig_accept();
	if (bytewise) {
		for (size_t i = 0; i < n; i++)
			rig_input(c, t->in + i, 1);
	} else {
		rig_input(c, t->in, cut);
		rig_input(c, t->in + cut, n - cut);
	}
	rig_tick(1);
	c->out[c->out_n] = 0;
	if (recorder.in_body)
		record_text("");
	if ((t->log && strcmp(recorder.log, t->log)) || (t->out && strcmp(c->out, t->out))) {
		print_error("%s, cut %zu of %zu%s:\n--- wanted\n%s\n%s\n--- got\n%s\n%s\n", t->name, cut, n,
		            bytewise ? ", bytewise" : "", t->log ? t->log : "", t->out ? t->out : "", recorder.log, c->out);
		fail();
	}
	if (!c->closed && !recorder.stream)
		assert_int_equal(c->owed, 0);
	rig_end();
	assert_int_equal(recorder.opened, recorder.closed);
}

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		const size_t n = cases[i].in_len ? cases[i].in_len : strlen(cases[i].in);

		for (size_t cut = 0; cut <= n; cut++)
			run(&cases[i], cut, false);
		run(&cases[i], 0, true);
	}
}

/* What may stand around a framing field's name and value without changing its meaning: nothing. */
static void test_mutations(void **state)
{
	static const char *const fields[][2] = {{"Content-Length", "33"}, {"Transfer-Encoding", "chunked"}};
	char head[256];

	(void)state;
	for (unsigned f = 0; f < LENGTH(fields); f++)
		for (unsigned b = 0; b < 256; b++)
			for (unsigned place = 0; place < 6; place++) {
				const char *name = fields[f][0], *value = fields[f][1];
				const int half = (int)strlen(name) / 2, value_half = (int)strlen(value) / 2;
				const bool blank = b == ' ' || b == '\t';
				bool neutral = place >= 3 && place <= 5 && place != 4 && blank;
				struct tcp_conn *c;
				int n;

				switch (place) {
				case 0: /* before the name */
					n = snprintf(head, sizeof(head), POST "%c%s: %s\r\n\r\n", b, name, value);
					break;
				case 1: /* inside the name */
					n = snprintf(head, sizeof(head), POST "%.*s%c%s: %s\r\n\r\n", half, name, b, name + half, value);
					break;
				case 2: /* before the colon */
					n = snprintf(head, sizeof(head), POST "%s%c: %s\r\n\r\n", name, b, value);
					break;
				case 3: /* before the value */
					n = snprintf(head, sizeof(head), POST "%s: %c%s\r\n\r\n", name, b, value);
					break;
				case 4: /* inside the value */
					n = snprintf(head, sizeof(head), POST "%s: %.*s%c%s\r\n\r\n", name, value_half, value, b,
					             value + value_half);
					break;
				default: /* behind the value */
					n = snprintf(head, sizeof(head), POST "%s: %s%c\r\n\r\n", name, value, b);
				}
				rig_start(HOLD);
				c = rig_accept();
				rig_input(c, head, (size_t)n);
				if (recorder.stream) {
					const struct http_message *m = &recorder.stream->message;
					const bool framed = m->body != HTTP_BODY_NONE;
					const bool digit = f == 0 && b >= '0' && b <= '9' && place >= 3;

					/* Either it is another field name altogether, or it is neutral, or another number. */
					if (framed && !neutral && !digit) {
						print_error("%s, byte 0x%02x at place %u was let through as framing\n", name, b, place);
						fail();
					}
					if (!framed && place >= 3) {
						print_error("%s, byte 0x%02x at place %u hid the framing\n", name, b, place);
						fail();
					}
				} else if (neutral && b == ' ') { /* a tab may be refused */
					print_error("%s, byte 0x%02x at place %u was refused\n", name, b, place);
					fail();
				}
				rig_end();
			}
}

static void fill(char *at, size_t n, const char *pattern)
{
	for (size_t i = 0; i < n; i++)
		at[i] = pattern[i % strlen(pattern)];
}

struct limit_case {
	const char *name;
	size_t target_bytes, field_bytes;
	unsigned fields;
	uint16_t status;         /* 0: accepted */
	enum counter limit;      /* the one that is hit */
};

static const struct limit_case limits_table[] = {
	{"target at the limit", LIMIT_http_uri, 0, 0, 0, 0},
	{"target above the limit", LIMIT_http_uri + 1, 0, 0, 414, C_limit_http_uri},
	{"target of 64 KiB", 65536, 0, 0, 414, C_limit_http_uri},
	{"one large field", 1, 40000, 1, 0, 0},
	{"one field that is too large", 1, 62000, 1, 431, C_limit_http_header_bytes},
	{"many fields", 1, 10, LIMIT_http_headers - 1, 0, 0},
	{"too many fields", 1, 10, LIMIT_http_headers, 431, C_limit_http_headers},
	{"large together", 1, 1000, 58, 0, 0},
	{"too large together", 1, 1000, 62, 431, C_limit_http_header_bytes},
};

static uint64_t limits_hit(void)
{
	return rig.counters.cell[C_limit_http_uri] + rig.counters.cell[C_limit_http_header_bytes] +
	       rig.counters.cell[C_limit_http_headers];
}

static void test_limits(void **state)
{
	static char head[1 << 18];
	static const size_t parts[] = {1448, 100, 7};

	(void)state;
	for (size_t i = 0; i < LENGTH(limits_table); i++)
		for (size_t p = 0; p < LENGTH(parts); p++) {
			const struct limit_case *t = &limits_table[i];
			size_t n = 0;
			struct tcp_conn *c;

			n += (size_t)sprintf(head, "GET /");
			fill(head + n, t->target_bytes - 1, "abcdefgh");
			n += t->target_bytes - 1;
			n += (size_t)sprintf(head + n, " HTTP/1.1\r\nHost: a\r\n");
			for (unsigned f = 0; f < t->fields; f++) {
				n += (size_t)sprintf(head + n, "x-%u: ", f);
				fill(head + n, t->field_bytes, "value");
				n += t->field_bytes;
				n += (size_t)sprintf(head + n, "\r\n");
			}
			n += (size_t)sprintf(head + n, "\r\n");
			rig_start(REPLY);
			memset(&rig.counters, 0, sizeof(rig.counters));
			c = rig_accept();
			for (size_t at = 0; at < n; at += parts[p])
				rig_input(c, head + at, n - at < parts[p] ? n - at : parts[p]);
			assert_int_equal(limits_hit(), t->status != 0);
			if (t->status)
				assert_int_equal(rig.counters.cell[t->limit], 1);
			if (t->status != recorder.refused_status || recorder.opened != (t->status ? 0 : 1)) {
				print_error("%s in parts of %zu: status %u\n", t->name, parts[p], recorder.refused_status);
				fail();
			}
			assert_true(c->owed == 0);
			rig_end();
		}
}

/* 64 KiB of chunk extensions, in one chunk and spread over many. */
static void test_chunk_extensions(void **state)
{
	static char body[1 << 17];

	(void)state;
	for (unsigned chunks = 1; chunks <= 1000; chunks += 999) {
		size_t n = (size_t)sprintf(body, CHUNKED);
		struct tcp_conn *c;

		for (unsigned i = 0; i < chunks; i++) {
			n += (size_t)sprintf(body + n, "1;");
			fill(body + n, 65536 / chunks, "ext");
			n += 65536 / chunks;
			n += (size_t)sprintf(body + n, "\r\nx\r\n");
		}
		rig_start(REPLY);
		c = rig_accept();
		rig_input(c, body, n);
		assert_int_equal(recorder.why, ERR_HTTP_FRAMING);
		assert_int_equal(rig.counters.cell[C_limit_http_chunk_extension], chunks == 1 ? 1 : 2);
		rig_end();
	}
}

static void test_pipelining(void **state)
{
	enum { REQUESTS = 200 };
	static char bytes[1 << 16];
	size_t n = 0;
	struct tcp_conn *c;

	(void)state;
	rig_start(REPLY);
	c = rig_accept();
	for (unsigned i = 0; i < REQUESTS; i++)
		n += (size_t)sprintf(bytes + n, "GET /%u HTTP/1.1\r\nHost: a\r\n\r\n", i);
	rig_input(c, bytes, n);
	assert_int_equal(recorder.opened, LIMIT_http_pipelined);
	assert_true(c->owed > 0);
	for (unsigned rounds = 0; rounds < 2 * REQUESTS / LIMIT_http_pipelined; rounds++) {
		const unsigned before = recorder.opened;

		rig_tick(1);
		assert_true(recorder.opened - before <= LIMIT_http_pipelined);
	}
	assert_int_equal(recorder.opened, REQUESTS);
	assert_int_equal(c->out_n, REQUESTS * (sizeof(OK_200) - 1));
	assert_int_equal(c->owed, 0);
	for (unsigned i = 0; i < REQUESTS; i++)
		assert_memory_equal(c->out + i * (sizeof(OK_200) - 1), OK_200, sizeof(OK_200) - 1);
	rig_end();
}

/* Requests behind one that is not answered wait uncredited, and come in order once it is. */
static void test_pipelining_waits(void **state)
{
	struct tcp_conn *c;

	(void)state;
	rig_start(HOLD);
	c = rig_accept();
	rig_input(c, GET "\r\n", strlen(GET "\r\n"));
	for (unsigned i = 0; i < 10; i++)
		rig_input(c, GET "\r\n", strlen(GET "\r\n"));
	assert_int_equal(recorder.opened, 1);
	assert_in_range(c->owed, 2000, 3 * 2500); /* the first one's packet, and those that the others lie in */
	for (unsigned i = 0; i < 11; i++) {
		assert_int_equal(recorder.opened, i + 1);
		reply(recorder.stream);
		rig_tick(1);
	}
	assert_int_equal(c->owed, 0);
	assert_int_equal(recorder.opened, 11);
	rig_end();

	/* More than the queue holds: the double has no window, so it must be the layer that ends it. */
	static const char large[] = GET "X: " A250 A250 A50 "\r\n\r\n";
	static_assert(sizeof(large) - 1 > PACKET_COPY_MAX, "too large to be moved together");
	rig_start(HOLD);
	c = rig_accept();
	for (unsigned i = 0; i < LIMIT_http_queued_mbufs + 2; i++)
		rig_input(c, large, strlen(large));
	assert_true(c->aborted);
	assert_int_equal(recorder.why, ERR_LIMIT);
	rig_end();
}

/* Segments as small as can be: what they hold on to is about what they say. */
static void test_tiny_segments(void **state)
{
	static const unsigned sizes[] = {1, 2, 7, 100, 256};
	enum { REQUESTS = 200 };
	static char bytes[REQUESTS * (sizeof(LONG) - 1)];

	(void)state;
	for (unsigned i = 0; i < REQUESTS; i++)
		memcpy(bytes + i * (sizeof(LONG) - 1), LONG, sizeof(LONG) - 1);
	for (size_t k = 0; k < LENGTH(sizes); k++) {
		struct tcp_conn *c;

		rig_start(HOLD);
		c = rig_accept();
		for (size_t at = 0; at < sizeof(bytes); at += sizes[k])
			rig_input(c, bytes + at, sizeof(bytes) - at < sizes[k] ? sizeof(bytes) - at : sizes[k]);
		if (c->aborted || recorder.opened != 1)
			fail_msg("in segments of %u: cut", sizes[k]);
		assert_in_range(c->owed, 2000, sizeof(bytes) / 4 * 5 + 3 * 2500);
		assert_int_equal(rig.counters.cell[C_limit_http_queued_mbufs], 0);
		for (unsigned i = 0; i < REQUESTS; i++) {
			assert_int_equal(recorder.opened, i + 1);
			reply(recorder.stream);
			rig_ack_all(c);
			rig_tick(1);
		}
		assert_int_equal(c->owed, 0);
		rig_end();
	}
}

/* A client that pipelines without reading is stopped, and served on when it reads. */
static void test_unread_responses(void **state)
{
	struct tcp_conn *c;

	(void)state;
	rig_start(REPLY);
	c = rig_accept();
	c->limit = H1_HEAD_ROOM + 100;
	for (unsigned i = 0; i < 10; i++) {
		rig_input(c, GET "\r\n", strlen(GET "\r\n"));
		rig_tick(1);
	}
	assert_true(recorder.opened < 10);
	assert_true(rig.shorts > 0);
	for (unsigned i = 0; i < 10; i++) {
		rig_ack_all(c);
		rig_tick(1);
	}
	assert_int_equal(recorder.opened, 10);
	rig_end();
}

/* A large body comes back with back-pressure: what is owed stays bounded, all bytes are right, on_sent adds up. */
static void test_echo(void **state)
{
	enum { BODY = 300000 };
	static char body[BODY], want[WIRE_MAX];
	struct tcp_conn *c;
	uint32_t most = 0, n = 0, left = BODY;
	const char *at;

	(void)state;
	fill(body, BODY, "The quick brown fox jumps over the lazy dog. ");
	rig_start(ECHO);
	c = rig_accept();
	c->limit = 100000;
	n = (uint32_t)sprintf(want, POST "Content-Length: %d\r\n\r\n", BODY);
	rig_input(c, want, n);
	for (uint32_t sent = 0; sent < BODY || recorder.stream;) {
		if (sent < BODY && c->owed < LIMIT_tcp_recv_buffer) {
			const uint32_t part = BODY - sent < 1448 ? BODY - sent : 1448;

			rig_input(c, body + sent, part);
			sent += part;
		} else {
			rig_ack(c, unacked(c) < 5000 ? unacked(c) : 5000);
		}
		most = c->owed > most ? c->owed : most;
		rig_tick(1);
	}
	assert_true(most <= LIMIT_tcp_recv_buffer + 4096);
	assert_true(recorder.writables > 0);
	assert_int_equal(recorder.body_bytes, BODY);
	at = strstr(c->out, "\r\n\r\n") + 4;
	for (uint32_t off = 0; left;) {
		char *end;
		const unsigned long size = strtoul(at, &end, 16);

		assert_memory_equal(end, "\r\n", 2);
		assert_memory_equal(end + 2, body + off, size);
		at = end + 2 + size + 2;
		off += (uint32_t)size;
		left -= (uint32_t)size;
	}
	assert_memory_equal(at, "0\r\n\r\n", 5);
	assert_int_equal(c->owed, 0);
	rig_end();
}

/* Credit that the user never gives back is given back for it, once. */
static void test_credit_at_end(void **state)
{
	static const char request[] = POST "Content-Length: 10\r\n\r\n01234";
	struct tcp_conn *c;

	(void)state;
	rig_start(REPLY);
	recorder.keep_credit = true;
	c = rig_accept();
	rig_input(c, request, sizeof(request) - 1);
	rig_input(c, "56789", 5);
	assert_int_equal(recorder.closed, 1);
	assert_int_equal(c->owed, 0);
	rig_end();
}

struct time_case {
	const char *name;
	const char *in;
	uint64_t ms;
	bool ends;
	const char *out;
};

static const struct time_case times[] = {
	{"idle is patient", "", 3500 * 1000, false, ""},
	{"idle ends", "", 3601 * 1000, true, ""},
	{"idle after a request is patient", GET "\r\n", 3500 * 1000, false, OK_200},
	{"idle after a request ends", GET "\r\n", 3601 * 1000, true, OK_200},
	{"half a head is patient", "GET / HT", 29 * 1000, false, ""},
	{"half a head ends", "GET / HT", 31 * 1000, true,
	 "HTTP/1.1 408 Request Timeout\r\ncontent-type: text/plain\r\ncontent-length: 22\r\nconnection: close\r\n\r\n"
	 "request header timeout"},
};

static void test_times(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(times); i++) {
		struct tcp_conn *c;

		rig_start(REPLY);
		c = rig_accept();
		rig_input(c, times[i].in, strlen(times[i].in));
		for (uint64_t t = 0; t < times[i].ms; t += 1000) {
			rig_ack_all(c);
			rig_tick(1000);
		}
		c->out[c->out_n] = 0;
		if (c->shut != times[i].ends || strcmp(c->out, times[i].out)) {
			print_error("%s: shut %d, out %s\n", times[i].name, c->shut, c->out);
			fail();
		}
		rig_end();
	}
	/* A byte now and then does not make a head last longer. */
	{
		struct tcp_conn *c;

		rig_start(REPLY);
		c = rig_accept();
		for (unsigned s = 0; s < 40 && !c->shut; s++) {
			rig_input(c, "GET / HTTP/1.1\r\nHost: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" + s, 1);
			rig_tick(1000);
		}
		assert_int_equal(recorder.refused_status, 408);
		rig_end();
	}
}

static void test_half_close(void **state)
{
	struct tcp_conn *c;

	(void)state;
	rig_start(HOLD);
	c = rig_accept();
	rig_input(c, GET "\r\n" GET "\r\n", strlen(GET "\r\n" GET "\r\n"));
	rig_eof(c);
	assert_non_null(recorder.stream);
	reply(recorder.stream);
	rig_tick(1);
	assert_non_null(recorder.stream);
	reply(recorder.stream);
	rig_tick(1);
	assert_int_equal(c->out_n, 2 * (sizeof(OK_200) - 1));
	assert_true(c->shut);
	rig_end();

	rig_start(HOLD);
	c = rig_accept();
	rig_input(c, POST "Content-Length: 5\r\n\r\nhel", strlen(POST "Content-Length: 5\r\n\r\nhel"));
	rig_eof(c);
	assert_int_equal(recorder.why, ERR_HTTP_TRUNCATED);
	rig_end();
}

static void test_drain(void **state)
{
	struct tcp_conn *idle, *busy;

	(void)state;
	rig_start(HOLD);
	idle = rig_accept();
	busy = rig_accept();
	rig_input(busy, GET "\r\n", strlen(GET "\r\n"));
	http_drain(rig.http);
	assert_true(idle->shut);
	assert_false(busy->shut);
	reply(recorder.stream);
	rig_tick(1);
	busy->out[busy->out_n] = 0;
	assert_string_equal(busy->out, OK_CLOSE);
	assert_true(busy->shut);
	rig.http->draining = false;
	rig_end();
}

/* What the user may do wrong, or what becomes of a backend's lies: the client must see it. */
static void test_truncation(void **state)
{
	struct http_message m;
	struct tcp_conn *c;

	(void)state;
	for (int more = 0; more < 2; more++) {
		rig_start(HOLD);
		c = rig_accept();
		rig_input(c, GET "\r\n", strlen(GET "\r\n"));
		http_message_init(&m);
		m.status = 200;
		m.body = HTTP_BODY_LENGTH;
		m.content_length = more ? 3 : 10;
		assert_int_equal(http_send_head(recorder.stream, &m, false), OK);
		assert_int_equal(http_send_text(recorder.stream, TEXT("hello")), OK);
		assert_int_equal(http_send_end(recorder.stream, NULL), OK);
		assert_non_null(recorder.stream);
		rig_tick(1);
		assert_true(c->aborted);
		assert_int_equal(recorder.why, more ? ERR_HTTP_FRAMING : ERR_HTTP_TRUNCATED);
		rig_end();
	}
}

struct response_case {
	const char *name;
	const char *request;
	uint16_t status;
	uint8_t body;
	uint64_t length;
	bool end;
	const char *text;
	const char *out;
};

static const struct response_case responses[] = {
	{"length", GET "\r\n", 200, HTTP_BODY_LENGTH, 3, false, "abc",
	 "HTTP/1.1 200 OK\r\nserver: s\r\ncontent-length: 3\r\n\r\nabc"},
	{"no body", GET "\r\n", 404, HTTP_BODY_NONE, 0, true, NULL, "HTTP/1.1 404 Not Found\r\nserver: s\r\ncontent-length: 0\r\n\r\n"},
	{"chunked", GET "\r\n", 200, HTTP_BODY_CHUNKED, 0, false, "abc",
	 "HTTP/1.1 200 OK\r\nserver: s\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"},
	{"until close becomes chunked", GET "\r\n", 200, HTTP_BODY_UNTIL_CLOSE, 0, false, "abc",
	 "HTTP/1.1 200 OK\r\nserver: s\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"},
	{"chunked for 1.0", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 200, HTTP_BODY_CHUNKED, 0, false, "abc",
	 "HTTP/1.1 200 OK\r\nserver: s\r\nconnection: close\r\n\r\nabc"},
	{"HEAD with length", "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", 200, HTTP_BODY_LENGTH, 3, true, NULL,
	 "HTTP/1.1 200 OK\r\nserver: s\r\ncontent-length: 3\r\n\r\n"},
	{"HEAD drops a body", "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", 200, HTTP_BODY_LENGTH, 3, false, "abc",
	 "HTTP/1.1 200 OK\r\nserver: s\r\ncontent-length: 3\r\n\r\n"},
	{"HEAD chunked", "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", 200, HTTP_BODY_CHUNKED, 0, true, NULL,
	 "HTTP/1.1 200 OK\r\nserver: s\r\ntransfer-encoding: chunked\r\n\r\n"},
	{"204", GET "\r\n", 204, HTTP_BODY_LENGTH, 3, false, "abc", "HTTP/1.1 204 No Content\r\nserver: s\r\n\r\n"},
	{"304 with length", GET "\r\n", 304, HTTP_BODY_LENGTH, 3, true, NULL,
	 "HTTP/1.1 304 Not Modified\r\nserver: s\r\ncontent-length: 3\r\n\r\n"},
	{"304", GET "\r\n", 304, HTTP_BODY_NONE, 0, true, NULL, "HTTP/1.1 304 Not Modified\r\nserver: s\r\n\r\n"},
	{"unknown status", GET "\r\n", 299, HTTP_BODY_NONE, 0, true, NULL, "HTTP/1.1 299 \r\nserver: s\r\ncontent-length: 0\r\n\r\n"},
};

static void test_responses(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(responses); i++) {
		const struct response_case *t = &responses[i];
		struct http_message m;
		struct tcp_conn *c;

		rig_start(HOLD);
		c = rig_accept();
		rig_input(c, t->request, strlen(t->request));
		http_message_init(&m);
		m.status = t->status;
		m.body = t->body;
		m.content_length = t->length;
		/* Framing fields of the caller are not passed on. */
		assert_int_equal(http_add(&m, http_stream_arena(recorder.stream), TEXT("Content-Length"), TEXT("77")), OK);
		assert_int_equal(http_add(&m, http_stream_arena(recorder.stream), TEXT("server"), TEXT("s")), OK);
		assert_int_equal(http_add(&m, http_stream_arena(recorder.stream), TEXT("Keep-Alive"), TEXT("1")), OK);
		assert_int_equal(http_send_head(recorder.stream, &m, t->end), OK);
		if (t->text)
			assert_int_equal(http_send_text(recorder.stream, (struct text){t->text, (uint32_t)strlen(t->text)}), OK);
		if (!t->end)
			assert_int_equal(http_send_end(recorder.stream, NULL), OK);
		rig_tick(1);
		c->out[c->out_n] = 0;
		if (strcmp(c->out, t->out) || recorder.closed != 1) {
			print_error("%s: closed %u\n%s", t->name, recorder.closed, c->out);
			fail();
		}
		rig_end();
	}
}

/* A value with a line end in it never becomes a line. */
static void test_response_splitting(void **state)
{
	static const struct text bad[] = {TEXT("a\r\nx: y"), TEXT("a\n"), TEXT("\r"), TEXT("a\0b")};

	(void)state;
	for (size_t i = 0; i < LENGTH(bad); i++)
		for (int name = 0; name < 2; name++) {
			struct http_message m;
			struct tcp_conn *c;

			rig_start(HOLD);
			c = rig_accept();
			rig_input(c, GET "\r\n", strlen(GET "\r\n"));
			http_message_init(&m);
			m.status = 200;
			assert_int_equal(http_add(&m, http_stream_arena(recorder.stream), name ? bad[i] : TEXT("x"),
			                          name ? TEXT("x") : bad[i]), OK);
			assert_int_equal(http_send_head(recorder.stream, &m, true), ERR_INVALID);
			assert_int_equal(c->out_n, 0);
			reply(recorder.stream);
			rig_tick(1);
			assert_int_equal(c->out_n, sizeof(OK_200) - 1);
			rig_end();
		}
}

/* A response head larger than a packet. */
static void test_large_response_head(void **state)
{
	static char value[50000];
	struct http_message m;
	struct tcp_conn *c;

	(void)state;
	fill(value, sizeof(value), "0123456789");
	rig_start(HOLD);
	c = rig_accept();
	rig_input(c, GET "\r\n", strlen(GET "\r\n"));
	http_message_init(&m);
	m.status = 200;
	assert_int_equal(http_add(&m, http_stream_arena(recorder.stream), TEXT("v"), (struct text){value, sizeof(value)}), OK);
	assert_int_equal(http_send_head(recorder.stream, &m, true), OK);
	rig_tick(1);
	assert_memory_equal(c->out, "HTTP/1.1 200 OK\r\nv: 0123456789", 30);
	assert_memory_equal(c->out + c->out_n - 24, "9\r\ncontent-length: 0\r\n\r\n", 24);
	rig_end();
}

/* The fast path: one packet in, nothing copied; a head in one packet keeps that packet and nothing else. */
static void test_no_copies(void **state)
{
	static const char request[] = POST "Content-Length: 3\r\n\r\nabc";
	struct tcp_conn *c;

	(void)state;
	rig_start(HOLD);
	recorder.keep_credit = true;
	c = rig_accept();
	rig_input(c, request, sizeof(request) - 1);
	assert_int_equal(rte_mempool_in_use_count(rig.shard.pools.rx), 1);
	assert_int_equal(rte_mempool_in_use_count(rig.shard.pools.payload), 0);
	assert_int_equal(pool_used(&rig.shard.chunks), 1);
	assert_int_equal(recorder.credit, 0);
	reply(recorder.stream);
	rig_tick(1);
	assert_int_equal(c->owed, 0);
	assert_int_equal(rte_mempool_in_use_count(rig.shard.pools.rx), 0);
	rig_end();
}

/* Every pool runs dry in turn: nothing breaks, nothing is lost. */
static void test_no_memory(void **state)
{
	static const char request[] = CHUNKED "3\r\nabc\r\n0\r\nA: b\r\n\r\n";
	void *taken[4096];

	(void)state;
	for (unsigned left = 0; left < 6; left++)
		for (int which = 0; which < 2; which++) {
			struct rte_mbuf *mbufs[2048];
			unsigned n = 0;
			struct tcp_conn *c;

			rig_start(ECHO);
			if (which == 0)
				while (rig.shard.chunks.free_n > left)
					taken[n++] = pool_get(&rig.shard.chunks);
			else
				while (rte_mempool_avail_count(rig.shard.pools.payload) > left)
					mbufs[n++] = rte_pktmbuf_alloc(rig.shard.pools.payload);
			c = rig_accept();
			if (which == 0 && left > 0)
				for (size_t i = 0; i < sizeof(request) - 1; i++)
					rig_input(c, request + i, 1);
			else if (which == 0)
				rig_input(c, request, sizeof(request) - 1);
			/* The recorder wants its head to be sent: without payload mbufs only a refusal can be tried. */
			else if (left > 2)
				rig_input(c, request, sizeof(request) - 1);
			else
				rig_input(c, "GET\r\n", 5);
			rig_tick(1);
			while (n)
				if (which == 0)
					pool_put(&rig.shard.chunks, taken[--n]);
				else
					rte_pktmbuf_free(mbufs[--n]);
			rig_end();
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_cases),
		TEST(test_mutations),
		TEST(test_limits),
		TEST(test_chunk_extensions),
		TEST(test_pipelining),
		TEST(test_pipelining_waits),
		TEST(test_tiny_segments), TEST(test_unread_responses),
		TEST(test_echo),
		TEST(test_credit_at_end),
		TEST(test_times),
		TEST(test_half_close),
		TEST(test_drain),
		TEST(test_truncation),
		TEST(test_responses),
		TEST(test_response_splitting),
		TEST(test_large_response_head),
		TEST(test_no_copies),
		TEST(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
