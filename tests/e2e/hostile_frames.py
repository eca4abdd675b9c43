#!/usr/bin/env python3
"""Frames that no honest host sends, from this namespace's data0: hostile_frames.py KIND NUMBER SEED GATEWAY_MAC

KIND: syns (forged sources that never answer), land, ip4, fragments, icmp, arp, ip6, nd. NUMBER is how many are sent,
SEED what they are made of. A frame that the socket does not take at once is left out. The stack's own parsers and
encoders are not used.
"""
import random
import socket
import struct
import sys

from checksum import checksum

KIND, NUMBER, RNG, GATEWAY = sys.argv[1], int(sys.argv[2]), random.Random(int(sys.argv[3])), sys.argv[4]
with open("/sys/class/net/data0/address", encoding="ascii") as file:
    MAC = bytes.fromhex(file.read().strip().replace(":", ""))
GATEWAY = bytes.fromhex(GATEWAY.replace(":", ""))
VIP, OWN, ME = (socket.inet_aton(a) for a in ("198.18.0.20", "198.18.0.1", "198.18.0.2"))
VIP6, OWN6, ME6, NODES6 = (socket.inet_pton(socket.AF_INET6, a) for a in ("2001:2::20", "2001:2::1", "2001:2::2", "ff02::1"))
IP4, ARP, IP6 = 0x0800, 0x0806, 0x86dd
SYN, RST, ACK = 2, 4, 16
NOBODY = b"\0" * 6


def junk(most):
    return RNG.randbytes(RNG.randrange(most + 1))


def somebody():
    """An address of the client's subnet that nobody has."""
    return bytes([198, 18, 0, RNG.randrange(80, 250)])


def somebody6():
    return VIP6[:8] + RNG.randbytes(8)


def ethernet(kind, payload, to=GATEWAY):
    return to + MAC + struct.pack("!H", kind) + payload


def ip4(source, to, protocol, payload, fragment=0, ttl=64, identification=0, options=b"", length=None, words=None, total=None):
    words = 5 + len(options) // 4 if words is None else words
    length = 20 + len(options) + len(payload) if length is None else length
    head = struct.pack("!BBHHHBBH4s4s", 0x40 | words, 0, length, identification, fragment, ttl, protocol, 0, source, to) + options
    total = checksum(head) if total is None else total
    return ethernet(IP4, head[:10] + struct.pack("!H", total) + head[12:] + payload)


def tcp(source, to, ports, flags, options=b"", words=None):
    options += b"\1" * (-len(options) % 4)
    words = 5 + len(options) // 4 if words is None else words
    head = struct.pack("!HHIIBBHHH", *ports, RNG.getrandbits(32), 0, words << 4, flags, 65535, 0, 0) + options
    total = checksum(source + to + struct.pack("!BBH", 0, 6, len(head)) + head)
    return head[:16] + struct.pack("!H", total) + head[18:]


def ip6(source, to, protocol, payload, hops=255, length=None):
    length = len(payload) if length is None else length
    return ethernet(IP6, struct.pack("!IHBB", 6 << 28, length, protocol, hops) + source + to + payload,
                    RNG.choice([GATEWAY, b"\x33\x33" + to[12:]]))


def syns():
    source = somebody()
    options = RNG.choice([b"\2\4\5\xb4", b"\2\4\5\xb4", b"\2\4\0\1\3\3\16\4\2", b"\2\0", b"\3\3\xff", junk(20)])
    return ip4(source, VIP, 6, tcp(source, VIP, (RNG.randrange(1024, 65536), 80), SYN, options))


def land():
    source = RNG.choice([VIP, OWN, b"\0" * 4, b"\xff" * 4, b"\xe0\0\0\1", b"\x7f\0\0\1", b"\xc6\x12\0\xff"])
    return ip4(source, VIP, 6, tcp(source, VIP, (80, 80), RNG.choice([SYN, SYN | ACK, ACK, RST, 0, 0xff]),
                                   words=RNG.choice([None, None, 0, 4, 15])))


def any_ip4():
    return ip4(RNG.choice([ME, VIP, somebody()]), RNG.choice([VIP, OWN, b"\xff" * 4]), RNG.choice([0, 1, 2, 6, 17, 41, 132, 255]),
               junk(80), ttl=RNG.choice([0, 1, 64]), fragment=RNG.choice([0, 0, 0x2000, 0x4000, 0x1fff, 0x8000]),
               words=RNG.choice([None, None, 0, 4, 6, 15]), length=RNG.choice([None, None, 0, 19, 20, 65535]),
               options=RNG.choice([b"", b"", b"\x83\7\4\1\2\3\4\0", b"\7\xff\0\0"]), total=RNG.choice([None, None, None, 0]))


def fragments():
    """The same four datagrams over and over, whose pieces overlap, end beyond 64 KiB or never come."""
    return ip4(somebody(), VIP, RNG.choice([1, 6, 17]), junk(1400), identification=RNG.randrange(4),
               fragment=RNG.choice([0, 1, 2, 8189, RNG.randrange(8192)]) | RNG.choice([0, 0x2000]))


def icmp():
    """Errors about what was never sent, with too little or too much of it in them."""
    about = ip4(VIP, RNG.choice([ME, somebody()]), 6, struct.pack("!HHI", 80, RNG.randrange(32768, 61000), RNG.getrandbits(32)),
                words=RNG.choice([None, None, 0, 15]))[14:][:RNG.choice([0, 8, 20, 24, 28])]
    kind, code = RNG.choice([(3, 4), (3, 1), (3, 3), (5, 1), (11, 0), (12, 0), (4, 0), (13, 0), (17, 0), (255, 255)])
    body = struct.pack("!BBHHH", kind, code, 0, 0, RNG.choice([0, 1, 68, 576, 65535])) + about
    return ip4(RNG.choice([ME, OWN]), RNG.choice([VIP, OWN]), 1, body[:2] + struct.pack("!H", checksum(body)) + body[4:])


def arp():
    """Claims of our own addresses too; never of the client's, which would harm the kernel beside us."""
    owner = RNG.choice([VIP, OWN, somebody(), b"\0" * 4])
    sender = bytes([2]) + RNG.randbytes(5)
    sizes = RNG.choice([(6, 4), (6, 4), (6, 4), (0, 0), (255, 255)])
    packet = struct.pack("!HHBBH", 1, IP4, *sizes, RNG.choice([1, 1, 2, 0, 65535])) + sender + owner + NOBODY + \
        RNG.choice([VIP, OWN, owner])
    return (b"\xff" * 6 + MAC + struct.pack("!H", ARP) + packet)[:RNG.choice([60, 60, 60, 20, 41])]


def any_ip6():
    """Chains of extension headers, of which some are too long."""
    chain = [RNG.choice([0, 43, 44, 51, 60, 135]) for _ in range(RNG.randrange(8))] + [RNG.choice([6, 58, 17, 59])]
    payload = b"".join(bytes([after, RNG.choice([0, 0, 1, 255])]) + RNG.randbytes(6) for after in chain[1:])
    return ip6(RNG.choice([ME6, VIP6, somebody6(), b"\0" * 16]), VIP6, chain[0], payload + junk(60),
               length=RNG.choice([None, None, 0, 65535]))


def nd():
    source, to = RNG.choice([somebody6(), b"\0" * 16, VIP6]), RNG.choice([VIP6, OWN6, NODES6])
    option = RNG.choice([b"", b"\1\1" + RNG.randbytes(6), b"\2\1" + RNG.randbytes(6), b"\1\0" + NOBODY, b"\1\xff" + NOBODY])
    body = struct.pack("!BBHI", RNG.choice([133, 134, 135, 136, 137, 128, 1, 2, 3, 4, 130]), RNG.choice([0, 0, 1]), 0,
                       RNG.getrandbits(32)) + RNG.choice([VIP6, OWN6, somebody6(), NODES6]) + option
    total = checksum(source + to + struct.pack("!II", len(body), 58) + body)
    return ip6(source, to, 58, body[:2] + struct.pack("!H", total) + body[4:], hops=RNG.choice([255, 255, 64]))


KINDS = {"syns": syns, "land": land, "ip4": any_ip4, "fragments": fragments, "icmp": icmp, "arp": arp, "ip6": any_ip6, "nd": nd}


def main():
    out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    out.bind(("data0", 0))
    sent = 0
    for _ in range(NUMBER):
        try:
            sent += out.send(KINDS[KIND]()[:1514]) > 0
        except OSError:
            pass
    print(sent)


main()
