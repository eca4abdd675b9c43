#!/usr/bin/env python3
"""HTTP/1 against peers that we did not write: WebSockets through the gateway (python3-websockets on both sides), and
the smuggling corpus (tests/support/smuggle.c) against nginx, with a canary on the same upstream after each variant.

VARIANTS=N takes every N-th variant only (default 1: all).
"""
import json
import os
import re
import subprocess

from harness import LAB, Lab, case, expect, expect_equal, main, retry

# python3 -P: without the folder of the script before the library, where http.py of this folder would be "http".
HERE = os.path.dirname(os.path.realpath(__file__))
MANIFEST = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: http1, namespace: default}
spec:
  gatewayClassName: sluice
  addresses: [{type: IPAddress, value: 198.18.0.20}]
  listeners: [{name: http, protocol: HTTP, port: 80}]
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: Backend
metadata: {name: socket, namespace: default}
spec:
  endpoints: [{ip: {address: 198.18.1.11, port: 9001}}]
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: Backend
metadata: {name: nginx, namespace: default}
spec:
  endpoints: [{ip: {address: 198.18.1.11, port: 8080}}]
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: Backend
metadata: {name: echo, namespace: default}
spec:
  endpoints: [{ip: {address: 198.18.1.12, port: 9000}}]
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: Backend
metadata: {name: proxy, namespace: default}
spec:
  endpoints: [{ip: {address: 198.18.1.11, port: 9002}}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: connect, namespace: default}
spec:
  parentRefs: [{name: http1}]
  hostnames: [proxied.example, refused.example]
  rules:
  - matches: [{method: CONNECT}]
    backendRefs: [{group: gateway.envoyproxy.io, kind: Backend, name: proxy, port: 9002}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: http1, namespace: default}
spec:
  parentRefs: [{name: http1}]
  rules:
  - matches: [{path: {type: PathPrefix, value: /socket}}]
    backendRefs: [{group: gateway.envoyproxy.io, kind: Backend, name: socket, port: 9001}]
  - matches: [{path: {type: PathPrefix, value: /echo}}]
    backendRefs: [{group: gateway.envoyproxy.io, kind: Backend, name: echo, port: 9000}]
  - backendRefs: [{group: gateway.envoyproxy.io, kind: Backend, name: nginx, port: 8080}]
"""
ADDRESS = "198.18.0.20"
URL = f"ws://{ADDRESS}/socket"
ASK = ("-H", "Connection: Upgrade", "-H", "Upgrade: websocket", "-H", "Sec-WebSocket-Version: 13",
       "-H", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")


class Environment(Lab):
    """The lab with one worker (all requests share its upstream connections) and a WebSocket server."""

    def __enter__(self):
        super().__enter__()
        self.spawn("sluice-backend", "python3", "-P", os.path.join(HERE, "websocket_backend.py"), "198.18.1.11", "9001",
                   stderr=subprocess.DEVNULL)
        self.spawn("sluice-backend", "python3", "-P", os.path.join(HERE, "echo_backend.py"), "echo", "198.18.1.12", "9000")
        self.spawn("sluice-backend", "python3", "-P", os.path.join(HERE, "connect_backend.py"), "198.18.1.11", "9002",
                   "proxied.example:8080", "198.18.1.11", "8080")
        self.apply(MANIFEST)
        retry(10, lambda: self.status(f"http://{ADDRESS}/") == 200, "the nginx route")
        retry(10, lambda: self.status(f"http://{ADDRESS}/socket") == 426, "the WebSocket route")
        retry(10, lambda: self.status(f"http://{ADDRESS}/echo") == 200, "the echo route")
        # What lasts a minute begins here: a byte of a body every two seconds.
        self.slow_body = self.spawn("sluice-client", "sh", "-c", "(for i in $(seq 60); do printf x; sleep 2; done) | "
                                    "curl -sS -i -H Expect: -A slow-body/1 -T . -m 120 -w '\\n%{time_total}' "
                                    f"http://{ADDRESS}/echo", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        return self


@case
def websocket_echo(lab):
    before = lab.stats()["tunnels_opened"]
    text = lab.client("python3", "-P", os.path.join(HERE, "websocket_client.py"), URL)
    expect_equal(lab.stats()["tunnels_opened"] - before, 1, "tunnels")
    return text.strip()


@case
def websocket_many_at_once(lab):
    return lab.client("python3", "-P", os.path.join(HERE, "websocket_client.py"), URL, "20").strip()


@case
def websocket_curl(lab):
    head = lab.client("sh", "-c", f"curl -sS -i -N --http1.1 --max-time 2 {' '.join(repr(a) for a in ASK)} "
                      f"http://{ADDRESS}/socket; true")
    expect(head.startswith("HTTP/1.1 101 "), head)
    expect("upgrade: websocket" in head.lower() and "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head, head)


@case
def refused_upgrade_keeps_the_framing(lab):
    # A server that does not upgrade: nginx's plain answer, and the connection is used again.
    out = lab.curl("-o", "/dev/null", "-o", "/dev/null", "-w", "%{http_code}/%{num_connects} ", *ASK,
                   f"http://{ADDRESS}/a", f"http://{ADDRESS}/b")
    expect_equal(out.split(), ["200/1", "200/0"], "status and connects")
    # A WebSocket server that is not asked to.
    expect_equal(lab.status(f"http://{ADDRESS}/socket"), 426, "status")


@case
def other_upgrades(lab):
    expect_equal(lab.status("-H", "Connection: Upgrade", "-H", "Upgrade: foo/2", f"http://{ADDRESS}/"), 403, "unknown")
    version = lab.curl("--http2", "-o", "/dev/null", "-w", "%{http_version} %{http_code}", f"http://{ADDRESS}/")
    expect_equal(version, "1.1 200", "h2c by upgrade")


@case
def connect(lab):
    def through(url):
        return lab.curl("-p", "-x", f"http://{ADDRESS}:80", "-o", "/dev/null", "-w", "%{http_connect} %{http_code}", url, check=False)
    before = lab.stats()["tunnels_opened"]
    out = lab.curl("-p", "-x", f"http://{ADDRESS}:80", "http://proxied.example:8080/", "http://proxied.example:8080/")
    expect_equal(out, "hello from backend 1\n" * 2, "two requests through one tunnel to nginx")
    expect_equal(lab.stats()["tunnels_opened"] - before, 1, "tunnels")
    expect_equal(through("http://refused.example:8080/"), "403 000", "the backend does not accept")
    expect_equal(through("http://other.example:8080/"), "501 000", "no rule names CONNECT")
    expect_equal(lab.status("-H", "Host: proxied.example", f"http://{ADDRESS}/"), 200, "other methods go by other rules")


@case
def http_1_0(lab):
    seen = json.loads(re.search("x-seen: (.*)", lab.curl("-i", "--http1.0", f"http://{ADDRESS}/echo")).group(1))
    expect(["host", ADDRESS] in seen["headers"], seen)
    # Nobody has said which host is meant.
    answer = lab.curl("-i", "--http1.0", "-H", "Host:", f"http://{ADDRESS}/echo")
    expect(answer.startswith("HTTP/1.1 400 ") and "x-seen" not in answer and "connection: close" in answer, answer)


@case
def smuggling_corpus(lab):
    step = int(os.environ.get("VARIANTS", "1"))
    program = os.path.join("build", lab.flavour, "unit/proxy/test_smuggling")
    lines = lab.client(program, "--list").splitlines()
    expect(len(lines) >= 400, f"{len(lines)} variants")
    before, before_smuggled = lab.backend_requests(1), lab.backend_requests(1, r"GET /smuggled ")
    counts = json.loads(lab.client("python3", "-P", os.path.join(HERE, "raw_client.py"), ADDRESS, "80",
                                   input="\n".join(lines[::step]) + "\n", timeout=600))
    expect_equal(counts["variants"], len(lines[::step]), "variants")
    # nginx saw what clients got an answer from. One whose body broke after nginx had answered is refused all the same.
    answered = counts["backend"] + counts["variants"]
    seen = retry(5, lambda: (n := lab.backend_requests(1) - before) >= answered and n, "all requests in nginx's log")
    expect(seen - answered <= counts["broken"], f"nginx saw {seen} requests, {answered} were answered: {counts}")
    expect_equal(lab.backend_requests(1, r"GET /smuggled ") - before_smuggled, counts["second"], "/smuggled at nginx")
    with open(os.path.join(LAB, "nginx1", "access.log"), encoding="utf-8") as f:
        bad = [line for line in f if re.search(r'" 400 ', line)]
    expect(not bad, f"nginx called a request bad: {bad[:3]}")
    return f"{counts['variants']} of {len(lines)} variants, {counts['gateway']} refusals, nginx saw {seen} requests"


@case
def a_slow_body_is_ended(lab):
    out, _ = lab.slow_body.communicate(timeout=120)
    expect(out.startswith("HTTP/1.1 408 "), out)
    answer, seconds = out.rsplit("\n", 1)
    expect(answer.endswith("\n\nrequest timeout"), out)
    expect(59 < float(seconds) < 65, f"after {seconds} s: a minute is what the rate is measured over")
    expect_equal(lab.stats()["limit_http_body_rate"], 1, "limit_http_body_rate")

    def line():
        with open(os.path.join(LAB, "access.log"), encoding="utf-8") as f:
            return next((text for text in f if "slow-body/1" in text), None)
    logged = retry(5, line, "the access log line")
    expect(re.search(r'"PUT /echo HTTP/1.1" 408 - 3\d 15 6\d{4} - ', logged), logged)
    return f"after {seconds} s"


@case
def everything_ends_clean(lab):
    def quiet():
        stats = lab.stats()
        return stats["exchanges_opened"] == stats["exchanges_closed"]
    retry(15, quiet, "all exchanges closed")
    lab.alive()


main(lambda: Environment(workers=1, flavour=os.environ.get("FLAVOUR", "release")))
