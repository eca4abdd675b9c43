#!/usr/bin/env python3
"""Slow clients (slowhttptest) in its four modes: slow heads (-H), slow bodies (-B), overlapping ranges (-R), slow readers
(-X), 2,000 connections each, while a canary loses nothing: one request every 50 ms on a connection that lives, and one
on a new connection each second.

SLOW_SECONDS=N per mode (default 5). From 150 s on the limits are seen to end them: header and rates, by their counters.
"""
import os
import re
import time

from harness import LAB, VIP4, Lab, case, expect, main, retry

SECONDS = int(os.environ.get("SLOW_SECONDS", "5"))
CONNECTIONS = 2000
CANARY = r"""
import http.client, sys, time
end, sent, slowest = time.monotonic() + float(sys.argv[2]), 0, 0.0
kept = http.client.HTTPConnection(sys.argv[1], timeout=10)
def ask(connection):
    global sent, slowest
    start = time.monotonic()
    connection.request("GET", "/canary")
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200 or not body.startswith(b"hello from backend "):
        sys.exit(f"request {sent}: {answer.status} {body!r}")
    sent, slowest = sent + 1, max(slowest, time.monotonic() - start)
while time.monotonic() < end:
    ask(kept)
    if sent % 20 == 0:
        fresh = http.client.HTTPConnection(sys.argv[1], timeout=10)
        ask(fresh)
        fresh.close()
    time.sleep(0.05)
print(f"{sent} requests, slowest {slowest * 1000:.0f} ms")
"""


# A cluster has a limited number of connections (cluster_conns), and who waits for one is neither slow nor ended for it:
# the slow ones have three clusters, and the canary's are others.
BACKEND = """
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: Backend
metadata: {{name: slow-{n}, namespace: default}}
spec: {{endpoints: [{{ip: {{address: 198.18.1.{host}, port: 8080}}}}]}}
---
"""
ROUTE = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: slow, namespace: default}
spec:
  parentRefs: [{name: lab}]
  rules:
    - matches: [{path: {type: PathPrefix, value: /files}}]
      backendRefs:
        - {group: gateway.envoyproxy.io, kind: Backend, name: slow-1}
        - {group: gateway.envoyproxy.io, kind: Backend, name: slow-2}
        - {group: gateway.envoyproxy.io, kind: Backend, name: slow-3}
"""


class Environment(Lab):
    """
    The lab, and a file of which only a little waits in the gateway for a slow reader (tcp_recv_start): 2,000 times that
    is a third of the packet memory of two workers.
    """

    def __enter__(self):
        super().__enter__()
        with open(os.path.join(LAB, "www", "files", "slow"), "wb") as f:
            f.write(os.urandom(1 << 20))
        self.apply("".join(BACKEND.format(n=n, host=host) for n, host in ((1, 11), (2, 12), (3, 11))) + ROUTE)
        retry(10, lambda: self.status(f"http://{VIP4}/files/slow") == 200, "the slow file")
        return self


def under(lab, *options, path="/", limit=None, stand=False):
    """Runs slowhttptest with these options beside a canary; `limit` is the counter that must move in the long form;
    `stand`: nearly all connections must stand at the same time."""
    before = lab.stats()
    canary = lab.spawn("sluice-client", "python3", "-c", CANARY, VIP4, str(SECONDS + 2), stdout=-1, stderr=-1, text=True)
    slow = lab.spawn("sluice-client", "sh", "-c", f"ulimit -n 8192; exec slowhttptest -c {CONNECTIONS} -r 1000 "
                     f"-l {SECONDS} -p 5 -u http://{VIP4}{path} {' '.join(options)} >{LAB}/slowhttptest.log 2>&1")
    deadline, standing = time.monotonic() + SECONDS + 60, 0
    while slow.poll() is None and time.monotonic() < deadline:
        now = lab.stats()
        standing = max(standing, now["http_server_conns_opened"] - now["http_server_conns_closed"])
        time.sleep(0.2)
    out, err = canary.communicate(timeout=SECONDS + 60)
    expect(canary.returncode == 0, f"the canary lost a request: {out}{err}"[-600:])
    after = lab.stats()
    opened = after["http_server_conns_opened"] - before["http_server_conns_opened"]
    expect(opened >= CONNECTIONS * 0.9, f"only {opened} connections were opened")
    expect(not stand or standing >= CONNECTIONS * 0.9, f"only {standing} connections stood at a time")
    ended = after[limit] - before[limit] if limit else 0
    if limit and SECONDS >= 150:
        expect(ended >= CONNECTIONS * 0.9, f"{limit}: {ended}")
    lab.alive()
    return f"{opened} connections, {standing} at a time, {ended} ended by {limit}; canary: {out.strip()}"


@case
def slow_heads(lab):
    return under(lab, "-H", "-i", "10", limit="limit_http_header_s")


@case
def slow_bodies(lab):
    # nginx answers before the body is there, which ends the connections; the rate is proven by http1.py.
    return under(lab, "-B", "-i", "10", "-s", "8192")


@case
def overlapping_ranges(lab):
    return under(lab, "-R", "-a", "5", "-b", "1000", path="/files/slow")


@case
def slow_readers(lab):
    return under(lab, "-X", "-w", "512", "-y", "1024", "-n", "5", "-z", "32", "-k", "1", path="/files/slow",
                 limit="limit_http_read_rate", stand=True)


@case
def everything_ends_clean(lab):
    def quiet():
        stats = lab.stats()
        open_conns = stats["http_server_conns_opened"] - stats["http_server_conns_closed"]
        return stats["exchanges_opened"] == stats["exchanges_closed"] and open_conns < 10
    retry(30, quiet, "all connections closed")
    expect(re.search(r"hello", lab.curl(f"http://{VIP4}/")), "the lab answers")
    lab.alive()


main(lambda: Environment(workers=int(os.environ.get("WORKERS", "2")), flavour=os.environ.get("FLAVOUR", "release")))
