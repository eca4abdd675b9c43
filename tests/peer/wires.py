"""The lab with wires that are not perfect: a relay between the gateway and its kernel peers."""
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "e2e"))
from harness import ROOT, Lab, expect_equal  # noqa: E402

HERE = os.path.join(ROOT, "tests/peer")
RELAY = os.path.join(ROOT, "build/release/peer/relay")
SEED = int(os.environ.get("PEER_SEED", "1"))
SIDES = {"client": ["198.18.0.2/24", "2001:2::2/64"],
         "backend": ["198.18.1.11/24", "198.18.1.12/24", "2001:2:0:1::11/64", "2001:2:0:1::12/64"]}

ROUTE = """
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: Backend
metadata: {name: peer, namespace: default}
spec:
  endpoints:
    - ip: {address: 198.18.1.11, port: 9000}
    - ip: {address: "2001:2:0:1::11", port: 9000}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: peer, namespace: default}
spec:
  parentRefs: [{name: lab}]
  rules:
    - matches: [{path: {type: PathPrefix, value: /peer}}]
      backendRefs: [{group: gateway.envoyproxy.io, kind: Backend, name: peer}]
"""


def ip(netns, *arguments):
    subprocess.run(["ip", "-n", netns, *arguments], check=True)


def bare(netns, name):
    """What the relay carries are the frames of a wire: no offload makes larger ones of them, or leaves out checksums."""
    subprocess.run(["ip", "netns", "exec", netns, "ethtool", "-K", name, "tx", "off", "rx", "off", "tso", "off", "gso", "off",
                    "gro", "off"], check=True, stdout=subprocess.DEVNULL)


def insert_relay(side):
    """The kernel end of the lab's veth moves to sluice-relay; the namespace gets a new one that ends there, too.

    It has the old one's MAC address: the gateway already knows its neighbours.
    """
    netns, inner, outer = f"sluice-{side}", f"{side}-gw", f"{side}-peer"
    link = subprocess.run(["ip", "-n", netns, "-j", "link", "show", "data0"], check=True, stdout=subprocess.PIPE)
    mac = json.loads(link.stdout)[0]["address"]
    ip(netns, "link", "set", "data0", "netns", "sluice-relay", "name", inner)
    ip("sluice-relay", "link", "add", outer, "type", "veth", "peer", "name", "data0", "address", mac,
       "netns", netns)
    for name in (inner, outer):
        subprocess.run(["ip", "netns", "exec", "sluice-relay", "sysctl", "-qw", f"net.ipv6.conf.{name}.disable_ipv6=1"],
                       check=True)
        bare("sluice-relay", name)
        ip("sluice-relay", "link", "set", name, "up")
    subprocess.run(["ip", "netns", "exec", netns, "sysctl", "-qw", "net.ipv6.conf.data0.accept_dad=0",
                    "net.ipv6.conf.data0.accept_ra=0"], check=True)
    bare(netns, "data0")
    ip(netns, "link", "set", "data0", "up")
    for address in SIDES[side]:
        ip(netns, "addr", "add", address, "dev", "data0", *(["nodad"] if ":" in address else []))
    if side == "backend":
        ip(netns, "route", "add", "default", "via", "198.18.1.1")
        ip(netns, "-6", "route", "add", "default", "via", "2001:2:0:1::1")


def make_netns(name):
    open(f"/run/netns/{name}", "w", encoding="ascii").close()
    subprocess.run(["unshare", f"--net=/run/netns/{name}", "true"], check=True)


class WiredLab(Lab):
    """The lab with a relay on the wire of each of its sides."""

    sides = tuple(SIDES)

    def __enter__(self):
        super().__enter__()
        self.relays = []
        self.netns_before = set(os.listdir("/run/netns"))
        make_netns("sluice-relay")
        for side in self.sides:
            insert_relay(side)
        return self

    def __exit__(self, *why):
        self.stop_relays()
        ours = set(os.listdir("/run/netns")) - self.netns_before
        super().__exit__(*why)
        for netns in ours:
            subprocess.run(["umount", "-l", f"/run/netns/{netns}"], check=False)
            os.unlink(f"/run/netns/{netns}")

    def start_relay(self, seed, near, far, settings):
        relay = self.spawn("sluice-relay", RELAY, str(seed), near, far, *settings, stdout=subprocess.PIPE, text=True)
        expect_equal(relay.stdout.readline().strip(), "ready", "relay")
        self.relays.append(relay)

    def stop_relays(self):
        """Ends the relays; what they counted, summed over sides and directions."""
        total = {}
        for relay in self.relays:
            relay.terminate()
            out = relay.communicate(timeout=10)[0]
            for counts in json.loads(out).values():
                for name, value in counts.items():
                    total[name] = total.get(name, 0) + value
        self.relays.clear()
        return total
