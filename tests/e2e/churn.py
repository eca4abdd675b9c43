#!/usr/bin/env python3
"""Configuration changes cost nothing: under verifying keep-alive clients, acknowledged applies change other routes and
the stable route's weights while control and api are killed with -9 every second. The applies are spread over the kills,
each at a random moment of its own 0.9 s (SEED). CHURN_APPLIES (default 20)."""
import json
import os
import random
import signal
import subprocess
import threading
import time

from harness import Lab, case, expect, expect_equal, main, retry

APPLIES = int(os.environ.get("CHURN_APPLIES", "20"))
SEED = int(os.environ.get("SEED", "1"))
APPLY_EVERY_S = 0.9
GATEWAY = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: churn, namespace: default}
spec:
  gatewayClassName: sluice
  addresses: [{type: IPAddress, value: 198.18.0.22}]
  listeners: [{name: http, protocol: HTTP, port: 80}]
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: Backend
metadata: {name: echo1, namespace: default}
spec: {endpoints: [{ip: {address: 198.18.1.11, port: 9001}}]}
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: Backend
metadata: {name: echo2, namespace: default}
spec: {endpoints: [{ip: {address: 198.18.1.12, port: 9002}}]}
"""


def change(n):
    """The n-th change: new weights for the stable route, and a redirect that names n."""
    return f"""
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: stable, namespace: default}}
spec:
  parentRefs: [{{name: churn}}]
  rules:
  - matches: [{{path: {{type: PathPrefix, value: /stable}}}}]
    backendRefs:
    - {{group: gateway.envoyproxy.io, kind: Backend, name: echo1, port: 9001, weight: {1 + n % 7}}}
    - {{group: gateway.envoyproxy.io, kind: Backend, name: echo2, port: 9002, weight: {1 + n % 5}}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: other-{n % 10}, namespace: default}}
spec:
  parentRefs: [{{name: churn}}]
  rules:
  - matches: [{{path: {{type: PathPrefix, value: /other-{n % 10}}}}}]
    filters: [{{type: RequestRedirect, requestRedirect: {{hostname: change-{n}.example}}}}]
"""


class Killer(threading.Thread):
    """Kills control and api with -9 every second and starts them again."""

    def __init__(self, lab):
        super().__init__(daemon=True)
        self.lab, self.kills, self.going = lab, 0, True

    def run(self):
        while self.going:
            time.sleep(1)
            for name in ("control", "api"):
                try:
                    os.kill(self.lab.pid(name), signal.SIGKILL)
                    self.kills += 1
                except (OSError, ValueError):
                    pass
                self.lab.lab(f"start-{name}", check=False)


@case
def changes_cost_nothing(lab):
    lab.apply(GATEWAY + "---" + change(0))
    here = os.path.dirname(os.path.realpath(__file__))
    for n in (1, 2):
        lab.spawn("sluice-backend", "python3", f"{here}/echo_backend.py", f"echo{n}", f"198.18.1.1{n}", f"900{n}")
    retry(10, lambda: lab.status("http://198.18.0.22/stable") == 200, "the stable route")
    before = lab.stats()
    seconds = max(10, APPLIES * APPLY_EVERY_S)
    clients = lab.spawn("sluice-client", "python3", f"{here}/verifying_clients.py", "198.18.0.22", "80", "/stable",
                        "50", str(seconds), "50", stdout=subprocess.PIPE, text=True)
    killer = Killer(lab)
    killer.start()
    start, slowest, moment = time.monotonic(), 0.0, random.Random(SEED)
    acknowledged = tries = 0
    for n in range(1, APPLIES + 1):
        time.sleep(max(0.0, start + (n - 1 + moment.random()) * APPLY_EVERY_S - time.monotonic()))
        manifest, asked = change(n), time.monotonic()

        def acknowledge(manifest=manifest):
            nonlocal tries
            tries += 1
            return lab.ctl("apply", "-f", "-", input=manifest, check=False).returncode == 0

        retry(30, acknowledge, f"apply {n}")
        acknowledged += 1
        retry(15, lambda n=n: f"//change-{n}.example/" in
              lab.curl("-I", f"http://198.18.0.22/other-{n % 10}", check=False).lower(), f"the effect of change {n}")
        slowest = max(slowest, time.monotonic() - asked)
    took = time.monotonic() - start
    out, _ = clients.communicate(timeout=seconds + 120)
    killer.going = False
    killer.join()
    seen = json.loads(out)
    expect_equal((seen["failures"], seen["closed"]), (0, 0), f"failures {seen}")
    expect(seen["requests"] > 50 * seconds, str(seen))
    weights = (1 + APPLIES % 7, 1 + APPLIES % 5)
    heads = lab.curl("-D", "-", "-o", "/dev/null", "http://198.18.0.22/stable?n=[1-300]").lower()
    share = heads.count("x-backend: echo1") / 300
    expect(abs(share - weights[0] / sum(weights)) < 0.1, f"echo1 got {share:.2f} of the requests at weights {weights}")
    after = lab.stats()
    expect(after["exchanges_cut"] == before["exchanges_cut"], "exchanges were cut")
    lab.alive()
    return (f"{acknowledged} applies ({tries} tries) in {took:.0f} s (slowest live after {slowest:.1f} s), {killer.kills} kills, "
            f"{seen['requests']} requests, 0 failed, 0 closed, median {seen['median_ms']} ms")


main(lambda: Lab(workers=2, flavour=os.environ.get("FLAVOUR", "release")))
