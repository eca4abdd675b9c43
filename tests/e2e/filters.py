#!/usr/bin/env python3
"""Filters of HTTPRoutes through the gateway: what backends see, and what clients (browsers) are told."""
import contextlib
import json
import os

from harness import LAB, ROOT, Lab, case, expect, expect_equal, main, retry

ECHO = "{group: gateway.envoyproxy.io, kind: Backend, name: echo, port: 9000}"
SHADOW = "{group: gateway.envoyproxy.io, kind: Backend, name: shadow, port: 9001}"
MANIFEST = f"""
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: filters, namespace: default}}
spec:
  gatewayClassName: sluice
  addresses: [{{type: IPAddress, value: 198.18.0.21}}]
  listeners:
  - {{name: http, protocol: HTTP, port: 80}}
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: Backend
metadata: {{name: echo, namespace: default}}
spec:
  endpoints: [{{ip: {{address: 198.18.1.11, port: 9000}}}}]
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: Backend
metadata: {{name: shadow, namespace: default}}
spec:
  endpoints: [{{ip: {{address: 198.18.1.12, port: 9001}}}}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: filters, namespace: default}}
spec:
  parentRefs: [{{name: filters}}]
  rules:
  - matches: [{{path: {{type: PathPrefix, value: /response}}}}]
    filters:
    - type: ResponseHeaderModifier
      responseHeaderModifier: {{set: [{{name: x-backend, value: hidden}}], add: [{{name: x-add, value: more}}], remove: [x-seen]}}
    backendRefs: [{ECHO}]
  - matches: [{{path: {{type: PathPrefix, value: /v1}}}}]
    filters:
    - type: URLRewrite
      urlRewrite: {{hostname: inner.example, path: {{type: ReplacePrefixMatch, replacePrefixMatch: /v2}}}}
    backendRefs: [{ECHO}]
  - matches: [{{path: {{type: PathPrefix, value: /full}}}}]
    filters: [{{type: URLRewrite, urlRewrite: {{path: {{type: ReplaceFullPath, replaceFullPath: /one}}}}}}]
    backendRefs: [{ECHO}]
  - matches: [{{path: {{type: PathPrefix, value: /see}}}}]
    filters: [{{type: RequestRedirect, requestRedirect: {{statusCode: 303, scheme: https, path: {{type: ReplacePrefixMatch, replacePrefixMatch: /other}}}}}}]
  - matches: [{{path: {{type: PathPrefix, value: /cors}}}}]
    filters:
    - type: CORS
      cors: {{allowOrigins: ["https://*.example.com"], allowMethods: [PUT], allowHeaders: [x-token], exposeHeaders: [x-backend], allowCredentials: true}}
    backendRefs: [{ECHO}]
  - matches: [{{path: {{type: PathPrefix, value: /mirror}}}}]
    filters:
    - {{type: RequestHeaderModifier, requestHeaderModifier: {{set: [{{name: x-before, value: "1"}}]}}}}
    - {{type: RequestMirror, requestMirror: {{backendRef: {SHADOW}}}}}
    - {{type: URLRewrite, urlRewrite: {{hostname: inner.example}}}}
    backendRefs: [{ECHO}]
  - matches: [{{path: {{type: PathPrefix, value: /direct}}}}]
    filters: [{{type: ExtensionRef, extensionRef: {{group: gateway.envoyproxy.io, kind: HTTPRouteFilter, name: direct}}}}]
  - matches: [{{path: {{type: PathPrefix, value: /host}}}}]
    filters: [{{type: ExtensionRef, extensionRef: {{group: gateway.envoyproxy.io, kind: HTTPRouteFilter, name: host}}}}]
    backendRefs: [{ECHO}]
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: HTTPRouteFilter
metadata: {{name: direct, namespace: default}}
spec:
  directResponse:
    statusCode: 503
    contentType: application/json
    body: {{type: ValueRef, valueRef: {{group: "", kind: ConfigMap, name: direct}}}}
    header: {{add: [{{name: retry-after, value: "10"}}]}}
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: HTTPRouteFilter
metadata: {{name: host, namespace: default}}
spec:
  urlRewrite: {{hostname: {{type: Header, header: x-host}}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: direct, namespace: default}}
data: {{response.body: '{{"down": true}}'}}
"""
GATEWAY = "http://198.18.0.21"
SHADOW_LOG = os.path.join(LAB, "shadow.log")


class Environment(Lab):
    """The lab, an echo backend, a backend for copies that logs them, and the manifest of this file."""

    def __enter__(self):
        for log in (SHADOW_LOG, os.path.join(LAB, "access.log")):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(log)
        super().__enter__()
        script = os.path.join(os.path.dirname(os.path.realpath(__file__)), "echo_backend.py")
        self.spawn("sluice-backend", "python3", script, "echo", "198.18.1.11", "9000")
        self.shadow = self.spawn("sluice-backend", "python3", script, "shadow", "198.18.1.12", "9001", SHADOW_LOG)
        try:
            self.apply(MANIFEST)
            retry(10, lambda: self.status(GATEWAY + "/full") == 200, "the route")
        except BaseException:
            self.__exit__()
            raise
        return self

    def head(self, *arguments):
        """Status and header fields of the response: lower-case names, a list of values each."""
        lines = self.curl("-D", "-", "-o", "/dev/null", *arguments).replace("\r", "").strip().split("\n")
        fields = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            fields.setdefault(name.lower(), []).append(value.strip())
        return int(lines[0].split()[1]), fields

    def seen(self, *arguments):
        seen = json.loads(self.head(*arguments)[1]["x-seen"][0])
        seen["headers"] = {name.lower(): value for name, value in seen["headers"]}
        return seen

    def copies(self, marker):
        """What the backend for copies saw of requests whose target has the marker."""
        if not os.path.exists(SHADOW_LOG):
            return []
        with open(SHADOW_LOG, encoding="utf-8") as f:
            return [entry for entry in map(json.loads, f) if marker in entry["target"]]


@case
def response_headers_are_modified(lab):
    status, fields = lab.head(GATEWAY + "/response")
    expect_equal(status, 200, "status")
    expect_equal(fields.get("x-backend"), ["hidden"], "x-backend")
    expect_equal(fields.get("x-add"), ["more"], "x-add")
    expect("x-seen" not in fields, "x-seen was not removed")


@case
def url_is_rewritten(lab):
    seen = lab.seen(GATEWAY + "/v1/a%20b?q=/v1")
    expect_equal(seen["target"], "/v2/a%20b?q=/v1", "target")
    expect_equal(seen["headers"]["host"], "inner.example", "host")
    expect_equal(seen["headers"]["x-forwarded-host"], "198.18.0.21", "x-forwarded-host")
    expect_equal(lab.seen(GATEWAY + "/v1")["target"], "/v2", "target of the bare prefix")
    expect_equal(lab.seen(GATEWAY + "/full/x/y?q=1")["target"], "/one?q=1", "target")


@case
def redirect_replaces_the_prefix(lab):
    status, fields = lab.head(GATEWAY + "/see/this?q=1")
    expect_equal(status, 303, "status")
    expect_equal(fields["location"], ["https://198.18.0.21/other/this?q=1"], "location")


@case
def preflight_is_answered_here(lab):
    ask = ["-X", "OPTIONS", "-H", "Access-Control-Request-Method: PUT", "-H", "Origin: https://a.b.example.com"]
    status, fields = lab.head(*ask, GATEWAY + "/cors")
    expect_equal(status, 200, "status")
    expect_equal(fields.get("access-control-allow-origin"), ["https://a.b.example.com"], "allow-origin")
    expect_equal(fields.get("access-control-allow-credentials"), ["true"], "allow-credentials")
    expect_equal(fields.get("access-control-allow-methods"), ["PUT"], "allow-methods")
    expect_equal(fields.get("access-control-allow-headers"), ["x-token"], "allow-headers")
    expect_equal(fields.get("access-control-max-age"), ["5"], "max-age")
    expect("x-seen" not in fields, "the backend was asked")
    status, fields = lab.head(*ask[:-1], "Origin: https://example.com.evil.example", GATEWAY + "/cors")
    expect_equal(status, 200, "status")
    expect(not [name for name in fields if name.startswith("access-control")], str(fields))


@case
def simple_requests_are_marked(lab):
    status, fields = lab.head("-H", "Origin: https://x.example.com", GATEWAY + "/cors")
    expect_equal(status, 200, "status")
    expect("x-seen" in fields, "the backend was not asked")
    expect_equal(fields.get("access-control-allow-origin"), ["https://x.example.com"], "allow-origin")
    expect_equal(fields.get("access-control-expose-headers"), ["x-backend"], "expose-headers")
    status, fields = lab.head("-H", "Origin: https://evil.example", GATEWAY + "/cors")
    expect("x-seen" in fields and "access-control-allow-origin" not in fields, str(fields))


@case
def extensions_of_envoy_gateway(lab):
    status, fields = lab.head(GATEWAY + "/direct")
    expect_equal((status, fields["content-type"], fields["retry-after"]), (503, ["application/json"], ["10"]), "answer")
    expect_equal(lab.curl(GATEWAY + "/direct"), '{"down": true}', "body")
    seen = lab.seen("-H", "X-Host: inner.example:81", GATEWAY + "/host")
    expect_equal(seen["headers"]["host"], "inner.example:81", "host")
    expect_equal(seen["headers"]["x-forwarded-host"], "198.18.0.21", "x-forwarded-host")


@case
def copies_go_to_the_mirror(lab):
    body = os.urandom(50000)
    path = os.path.join(LAB, "mirrored")
    with open(path, "wb") as f:
        f.write(body)
    status, fields = lab.head("--data-binary", "@" + path, GATEWAY + "/mirror/one?x=1")
    expect_equal((status, fields["x-backend"]), (200, ["echo"]), "answer")
    copy = retry(5, lambda: lab.copies("/mirror/one"), "the copy")[0]
    headers = {name.lower(): value for name, value in copy["headers"]}
    expect_equal(copy["target"], "/mirror/one?x=1", "target")
    expect_equal(copy["body"], len(body), "length of the body")
    expect_equal(headers["host"], "198.18.0.21-shadow", "host")
    expect_equal(headers.get("x-before"), "1", "x-before")
    expect_equal(json.loads(fields["x-seen"][0])["target"], "/mirror/one?x=1", "target of the request")
    expect("inner.example" in fields["x-seen"][0], "the request has what a later filter changed")
    expect("x-forwarded-host" not in headers, "the copy has not")


@case
def every_request_is_copied_once(lab):
    for _ in range(50):
        expect_equal(lab.status(GATEWAY + "/mirror/count"), 200, "status")
    retry(5, lambda: len(lab.copies("/mirror/count")) == 50, "50 copies")
    stats = retry(5, lambda: (s := lab.stats())["callouts_opened"] == s["callouts_closed"] and s, "all copies ended")
    expect_equal(stats["callouts_failed"], 0, "failed copies")


@case
def a_dead_mirror_is_not_noticed(lab):
    before = lab.stats()
    lab.shadow.kill()
    lab.shadow.wait()
    for _ in range(20):
        expect_equal(lab.status("-d", "x", GATEWAY + "/mirror/dead"), 200, "status")
    after = retry(10, lambda: (s := lab.stats())["callouts_opened"] == s["callouts_closed"] and s, "all copies ended")
    expect_equal(after["callouts_failed"] - before["callouts_failed"], 20, "failed copies")


def log_line(marker):
    """The access log line with this marker."""
    def line():
        with open(os.path.join(LAB, "access.log"), encoding="utf-8") as f:
            return next((text for text in f if marker in text), None)
    return retry(5, line, f"an access log line with {marker}")


def set_log_format(lab, log_format):
    with open(os.path.join(ROOT, "configs/lab.yaml"), encoding="utf-8") as f:
        machine = f.read().split("\n---\n")[0].replace("${WORKERS}", str(lab.workers))
    lab.apply(machine.replace("\nspec:\n", f"\nspec:\n  accessLog: {{format: {log_format}}}\n"))
    markers = (f"in-{log_format}-{n}/1" for n in range(1000))

    def obeyed():
        marker = next(markers)
        lab.curl("-A", marker, GATEWAY + "/full")
        return (log_line(marker)[0] == "{") == (log_format == "JSON")
    retry(10, obeyed, f"a line in the format {log_format}")


@case
def access_log_in_json(lab):
    """From when the Machine says so, without a new start, and whatever the client sends."""
    set_log_format(lab, "JSON")
    lab.curl("-A", 'log-probe "1\\ é', "-H", "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
             GATEWAY + "/v1/logged?x=1")
    entry = json.loads(log_line("log-probe"))
    expect_equal(entry["user-agent"], 'log-probe "1\\ é', "user-agent")
    expect_equal(entry["x-envoy-origin-path"], "/v1/logged?x=1", "path as the client sent it")
    expect_equal((entry["response_code"], entry["response_code_details"]), (200, "via_upstream"), "answer")
    expect_equal(entry["upstream_host"], "198.18.1.11:9000", "upstream_host")
    expect(entry["route_name"].startswith("httproute/default/filters/rule/"), entry["route_name"])
    set_log_format(lab, "Text")
    expect("starting anew" not in lab.log("dataplane"), "a new start")


@case
def everything_ends_clean(lab):
    def quiet():
        stats = lab.stats()
        return stats["exchanges_opened"] == stats["exchanges_closed"]
    retry(15, quiet, "all exchanges closed")
    lab.alive()


main(lambda: Environment(workers=int(os.environ.get("WORKERS", "2")), flavour=os.environ.get("FLAVOUR", "release")))
