#!/usr/bin/env python3
"""HTTP through the gateway with curl: what a first user tries, and what routing must do. One lab for all cases."""
import hashlib
import json
import os

from harness import LAB, VIP4, VIP6, Lab, case, expect, expect_equal, main, retry

MANIFEST = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: e2e, namespace: default}
spec:
  gatewayClassName: sluice
  addresses: [{type: IPAddress, value: 198.18.0.20}, {type: IPAddress, value: "2001:2::20"}]
  listeners:
  - {name: http, protocol: HTTP, port: 80}
  - {name: example, protocol: HTTP, port: 8080, hostname: "*.example.com"}
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: Backend
metadata: {name: echo, namespace: default}
spec:
  endpoints: [{ip: {address: 198.18.1.11, port: 9000}}]
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: Backend
metadata: {name: dead, namespace: default}
spec:
  endpoints: [{ip: {address: 198.18.1.12, port: 9}}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: e2e, namespace: default}
spec:
  parentRefs: [{name: e2e, sectionName: http}]
  rules:
  - matches: [{path: {type: PathPrefix, value: /echo}}]
    backendRefs: [&echo {group: gateway.envoyproxy.io, kind: Backend, name: echo, port: 9000}]
  - matches: [{path: {type: PathPrefix, value: /dead}}]
    backendRefs: [{group: gateway.envoyproxy.io, kind: Backend, name: dead, port: 9}]
  - matches: [{path: {type: Exact, value: /exact}}]
    filters: &exact [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-rule, value: exact}]}}]
    backendRefs: [*echo]
  - matches: [{path: {type: PathPrefix, value: /exact}}]
    filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-rule, value: prefix}]}}]
    backendRefs: [*echo]
  - matches: [{path: {type: PathPrefix, value: /pick}, method: POST}]
    filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-rule, value: method}]}}]
    backendRefs: [*echo]
  - matches: [{path: {type: PathPrefix, value: /pick}, headers: [{name: x-env, value: canary}]}]
    filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-rule, value: header}]}}]
    backendRefs: [*echo]
  - matches: [{path: {type: PathPrefix, value: /pick}, queryParams: [{name: v, value: "2"}]}]
    filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-rule, value: query}]}}]
    backendRefs: [*echo]
  - matches: [{path: {type: PathPrefix, value: /headers}}]
    filters:
    - type: RequestHeaderModifier
      requestHeaderModifier: {set: [{name: x-set, value: new}], add: [{name: x-add, value: more}], remove: [x-gone]}
    backendRefs: [*echo]
  - matches: [{path: {type: PathPrefix, value: /moved}}]
    filters: [{type: RequestRedirect, requestRedirect: {hostname: other.example, statusCode: 301}}]
  - matches: [{path: {type: PathPrefix, value: /broken}}]
    backendRefs: [{name: no-such-service, port: 80}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: hosts, namespace: default}
spec:
  parentRefs: [{name: e2e, sectionName: example}]
  hostnames: [a.example.com]
  rules:
  - filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-rule, value: a-host}]}}]
    backendRefs: [*echo]
"""
GATEWAY = "http://198.18.0.20"


class Environment(Lab):
    """The lab, an echo backend, and the manifest of this file."""

    def __enter__(self):
        super().__enter__()
        script = os.path.join(os.path.dirname(os.path.realpath(__file__)), "echo_backend.py")
        self.spawn("sluice-backend", "python3", script, "echo", "198.18.1.11", "9000")
        # YAML aliases do not cross documents: the second route needs the anchor's text.
        echo = "{group: gateway.envoyproxy.io, kind: Backend, name: echo, port: 9000}"
        self.apply(MANIFEST.replace("&echo ", "").replace("&exact ", "").replace("*echo", echo))
        retry(10, lambda: self.status(GATEWAY + "/echo") == 200, "the echo route")
        return self

    def seen(self, *arguments):
        """The request as the backend saw it: method, target, and headers as a list of lower-case pairs."""
        head = self.curl("-D", "-", "-o", "/dev/null", *arguments)
        line = next(h for h in head.split("\n") if h.lower().startswith("x-seen:"))
        seen = json.loads(line.split(":", 1)[1])
        seen["headers"] = [(name.lower(), value) for name, value in seen["headers"]]
        return seen

    def rule(self, *arguments):
        return dict(self.seen(*arguments)["headers"]).get("x-rule", "")


@case
def lab_answers_v4_and_v6(lab):
    for url in (f"http://{VIP4}/", f"http://[{VIP6}]/"):
        expect(lab.curl(url).startswith("hello from backend "), url)


@case
def no_route_is_404(lab):
    expect_equal(lab.status(GATEWAY + "/nothing-here"), 404, "status")


@case
def unknown_port_is_refused(lab):
    run = lab.client("sh", "-c", "curl -sS --max-time 3 http://198.18.0.20:81/ 2>&1; true")
    expect("refused" in run.lower() or "connect" in run.lower(), run)


@case
def dead_backend_is_503(lab):
    expect_equal(lab.status(GATEWAY + "/dead"), 503, "status")


@case
def invalid_backend_is_500(lab):
    expect_equal(lab.status(GATEWAY + "/broken"), 500, "status")


@case
def exact_beats_prefix(lab):
    expect_equal(lab.rule(GATEWAY + "/exact"), "exact", "rule")
    expect_equal(lab.rule(GATEWAY + "/exact/more"), "prefix", "rule")
    expect_equal(lab.status(GATEWAY + "/exactly"), 404, "status of a longer segment")


@case
def method_header_query_in_order(lab):
    expect_equal(lab.rule(GATEWAY + "/pick?v=2"), "query", "rule")
    expect_equal(lab.rule("-H", "X-Env: canary", GATEWAY + "/pick?v=2"), "header", "rule")
    expect_equal(lab.rule("-d", "x", "-H", "x-env: canary", GATEWAY + "/pick?v=2"), "method", "rule")
    expect_equal(lab.status(GATEWAY + "/pick"), 404, "status without a condition met")


@case
def request_headers_are_modified(lab):
    seen = lab.seen("-H", "x-gone: 1", "-H", "X-Set: old", "-H", "x-add: first", GATEWAY + "/headers")
    names = [name for name, _ in seen["headers"]]
    expect("x-gone" not in names, "x-gone was not removed")
    expect_equal([v for n, v in seen["headers"] if n == "x-set"], ["new"], "x-set")
    expect_equal(",".join(v for n, v in seen["headers"] if n == "x-add").replace(" ", ""), "first,more", "x-add")


@case
def redirect(lab):
    head = lab.curl("-I", GATEWAY + "/moved/here?q=1")
    expect(" 301" in head.split("\n")[0], head)
    expect("location: http://other.example/moved/here?q=1" in head.lower(), head)


@case
def forwarding_headers(lab):
    seen = dict(lab.seen("-H", "Connection: x-hop", "-H", "x-hop: 1", GATEWAY + "/echo/a%20b?c=d")["headers"])
    expect_equal(seen.get("x-forwarded-for"), "198.18.0.2", "x-forwarded-for")
    expect_equal(seen.get("x-forwarded-proto"), "http", "x-forwarded-proto")
    expect(len(seen.get("x-request-id", "")) == 36, "x-request-id is a UUID")
    expect("x-hop" not in seen, "hop-by-hop header went through")
    expect_equal(seen.get("host"), "198.18.0.20", "host")


@case
def what_clients_claim_is_taken_away(lab):
    claims = ["X-Real-IP: 6.6.6.6", "Forwarded: for=6.6.6.6;host=evil", "X-Forwarded-Host: evil", "X-Forwarded-Port: 666",
              "X-Forwarded-Proto: https", "X-Envoy-External-Address: 6.6.6.6"]
    seen = lab.seen(*[a for c in claims for a in ("-H", c)], "-H", "X-Forwarded-For: 6.6.6.6", GATEWAY + "/echo")["headers"]
    expect_equal([v.replace(" ", "") for n, v in seen if n == "x-forwarded-for"], ["6.6.6.6,198.18.0.2"], "x-forwarded-for")
    rest = [(n, v) for n, v in seen if n != "x-forwarded-for"]
    expect(not [v for _, v in rest if "6.6.6.6" in v or "evil" in v or "666" in v], rest)
    expect_equal(dict(rest).get("x-forwarded-proto"), "http", "x-forwarded-proto")


@case
def absolute_form(lab):
    def seen(target, host):
        return dict(lab.seen("--request-target", target, "-H", "Host: " + host, GATEWAY + "/echo")["headers"])["host"]
    expect_equal(seen("http://198.18.0.20:80/echo", "198.18.0.20"), "198.18.0.20:80", "the target's authority")
    expect_equal(seen("http://198.18.0.20/echo", "198.18.0.20:8080"), "198.18.0.20", "the target's authority")
    expect_equal(lab.status("--request-target", "http://other/echo", GATEWAY + "/echo"), 400, "another host")


@case
def target_is_forwarded_unchanged(lab):
    expect_equal(lab.seen(GATEWAY + "/echo/a%20b?c=d&e=%2F")["target"], "/echo/a%20b?c=d&e=%2F", "target")


@case
def hosts_and_listener_isolation(lab):
    url = GATEWAY + ":8080/"
    expect_equal(lab.rule("-H", "Host: a.example.com", url), "a-host", "rule")
    expect_equal(lab.rule("-H", "Host: A.Example.com:8080", url), "a-host", "rule")
    expect_equal(lab.status("-H", "Host: b.example.com", url), 404, "other host")


@case
def bodies_of_many_sizes(lab):
    for size in (0, 1, 1447, 1448, 1449, 65535, 1000003):
        path = os.path.join(LAB, "body")
        with open(path, "wb") as f:
            f.write(os.urandom(size))
        want = hashlib.sha256(open(path, "rb").read()).hexdigest()
        for how in ([], ["-H", "Transfer-Encoding: chunked"]):
            got = lab.client("curl", "-sS", "--max-time", "20", "--data-binary", "@" + path, *how, GATEWAY + "/echo",
                             text=False)
            expect_equal(hashlib.sha256(got).hexdigest(), want, f"{size} bytes {how}")


@case
def head_has_no_body(lab):
    head = lab.curl("-I", GATEWAY + "/echo")
    expect(" 200" in head.split("\n")[0], head)


@case
def expect_continue(lab):
    text = lab.client("sh", "-c", f"head -c 200000 /dev/zero | curl -sS -v --expect100-timeout 10 "
                      f"-H 'Expect: 100-continue' --data-binary @- -o /dev/null {GATEWAY}/echo 2>&1")
    expect("100 Continue" in text, text[-800:])


@case
def keep_alive_reuses_the_connection(lab):
    out = lab.curl("-o", "/dev/null", "-o", "/dev/null", "-w", "%{num_connects} ", GATEWAY + "/echo", GATEWAY + "/echo")
    expect_equal(out.split(), ["1", "0"], "connects")


@case
def hostile_requests_are_refused(lab):
    cases = {
        "content-length and chunked": "POST /echo HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 4\\r\\n"
                                      "Transfer-Encoding: chunked\\r\\n\\r\\n0\\r\\n\\r\\n",
        "two lengths": "POST /echo HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 4\\r\\nContent-Length: 5\\r\\n\\r\\nabcde",
        "no host": "GET /echo HTTP/1.1\\r\\n\\r\\n",
        "two hosts": "GET /echo HTTP/1.1\\r\\nHost: a\\r\\nHost: b\\r\\n\\r\\n",
        "space before colon": "GET /echo HTTP/1.1\\r\\nHost: a\\r\\nx-a : b\\r\\n\\r\\n",
        "obs-fold": "GET /echo HTTP/1.1\\r\\nHost: a\\r\\nx-a: b\\r\\n c\\r\\n\\r\\n",
        "not HTTP": "\\000\\001\\002\\r\\n\\r\\n",
    }
    for name, text in cases.items():
        answer = lab.client("sh", "-c", f"printf '{text}' | timeout 5 nc -N 198.18.0.20 80 | head -n 1")
        expect(" 400" in answer, f"{name}: {answer!r}")


@case
def many_connections_at_once(lab):
    out = lab.client("sh", "-c", "for i in $(seq 100); do curl -sS -o /dev/null -w '%{http_code}\\n' --max-time 20 "
                     f"{GATEWAY}/echo & done; wait")
    expect_equal(out.split(), ["200"] * 100, "statuses")


@case
def kernel_ping(lab):
    lab.client("ping", "-c", "2", "-W", "2", VIP4)
    lab.client("ping", "-c", "2", "-W", "2", VIP6)


@case
def seeing(lab):
    stats = lab.stats()
    expect(stats["exchanges_2xx"] > 0 and stats["tcp_accepted"] > 0, str(stats))
    macs = [n for n in lab.items("neigh")]
    expect(any("198.18.0.2" == n.get("address", n.get("addr")) for n in macs), str(macs))
    workers = lab.items("workers")
    expect_equal(len(workers), lab.workers, "workers")
    for w in workers:
        late = w["late100us"] + w["late1ms"] + w["late5ms"]
        expect(0 <= late <= w["rounds"] and (late == 0 or w["lateMaxUs"] >= 100), f"lateness: {w}")
    expect("LATE1MS   LATE5MS   LATE MAX US" in lab.ctl("workers").stdout, "columns of lateness")
    lab.ctl("flows")
    lab.ctl("drops")
    text = lab.ctl("stats").stdout
    expect("exchanges_2xx" in text, text[:500])


@case
def access_log_in_envoys_format(lab):
    lab.curl("-A", "log-probe/1", GATEWAY + "/echo/logged?x=1")

    def line():
        with open(os.path.join(LAB, "access.log"), encoding="utf-8") as f:
            return next((x for x in f if "log-probe/1" in x), None)
    text = retry(5, line, "the access log line")
    expect('"GET /echo/logged?x=1 HTTP/1.1" 200 - ' in text, text)
    expect('"198.18.0.20"' in text and '"198.18.1.11:9000"' in text, text)


@case
def everything_ends_clean(lab):
    def quiet():
        stats = lab.stats()
        return stats["exchanges_opened"] == stats["exchanges_closed"] and stats
    stats = retry(15, quiet, "all exchanges closed")
    expect(stats["drop_worker_ring_full"] == 0 and stats["access_lost"] == 0, "lost")
    lab.alive()


main(lambda: Environment(workers=int(os.environ.get("WORKERS", "2")), flavour=os.environ.get("FLAVOUR", "release")))
