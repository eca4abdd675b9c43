#!/usr/bin/env python3
"""A destination whose local ports are all in use: further requests are answered 503 at once, flagged and counted, others are
not touched, and what comes free serves again. A fault of the faults flavour leaves each worker 64 ports per destination."""
import os
import signal
import subprocess
import time

from harness import LAB, VIP4, Lab, case, expect, expect_equal, main, retry

HERE = os.path.dirname(os.path.realpath(__file__))
WORKERS, BUCKETS, HELD_MS, MANY = 2, 128, 5000, 300  # BUCKETS: base/addr.h
KEY = time.monotonic_ns()  # of the first crowd; the access log may be of several runs
CROWD = ("curl", "-s", "-o", "/dev/null", "--max-time", "30", "-Z", "--parallel-immediate", "--parallel-max", "300")
GATEWAY = "http://198.18.0.21"
MANIFEST = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: ports, namespace: default}
spec:
  gatewayClassName: sluice
  addresses: [{type: IPAddress, value: 198.18.0.21}]
  listeners: [{name: http, protocol: HTTP, port: 80}]
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: Backend
metadata: {name: moody, namespace: default}
spec: {endpoints: [{ip: {address: 198.18.1.11, port: 9100}}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: ports, namespace: default}
spec:
  parentRefs: [{name: ports}]
  rules:
  - backendRefs: [{group: gateway.envoyproxy.io, kind: Backend, name: moody, port: 9100}]
"""


class Environment(Lab):
    """The lab, one moody backend, and the fault."""

    def __enter__(self):
        super().__enter__()
        self.spawn("sluice-backend", "python3", os.path.join(HERE, "moody_backend.py"), "moody", "198.18.1.11", "9100")
        self.apply(MANIFEST)
        retry(10, lambda: self.status(GATEWAY + "/") == 200, "the backend")
        os.kill(self.pid("dataplane"), signal.SIGUSR1)
        return self


def held(lab, n):
    """(status, seconds) of n requests at once, each of which the backend holds."""
    url = f"{GATEWAY}/held?times={n}&status=200&delay_ms={HELD_MS}&key={KEY}"
    out = lab.client(*CROWD, "-w", "%{http_code} %{time_total}\\n", f"{url}&n=[1-{n}]", check=False)
    return [(int(line.split()[0]), float(line.split()[1])) for line in out.splitlines()]


@case
def exhaustion_is_answered_at_once(lab):
    answers = held(lab, MANY)
    served = [s for status, s in answers if status == 200]
    refused = [s for status, s in answers if status == 503]
    expect_equal(len(served) + len(refused), MANY, "answers of 200 and 503")
    # Each worker has a port for every bucket of its own.
    expect(BUCKETS // WORKERS <= len(served) <= BUCKETS, f"{len(served)} were served")
    expect(min(served) >= HELD_MS / 1000, f"served after {min(served)} s")
    # Whatever the machine does meanwhile, none waits for another's end.
    expect(max(refused) < HELD_MS / 1000, f"refused after {max(refused)} s")
    expect_equal(lab.stats()["tcp_no_ports"], len(refused), "tcp_no_ports")
    return f"{len(served)} served, {len(refused)} refused, the slowest of these in {max(refused):.3f} s"


@case
def it_is_flagged(lab):
    def lines():
        with open(os.path.join(LAB, "access.log"), encoding="utf-8") as f:
            found = [x for x in f if f"key={KEY}&" in x]
        return len(found) == MANY and found
    flags = [line.split('" ')[1].split()[:2] for line in retry(5, lines, "the lines of all in the access log")]
    expect_equal({tuple(f) for f in flags}, {("200", "-"), ("503", "UF")}, "status and flags")


@case
def others_are_not_touched(lab):
    """While one destination's are all in use, another's are not, nor are the first's connections."""
    url = f"{GATEWAY}/held?times={MANY}&status=200&delay_ms={HELD_MS}&key=others&n=[1-{MANY}]"
    before = lab.stats()["tcp_no_ports"]
    crowd = lab.spawn("sluice-client", *CROWD, url, stdout=subprocess.DEVNULL)
    retry(10, lambda: lab.stats()["tcp_no_ports"] > before, "exhaustion")
    expect_equal([lab.status(f"http://{VIP4}/") for _ in range(10)], [200] * 10, "statuses by another destination")
    crowd.wait(60)


@case
def what_comes_free_serves_again(lab):
    retry(10, lambda: [lab.status(GATEWAY + "/") for _ in range(20)] == [200] * 20, "20 requests, all served")
    lab.alive()


main(lambda: Environment(workers=WORKERS, flavour="faults", options="--fault few_ports"))
