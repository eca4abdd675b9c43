#!/usr/bin/env python3
"""A kernel client behind a narrow link: path MTU discovery by ICMP and, where ICMP is filtered, by silence.

    gateway --1500-- sluice-client (a router here) --1400 or 1280-- sluice-mid --1500-- sluice-far

The client's own link is wide, so the MSS that it announces does not tell.
"""
import hashlib
import os
import subprocess
import time

from harness import LAB, ROOT, VIP4, VIP6, Lab, case, expect, expect_equal, main

BYTES = 3 << 20
ROUTES = """  routes:
    - to: 198.18.7.0/24
      via: 198.18.0.2
    - to: 2001:2:0:7::/64
      via: 2001:2:0:0::2
"""
NAMESPACES = ("sluice-mid", "sluice-far")


def host(*command):
    subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=20)


def ip(netns, *arguments):
    host("ip", "-n", netns, *arguments)


def config():
    """The lab's, with the way to the far side."""
    with open(os.path.join(ROOT, "configs/lab.yaml"), encoding="utf-8") as f:
        text = f.read()
    os.makedirs(LAB, exist_ok=True)
    path = os.path.join(os.path.dirname(LAB), "pmtu.yaml")
    with open(path, "w", encoding="utf-8") as f:
        f.write(text.replace("  vipPool:\n", ROUTES + "  vipPool:\n", 1))
    return path


def wire(lab, near, near_if, far, far_if, net4, net6):
    ip(near, "link", "add", near_if, "type", "veth", "peer", "name", far_if, "netns", far)
    for netns, name, last in ((near, near_if, 1), (far, far_if, 2)):
        host(*lab.in_ns(netns, "ethtool", "-K", name, "tx", "off", "tso", "off", "gso", "off", "gro", "off"))
        ip(netns, "addr", "add", f"{net4}.{last}/24", "dev", name)
        ip(netns, "addr", "add", f"{net6}::{last}/64", "dev", name, "nodad")
        ip(netns, "link", "set", name, "up")


class Narrow(Lab):
    """The lab, and a far client behind two routers."""

    def __enter__(self):
        super().__enter__()
        for netns in NAMESPACES:
            path = os.path.join("/run/netns", netns)
            with open(path, "w", encoding="ascii"):
                pass
            host("unshare", f"--net={path}", "true")
            ip(netns, "link", "set", "lo", "up")
        wire(self, "sluice-client", "narrow0", "sluice-mid", "narrow1", "198.18.6", "2001:2:0:6")
        wire(self, "sluice-mid", "far0", "sluice-far", "far1", "198.18.7", "2001:2:0:7")
        ip("sluice-far", "addr", "add", "198.18.7.3/24", "dev", "far1")
        ip("sluice-far", "addr", "add", "2001:2:0:7::3/64", "dev", "far1", "nodad")
        for netns in ("sluice-client", "sluice-mid"):
            host(*self.in_ns(netns, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"))
        ip("sluice-client", "route", "add", "198.18.7.0/24", "via", "198.18.6.2")
        ip("sluice-client", "-6", "route", "add", "2001:2:0:7::/64", "via", "2001:2:0:6::2")
        for netns, via4, via6 in (("sluice-mid", "198.18.6.1", "2001:2:0:6::1"), ("sluice-far", "198.18.7.1", "2001:2:0:7::1")):
            ip(netns, "route", "add", "default", "via", via4)
            ip(netns, "-6", "route", "add", "default", "via", via6)
        return self

    def __exit__(self, *what):
        super().__exit__(*what)
        for netns in NAMESPACES:
            subprocess.run(["umount", "-l", os.path.join("/run/netns", netns)], check=False)

    def narrow(self, mtu):
        for netns, name in (("sluice-client", "narrow0"), ("sluice-mid", "narrow1")):
            ip(netns, "link", "set", name, "mtu", str(mtu))

    def filter(self, on):
        """What the router says itself goes nowhere; what it forwards is not touched."""
        for family, vip in (("-4", VIP4), ("-6", VIP6)):
            if on:
                ip("sluice-client", family, "route", "add", "blackhole", "default", "table", "66")
            ip("sluice-client", family, "rule", "add" if on else "del", "iif", "lo", "to", vip, "lookup", "66")

    def fetch(self, vip, source):
        """Downloads from an address of the far side; returns the digest and the seconds."""
        start = time.monotonic()
        url = f"http://[{vip}]/files/far" if ":" in vip else f"http://{vip}/files/far"
        fetch = self.in_ns("sluice-far", "curl", "-sS", "--max-time", "30", "--interface", source, url)
        body = subprocess.run(fetch, check=True, timeout=60, stdout=subprocess.PIPE).stdout
        return hashlib.sha256(body).hexdigest(), time.monotonic() - start

    def file(self):
        body = os.urandom(BYTES)
        with open(os.path.join(LAB, "www", "files", "far"), "wb") as f:
            f.write(body)
        return hashlib.sha256(body).hexdigest()


def through(lab, mtu, counter, vip, source):
    want = lab.file()
    lab.narrow(mtu)
    before = lab.stats()
    digest, seconds = lab.fetch(vip, source)
    after = lab.stats()
    expect_equal(digest, want, "digest")
    expect(after[counter] > before[counter], f"{counter} did not move")
    # It is known now: the next one has no trouble.
    digest, again = lab.fetch(vip, source)
    expect_equal(digest, want, "digest of the second one")
    expect_equal(lab.stats()["ip_path_mtus_learned"], after["ip_path_mtus_learned"], "path MTUs learned")
    return f"{BYTES >> 20} MiB in {seconds:.2f} s, then {again:.2f} s"


@case
def too_big_v4(lab):
    return through(lab, 1400, "tcp_path_mtu_lowered", VIP4, "198.18.7.2")


@case
def too_big_v6(lab):
    return through(lab, 1400, "tcp_path_mtu_lowered", VIP6, "2001:2:0:7::2")


@case
def narrower_still_v4(lab):
    return through(lab, 1280, "tcp_path_mtu_lowered", VIP4, "198.18.7.2")


@case
def narrower_still_v6(lab):
    return through(lab, 1280, "tcp_path_mtu_lowered", VIP6, "2001:2:0:7::2")


@case
def black_hole_v4(lab):
    """The same to a destination of which nothing is known, and the router is mute."""
    lab.filter(True)
    return through(lab, 1400, "tcp_black_holes", VIP4, "198.18.7.3")


@case
def black_hole_v6(lab):
    return through(lab, 1280, "tcp_black_holes", VIP6, "2001:2:0:7::3")


if __name__ == "__main__":
    main(lambda: Narrow(workers=1, flavour=os.environ.get("FLAVOUR", "release"), config=config()))
