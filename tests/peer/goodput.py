#!/usr/bin/env python3
"""Goodput of a single flow beside that of Linux, through the same lossy wire. GOODPUT_RUNS (5).

    sluice-client --veth-- relay --veth-- Sluice --veth-- sluice-backend       the gateway
    sluice-client --veth-- relay --veth-- sluice-direct                        Linux to Linux

Both ways: in a download the gateway is the sender beyond the wire, in an upload the receiver. All ends have the same congestion
control (GOODPUT_ALGORITHM: cubic or reno). Each run has a seed of its own, the same for both; the median of the runs must be
at least 90 % of Linux's. The wire has 200 Mbit/s, and all ends run before whatever else the machine does (peer.mk), so that no
CPU is what is measured.
"""
import json
import os
import statistics
import subprocess

from wires import HERE, ROUTE, WiredLab, bare, ip, make_netns

from harness import VIP4, case, expect, expect_equal, main, retry

RUNS = int(os.environ.get("GOODPUT_RUNS", "5"))
ALGORITHM = os.environ.get("GOODPUT_ALGORITHM", "cubic")
BULK = os.path.join(HERE, "bulk.py")
LEAST = 0.90
CONTROLS = {"cubic": "cubic", "reno": "newreno"}  # as the gateway calls them


class GoodputLab(WiredLab):
    """The lab with a relay on the client's wire only, and a kernel peer that is reached by the same one."""

    sides = ("client",)

    def __enter__(self):
        super().__enter__()
        make_netns("sluice-direct")
        ip("sluice-relay", "link", "add", "direct-gw", "type", "veth", "peer", "name", "data0", "netns", "sluice-direct")
        bare("sluice-relay", "direct-gw")
        bare("sluice-direct", "data0")
        subprocess.run(["ip", "netns", "exec", "sluice-relay", "sysctl", "-qw", "net.ipv6.conf.direct-gw.disable_ipv6=1"],
                       check=True)
        ip("sluice-relay", "link", "set", "direct-gw", "up")
        ip("sluice-direct", "addr", "add", "198.18.0.3/24", "dev", "data0")
        ip("sluice-direct", "link", "set", "data0", "up")
        for netns, address in (("sluice-backend", "198.18.1.11"), ("sluice-direct", "198.18.0.3")):
            server = self.spawn(netns, "python3", BULK, "serve", ALGORITHM, address, "9000", stdout=subprocess.PIPE, text=True)
            expect_equal(server.stdout.readline().strip(), "ready", "server")
        machine = json.loads(self.ctl("get", "machine", "self", "-o", "json").stdout)
        machine["metadata"] = {"name": "self"}
        machine["spec"]["tcp"] = {side: {"congestionControl": CONTROLS[ALGORITHM]} for side in ("listeners", "upstreams")}
        self.apply(json.dumps(machine))
        self.apply(ROUTE)
        return self

    def goodput(self, far, url, kind, size, seed, settings):
        """Mbit/s of one transfer; far: where the relay's other end leads."""
        self.start_relay(seed, "client-peer", far, settings)
        retry(30, lambda: self.client("curl", "-s", "--max-time", "5", "-o", "/dev/null", "-w", "%{http_code}", url + "/1",
                                      check=False) == "200", f"a first answer of {url}")
        rate = float(self.client("python3", BULK, kind, ALGORITHM, url, str(size)))
        # A wire that goes away under a connection would be an outage.
        retry(20, lambda: not any(flow["remote"].startswith("198.18.0.2:") for flow in self.items("flows")), "its end")
        self.stop_relays()
        return rate


def compare(lab, kind, size, settings):
    """The table's line; the median of the gateway is at least LEAST of Linux's."""
    ends = {"gateway": ("client-gw", f"http://{VIP4}/peer"), "linux": ("direct-gw", "http://198.18.0.3:9000/peer")}
    rates = {name: [] for name in ends}
    for seed in range(1, RUNS + 1):
        for name, (far, url) in ends.items():
            rates[name].append(lab.goodput(far, url, kind, size, seed, settings))
    gateway, linux = (statistics.median(rates[name]) for name in ("gateway", "linux"))
    lab.alive()
    text = (f"{kind}: {gateway:.2f} Mbit/s, Linux {linux:.2f}, ratio {gateway / linux:.2f} "
            f"(gateway {' '.join(f'{rate:.2f}' for rate in rates['gateway'])}; "
            f"Linux {' '.join(f'{rate:.2f}' for rate in rates['linux'])})")
    return gateway / linux, text


def both(lab, size, *settings):
    settings = (*settings, "rate_mbit=200", "queue=60000")
    ratios, lines = zip(*(compare(lab, kind, size, settings) for kind in ("get", "put")))
    text = "; ".join(lines)
    expect(min(ratios) >= LEAST, text)
    return text


@case
def loss_1_in_1000_at_1_ms(lab):
    return both(lab, 16 << 20, "loss=0.001", "delay_us=1000")


@case
def loss_1_in_100_at_1_ms(lab):
    return both(lab, 12 << 20, "loss=0.01", "delay_us=1000")


@case
def loss_1_in_1000_at_50_ms(lab):
    return both(lab, 3 << 20, "loss=0.001", "delay_us=50000")


@case
def loss_1_in_100_at_50_ms(lab):
    return both(lab, 1 << 20, "loss=0.01", "delay_us=50000")


@case
def reordering_without_loss(lab):
    """Reordering costs no throughput: 2 % of the frames are late by a tenth of the round trip."""
    return both(lab, 12 << 20, "reorder=0.02", "reorder_us=1000", "delay_us=5000")


main(lambda: GoodputLab(workers=1, flavour=os.environ.get("FLAVOUR", "release")))
