#!/usr/bin/env python3
"""wrk from sluice-client: every answer is 2xx, the books of gateway and backends agree, every worker works, and the
weights hold. WRK_SECONDS (default 4), with 1, 2 and 4 workers."""
import os
import re

from harness import VIP4, VIP6, Lab, case, expect, expect_equal, main, retry

SECONDS = int(os.environ.get("WRK_SECONDS", "4"))
ROUTE = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: wrk, namespace: default}
spec:
  gatewayClassName: sluice
  addresses: [{type: IPAddress, value: 198.18.0.21}, {type: IPAddress, value: "2001:2::21"}]
  listeners: [{name: http, protocol: HTTP, port: 80}]
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: Backend
metadata: {name: one, namespace: default}
spec: {endpoints: [{ip: {address: 198.18.1.11, port: 8080}}]}
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: Backend
metadata: {name: two, namespace: default}
spec: {endpoints: [{ip: {address: 198.18.1.12, port: 8080}}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: wrk, namespace: default}
spec:
  parentRefs: [{name: wrk}]
  rules:
  - backendRefs:
    - {group: gateway.envoyproxy.io, kind: Backend, name: one, port: 8080, weight: 70}
    - {group: gateway.envoyproxy.io, kind: Backend, name: two, port: 8080, weight: 30}
"""


def run(workers, url, seconds):
    with Lab(workers=workers, flavour=os.environ.get("FLAVOUR", "release")) as lab:
        lab.apply(ROUTE)
        retry(10, lambda: lab.status(url) == 200, "the route")
        before, logs = lab.stats(), [lab.backend_requests(n) for n in (1, 2)]
        per_worker = {w["worker"]: int(w["requests"]) for w in lab.items("workers")}
        text = lab.client("wrk", "-t1", "-c64", f"-d{seconds}s", "--latency", url, timeout=seconds + 60)
        expect("Non-2xx" not in text, text)
        expect("Socket errors" not in text, text)
        requests = int(re.search(r"(\d+) requests in", text).group(1))
        expect(requests > 100 * seconds, text)

        def settled():
            after = lab.stats()
            return after["exchanges_opened"] == after["exchanges_closed"] and after
        after = retry(10, settled, "all exchanges closed")
        served = after["exchanges_2xx"] - before["exchanges_2xx"]
        counts = [lab.backend_requests(n) - logs[n - 1] for n in (1, 2)]
        # wrk stops in the middle of requests: one that the gateway had to cut may or may not have reached a backend.
        cut = after["exchanges_cut"] - before["exchanges_cut"]
        expect(served <= sum(counts) <= served + cut, f"gateway {served} (+{cut} cut), backends {counts}")
        expect(served >= requests, f"gateway {served}, wrk {requests}")
        share = counts[0] / sum(counts)
        expect(abs(share - 0.70) < 0.05, f"backend 1 got {share:.3f} of the requests, weight 0.70")
        shares = [(int(w["requests"]) - per_worker[w["worker"]]) / served for w in lab.items("workers")]
        expect(min(shares) >= 0.10, f"a worker served less than a tenth: {shares}")
        expect_equal(after["exchanges_5xx"] - before["exchanges_5xx"], 0, "5xx")
        lab.alive()
        rate = re.search(r"Requests/sec:\s+([\d.]+)", text).group(1)
        return (f"{requests} requests, {rate}/s, backends {counts}, share {share:.3f}, "
                f"workers {' '.join(f'{s:.2f}' for s in shares)}")


@case
def one_worker():
    return run(1, "http://198.18.0.21/", SECONDS)


@case
def two_workers():
    return run(2, "http://[2001:2::21]/", SECONDS)


@case
def four_workers():
    return run(4, "http://198.18.0.21/", SECONDS)


main()
