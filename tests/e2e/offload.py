#!/usr/bin/env python3
"""Checksums and segmentation left to the port, with curl and nginx at the ends: the same bytes as without.

The client port of the gateway becomes one end of a vhost-user link. At the other end dpdk-testpmd is the NIC: it passes
frames between its vhost port and a tap device, which does in software what hardware would, cutting large segments and
making checksums.

DPDK cuts no segments of IPv6 in software (24.11): for those tests/sim/nic.c must do.

    curl > kernel > tap0 in sluice-client > testpmd: net_tap, net_vhost > gateway: net_virtio_user
"""
import hashlib
import os
import subprocess
import time

from harness import LAB, VIP4, VIP6, Lab, case, expect, expect_equal, main, retry

BYTES = 32 << 20
SOCKET = "/run/sluice/nic.sock"
MACHINE = """apiVersion: sluice.internal/v1alpha1
kind: Machine
metadata: {name: self}
spec:
  workers: 1
  ports:
    - {name: client, device: "%s"}
    - {name: backend, device: "net_af_packet1,iface=gw-backend"}
  addresses:
    - {address: 198.18.0.1/24, port: client}
    - {address: "2001:2:0:0::1/64", port: client}
    - {address: 198.18.1.1/24, port: backend}
    - {address: "2001:2:0:1::1/64", port: backend}
  vipPool:
    - {first: 198.18.0.10, last: 198.18.0.73}
    - {first: "2001:2:0:0::10", last: "2001:2:0:0::49"}
"""
NIC = ["stdbuf", "-oL", "dpdk-testpmd", "--no-pci", "--no-huge", "--no-shconf", "--file-prefix", "nic", "-m", "256",
       "--no-telemetry", "--lcores", "(0,1)@(0,1)",
       "--vdev", f"net_vhost0,iface={SOCKET},queues=1,tso=1,legacy-ol-flags=1", "--vdev", "net_tap0,iface=tap0",
       "--", "--forward-mode=io", "--nb-cores=1", "--total-num-mbufs=16384", "--txd=512", "--rxd=512"]
# The engine csum asks ports for checksums and for cutting; net_tap compares whole frames with its MTU when it cuts.
NIC_OFFLOADS = """port stop all
csum set ip hw 1
csum set tcp hw 1
csum mac-swap off 0
csum mac-swap off 1
port config 1 tx_offload multi_segs on
tso set 1400 1
port start all
port config mtu 1 1514
set fwd csum
start
"""


def ip(lab, *arguments):
    subprocess.run(lab.in_ns("sluice-client", "ip", *arguments), check=True, timeout=20)


def plug_in(lab):
    """The client's addresses move from the veth pair to the NIC."""
    log = open(os.path.join(LAB, "nic.log"), "w", encoding="utf-8")  # pylint: disable=consider-using-with
    nic = lab.spawn("sluice-client", *NIC, "-i", stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT, text=True)
    retry(20, lambda: os.path.exists(SOCKET) and tap_is_there(lab), "the NIC")
    nic.stdin.write(NIC_OFFLOADS)
    nic.stdin.flush()
    ip(lab, "link", "set", "data0", "down")
    ip(lab, "addr", "flush", "dev", "data0")
    ip(lab, "addr", "add", "198.18.0.2/24", "dev", "tap0")
    ip(lab, "addr", "add", "2001:2:0:0::2/64", "dev", "tap0", "nodad")
    ip(lab, "link", "set", "tap0", "up")


def tap_is_there(lab):
    return subprocess.run(lab.in_ns("sluice-client", "ip", "link", "show", "tap0"), check=False, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL).returncode == 0


def serves(lab):
    return lab.client("curl", "-sS", "--max-time", "1", "-o", "/dev/null", "-w", "%{http_code}", f"http://{VIP4}/",
                      check=False) == "200"


def transfer(lab, vip, what):
    """Down and up; returns the two digests that arrived and MiB/s of the download."""
    host = f"[{vip}]" if ":" in vip else vip
    start = time.monotonic()
    body = lab.curl(f"http://{host}/files/offload", text=False)
    seconds = time.monotonic() - start
    sent = os.path.join(LAB, "www", "files", "offload")
    status = lab.status("-T", sent, "-H", "x-backend: 2", f"http://{host}/upload/{what}")
    expect(status in (201, 204), f"status of the upload: {status}")
    arrived = os.path.join(LAB, "nginx2", "upload", what)
    with open(find(arrived, what), "rb") as f:
        up = hashlib.sha256(f.read()).hexdigest()
    return hashlib.sha256(body).hexdigest(), up, (BYTES >> 20) / seconds


def find(path, what):
    """Where nginx has put it."""
    if os.path.exists(path):
        return path
    for folder, _, files in os.walk(LAB):
        if what in files:
            return os.path.join(folder, what)
    raise AssertionError(f"upload {what} did not arrive")


def transfers(lab, form, vips):
    notes = []
    for vip in vips:
        down, up, rate = transfer(lab, vip, f"{form}-{'v6' if ':' in vip else 'v4'}")
        expect_equal(down, lab.want, f"digest of the download from {vip}")
        expect_equal(up, lab.want, f"digest of the upload to {vip}")
        notes.append(f"{rate:.0f} MiB/s")
    return ", ".join(notes)


@case
def without(lab):
    body = os.urandom(BYTES)
    lab.want = hashlib.sha256(body).hexdigest()
    with open(os.path.join(LAB, "www", "files", "offload"), "wb") as f:
        f.write(body)
    note = transfers(lab, "without", (VIP4, VIP6))
    stats = lab.stats()
    expect_equal((stats["port_tx_large"], stats["ip_checksums_left"]), (0, 0), "offloads of a packet socket")
    return note


@case
def virtio_user(lab):
    plug_in(lab)
    lab.apply(MACHINE % f"net_virtio_user0,path={SOCKET},queues=1,queue_size=1024")
    retry(40, lambda: serves(lab), "traffic over vhost-user")
    note = transfers(lab, "virtio", (VIP4,))
    stats = lab.stats()
    expect(stats["port_tx_large"] > 50, f"large segments: {stats['port_tx_large']}")
    expect(stats["ip_checksums_left"] > stats["port_tx_large"], f"checksums left to the port: {stats['ip_checksums_left']}")
    expect("port_tx_unfit" not in lab.ctl("drops").stdout, "frames that the port could not do")
    lab.alive()
    return f"{note}; {stats['port_tx_large']} large segments"


if __name__ == "__main__":
    main(lambda: Lab(workers=1, flavour=os.environ.get("FLAVOUR", "release")))
