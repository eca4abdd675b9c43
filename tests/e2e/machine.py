#!/usr/bin/env python3
"""A Machine that cannot start: traffic goes on, status tells why, and the right one is taken again. What can be seen
without starting (an interface that is not there) costs nothing; the rest costs one restart and the way back.
A Machine that is deleted leaves the ports and addresses as they are. And a generation that cannot be saved is saved when
it can be. FLAVOUR (default release)."""
import os
import subprocess

from harness import LAB, VIP4, Lab, case, expect, expect_equal, main, retry

MACHINE = """apiVersion: sluice.internal/v1alpha1
kind: Machine
metadata: {name: self}
spec:
  workers: %d
  ports:
    - {name: client, device: "%s"}
    - {name: backend, device: "net_af_packet1,iface=gw-backend"}
  addresses:
    - {address: 198.18.0.1/24, port: client}
    - {address: 198.18.1.1/24, port: backend}
  vipPool:
    - {first: 198.18.0.10, last: 198.18.0.73}
"""
RIGHT = "net_af_packet0,iface=gw-client"
ROUTE = """apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: later, namespace: default}
spec:
  parentRefs: [{name: lab}]
  rules:
    - matches: [{path: {value: /later}}]
      backendRefs: [{name: web-1, port: 80}]
"""


def serves(lab):
    run = lab.client("curl", "-sS", "--max-time", "1", "-o", "/dev/null", "-w", "%{http_code}", f"http://{VIP4}/",
                     check=False)
    return run == "200"


def told(lab, text):
    return lambda: text in lab.ctl("get", "gateway", "lab", "-o", "yaml").stdout


def restarts(lab):
    return lab.log("dataplane").count("starting anew")


def state(name):
    return os.path.exists(os.path.join(LAB, "state", "dataplane", name))


@case
def no_such_interface(lab):
    before = restarts(lab)
    lab.apply(MACHINE % (1, "net_af_packet0,iface=nonesuch0"))
    retry(10, told(lab, "there is no such interface"), "the reason in the Gateway's status")
    expect(serves(lab), "traffic stopped")
    expect_equal(restarts(lab), before, "restarts")


@case
def no_such_driver(lab):
    before = restarts(lab)
    lab.apply(MACHINE % (1, "net_nonesuch0"))
    retry(30, told(lab, "this machine did not start"), "the reason in the Gateway's status")
    retry(10, lambda: serves(lab), "traffic after the way back")
    expect_equal(restarts(lab), before + 1, "restarts")
    lab.apply(ROUTE)  # another content, the same machine: it is not tried again
    retry(10, told(lab, "this machine did not start"), "the reason again")
    expect(serves(lab), "traffic stopped")
    expect_equal(restarts(lab), before + 1, "restarts after another change")


@case
def right_again(lab):
    lab.apply(MACHINE % (1, RIGHT))
    retry(30, lambda: not told(lab, "did not start")() and serves(lab), "the right Machine")
    lab.apply(MACHINE % (2, RIGHT))
    retry(30, lambda: "running: 2 workers" in lab.log("dataplane").rsplit("starting anew", 1)[-1], "two workers")
    retry(10, lambda: serves(lab), "traffic with two workers")
    expect(not state("generation.good") and not state("generation.bad"), "something of the trials is left")
    lab.alive()


@case
def mtu_lowered_and_raised(lab):
    """A port keeps no MTU of an earlier Machine: larger datagrams would be lost on the way in, without an end."""
    right = MACHINE % (1, RIGHT)
    lowered = right.replace("{name: client, ", "{name: client, mtu: 1400, ")
    for machine, mtu in ((lowered, 1400), (right, 1500)):
        before = restarts(lab)
        lab.apply(machine)
        retry(30, lambda before=before: restarts(lab) > before and serves(lab), f"traffic with an MTU of {mtu}")
        link = subprocess.check_output(lab.in_ns("sluice-gw", "ip", "link", "show", "gw-client"), text=True)
        expect(f" mtu {mtu} " in link, f"the port's MTU is not {mtu}: {link}")


@case
def deleted(lab):
    """Without a Machine the box keeps its ports and addresses; what else is applied or deleted is obeyed."""
    before = restarts(lab)
    lab.apply(ROUTE)
    retry(10, lambda: lab.status(f"http://{VIP4}/later") == 200, "the route")
    lab.ctl("delete", "machine", "self")
    expect(serves(lab), "traffic stopped")
    for route in ("later", "web"):
        lab.ctl("delete", "httproute", route, "-n", "default")
    retry(10, lambda: lab.status(f"http://{VIP4}/later") == 404, "the 404 of a deleted route")
    lab.apply(ROUTE)
    retry(10, lambda: lab.status(f"http://{VIP4}/later") == 200, "a route applied without a Machine")
    lab.apply(MACHINE % (1, RIGHT))
    retry(10, lambda: "Ready" in lab.ctl("get", "machine", "self", "-o", "yaml").stdout, "the Machine's status")
    expect_equal(lab.status(f"http://{VIP4}/later"), 200, "the route under a Machine again")
    expect_equal(restarts(lab), before, "restarts")


@case
def saved_later(lab):
    saved, obstacle = (os.path.join(LAB, "state", "dataplane", name) for name in ("generation", "generation.new"))
    before = os.stat(saved).st_mtime_ns
    os.mkdir(obstacle)
    lab.apply(ROUTE.replace("/later", "/even-later"))
    retry(10, lambda: "cannot be saved, it is tried again" in lab.log("dataplane"), "a save that fails")
    expect_equal(os.stat(saved).st_mtime_ns, before, "the saved generation's time")
    os.rmdir(obstacle)
    retry(3, lambda: os.stat(saved).st_mtime_ns != before, "a save that succeeds")


if __name__ == "__main__":
    main(lambda: Lab(workers=1, flavour=os.environ.get("FLAVOUR", "release")))
