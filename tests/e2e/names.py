#!/usr/bin/env python3
"""Backends that are names: resolved outside of the workers, last good addresses kept whatever name servers do."""
import contextlib
import json
import os
import time

from harness import LAB, ROOT, VIP4, Lab, case, expect, expect_equal, main, retry

FILE = os.path.join(LAB, "names.json")
ZONE = {}
BACKEND = """
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: Backend
metadata: {{name: {name}}}
spec:
  endpoints:
  - fqdn: {{hostname: {host}, port: 8080}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: {name}}}
spec:
  parentRefs: [{{name: lab}}]
  rules:
  - matches: [{{path: {{value: /{name}}}}}]
    backendRefs: [{{group: gateway.envoyproxy.io, kind: Backend, name: {name}}}]
"""


def zone(host, **entry):
    """What the name server says from now on."""
    ZONE[host] = entry
    with open(FILE + ".new", "w", encoding="utf-8") as f:
        json.dump(ZONE, f)
    os.replace(FILE + ".new", FILE)


def backend(lab, name, host):
    lab.apply(BACKEND.format(name=name, host=host))


def condition(lab, name):
    """(status, reason, message) of the condition Resolved."""
    found = json.loads(lab.ctl("get", "backend", name, "-o", "json").stdout)
    found = found["items"][0] if "items" in found else found
    for c in found.get("status", {}).get("conditions", []):
        if c["type"] == "Resolved":
            return c["status"], c["reason"], c["message"]
    return None


def served_by(lab, name):
    """1 or 2: the backend that answers; 0: none does."""
    answer = lab.curl("-w", "%{http_code}", f"http://{VIP4}/{name}")
    return int(answer.split("backend ")[1][0]) if answer.endswith("200") else 0


def await_backend(lab, name, n, seconds=8):
    retry(seconds, lambda: served_by(lab, name) == n, f"/{name} served by {n or 'nobody'}")


@case
def address_comes_and_changes(lab):
    zone("one.example", A=["198.18.1.11"], ttl=0)
    backend(lab, "one", "one.example")
    await_backend(lab, "one", 1, seconds=2)
    retry(2, lambda: (condition(lab, "one") or [""])[0] == "True", "Resolved=True")
    zone("one.example", A=["198.18.1.12"], ttl=0)
    await_backend(lab, "one", 2)


@case
def ipv6_when_there_is_no_ipv4(lab):
    zone("six.example", AAAA=["2001:2:0:1::12"])
    backend(lab, "six", "six.example.")
    await_backend(lab, "six", 2, seconds=2)
    before = lab.backend_requests(1)
    zone("both.example", A=["198.18.1.12"], AAAA=["2001:2:0:1::11"])
    backend(lab, "both", "both.example")
    await_backend(lab, "both", 2, seconds=2)
    for _ in range(20):
        expect_equal(served_by(lab, "both"), 2, "IPv4 is preferred")
    expect_equal(lab.backend_requests(1, "/both"), 0, "requests over IPv6")
    expect(lab.backend_requests(1) >= before)


@case
def aliases(lab):
    zone("alias.example", A=["198.18.1.12"], how="alias")
    backend(lab, "alias", "alias.example")
    await_backend(lab, "alias", 2, seconds=2)


@case
def forged_answers_are_not_taken(lab):
    zone("true.example", A=["198.18.1.11"], ttl=0, how="spoofed")
    backend(lab, "honest", "true.example")
    await_backend(lab, "honest", 1, seconds=2)
    time.sleep(6)
    for _ in range(20):
        expect_equal(served_by(lab, "honest"), 1)


@case
def never_resolved(lab):
    backend(lab, "nowhere", "nowhere.example")
    found = retry(3, lambda: (condition(lab, "nowhere") or ["", "", ""])[2].startswith("nowhere.example has never")
                  and condition(lab, "nowhere"), "a condition that says why")
    expect_equal(found, ("False", "NotResolved",
                         "nowhere.example has never been resolved: there is no such name (NXDOMAIN)."))
    start = time.monotonic()
    expect_equal(lab.status(f"http://{VIP4}/nowhere"), 503)
    expect(time.monotonic() - start < 1, "503 at once")
    zone("nowhere.example", A=["198.18.1.11"])
    await_backend(lab, "nowhere", 1, seconds=31)


@case
def last_good_addresses_are_kept(lab):
    zone("kept.example", A=["198.18.1.12"], ttl=0)
    backend(lab, "kept", "kept.example")
    await_backend(lab, "kept", 2, seconds=2)
    for how, says in (("nxdomain", "NXDOMAIN"), ("silent", "in time"), ("", "no addresses")):
        zone("kept.example", A=[], ttl=0, how=how)
        retry(40, lambda: says in condition(lab, "kept")[2], f"{how} is said")  # pylint: disable=cell-var-from-loop
        expect_equal(condition(lab, "kept")[:2], ("True", "Resolved"))
        expect_equal(served_by(lab, "kept"), 2, how)
    # A control process that starts while the name is gone still knows its last address.
    lab.lab("stop-control")
    lab.lab("start-control")
    retry(10, lambda: lab.ctl("get", "backend", "kept", check=False).returncode == 0, "control is back")
    lab.apply(BACKEND.format(name="other", host="kept.example"))
    await_backend(lab, "other", 2)
    expect_equal(served_by(lab, "kept"), 2, "after a new start")
    zone("kept.example", A=["198.18.1.11"], ttl=0)
    await_backend(lab, "kept", 1, seconds=35)


@case
def a_thousand_addresses(lab):
    zone("many.example", A=[f"198.18.{100 + i // 250}.{1 + i % 250}" for i in range(999)] + ["198.18.1.11"], ttl=60)
    backend(lab, "many", "many.example")
    retry(5, lambda: (condition(lab, "many") or [""])[0] == "True", "a thousand addresses over TCP")
    with open(os.path.join(LAB, "state/control/names"), encoding="utf-8") as f:
        line = next(line for line in f if line.startswith("many.example "))
    expect_equal(len(line.split()), 1 + 1000, "the name and its addresses")
    lab.alive()


@case
def what_is_refused(lab):
    for spec, says in (("endpoints: [{unix: {path: /run/x.sock}}]", "spec.endpoints[0].unix is not supported"),
                       ("endpoints: [{fqdn: {hostname: localhost, port: 80}}]", "localhost is not a name with a domain"),
                       ("endpoints: [{fqdn: {hostname: x.example, port: 0}}]", "0 is not a port")):
        lab.apply(f"apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: Backend\nmetadata: {{name: refused}}\n"
                  f"spec: {{{spec}}}\n")

        def message():
            found = json.loads(lab.ctl("get", "backend", "refused", "-o", "json").stdout)
            found = found["items"][0] if "items" in found else found
            return next((c["message"] for c in found.get("status", {}).get("conditions", [])
                         if c["type"] == "Accepted" and c["status"] == "False"
                         and c.get("observedGeneration") == found["metadata"]["generation"]), "")
        retry(3, lambda: says in message(), f"{says} (is: {message()})")  # pylint: disable=cell-var-from-loop


def config():
    """configs/lab.yaml with a name server."""
    path = os.path.join(LAB, "names.yaml")
    with open(os.path.join(ROOT, "configs/lab.yaml"), encoding="utf-8") as f:
        text = f.read()
    os.makedirs(LAB, exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text.replace("  workers: ${WORKERS}\n", "  workers: ${WORKERS}\n  nameservers: [127.0.0.1]\n", 1))
    return path


@contextlib.contextmanager
def lab_with_name_server():
    with Lab(workers=int(os.environ.get("WORKERS", "2")), flavour=os.environ.get("FLAVOUR", "release"),
             config=config()) as lab:
        zone("x.example", A=[])
        lab.spawn("sluice-gw", "python3", os.path.join(ROOT, "tests/e2e/name_server.py"), "127.0.0.1", FILE)
        yield lab


if __name__ == "__main__":
    main(lab_with_name_server)
