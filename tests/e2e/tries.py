#!/usr/bin/env python3
"""Retries, timeouts and session persistence through the gateway, with backends that fail as they are told."""
import hashlib
import os
import signal
import time

from harness import LAB, Lab, case, expect, expect_equal, main, retry

HERE = os.path.dirname(os.path.realpath(__file__))
GATEWAY = "http://198.18.0.21"
MANIFEST = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: tries, namespace: default}
spec:
  gatewayClassName: sluice
  addresses: [{type: IPAddress, value: 198.18.0.21}]
  listeners: [{name: http, protocol: HTTP, port: 80}]
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: Backend
metadata: {name: a, namespace: default}
spec: {endpoints: [{ip: {address: 198.18.1.11, port: 9100}}]}
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: Backend
metadata: {name: b, namespace: default}
spec: {endpoints: [{ip: {address: 198.18.1.12, port: 9101}}]}
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: Backend
metadata: {name: half, namespace: default}
spec:
  endpoints: [{ip: {address: 198.18.1.11, port: 9100}}, {ip: {address: 198.18.1.11, port: 9199}}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: tries, namespace: default}
spec:
  parentRefs: [{name: tries}]
  rules:
  - matches: [{path: {value: /codes}}]
    retry: {attempts: 2, codes: [500, 503], backoff: 20ms}
    backendRefs: [$A]
  - matches: [{path: {value: /half}}]
    backendRefs: [{group: gateway.envoyproxy.io, kind: Backend, name: half, port: 9100}]
  - matches: [{path: {value: /plain}}]
    backendRefs: [$A]
  - matches: [{path: {value: /each}}]
    timeouts: {backendRequest: 300ms}
    retry: {attempts: 1}
    backendRefs: [$A]
  - matches: [{path: {value: /try}}]
    timeouts: {backendRequest: 300ms}
    backendRefs: [$A]
  - matches: [{path: {value: /all}}]
    timeouts: {request: 600ms, backendRequest: 250ms}
    retry: {attempts: 9, backoff: 10ms}
    backendRefs: [$A]
  - matches: [{path: {value: /never}}]
    timeouts: {request: 0s}
    backendRefs: [$A]
  - matches: [{path: {value: /cookie}}]
    sessionPersistence: {sessionName: stay}
    backendRefs: [$A, $B]
  - matches: [{path: {value: /header}}]
    sessionPersistence: {sessionName: X-Stay, type: Header, absoluteTimeout: 1h}
    backendRefs: [$A, $B]
"""


def manifest(a, b):
    """With the weights of the two backends."""
    ref = "{{group: gateway.envoyproxy.io, kind: Backend, name: {}, port: {}, weight: {}}}"
    return MANIFEST.replace("$A", ref.format("a", 9100, a)).replace("$B", ref.format("b", 9101, b))


class Environment(Lab):
    """The lab, two moody backends, and the manifest of this file."""

    def __enter__(self):
        super().__enter__()
        for name, address, port in (("a", "198.18.1.11", "9100"), ("b", "198.18.1.12", "9101")):
            self.spawn("sluice-backend", "python3", os.path.join(HERE, "moody_backend.py"), name, address, port)
        self.keys = 0
        self.weights(1, 1)
        for path in ("/plain", "/cookie", "/header"):
            retry(10, lambda path=path: self.status(GATEWAY + path) == 200, path)
        return self

    def weights(self, a, b):
        self.apply(manifest(a, b))

    def ask(self, path, *arguments, **query):
        """(status, seconds, header fields in lower case, body) of one request with a key of its own."""
        self.keys += 1
        query.setdefault("key", self.keys)
        url = GATEWAY + path + "?" + "&".join(f"{k}={v}" for k, v in query.items())
        before = time.monotonic()
        text = self.client("curl", "-sS", "--max-time", "20", "-D", "-", *arguments, url, text=False)
        seconds = time.monotonic() - before
        head, _, body = text.partition(b"\r\n\r\n")
        while head.startswith(b"HTTP/1.1 100"):
            head, _, body = body.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        fields = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
        return int(lines[0].split()[1]), seconds, fields, body


def flags_of(lab, path):
    """The response flags of the newest request of the path in the access log."""
    def line():
        with open(os.path.join(LAB, "access.log"), encoding="utf-8") as f:
            return next((x for x in reversed(f.readlines()) if path in x), None)
    return retry(5, line, "the access log line").split('" ')[1].split()[1]


@case
def listed_statuses_are_retried(lab):
    for status in (500, 503):
        got, _, fields, _ = lab.ask("/codes", times=2, status=status)
        expect_equal((got, fields["x-attempt"]), (200, "3"), "status, attempt")


@case
def the_last_answer_after_all_retries(lab):
    status, _, fields, body = lab.ask("/codes", times=9, status=503, mark="exhausted")
    expect_equal((status, fields["x-attempt"], body), (503, "3", b"in a mood"), "status, attempt, body")
    expect_equal(flags_of(lab, "mark=exhausted"), "URX", "flags")


@case
def others_are_not(lab):
    status, _, fields, _ = lab.ask("/codes", times=1, status=502)
    expect_equal((status, fields["x-attempt"]), (502, "1"), "status, attempt")
    status, _, fields, _ = lab.ask("/plain", times=1, status=503)
    expect_equal((status, fields["x-attempt"]), (503, "1"), "status, attempt without retry")


@case
def bodies_are_sent_again(lab):
    path = os.path.join(LAB, "body")
    for size in (1, 1448, 60000):
        data = os.urandom(size)
        with open(path, "wb") as f:
            f.write(data)
        status, _, fields, body = lab.ask("/codes", "--data-binary", "@" + path, times=1)
        expect_equal((status, fields["x-attempt"]), (200, "2"), f"{size} bytes")
        expect_equal(hashlib.sha256(body).hexdigest(), hashlib.sha256(data).hexdigest(), f"{size} bytes")


@case
def what_is_too_large_to_keep_is_sent_once(lab):
    path = os.path.join(LAB, "body")
    with open(path, "wb") as f:
        f.write(os.urandom(1000000))
    before = lab.stats()["limit_replay_bytes"]
    status, _, fields, _ = lab.ask("/codes", "-H", "Expect:", "--data-binary", "@" + path, times=1)
    expect_equal((status, fields["x-attempt"]), (503, "1"), "status, attempt")
    expect_equal(lab.stats()["limit_replay_bytes"], before + 1, "counted")


@case
def a_dead_endpoint_costs_no_request(lab):
    for _ in range(20):
        expect_equal(lab.ask("/half")[0], 200, "status")
    expect(lab.stats()["upstream_retries"] > 0, "a connection was tried")


@case
def timeout_of_one_try(lab):
    status, seconds, _, body = lab.ask("/try", times=9, delay_ms=3000, mark="slow")
    expect_equal((status, body), (504, b"upstream request timeout"), "status, body")
    expect(0.25 < seconds < 2, f"{seconds:.2f} s")
    expect_equal(flags_of(lab, "mark=slow"), "UT", "flags")
    status, _, fields, _ = lab.ask("/each", times=1, delay_ms=3000)
    expect_equal((status, fields.get("x-attempt")), (200, "2"), "status, attempt")
    expect_equal(lab.ask("/each", times=9, delay_ms=3000)[0], 504, "status of the last try")


@case
def timeout_of_all_tries(lab):
    status, seconds, _, _ = lab.ask("/all", times=9, delay_ms=3000)
    expect_equal(status, 504, "status")
    expect(0.5 < seconds < 2, f"{seconds:.2f} s")


@case
def zero_disables_a_timeout(lab):
    expect_equal(lab.ask("/never", times=1, delay_ms=1500, status=202)[0], 202, "status")


@case
def early_answer_while_uploading(lab):
    path = os.path.join(LAB, "body")
    with open(path, "wb") as f:
        f.write(b"x" * 20000000)
    status, _, _, body = lab.ask("/plain", "-H", "Expect:", "--data-binary", "@" + path, early=1, status=413)
    expect_equal((status, body), (413, b"too much"), "status, body")
    expect_equal(lab.ask("/plain")[0], 200, "the next request")


def cookie(fields):
    return "Cookie: x=y; " + fields["set-cookie"].split(";")[0]


def header(fields):
    return "X-Stay: " + fields["x-stay"]


def met(lab, path, bring):
    """What a client of each backend brings along: backend -> header line."""
    homes = {}
    for _ in range(20):
        _, _, fields, _ = lab.ask(path)
        homes.setdefault(fields["x-backend"], bring(fields))
        if len(homes) == 2:
            break
    expect_equal(sorted(homes), ["a", "b"], "backends met")
    return homes


def expect_home(lab, path, homes, when):
    for home, line in homes.items():
        for _ in range(4):
            again = lab.ask(path, "-H", line)[2]
            expect_equal(again["x-backend"], home, f"backend {when}")
            expect("set-cookie" not in again and "x-stay" not in again, "a token for one who has one")


def stays(lab, path, bring):
    """With token and without, before and after the weights are 0 and 1."""
    homes = met(lab, path, bring)
    for weights in ((1, 1), (0, 1)):
        lab.weights(*weights)
        if weights == (0, 1):
            retry(5, lambda: all(lab.ask(path)[2]["x-backend"] == "b" for _ in range(4)), "new clients go to b")
        expect_home(lab, path, homes, f"at weights {weights}")
    lab.weights(1, 1)


@case
def cookie_keeps_the_backend(lab):
    fields = lab.ask("/cookie")[2]
    expect(fields["set-cookie"].startswith("stay=") and fields["set-cookie"].endswith("; Path=/cookie; HttpOnly"),
           fields["set-cookie"])
    stays(lab, "/cookie", cookie)


@case
def header_keeps_the_backend(lab):
    stays(lab, "/header", header)


@case
def sessions_survive_restarts(lab):
    """The client carries them: neither a kill nor an orderly stop of the data plane and control ends one."""
    clients = [(path, met(lab, path, bring)) for path, bring in (("/cookie", cookie), ("/header", header))]
    for how in ("kill -9", "stop"):
        before = [lab.pid(name) for name in ("dataplane", "control")]
        for name in ("dataplane", "control"):
            if how == "stop":
                lab.lab(f"stop-{name}")
            else:
                os.kill(lab.pid(name), signal.SIGKILL)
        for name in ("control", "dataplane"):
            lab.lab(f"start-{name}")
        expect(not set(before) & {lab.pid(name) for name in ("dataplane", "control")}, "new processes")
        retry(20, lambda: lab.status(GATEWAY + "/plain") == 200, f"traffic after {how}")
        for path, homes in clients:
            expect_home(lab, path, homes, f"after {how}")


@case
def forged_tokens_lead_nowhere(lab):
    for token in ("", "a", "0" * 40, "f" * 40, "198.18.1.11:9199"):
        status, _, fields, _ = lab.ask("/cookie", "-H", "Cookie: stay=" + token)
        expect_equal((status, fields["x-backend"] in "ab"), (200, True), token)
        expect("set-cookie" in fields, "a new token")


@case
def a_backend_timeout_longer_than_the_request_is_refused(lab):
    bad = manifest(1, 1).replace("{request: 600ms, backendRequest: 250ms}",
                                  "{request: 600ms, backendRequest: 700ms}")
    run = lab.ctl("apply", "-f", "-", input=bad, check=False)
    expect(run.returncode != 0 and "spec.rules[5].timeouts.backendRequest" in run.stderr, run.stderr)


@case
def everything_ends_clean(lab):
    def quiet():
        stats = lab.stats()
        return stats["exchanges_opened"] == stats["exchanges_closed"] and stats
    retry(15, quiet, "all exchanges closed")
    lab.alive()


main(lambda: Environment(workers=int(os.environ.get("WORKERS", "2")), flavour=os.environ.get("FLAVOUR", "release")))
