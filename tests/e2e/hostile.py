#!/usr/bin/env python3
"""Who means harm costs others nothing: hostile frames from the client's side (hostile_frames.py), hostile answers from an
upstream (hostile_backend.py), while verifying clients go on, on connections that may not end. FLAVOUR, SEED, FRAMES
(of each kind, default 20000)."""
import json
import os
import re
import subprocess
import time

from harness import Lab, case, expect, expect_equal, main, retry

HERE = os.path.dirname(os.path.realpath(__file__))
FRAMES, SEED = os.environ.get("FRAMES", "20000"), os.environ.get("SEED", "1")
URL = "http://198.18.0.20"
MANIFEST = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: hostile, namespace: default}
spec:
  gatewayClassName: sluice
  addresses: [{type: IPAddress, value: 198.18.0.20}, {type: IPAddress, value: "2001:2::20"}]
  listeners: [{name: http, protocol: HTTP, port: 80}]
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: Backend
metadata: {name: echo, namespace: default}
spec: {endpoints: [{ip: {address: 198.18.1.11, port: 9001}}]}
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: Backend
metadata: {name: hostile, namespace: default}
spec: {endpoints: [{ip: {address: 198.18.1.11, port: 9002}}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: hostile, namespace: default}
spec:
  parentRefs: [{name: hostile}]
  rules:
  - matches: [{path: {type: PathPrefix, value: /hostile}}]
    backendRefs: [{group: gateway.envoyproxy.io, kind: Backend, name: hostile, port: 9002}]
  - backendRefs: [{group: gateway.envoyproxy.io, kind: Backend, name: echo, port: 9001}]
"""
# What an upstream answers, and what the client is told: a status, and whether the body is whole.
ANSWERS = {
    "fine": (200, True), "endless-head": (502, True), "endless-line": (502, True), "interim-flood": (502, True),
    "two-lengths": (502, True), "length-and-chunks": (502, True), "negative-length": (502, True), "huge-length": (502, True),
    "short": (200, False), "long": (200, True), "bad-chunk": (200, False), "huge-chunk": (200, False),
    "endless-extensions": (200, False), "endless-trailers": (200, False), "unasked-101": (502, True), "garbage": (502, True),
    "nul": (502, True), "folded": (502, True), "bare-lf": (502, True), "other-version": (502, True), "status-999": (502, True),
    "drip": (200, True),
}


class Environment(Lab):
    """The lab, an echo backend for the verifying clients, and a hostile one."""

    def __enter__(self):
        super().__enter__()
        self.spawn("sluice-backend", "python3", f"{HERE}/echo_backend.py", "echo", "198.18.1.11", "9001")
        self.spawn("sluice-backend", "python3", f"{HERE}/hostile_backend.py", "198.18.1.11", "9002", stderr=subprocess.DEVNULL)
        self.apply(MANIFEST)
        retry(10, lambda: self.status(URL + "/") == 200 and self.status(URL + "/hostile/fine") == 200, "both routes")
        return self

    def others(self, seconds):
        return self.spawn("sluice-client", "python3", f"{HERE}/verifying_clients.py", "198.18.0.20", "80", "/others", "2",
                          str(seconds), "100", stdout=subprocess.PIPE, text=True)

    def frames(self, kind):
        neighbours = self.client("ip", "neigh", "show", "198.18.0.20")
        mac = re.search(r"lladdr (\S+)", neighbours).group(1)
        return int(self.client("python3", f"{HERE}/hostile_frames.py", kind, FRAMES, SEED, mac))


def unharmed(others):
    out, _ = others.communicate(timeout=120)
    seen = json.loads(out)
    expect_equal((seen["failures"], seen["closed"]), (0, 0), f"failures {seen}")
    return f"{seen['requests']} requests of others, slowest {seen['slowest_ms']} ms"


@case
def syn_flood_shuts_nobody_out(lab):
    others, before = lab.others(8), lab.stats()
    sent = lab.frames("syns")
    stats = lab.stats()
    expect(stats["limit_tcp_syn_listener"] > before["limit_tcp_syn_listener"], f"{sent} SYNs did not fill the backlogs")
    start = time.monotonic()
    for _ in range(10):
        expect_equal(lab.curl("--max-time", "5", "-o", "/dev/null", "-w", "%{http_code}", URL + "/"), "200", "a new connection")
    took = time.monotonic() - start
    expect(lab.stats()["tcp_cookies_accepted"] > stats["tcp_cookies_accepted"], "no connection was made of a cookie")
    return f"{sent} SYNs, 10 new connections in {took:.1f} s, {unharmed(others)}"


@case
def hostile_frames(lab):
    others = lab.others(12)
    sent = {kind: lab.frames(kind) for kind in ("land", "ip4", "fragments", "icmp", "arp", "ip6", "nd")}
    lab.alive()
    expect_equal(lab.status(URL + "/"), 200, "status")
    return f"{sum(sent.values())} frames of {len(sent)} kinds, {unharmed(others)}"


@case
def hostile_upstream(lab):
    others = lab.others(12)
    for answer, (status, whole) in ANSWERS.items():
        got = lab.client("sh", "-c", f"curl -sS -o /dev/null --max-time 10 -w '%{{http_code}} %{{exitcode}}' {URL}/hostile/{answer}"
                         " 2>/dev/null; true").split()
        # A response that is cut before its first byte left is a reset and no status.
        expect(int(got[0]) in ((status,) if whole else (status, 0)) and (got[1] == "0") == whole, f"{answer}: {got}")
    expect_equal(lab.status(URL + "/hostile/fine"), 200, "status afterwards")
    lab.alive()
    return f"{len(ANSWERS)} answers, {unharmed(others)}"


@case
def memory_comes_back(lab):
    def quiet():
        stats = lab.stats()
        return stats["exchanges_opened"] == stats["exchanges_closed"]
    retry(15, quiet, "all exchanges closed")
    lab.alive()


main(lambda: Environment(workers=2, flavour=os.environ.get("FLAVOUR", "release")))
