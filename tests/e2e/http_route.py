#!/usr/bin/env python3
"""HTTPRoutes and what is behind them: endpoints that are dead, silent, too slow for what comes, or gone."""
import contextlib
import json
import os
import subprocess
import time

from harness import VIP4, Lab, case, expect, expect_equal, main, retry

ROUTE = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: {name}}}
spec:
  parentRefs: [{{name: lab}}]
  rules:
  - matches: [{{path: {{value: /{name}}}}}]
    backendRefs: [{{name: {name}, port: 80}}]
---
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec:
  ports: [{{port: 80, targetPort: 8080}}]
"""
SLICE = """
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: {name}-{port}, labels: {{kubernetes.io/service-name: {name}}}}}
addressType: IPv4
ports: [{{port: {port}}}]
endpoints: {endpoints}
"""
# 2,400 requests at once to a backend that never answers; prints how many were answered, and with what.
MANY = """
import asyncio, collections
async def one(answers):
    reader, writer = await asyncio.open_connection("198.18.0.10", 80)
    writer.write(b"GET /silent HTTP/1.1\\r\\nHost: a.example\\r\\n\\r\\n")
    try:
        head = await asyncio.wait_for(reader.readuntil(b"\\r\\n\\r\\n"), 6)
        body = await asyncio.wait_for(reader.read(100), 1)
        answers[head.split()[1].decode(), b"x-envoy-overloaded: true" in head, body.decode()] += 1
    except asyncio.TimeoutError:
        answers["none"] += 1
    writer.close()
async def all():
    answers = collections.Counter()
    await asyncio.gather(*(one(answers) for _ in range(2400)))
    for what, n in sorted(answers.items(), key=str):
        print(n, what)
asyncio.run(all())
"""
SERVER = """
import http.server, socketserver
socketserver.TCPServer.allow_reuse_address = True
socketserver.ThreadingTCPServer(("198.18.1.12", 8098), http.server.BaseHTTPRequestHandler).serve_forever()
"""
SILENT = """
import socket, time
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("198.18.1.12", 8099))
s.listen(4096)
print("ready", flush=True)
time.sleep(600)
"""


def service(lab, name, *endpoints):
    """A route /NAME to a Service with these endpoints ("address:port"); replaces the one that there was."""
    text = ROUTE.format(name=name)
    for port in (8080, 8097, 8098, 8099):
        listed = [{"addresses": [e.split(":")[0]]} for e in endpoints if e.endswith(f":{port}")]
        text += SLICE.format(name=name, port=port, endpoints=json.dumps(listed))
    lab.apply(text)


def statuses(lab, name, n, parallel=1):
    """The statuses of n requests."""
    out = lab.client("curl", "-s", "--parallel", "--parallel-immediate", "--parallel-max", str(parallel),
                     "--max-time", "15", "-o", "/dev/null", "-w", "%{http_code}\n", f"http://{VIP4}/{name}?[1-{n}]",
                     check=False)
    return [int(line) for line in out.split()]


def await_service(lab, name, status=200, seconds=5):
    retry(seconds, lambda: lab.status(f"http://{VIP4}/{name}") == status, f"{status} from /{name}")


@case
def dead_endpoint_is_left_out(lab):
    """Five connect failures in a row, then nobody notices it any more."""
    before = lab.stats()
    service(lab, "dead", "198.18.1.11:8080", "198.18.1.11:8098")
    await_service(lab, "dead")
    first = statuses(lab, "dead", 60)
    retry(2, lambda: lab.stats()["endpoints_ejected"] > before["endpoints_ejected"], "the dead endpoint is ejected")
    start = time.monotonic()
    then = statuses(lab, "dead", 300, parallel=8)
    took = time.monotonic() - start
    expect(first.count(200) >= 60 - 5, f"of the first 60: {first}")
    expect(took < 2.5, f"{took:.1f} s for 300 requests: longer than the ejection")
    expect_equal(then.count(200), 300, "requests served while it is ejected")
    # Whenever it is let back, one request finds it dead, and the times grow.
    errors = 0
    for _ in range(40):
        errors += 50 - statuses(lab, "dead", 50).count(200)
        time.sleep(0.25)
    expect(errors <= 4, f"{errors} errors in ten seconds")
    return f"{60 - first.count(200)} errors at first, {errors} of 2000 later"


@case
def endpoint_that_comes_back_is_used(lab):
    service(lab, "back", "198.18.1.11:8080", "198.18.1.12:8098")
    await_service(lab, "back")
    before = lab.stats()["endpoints_ejected"]
    statuses(lab, "back", 60)
    retry(2, lambda: lab.stats()["endpoints_ejected"] > before, "the dead endpoint is ejected")
    lab.spawn("sluice-backend", "python3", "-c", SERVER, stderr=subprocess.DEVNULL)
    # It answers 501 to everything.
    retry(12, lambda: 501 in statuses(lab, "back", 20), "requests to the endpoint that is back")
    expect(5 <= statuses(lab, "back", 40).count(501) <= 35, "both are used")


@case
def all_dead_is_panic(lab):
    """Verdicts are disregarded: each request tries, is told at once, and the first that is back serves."""
    service(lab, "panic", "198.18.1.11:8098", "198.18.1.12:8097")
    await_service(lab, "panic", 503)
    statuses(lab, "panic", 40)
    start = time.monotonic()
    expect_equal(set(statuses(lab, "panic", 40)), {503})
    expect(time.monotonic() - start < 2, "503 at once")
    service(lab, "panic", "198.18.1.11:8080", "198.18.1.12:8080")
    await_service(lab, "panic")
    expect_equal(set(statuses(lab, "panic", 40)), {200})


@case
def black_hole_is_left_out(lab):
    """SYNs that nobody answers: after the connect timeout the endpoint is as dead as one that refuses."""
    for command in (("ip", "-n", "sluice-backend", "link", "add", "hole", "type", "veth", "peer", "name", "hole2"),
                    ("ip", "-n", "sluice-backend", "link", "set", "hole", "up"),
                    ("ip", "-n", "sluice-backend", "link", "set", "hole2", "up"),
                    ("ip", "-n", "sluice-backend", "route", "add", "198.18.1.14/32", "dev", "hole"),
                    ("ip", "-n", "sluice-backend", "neigh", "add", "198.18.1.14", "lladdr", "02:00:00:00:00:14",
                     "dev", "hole"),
                    ("ip", "-n", "sluice-backend", "neigh", "add", "proxy", "198.18.1.14", "dev", "data0"),
                    ("ip", "netns", "exec", "sluice-backend", "sysctl", "-qw", "net.ipv4.conf.data0.forwarding=1")):
        subprocess.run(command, check=True, timeout=20)
    service(lab, "hole", "198.18.1.11:8080", "198.18.1.14:8080")
    await_service(lab, "hole", seconds=25)
    before = lab.stats()
    first = statuses(lab, "hole", 200, parallel=200)
    expect(first.count(503) >= 5, f"some wait for the connect timeout: {first}")
    retry(2, lambda: lab.stats()["endpoints_ejected"] > before["endpoints_ejected"], "the black hole is ejected")
    start = time.monotonic()
    expect_equal(statuses(lab, "hole", 200, parallel=8).count(200), 200, "requests served")
    expect(time.monotonic() - start < 2.5, "nobody waits")
    return f"{first.count(503)} of 200 waited"


@case
def no_endpoints_and_back(lab):
    service(lab, "zero", "198.18.1.12:8080")
    await_service(lab, "zero")
    for _ in range(5):
        service(lab, "zero")
        await_service(lab, "zero", 503)
        start = time.monotonic()
        expect_equal(set(statuses(lab, "zero", 50)), {503})
        expect(time.monotonic() - start < 1, "503 at once")
        service(lab, "zero", "198.18.1.12:8080")
        await_service(lab, "zero")
        expect_equal(set(statuses(lab, "zero", 50)), {200})


@case
def overflow_is_503(lab):
    """1,024 requests have a connection, 1,024 wait, the rest is told that it is too much."""
    silent = lab.spawn("sluice-backend", "python3", "-c", SILENT, stdout=subprocess.PIPE)
    silent.stdout.readline()
    service(lab, "silent", "198.18.1.12:8099")
    retry(5, lambda: "silent" in lab.ctl("get", "httproutes", "silent").stdout, "the route")
    time.sleep(0.5)
    out = lab.client("sh", "-c", 'ulimit -n 8192; exec python3 -c "$0"', MANY)
    body = "upstream connect error or disconnect/reset before headers. reset reason: overflow"
    expect_equal(out.split("\n")[:-1], ["2048 none", f"352 ('503', True, '{body}')"])
    retry(5, lambda: statuses(lab, "", 1) == [200], "others are served")
    lab.alive()


@contextlib.contextmanager
def lab_of_routes():
    with Lab(workers=int(os.environ.get("WORKERS", "2")), flavour=os.environ.get("FLAVOUR", "release")) as lab:
        yield lab


if __name__ == "__main__":
    main(lab_of_routes)
