/* Admission: what each mistake is called and where it is; what is filled in, dropped and kept. */
#include "../test.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "control/admit/admit.h"
#include "control/admit/walk.h"
#include "control/wipe.h"

static yyjson_mut_doc *parse(const char *json)
{
	yyjson_doc *doc = yyjson_read(json, strlen(json), 0);
	yyjson_mut_doc *copy;

	if (!doc)
		fail_msg("not JSON: %s", json);
	copy = yyjson_doc_mut_copy(doc, NULL);
	yyjson_doc_free(doc);
	return copy;
}

static yyjson_doc *admitted(const char *kind, const char *json, yyjson_val *old, bool status_only,
			    struct causes *causes, bool *changed)
{
	struct admission a = {
		.kind = kind_by_name(kind), .old = old, .status_only = status_only, .now = "2026-01-31T12:00:00Z"};
	yyjson_mut_doc *doc = parse(json);
	yyjson_doc *result;

	causes_init(causes);
	admit(&a, doc, causes, changed);
	result = yyjson_mut_doc_imut_copy(doc, NULL);
	yyjson_mut_doc_free(doc);
	return result;
}

#define GATEWAY(spec) "{\"metadata\":{\"name\":\"g\"},\"spec\":{" spec "}}"
#define LISTENER(fields) GATEWAY("\"gatewayClassName\":\"c\",\"listeners\":[{" fields "}]")
#define ROUTE(rule) "{\"metadata\":{\"name\":\"r\"},\"spec\":{\"rules\":[{" rule "}]}}"
#define MATCH(fields) ROUTE("\"matches\":[{" fields "}]")
#define MACHINE(spec) "{\"metadata\":{\"name\":\"self\"},\"spec\":{" spec "}}"
#define OWN(address) MACHINE("\"ports\":[{\"name\":\"p\",\"device\":\"net_null0\"}]," \
			     "\"addresses\":[{\"address\":\"" address "\",\"port\":\"p\"}]")
#define SERVICE(ports) "{\"metadata\":{\"name\":\"s\"},\"spec\":{\"ports\":[" ports "]}}"
#define SLICE(type, address) "{\"metadata\":{\"name\":\"s\"},\"addressType\":\"" type "\"," \
			     "\"endpoints\":[{\"addresses\":[\"" address "\"]}]}"
#define LABELS(labels) "{\"metadata\":{\"name\":\"c\",\"labels\":{" labels "}}}"

/* field null: the object is right. */
static const struct {
	const char *name, *kind, *json, *field, *message;
} cases[] = {
	{"a gateway", "Gateway", LISTENER("\"name\":\"http\",\"port\":80,\"protocol\":\"HTTP\""), NULL, NULL},
	{"a route", "HTTPRoute", MATCH("\"path\":{\"type\":\"Exact\",\"value\":\"/\"}"), NULL, NULL},
	{"no spec", "Gateway", "{\"metadata\":{\"name\":\"g\"}}", "spec", "Required value"},
	{"spec is a list", "Gateway", "{\"metadata\":{\"name\":\"g\"},\"spec\":[]}", "spec",
	 "Invalid value: must be of type object, not array"},
	{"required below a list", "Gateway", LISTENER("\"port\":80,\"protocol\":\"HTTP\""), "spec.listeners[0].name",
	 "Required value"},
	{"no listeners", "Gateway", GATEWAY("\"gatewayClassName\":\"c\",\"listeners\":[]"), "spec.listeners",
	 "Invalid value: must have at least 1 items"},
	{"port zero", "Gateway", LISTENER("\"name\":\"a\",\"port\":0,\"protocol\":\"HTTP\""), "spec.listeners[0].port",
	 "Invalid value: 0: must be greater than or equal to 1"},
	{"port too large", "Gateway", LISTENER("\"name\":\"a\",\"port\":65536,\"protocol\":\"HTTP\""),
	 "spec.listeners[0].port", "Invalid value: 65536: must be less than or equal to 65535"},
	{"port is text", "Gateway", LISTENER("\"name\":\"a\",\"port\":\"80\",\"protocol\":\"HTTP\""),
	 "spec.listeners[0].port", "Invalid value: \"80\": must be of type integer, not string"},
	{"port is not whole", "Gateway", LISTENER("\"name\":\"a\",\"port\":80.5,\"protocol\":\"HTTP\""),
	 "spec.listeners[0].port", "Invalid value: 80.5: must be of type integer, not number"},
	{"port is whole, with a point", "Gateway", LISTENER("\"name\":\"a\",\"port\":80.0,\"protocol\":\"HTTP\""), NULL,
	 NULL},
	{"port is a boolean", "Gateway", LISTENER("\"name\":\"a\",\"port\":true,\"protocol\":\"HTTP\""),
	 "spec.listeners[0].port", "Invalid value: true: must be of type integer, not boolean"},
	{"port beyond 64 bits", "Gateway",
	 LISTENER("\"name\":\"a\",\"port\":18446744073709551615,\"protocol\":\"HTTP\""), "spec.listeners[0].port",
	 "Invalid value: 18446744073709551615: must fit in 63 bits"},
	{"port is null", "Gateway", LISTENER("\"name\":\"a\",\"port\":null,\"protocol\":\"HTTP\""),
	 "spec.listeners[0].port", "Required value"},
	{"unknown field", "Gateway", LISTENER("\"name\":\"a\",\"port\":80,\"protocol\":\"HTTP\",\"prot\":1"),
	 "spec.listeners[0].prot", "unknown field \"spec.listeners[0].prot\""},
	{"unknown at the top", "Gateway",
	 "{\"metadata\":{\"name\":\"g\"},\"specc\":{},\"spec\":{\"gatewayClassName\":\"c\",\"listeners\":[{\"name\":"
	 "\"a\","
	 "\"port\":80,\"protocol\":\"HTTP\"}]}}",
	 "specc", "unknown field \"specc\""},
	{"unknown in metadata", "Namespace", "{\"metadata\":{\"name\":\"n\",\"nmae\":\"x\"}}", "metadata.nmae",
	 "unknown field \"metadata.nmae\""},
	{"given twice", "ConfigMap", "{\"metadata\":{\"name\":\"c\"},\"data\":{\"a\":\"1\",\"a\":\"2\"}}", "data.a",
	 "duplicate field \"data.a\""},
	{"listener names collide", "Gateway",
	 GATEWAY("\"gatewayClassName\":\"c\",\"listeners\":["
		 "{\"name\":\"a\",\"port\":80,\"protocol\":\"HTTP\"},{\"name\":\"a\",\"port\":81,\"protocol\":\"HTTP\"}"
		 "]"),
	 "spec.listeners[1]", "Duplicate value: \"a\""},
	{"hostname in upper case", "Gateway",
	 LISTENER("\"name\":\"a\",\"port\":80,\"protocol\":\"HTTP\",\"hostname\":\"A.b\""),
	 "spec.listeners[0].hostname",
	 "Invalid value: \"A.b\": must match "
	 "^(\\*\\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"},
	{"wildcard hostname", "Gateway",
	 LISTENER("\"name\":\"a\",\"port\":80,\"protocol\":\"HTTP\",\"hostname\":\"*.example.com\""), NULL, NULL},
	{"path type", "HTTPRoute", MATCH("\"path\":{\"type\":\"Prefix\",\"value\":\"/\"}"),
	 "spec.rules[0].matches[0].path.type",
	 "Unsupported value: \"Prefix\": supported values: \"Exact\", \"PathPrefix\", \"RegularExpression\""},
	{"redirect status", "HTTPRoute",
	 ROUTE("\"filters\":[{\"type\":\"RequestRedirect\",\"requestRedirect\":{\"statusCode\":300}}]"),
	 "spec.rules[0].filters[0].requestRedirect.statusCode",
	 "Unsupported value: 300: supported values: \"301\", \"302\", \"303\", \"307\", \"308\""},
	{"header name", "HTTPRoute", MATCH("\"headers\":[{\"name\":\"a b\",\"value\":\"x\"}]"),
	 "spec.rules[0].matches[0].headers[0].name",
	 "Invalid value: \"a b\": must match ^[A-Za-z0-9!#$%&'*+\\-.^_\\x60|~]+$"},
	{"header name with all signs", "HTTPRoute", MATCH("\"headers\":[{\"name\":\"a-b_c`d^e.f\",\"value\":\"x\"}]"),
	 NULL, NULL},
	{"no header value", "HTTPRoute", MATCH("\"headers\":[{\"name\":\"a\",\"value\":\"\"}]"),
	 "spec.rules[0].matches[0].headers[0].value", "Invalid value: \"\": must have at least 1 characters"},
	{"weight too large", "HTTPRoute", ROUTE("\"backendRefs\":[{\"name\":\"s\",\"port\":80,\"weight\":1000001}]"),
	 "spec.rules[0].backendRefs[0].weight", "Invalid value: 1000001: must be less than or equal to 1000000"},
	{"duration", "HTTPRoute", ROUTE("\"timeouts\":{\"request\":\"1h30m\"}"), NULL, NULL},
	{"duration without unit", "HTTPRoute", ROUTE("\"timeouts\":{\"request\":\"10\"}"),
	 "spec.rules[0].timeouts.request", "Invalid value: \"10\": must match ^([0-9]{1,5}(h|m|s|ms)){1,4}$"},
	{"address with letters", "Backend",
	 "{\"metadata\":{\"name\":\"b\"},\"spec\":{\"endpoints\":[{\"ip\":{\"address\":\"10.0.0.300\",\"port\":80}}]}}",
	 "spec.endpoints[0].ip.address", NULL},
	{"address", "Backend",
	 "{\"metadata\":{\"name\":\"b\"},\"spec\":{\"endpoints\":[{\"ip\":{\"address\":\"10.0.0.30\",\"port\":80}}]}}",
	 NULL, NULL},
	{"v6 address", "Backend",
	 "{\"metadata\":{\"name\":\"b\"},\"spec\":{\"endpoints\":[{\"ip\":{\"address\":\"2001:db8::1\",\"port\":80}}]}"
	 "}",
	 NULL, NULL},
	{"a machine", "Machine", MACHINE("\"ports\":[{\"name\":\"p0\",\"device\":\"net_ring0\"}]"), NULL, NULL},
	{"a machine with a PCI device", "Machine",
	 MACHINE("\"ports\":[{\"name\":\"p0\",\"device\":\"0000:03:00.1,a=b\"}]"), NULL, NULL},
	{"device of a machine", "Machine", MACHINE("\"ports\":[{\"name\":\"p0\",\"device\":\"class=eth\"}]"),
	 "spec.ports[0].device",
	 "Invalid value: \"class=eth\": must match ^(net_[a-z0-9_]+|([0-9a-fA-F]{4}:)?[0-9a-fA-F]{2}:[0-9a-fA-F]{2}[.][0-9a-fA-F])"
	 "(,.*)?$"},
	{"port name of a machine", "Machine", MACHINE("\"ports\":[{\"name\":\"P0\",\"device\":\"net_ring0\"}]"),
	 "spec.ports[0].name", "Invalid value: \"P0\": must match ^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"},
	{"format of the access log", "Machine", MACHINE("\"accessLog\":{\"format\":\"XML\"}"), "spec.accessLog.format",
	 "Unsupported value: \"XML\": supported values: \"JSON\", \"Text\""},
	{"the access log in JSON", "Machine", MACHINE("\"accessLog\":{\"format\":\"JSON\"}"), NULL, NULL},
	{"seventeen workers", "Machine", MACHINE("\"workers\":17"), "spec.workers",
	 "Invalid value: 17: must be less than or equal to 16"},
	{"not base64", "Secret", "{\"metadata\":{\"name\":\"s\"},\"data\":{\"k\":\"secret!\"}}", "data[k]",
	 "Invalid value: must be base64"},
	{"a secret of the wrong type is not quoted", "Secret", "{\"metadata\":{\"name\":\"s\"},\"data\":{\"k\":12345}}",
	 "data[k]", "Invalid value: (hidden): must be of type string, not integer"},
	{"label value", "ConfigMap", LABELS("\"a\":\"b c\""), "metadata.labels",
	 "Invalid value: \"b c\": must be a label value: "
	 "at most 63 letters, digits, '-', '_' or '.', beginning and ending with a letter or digit"},
	{"label key", "ConfigMap", LABELS("\"a/b/c\":\"x\""), "metadata.labels",
	 "Invalid value: \"a/b/c\": must be a label key"},
	{"label key with prefix", "ConfigMap", LABELS("\"example.com/b\":\"x\""), NULL, NULL},
	{"label is a number", "ConfigMap", LABELS("\"a\":1"), "metadata.labels[a]",
	 "Invalid value: 1: must be of type string, not integer"},
	{"a NUL in a text", "ConfigMap", "{\"metadata\":{\"name\":\"c\"},\"data\":{\"a\":\"x\\u0000y\"}}", "data[a]",
	 "Invalid value: must not contain the NUL character"},
	{"finalizers twice", "ConfigMap", "{\"metadata\":{\"name\":\"c\",\"finalizers\":[\"a\",\"a\"]}}",
	 "metadata.finalizers[1]", "Duplicate value: \"a\""},
	{"target port by name", "Service",
	 "{\"metadata\":{\"name\":\"s\"},\"spec\":{\"ports\":[{\"port\":80,\"targetPort\":"
	 "\"http\"}]}}",
	 NULL, NULL},
	{"target port is a list", "Service",
	 "{\"metadata\":{\"name\":\"s\"},\"spec\":{\"ports\":[{\"port\":80,\"targetPort\":[]}]}}",
	 "spec.ports[0].targetPort", "Invalid value: must be of type integer, not array"},
	{"a service's ports by number and protocol", "Service",
	 "{\"metadata\":{\"name\":\"s\"},\"spec\":{\"ports\":["
	 "{\"name\":\"u\",\"port\":53,\"protocol\":\"UDP\"},{\"name\":\"t\",\"port\":53,\"protocol\":\"TCP\"}]}}",
	 NULL, NULL},
	{"a service's port twice", "Service",
	 "{\"metadata\":{\"name\":\"s\"},\"spec\":{\"ports\":[{\"port\":53},{\"port\":53}]}}", "spec.ports[1]",
	 "Duplicate value: 53, \"TCP\""},
	/* rules across fields */
	{"key with a slash", "ConfigMap", "{\"metadata\":{\"name\":\"c\"},\"data\":{\"a/b\":\"\"}}", "data[a/b]",
	 "Invalid value: a key must consist of letters, digits, '-', '_' and '.'"},
	{"key of dots", "ConfigMap", "{\"metadata\":{\"name\":\"c\"},\"data\":{\"..\":\"\"}}", "data[..]", NULL},
	{"key in both", "ConfigMap",
	 "{\"metadata\":{\"name\":\"c\"},\"data\":{\"a\":\"\"},\"binaryData\":{\"a\":\"\"}}", "binaryData[a]",
	 "Duplicate value: the key is in data too"},
	{"certificate without a key", "Secret",
	 "{\"metadata\":{\"name\":\"s\"},\"type\":\"kubernetes.io/tls\",\"data\":{\"tls.crt\":\"\"}}", "data[tls.key]",
	 "Required value"},
	{"tcp with a hostname", "Gateway",
	 LISTENER("\"name\":\"a\",\"port\":80,\"protocol\":\"TCP\",\"hostname\":\"a.b\""), "spec.listeners[0].hostname",
	 "Forbidden: protocol TCP has no hostname"},
	{"http with tls", "Gateway",
	 LISTENER("\"name\":\"a\",\"port\":80,\"protocol\":\"HTTP\",\"tls\":{\"mode\":\"Passthrough\"}"),
	 "spec.listeners[0].tls", "Forbidden: protocol HTTP has no TLS"},
	{"https passed through", "Gateway",
	 LISTENER("\"name\":\"a\",\"port\":80,\"protocol\":\"HTTPS\",\"tls\":{\"mode\":\"Passthrough\"}"),
	 "spec.listeners[0].tls.mode", "Invalid value: \"Passthrough\": must be Terminate for protocol HTTPS"},
	{"https without a certificate", "Gateway",
	 LISTENER("\"name\":\"a\",\"port\":80,\"protocol\":\"HTTPS\",\"tls\":{}"),
	 "spec.listeners[0].tls.certificateRefs", "Required value: mode Terminate needs a certificate"},
	{"https without tls is left to status", "Gateway",
	 LISTENER("\"name\":\"a\",\"port\":80,\"protocol\":\"HTTPS\""), NULL, NULL},
	{"tls without tls", "Gateway", LISTENER("\"name\":\"a\",\"port\":80,\"protocol\":\"TLS\""),
	 "spec.listeners[0].tls", "Required value: protocol TLS needs tls.mode"},
	{"listeners alike", "Gateway",
	 GATEWAY("\"gatewayClassName\":\"c\",\"listeners\":["
		 "{\"name\":\"a\",\"port\":80,\"protocol\":\"HTTP\"},{\"name\":\"b\",\"port\":80,\"protocol\":\"HTTP\"}"
		 "]"),
	 "spec.listeners[1]", "Duplicate value: port, protocol and hostname are those of listener \"a\""},
	{"listeners that differ in hostname", "Gateway",
	 GATEWAY("\"gatewayClassName\":\"c\",\"listeners\":["
		 "{\"name\":\"a\",\"port\":80,\"protocol\":\"HTTP\"},"
		 "{\"name\":\"b\",\"port\":80,\"protocol\":\"HTTP\",\"hostname\":\"a.b\"}]"),
	 NULL, NULL},
	{"path without a slash", "HTTPRoute", MATCH("\"path\":{\"value\":\"a\"}"),
	 "spec.rules[0].matches[0].path.value", "Invalid value: \"a\": must begin with \"/\""},
	{"path with two slashes", "HTTPRoute", MATCH("\"path\":{\"value\":\"/a//b\"}"),
	 "spec.rules[0].matches[0].path.value", "Invalid value: \"/a//b\": must not contain \"//\""},
	{"path that goes up", "HTTPRoute", MATCH("\"path\":{\"value\":\"/a/..\"}"),
	 "spec.rules[0].matches[0].path.value", "Invalid value: \"/a/..\": must not end with \"/..\""},
	{"path with an escaped slash", "HTTPRoute", MATCH("\"path\":{\"value\":\"/a%2fb\"}"),
	 "spec.rules[0].matches[0].path.value", "Invalid value: \"/a%2fb\": must not contain \"%2f\""},
	{"path with half an escape", "HTTPRoute", MATCH("\"path\":{\"value\":\"/a%4\"}"),
	 "spec.rules[0].matches[0].path.value",
	 "Invalid value: \"/a%4\": must consist of path characters (RFC 3986), others as %XX"},
	{"path with escapes and signs", "HTTPRoute", MATCH("\"path\":{\"value\":\"/a%20b/~c!d@e:f;g=h\"}"), NULL, NULL},
	{"an expression is no path", "HTTPRoute",
	 MATCH("\"path\":{\"type\":\"RegularExpression\",\"value\":\"a//(b|c)\"}"), NULL, NULL},
	{"service without a port", "HTTPRoute", ROUTE("\"backendRefs\":[{\"name\":\"s\"}]"),
	 "spec.rules[0].backendRefs[0].port", "Required value: a Service needs a port"},
	{"backend without a port", "HTTPRoute",
	 ROUTE("\"backendRefs\":[{\"name\":\"s\",\"group\":\"gateway.envoyproxy.io\",\"kind\":\"Backend\"}]"), NULL,
	 NULL},
	{"mirror to a service without a port", "HTTPRoute",
	 ROUTE("\"filters\":[{\"type\":\"RequestMirror\",\"requestMirror\":{\"backendRef\":{\"name\":\"s\"}}}]"),
	 "spec.rules[0].filters[0].requestMirror.backendRef.port", "Required value: a Service needs a port"},
	{"filter without its field", "HTTPRoute", ROUTE("\"filters\":[{\"type\":\"URLRewrite\"}]"),
	 "spec.rules[0].filters[0].urlRewrite", "Required value: the filter's type is URLRewrite"},
	{"filter with a field of another", "HTTPRoute",
	 ROUTE("\"filters\":[{\"type\":\"URLRewrite\",\"urlRewrite\":{},\"requestRedirect\":{}}]"),
	 "spec.rules[0].filters[0].requestRedirect", "Forbidden: the filter's type is URLRewrite"},
	{"filter twice", "HTTPRoute",
	 ROUTE("\"filters\":[{\"type\":\"URLRewrite\",\"urlRewrite\":{}},"
	       "{\"type\":\"URLRewrite\",\"urlRewrite\":{}}]"),
	 "spec.rules[0].filters", "Invalid value: filter URLRewrite may be there only once"},
	{"mirror twice", "HTTPRoute",
	 ROUTE("\"filters\":["
	       "{\"type\":\"RequestMirror\",\"requestMirror\":{\"backendRef\":{\"name\":\"s\",\"port\":80}}},"
	       "{\"type\":\"RequestMirror\",\"requestMirror\":{\"backendRef\":{\"name\":\"t\",\"port\":80}}}]"),
	 NULL, NULL},
	{"redirect and rewrite", "HTTPRoute",
	 ROUTE("\"filters\":[{\"type\":\"URLRewrite\",\"urlRewrite\":{}},"
	       "{\"type\":\"RequestRedirect\",\"requestRedirect\":{}}]"),
	 "spec.rules[0].filters", "Invalid value: RequestRedirect and URLRewrite exclude each other"},
	{"redirect with backends", "HTTPRoute",
	 ROUTE("\"backendRefs\":[{\"name\":\"s\",\"port\":80}],"
	       "\"filters\":[{\"type\":\"RequestRedirect\",\"requestRedirect\":{}}]"),
	 "spec.rules[0].backendRefs", "Forbidden: a rule that redirects has no backends"},
	{"prefix replaced under an exact match", "HTTPRoute",
	 ROUTE("\"matches\":[{\"path\":{\"type\":\"Exact\",\"value\":\"/a\"}}],"
	       "\"filters\":[{\"type\":\"URLRewrite\",\"urlRewrite\":{\"path\":{\"type\":\"ReplacePrefixMatch\","
	       "\"replacePrefixMatch\":\"/b\"}}}]"),
	 "spec.rules[0].matches", "Invalid value: ReplacePrefixMatch needs exactly one match, of type PathPrefix"},
	{"prefix replaced", "HTTPRoute",
	 ROUTE("\"matches\":[{\"path\":{\"value\":\"/a\"}}],"
	       "\"filters\":[{\"type\":\"URLRewrite\",\"urlRewrite\":{\"path\":{\"type\":\"ReplacePrefixMatch\","
	       "\"replacePrefixMatch\":\"/b\"}}}]"),
	 NULL, NULL},
	{"path modifier without its field", "HTTPRoute",
	 ROUTE("\"filters\":[{\"type\":\"URLRewrite\",\"urlRewrite\":{\"path\":{\"type\":\"ReplaceFullPath\"}}}]"),
	 "spec.rules[0].filters[0].urlRewrite.path.replaceFullPath",
	 "Required value: the path's type is ReplaceFullPath"},
	{"backend timeout longer", "HTTPRoute",
	 ROUTE("\"timeouts\":{\"request\":\"1s\",\"backendRequest\":\"1001ms\"}"),
	 "spec.rules[0].timeouts.backendRequest",
	 "Invalid value: \"1001ms\": must not be longer than the timeout of the request, 1s"},
	{"backend timeout without end of the request", "HTTPRoute",
	 ROUTE("\"timeouts\":{\"request\":\"0s\",\"backendRequest\":\"1h\"}"), NULL, NULL},
	{"retry", "HTTPRoute", ROUTE("\"retry\":{\"attempts\":3,\"codes\":[500,503],\"backoff\":\"10ms\"}"), NULL, NULL},
	{"retry of no attempts", "HTTPRoute", ROUTE("\"retry\":{\"attempts\":0}"), "spec.rules[0].retry.attempts",
	 "Invalid value: 0: must be greater than or equal to 1"},
	{"retry after success", "HTTPRoute", ROUTE("\"retry\":{\"codes\":[200]}"), "spec.rules[0].retry.codes[0]",
	 "Invalid value: 200: must be greater than or equal to 400"},
	{"retry after the same status twice", "HTTPRoute", ROUTE("\"retry\":{\"codes\":[500,500]}"),
	 "spec.rules[0].retry.codes[1]", "Duplicate value: 500"},
	{"session", "HTTPRoute",
	 ROUTE("\"sessionPersistence\":{\"absoluteTimeout\":\"1h\",\"cookieConfig\":{\"lifetimeType\":\"Permanent\"}}"),
	 NULL, NULL},
	{"permanent session without timeout", "HTTPRoute",
	 ROUTE("\"sessionPersistence\":{\"cookieConfig\":{\"lifetimeType\":\"Permanent\"}}"),
	 "spec.rules[0].sessionPersistence.absoluteTimeout", "Required value: the cookie's lifetimeType is Permanent"},
	{"cookie of a header's session", "HTTPRoute",
	 ROUTE("\"sessionPersistence\":{\"type\":\"Header\",\"cookieConfig\":{}}"),
	 "spec.rules[0].sessionPersistence.cookieConfig", "Forbidden: the session's type is Header"},
	{"the same parent twice", "HTTPRoute",
	 "{\"metadata\":{\"name\":\"r\"},\"spec\":{\"parentRefs\":[{\"name\":\"g\"},{\"name\":\"g\"}]}}",
	 "spec.parentRefs[1]", "Duplicate value: the same parent, section and port as parentRefs[0]"},
	{"the same parent, one without a section", "HTTPRoute",
	 "{\"metadata\":{\"name\":\"r\"},\"spec\":{\"parentRefs\":["
	 "{\"name\":\"g\",\"sectionName\":\"a\"},{\"name\":\"g\"}]}}",
	 "spec.parentRefs[1].sectionName", "Required value: the route refers to the same parent twice"},
	{"two sections of a parent", "HTTPRoute",
	 "{\"metadata\":{\"name\":\"r\"},\"spec\":{\"parentRefs\":["
	 "{\"name\":\"g\",\"sectionName\":\"a\"},{\"name\":\"g\",\"sectionName\":\"b\"}]}}",
	 NULL, NULL},
	{"two ports of a parent", "HTTPRoute",
	 "{\"metadata\":{\"name\":\"r\"},\"spec\":{\"parentRefs\":["
	 "{\"name\":\"g\",\"port\":80},{\"name\":\"g\",\"port\":81}]}}",
	 NULL, NULL},
	{"the same parent, one without a port", "HTTPRoute",
	 "{\"metadata\":{\"name\":\"r\"},\"spec\":{\"parentRefs\":["
	 "{\"name\":\"g\",\"port\":80},{\"name\":\"g\"}]}}",
	 "spec.parentRefs[1].port", "Required value: the route refers to the same parent twice"},
	{"star among origins", "HTTPRoute",
	 ROUTE("\"filters\":[{\"type\":\"CORS\",\"cors\":{\"allowOrigins\":[\"https://a.b\",\"*\"]}}]"),
	 "spec.rules[0].filters[0].cors.allowOrigins[1]", "Invalid value: \"*\": must stand alone"},
	{"an answer without its text", "HTTPRouteFilter",
	 "{\"metadata\":{\"name\":\"f\"},\"spec\":{\"directResponse\":{\"body\":{\"type\":\"Inline\"}}}}",
	 "spec.directResponse.body.inline", "Required value: the type is Inline"},
	{"an answer out of a Secret", "HTTPRouteFilter",
	 "{\"metadata\":{\"name\":\"f\"},\"spec\":{\"directResponse\":{\"body\":{\"type\":\"ValueRef\",\"valueRef\":{"
	 "\"group\":\"\",\"kind\":\"Secret\",\"name\":\"s\"}}}}}",
	 "spec.directResponse.body.valueRef.kind", "Unsupported value: \"Secret\": supported values: \"ConfigMap\""},
	{"an answer that removes fields", "HTTPRouteFilter",
	 "{\"metadata\":{\"name\":\"f\"},\"spec\":{\"directResponse\":{\"header\":{\"remove\":[\"a\"]}}}}",
	 "spec.directResponse.header.remove", "Forbidden: there is nothing to remove from an answer of the gateway"},
	{"a rewrite with a field of another type", "HTTPRouteFilter",
	 "{\"metadata\":{\"name\":\"f\"},\"spec\":{\"urlRewrite\":{\"hostname\":{\"type\":\"Backend\",\"header\":\"a\"}}}}",
	 "spec.urlRewrite.hostname.header", "Forbidden: the type is Backend"},
	{"a rewrite without its expression", "HTTPRouteFilter",
	 "{\"metadata\":{\"name\":\"f\"},\"spec\":{\"urlRewrite\":{\"path\":{\"type\":\"ReplaceRegexMatch\"}}}}",
	 "spec.urlRewrite.path.replaceRegexMatch", "Required value: the type is ReplaceRegexMatch"},
	{"a substitution with a line end", "HTTPRouteFilter",
	 "{\"metadata\":{\"name\":\"f\"},\"spec\":{\"urlRewrite\":{\"hostname\":{\"type\":\"PathRegex\",\"pathRegex\":{"
	 "\"pattern\":\"a\",\"substitution\":\"b\\r\"}}}}}",
	 "spec.urlRewrite.hostname.pathRegex.substitution",
	 "Invalid value: \"b\r\": must match ^[^\\r\\n\\x00]*$"},
	{"endpoint of no kind", "Backend",
	 "{\"metadata\":{\"name\":\"b\"},\"spec\":{\"endpoints\":[{\"zone\":\"z\"}]}}", "spec.endpoints[0]",
	 "Invalid value: must have exactly one of fqdn, ip and unix"},
	{"target port out of range", "Service", SERVICE("{\"port\":80,\"targetPort\":65616}"),
	 "spec.ports[0].targetPort", "Invalid value: 65616: must be between 1 and 65535"},
	{"target port zero", "Service", SERVICE("{\"port\":80,\"targetPort\":0}"),
	 "spec.ports[0].targetPort", "Invalid value: 0: must be between 1 and 65535"},
	{"target port below zero", "Service", SERVICE("{\"port\":80,\"targetPort\":-1}"),
	 "spec.ports[0].targetPort", "Invalid value: -1: must be between 1 and 65535"},
	{"target port with an odd name", "Service", SERVICE("{\"port\":80,\"targetPort\":\"HTTP!\"}"),
	 "spec.ports[0].targetPort",
	 "Invalid value: \"HTTP!\": must be the name of a port: at most 15 lower case letters, digits and '-'"},
	{"target port with a long name", "Service", SERVICE("{\"port\":80,\"targetPort\":\"abcdefghijklmnop\"}"),
	 "spec.ports[0].targetPort", NULL},
	{"two ports of one name", "Service", SERVICE("{\"port\":80,\"name\":\"a\"},{\"port\":81,\"name\":\"a\"}"),
	 "spec.ports[1].name", "Duplicate value: \"a\""},
	{"two ports, one without a name", "Service", SERVICE("{\"port\":80,\"name\":\"a\"},{\"port\":81}"),
	 "spec.ports[1].name", "Required value: there is more than one port"},
	{"ExternalName without a name", "Service",
	 "{\"metadata\":{\"name\":\"s\"},\"spec\":{\"type\":\"ExternalName\"}}", "spec.externalName",
	 "Required value: type ExternalName needs it"},
	{"a slice", "EndpointSlice", SLICE("IPv4", "198.18.1.11"), NULL, NULL},
	{"a slice of IPv6", "EndpointSlice", SLICE("IPv6", "2001:db8::1"), NULL, NULL},
	{"a slice of names", "EndpointSlice", SLICE("FQDN", "a.example"), NULL, NULL},
	{"endpoint that is no address", "EndpointSlice", SLICE("IPv4", "300.1.1.1"), "endpoints[0].addresses[0]",
	 "Invalid value: \"300.1.1.1\": must be an IPv4 address"},
	{"endpoint of the other family", "EndpointSlice", SLICE("IPv6", "198.18.1.11"), "endpoints[0].addresses[0]",
	 "Invalid value: \"198.18.1.11\": must be an IPv6 address"},
	{"endpoint that is loopback", "EndpointSlice", SLICE("IPv4", "127.0.0.1"), "endpoints[0].addresses[0]",
	 "Invalid value: \"127.0.0.1\": must be the address of a host: "
	 "not unspecified, loopback, link-local, multicast or broadcast"},
	{"endpoint that is link-local", "EndpointSlice", SLICE("IPv6", "fe80::1"), "endpoints[0].addresses[0]", NULL},
	{"two ports of a slice without names", "EndpointSlice",
	 "{\"metadata\":{\"name\":\"s\"},\"addressType\":\"IPv4\",\"endpoints\":[],"
	 "\"ports\":[{\"port\":80},{\"port\":81}]}",
	 "ports[1].name", "Duplicate value: \"\""},
	{"machine address that is multicast", "Machine", OWN("224.0.0.1/24"), "spec.addresses[0].address",
	 "Invalid value: \"224.0.0.1/24\": must be the address of a host: "
	 "not unspecified, loopback, multicast, broadcast or a network's"},
	{"machine address that is the network's", "Machine", OWN("10.0.0.0/24"), "spec.addresses[0].address", NULL},
	{"machine address that is the broadcast address", "Machine", OWN("10.0.0.255/24"), "spec.addresses[0].address",
	 NULL},
	{"the first of two addresses", "Machine", OWN("10.0.0.0/31"), NULL, NULL},
	{"the only address", "Machine", OWN("10.0.0.0/32"), NULL, NULL},
	{"machine address that ends in zeros", "Machine", OWN("2001:db8::/64"), NULL, NULL},
	{"next hop that is unspecified", "Machine", MACHINE("\"routes\":[{\"to\":\"0.0.0.0/0\",\"via\":\"0.0.0.0\"}]"),
	 "spec.routes[0].via", NULL},
	{"next hop that is link-local", "Machine",
	 MACHINE("\"ports\":[{\"name\":\"p\",\"device\":\"net_null0\"}],"
		 "\"routes\":[{\"to\":\"::/0\",\"via\":\"fe80::1\",\"port\":\"p\"}]"),
	 NULL, NULL},
	{"pool of multicast addresses", "Machine",
	 MACHINE("\"vipPool\":[{\"first\":\"223.255.255.9\",\"last\":\"224.0.0.1\"}]"), "spec.vipPool[0].last", NULL},
	{"machine address without length", "Machine",
	 MACHINE("\"ports\":[{\"name\":\"p\",\"device\":\"net_ring0\"}],"
		 "\"addresses\":[{\"address\":\"10.0.0.1/33\",\"port\":\"p\"}]"),
	 "spec.addresses[0].address",
	 "Invalid value: \"10.0.0.1/33\": must be an address and a prefix length, like 198.18.0.1/24"},
	{"machine address on no port", "Machine",
	 MACHINE("\"addresses\":[{\"address\":\"10.0.0.1/24\",\"port\":\"p\"}]"), "spec.addresses[0].port",
	 "Invalid value: \"p\": no port has this name"},
	{"VLAN on a port that is not there", "Machine",
	 MACHINE("\"ports\":[{\"name\":\"p\",\"device\":\"net_null0\"}],"
		 "\"vlans\":[{\"name\":\"v\",\"port\":\"q\",\"id\":5}]"),
	 "spec.vlans[0].port", "Invalid value: \"q\": no port has this name"},
	{"VLAN with the name of a port", "Machine",
	 MACHINE("\"ports\":[{\"name\":\"p\",\"device\":\"net_null0\"}],"
		 "\"vlans\":[{\"name\":\"p\",\"port\":\"p\",\"id\":5}]"),
	 "spec.vlans[0].name", "Invalid value: \"p\": a port has this name"},
	{"VLAN 4095", "Machine",
	 MACHINE("\"ports\":[{\"name\":\"p\",\"device\":\"net_null0\"}],"
		 "\"vlans\":[{\"name\":\"v\",\"port\":\"p\",\"id\":4095}]"),
	 "spec.vlans[0].id", "Invalid value: 4095: must be less than or equal to 4094"},
	{"route with host bits", "Machine", MACHINE("\"routes\":[{\"to\":\"10.0.0.1/24\",\"via\":\"10.1.0.1\"}]"),
	 "spec.routes[0].to",
	 "Invalid value: \"10.0.0.1/24\": must be a prefix whose host bits are zero, like 198.18.0.0/24"},
	{"default routes", "Machine",
	 MACHINE("\"routes\":[{\"to\":\"0.0.0.0/0\",\"via\":\"10.1.0.1\"},"
		 "{\"to\":\"::/0\",\"via\":\"2001:2::1\"}]"),
	 NULL, NULL},
	{"pool backwards", "Machine", MACHINE("\"vipPool\":[{\"first\":\"10.0.0.9\",\"last\":\"10.0.0.1\"}]"),
	 "spec.vipPool[0].last", "Invalid value: \"10.0.0.1\": must not be below first, and of the same family"},
	{"how TCP sends", "Machine",
	 MACHINE("\"tcp\":{\"listeners\":{\"congestionControl\":\"newreno\",\"ecn\":false},\"upstreams\":{\"pacing\":false}}"),
	 NULL, NULL},
	{"a congestion control that is none", "Machine",
	 MACHINE("\"tcp\":{\"upstreams\":{\"congestionControl\":\"CUBIC\"}}"), "spec.tcp.upstreams.congestionControl", NULL},
	{"ECN that is neither on nor off", "Machine", MACHINE("\"tcp\":{\"listeners\":{\"ecn\":\"on\"}}"),
	 "spec.tcp.listeners.ecn", NULL},
	{"pool with both", "Machine", MACHINE("\"vipPool\":[{\"first\":\"10.0.0.9\",\"cidr\":\"10.0.0.0/24\"}]"),
	 "spec.vipPool[0]", "Invalid value: must have either cidr, or first and last"},
};

static void test_case(void **state)
{
	size_t i = (size_t)*state;
	struct causes causes;
	bool changed;
	yyjson_doc *doc = admitted(cases[i].kind, cases[i].json, NULL, false, &causes, &changed);

	if (!cases[i].field && causes.total)
		fail_msg("%s: %s", causes.items[0].field, causes.items[0].message);
	if (cases[i].field) {
		assert_int_equal(causes.total, 1);
		assert_string_equal(causes.items[0].field, cases[i].field);
		if (cases[i].message)
			assert_string_equal(causes.items[0].message, cases[i].message);
	}
	yyjson_doc_free(doc);
	causes_fini(&causes);
}

/* name or namespace; field null: it is right */
static const struct {
	const char *name, *kind, *metadata, *field;
} identities[] = {
	{"a name", "HTTPRoute", "{\"name\":\"a.b-c\"}", NULL},
	{"none", "HTTPRoute", "{}", "metadata.name"},
	{"upper case", "HTTPRoute", "{\"name\":\"A\"}", "metadata.name"},
	{"a name that YAML reads as false", "HTTPRoute", "{\"name\":false,\"generateName\":\"r-\"}", "metadata.name"},
	{"a namespace that YAML reads as a number", "HTTPRoute", "{\"name\":\"a\",\"namespace\":1}",
	 "metadata.namespace"},
	{"a slash", "HTTPRoute", "{\"name\":\"a/b\"}", "metadata.name"},
	{"dots in a namespace's name", "Namespace", "{\"name\":\"a.b\"}", "metadata.name"},
	{"a service begins with a digit", "Service", "{\"name\":\"1a\"}", "metadata.name"},
	{"a namespace where none belongs", "GatewayClass", "{\"name\":\"a\",\"namespace\":\"b\"}",
	 "metadata.namespace"},
	{"a bad namespace", "HTTPRoute", "{\"name\":\"a\",\"namespace\":\"a.b\"}", "metadata.namespace"},
	{"a prefix", "HTTPRoute", "{\"generateName\":\"route-\"}", NULL},
	{"254 characters", "HTTPRoute",
	 "{\"name\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	 "aaaaaaaaaaaaa"
	 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}",
	 "metadata.name"},
};

static void test_identity(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(identities); i++) {
		char json[640];
		struct causes causes;
		yyjson_mut_doc *doc;

		snprintf(json, sizeof(json), "{\"metadata\":%s}", identities[i].metadata);
		doc = parse(json);
		causes_init(&causes);
		admit_identity(kind_by_name(identities[i].kind), doc, &causes);
		if (causes.total != (identities[i].field ? 1 : 0))
			fail_msg("%s: %zu causes", identities[i].name, causes.total);
		if (identities[i].field)
			assert_string_equal(causes.items[0].field, identities[i].field);
		causes_fini(&causes);
		yyjson_mut_doc_free(doc);
	}
}

static void test_generated_names_differ(void **state)
{
	char first[64] = "";

	(void)state;
	for (int i = 0; i < 2; i++) {
		yyjson_mut_doc *doc = parse("{\"metadata\":{\"generateName\":\"r-\"}}");
		yyjson_mut_val *metadata = yyjson_mut_obj_get(yyjson_mut_doc_get_root(doc), "metadata");
		struct causes causes;

		causes_init(&causes);
		admit_identity(kind_by_name("HTTPRoute"), doc, &causes);
		const char *name = yyjson_mut_get_str(yyjson_mut_obj_get(metadata, "name"));

		assert_int_equal(strlen(name), 7);
		assert_memory_equal(name, "r-", 2);
		assert_string_not_equal(name, first);
		assert_string_equal(yyjson_mut_get_str(yyjson_mut_obj_get(metadata, "namespace")), "default");
		strcpy(first, name);
		yyjson_mut_doc_free(doc);
	}
}

static void test_defaults_and_pruning(void **state)
{
	struct causes causes;
	bool changed;
	yyjson_doc *doc = admitted("HTTPRoute",
				   "{\"spec\":{\"rules\":[{\"backendRefs\":[{\"name\":\"s\",\"port\":80,\"x\":1}],"
				   "\"name\":null}],\"parentRefs\":[{\"name\":\"g\"}]},\"metadata\":{\"name\":\"r\"},"
				   "\"status\":{\"parents\":\"not mine\"}}",
				   NULL, false, &causes, &changed);
	yyjson_val *spec = doc_get(yyjson_doc_get_root(doc), "spec");
	char *text = yyjson_val_write(spec, 0, NULL);

	(void)state;
	assert_int_equal(causes.total, 1);
	assert_string_equal(causes.items[0].field, "spec.rules[0].backendRefs[0].x");
	assert_string_equal(
		text,
		"{\"rules\":[{\"backendRefs\":[{\"name\":\"s\",\"port\":80,\"group\":\"\",\"kind\":\"Service\","
		"\"weight\":1}],\"matches\":[{\"path\":{\"type\":\"PathPrefix\",\"value\":\"/\"}}]}],"
		"\"parentRefs\":[{\"name\":\"g\",\"group\":\"gateway.networking.k8s.io\",\"kind\":\"Gateway\"}]}");
	assert_null(doc_get(yyjson_doc_get_root(doc), "status"));
	free(text);
	causes_fini(&causes);
	yyjson_doc_free(doc);
}

static void test_stamp(void **state)
{
	static const char given[] =
		"{\"metadata\":{\"name\":\"c\",\"namespace\":\"default\",\"uid\":\"mine\",\"generation\":7,"
		"\"creationTimestamp\":\"2000-01-01T00:00:00Z\",\"resourceVersion\":\"5\",\"managedFields\":[{\"x\":1}]"
		"},"
		"\"data\":{\"a\":\"1\"},\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\"}";
	struct causes causes;
	bool changed;
	yyjson_doc *doc = admitted("ConfigMap", given, NULL, false, &causes, &changed);
	yyjson_val *metadata = doc_get(yyjson_doc_get_root(doc), "metadata");
	const char *uid = doc_str(metadata, "uid");

	(void)state;
	assert_true(changed);
	assert_int_equal(strlen(uid), 36);
	assert_int_equal(uid[14], '4');
	assert_string_equal(doc_str(metadata, "creationTimestamp"), "2026-01-31T12:00:00Z");
	assert_int_equal(doc_int(metadata, "generation", 0), 1);
	assert_null(doc_get(metadata, "resourceVersion"));
	assert_null(doc_get(metadata, "managedFields"));
	assert_string_equal(doc_str(yyjson_doc_get_root(doc), "apiVersion"), "v1");

	/* Written again: what the server decided stays, whatever the client says. */
	yyjson_doc *again = admitted("ConfigMap", given, yyjson_doc_get_root(doc), false, &causes, &changed);

	assert_false(changed);
	assert_true(yyjson_equals(yyjson_doc_get_root(again), yyjson_doc_get_root(doc)));
	yyjson_doc_free(again);
	yyjson_doc_free(doc);
}

/* generation counts the specification only; name, old, new, whether it changed, generation after */
static const struct {
	const char *name, *fields;
	bool status_only, changed;
	int generation;
} writes[] = {
	{"the same", "\"spec\":{\"controllerName\":\"a.b/c\"}", false, false, 1},
	{"the same with an older label",
	 "\"apiVersion\":\"gateway.networking.k8s.io/v1beta1\","
	 "\"spec\":{\"controllerName\":\"a.b/c\"}",
	 false, false, 1},
	{"a label", "\"metadata\":{\"name\":\"c\",\"labels\":{\"a\":\"b\"}},\"spec\":{\"controllerName\":\"a.b/c\"}",
	 false, true, 1},
	{"the spec", "\"spec\":{\"controllerName\":\"a.b/c\",\"description\":\"x\"}", false, true, 2},
	{"status by the main resource", "\"spec\":{\"controllerName\":\"a.b/c\"},\"status\":{\"conditions\":[]}", false,
	 false, 1},
	{"status by its subresource", "\"spec\":{\"controllerName\":\"x.y/z\"},\"status\":{\"conditions\":[]}", true,
	 true, 1},
};

static void test_generation(void **state)
{
	struct causes causes;
	bool changed;
	yyjson_doc *old =
		admitted("GatewayClass", "{\"metadata\":{\"name\":\"c\"},\"spec\":{\"controllerName\":\"a.b/c\"}}",
			 NULL, false, &causes, &changed);

	(void)state;
	for (size_t i = 0; i < LENGTH(writes); i++) {
		char json[512];
		yyjson_doc *doc;

		snprintf(json, sizeof(json), "{%s%s}",
			 strstr(writes[i].fields, "\"metadata\"") ? "" : "\"metadata\":{\"name\":\"c\"},",
			 writes[i].fields);
		doc = admitted("GatewayClass", json, yyjson_doc_get_root(old), writes[i].status_only, &causes,
			       &changed);
		if (causes.total)
			fail_msg("%s: %s: %s", writes[i].name, causes.items[0].field, causes.items[0].message);
		if (changed != writes[i].changed)
			fail_msg("%s: changed is %d", writes[i].name, changed);
		assert_int_equal(doc_int(doc_get(yyjson_doc_get_root(doc), "metadata"), "generation", 0),
				 writes[i].generation);
		assert_string_equal(doc_str(doc_get(yyjson_doc_get_root(doc), "spec"), "controllerName"), "a.b/c");
		yyjson_doc_free(doc);
	}
	yyjson_doc_free(old);
}

static void test_immutable(void **state)
{
	struct causes causes;
	bool changed;
	yyjson_doc *old =
		admitted("Secret", "{\"metadata\":{\"name\":\"s\"},\"immutable\":true,\"stringData\":{\"k\":\"v\"}}",
			 NULL, false, &causes, &changed);
	yyjson_doc *doc;

	(void)state;
	assert_string_equal(doc_str(doc_get(yyjson_doc_get_root(old), "data"), "k"), "dg==");
	assert_null(doc_get(yyjson_doc_get_root(old), "stringData"));
	doc = admitted("Secret", "{\"metadata\":{\"name\":\"s\"},\"immutable\":true,\"stringData\":{\"k\":\"w\"}}",
	               yyjson_doc_get_root(old), false, &causes, &changed);
	assert_int_equal(causes.total, 1);
	assert_string_equal(causes.items[0].field, "data");
	causes_fini(&causes);
	yyjson_doc_free(doc);
	doc = admitted(
		"Secret",
		"{\"metadata\":{\"name\":\"s\",\"labels\":{\"a\":\"b\"}},\"immutable\":true,\"data\":{\"k\":\"dg==\"}}",
		yyjson_doc_get_root(old), false, &causes, &changed);
	assert_int_equal(causes.total, 0);
	assert_true(changed);
	yyjson_doc_free(doc);
	yyjson_doc_free(old);
}

static void test_order_of_fields(void **state)
{
	struct causes causes;
	bool changed;
	yyjson_doc *doc =
		admitted("GatewayClass", "{\"spec\":{\"controllerName\":\"a.b/c\"},\"metadata\":{\"name\":\"c\"}}",
			 NULL, false, &causes, &changed);
	static const char *const order[] = {"apiVersion", "kind", "metadata", "spec", "status"};
	yyjson_val *key, *value;
	size_t i, max;

	(void)state;
	assert_int_equal(yyjson_obj_size(yyjson_doc_get_root(doc)), LENGTH(order));
	yyjson_obj_foreach(yyjson_doc_get_root(doc), i, max, key, value)
		assert_string_equal(yyjson_get_str(key), order[i]);
	yyjson_doc_free(doc);
}

static void test_causes_are_bounded(void **state)
{
	struct causes causes;
	bool changed;
	size_t n = 0, room = 1 << 20;
	char *json = malloc(room);
	yyjson_doc *doc;

	(void)state;
	n += (size_t)snprintf(json, room, "{\"metadata\":{\"name\":\"c\"},\"data\":{");
	for (int i = 0; i < 10000; i++)
		n += (size_t)snprintf(json + n, room - n, "%s\"k%d\":%d", i ? "," : "", i, i);
	snprintf(json + n, room - n, "}}");
	doc = admitted("ConfigMap", json, NULL, false, &causes, &changed);
	assert_int_equal(causes.n, CAUSES_MAX);
	assert_int_equal(causes.total, 10000);
	causes_fini(&causes);
	yyjson_doc_free(doc);
	free(json);
}

static void test_depth(void **state)
{
	(void)state;
	assert_false(json_is_deep("[[[]]]", 6, 3));
	assert_true(json_is_deep("[[[[]]]]", 8, 3));
	assert_false(json_is_deep("[\"[[[[[\",\"\\\"[[[\"]", 17, 3));
	assert_false(json_is_deep("{}{}{}{}[][]", 12, 1));
}

int main(void)
{
	struct CMUnitTest tests[LENGTH(cases) + 9];
	size_t n = 0;

	for (size_t i = 0; i < LENGTH(cases); i++)
		tests[n++] = (struct CMUnitTest){cases[i].name, test_case, NULL, NULL, (void *)i};
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_identity);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_generated_names_differ);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_defaults_and_pruning);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_stamp);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_generation);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_immutable);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_order_of_fields);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_causes_are_bounded);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_depth);
	return _cmocka_run_group_tests("admit", tests, n, NULL, NULL);
}
