#!/usr/bin/env python3
"""A host on VLANs, for kernels that have no VLAN interfaces: TAP interfaces of a kernel, and the tags are put on and taken
off here, by hand. tagger.py WIRE NAME:TAG[.TAG]... [MTU]; prints "ready". An outer tag is of type 88a8, the inner 8100.

What comes with other tags than those of a NAME goes nowhere; their number is printed at the end of stdin."""
import fcntl
import os
import select
import socket
import struct
import subprocess
import sys

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 2, 0x1000
SOL_PACKET, PACKET_AUXDATA, VLAN_VALID, OUTGOING = 263, 8, 16, 4
VLAN, SERVICE = b"\x81\x00", b"\x88\xa8"


def tap(name, mtu):
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    # What the kernel sends has whole checksums and no more than one frame.
    subprocess.run(["ethtool", "-K", name, "tx", "off", "tso", "off", "gso", "off"], stdout=subprocess.DEVNULL, check=True)
    with open(f"/proc/sys/net/ipv6/conf/{name}/accept_dad", "w", encoding="ascii") as f:
        f.write("0")
    subprocess.run(["ip", "link", "set", name, "mtu", str(mtu), "up"], check=True)
    return fd


def tags_of(text):
    ids = [int(i) for i in text.split(".")]
    tags = VLAN + struct.pack("!H", ids[-1])
    return SERVICE + struct.pack("!H", ids[0]) + tags if len(ids) == 2 else tags


def whole(wire):
    """A frame with the tag that the kernel took off it; None for what this host sends."""
    frame, extra, _, address = wire.recvmsg(65536, 64)
    if address[2] == OUTGOING:
        return None
    for level, kind, text in extra:
        if level == SOL_PACKET and kind == PACKET_AUXDATA:
            status, _, _, _, _, tci, tpid = struct.unpack("IIIHHHH", text[:20])
            if status & VLAN_VALID:
                frame = frame[:12] + struct.pack("!HH", tpid, tci) + frame[12:]
    return frame


def main():
    mtu = int(sys.argv[-1]) if sys.argv[-1].isdigit() else 1500
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    wire.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    wire.bind((sys.argv[1], 3))
    by_tags = {tags_of(a.split(":")[1]): tap(a.split(":")[0], mtu) for a in sys.argv[2:] if ":" in a}
    by_fd = {fd: tags for tags, fd in by_tags.items()}
    others = 0
    print("ready", flush=True)
    while True:
        for fd in select.select([wire, sys.stdin, *by_fd], [], [])[0]:
            if fd is sys.stdin:
                print(others, flush=True)
                return
            if fd is wire:
                frame = whole(wire)
                if frame is None:
                    continue
                n = next((n for n in (8, 4) if frame[12:12 + n] in by_tags), 0)
                if n:
                    os.write(by_tags[frame[12:12 + n]], frame[:12] + frame[12 + n:])
                else:
                    others += frame[12:14] in (VLAN, SERVICE)
            else:
                frame = os.read(fd, 65536)
                wire.send(frame[:12] + by_fd[fd] + frame[12:])


main()
