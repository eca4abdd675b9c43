"""Packets by hand, in and out: Ethernet, ARP, IPv4, IPv6, ICMP, UDP, TCP. The stack's own encoders are not used.

A builder makes what it is told, also what cannot be: lengths, checksums and header sizes can be given.
"""
import socket
import struct
from dataclasses import dataclass, field

from checksum import checksum

FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32
IP4, ARP, IP6, VLAN = 0x0800, 0x0806, 0x86dd, 0x8100
ICMP, TCP, UDP, ICMP6 = 1, 6, 17, 58
BROADCAST = b"\xff" * 6


def addr(text):
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)


def text(address):
    return socket.inet_ntop(socket.AF_INET6 if len(address) == 16 else socket.AF_INET, address)


def with_checksum(source, to, protocol, payload, at):
    """The payload with its checksum over the pseudo header of either family."""
    if len(source) == 4:
        pseudo = source + to + struct.pack("!BBH", 0, protocol, len(payload))
    else:
        pseudo = source + to + struct.pack("!II", len(payload), protocol)
    payload = payload[:at] + b"\0\0" + payload[at + 2:]
    total = checksum(pseudo + payload)
    return payload[:at] + struct.pack("!H", total or (0xffff if protocol == UDP else 0)) + payload[at + 2:]


def ip4(source, to, protocol, payload, fragment=0, ttl=64, identification=0, options=b"", length=None, words=None, total=None,
        version=4):
    words = 5 + len(options) // 4 if words is None else words
    length = 20 + len(options) + len(payload) if length is None else length
    head = struct.pack("!BBHHHBBH4s4s", version << 4 | words, 0, length, identification, fragment, ttl, protocol, 0, source, to)
    head += options
    total = checksum(head) if total is None else total
    return head[:10] + struct.pack("!H", total) + head[12:] + payload


def ip6(source, to, protocol, payload, hops=64, length=None, version=6):
    return struct.pack("!IHBB", version << 28, len(payload) if length is None else length, protocol, hops) + source + to + payload


def ip(source, to, protocol, payload, **more):
    return (ip4 if len(source) == 4 else ip6)(source, to, protocol, payload, **more)


def fragment6(following, offset, more, identification, payload):
    """A fragment header and what is behind it; the offset is in bytes."""
    return struct.pack("!BBHI", following, 0, offset | more, identification) + payload


def tcp(source, to, sport, dport, flags, seq=0, ack=0, window=65535, options=b"", data=b"", words=None, good=True):
    options += b"\1" * (-len(options) % 4)
    words = 5 + len(options) // 4 if words is None else words
    segment = struct.pack("!HHIIBBHHH", sport, dport, seq & 0xffffffff, ack & 0xffffffff, words << 4, flags, window, 0, 0) \
        + options + data
    segment = with_checksum(source, to, TCP, segment, 16)
    return segment if good else segment[:16] + bytes([segment[16] ^ 0x55]) + segment[17:]


def udp(source, to, sport, dport, data=b"", length=None):
    length = 8 + len(data) if length is None else length
    return with_checksum(source, to, UDP, struct.pack("!HHHH", sport, dport, length, 0) + data, 6)


def icmp(source, to, kind, code, rest, body=b""):
    """Of the family that the addresses are of; rest are the four bytes behind the checksum."""
    message = struct.pack("!BBH4s", kind, code, 0, rest) + body
    if len(source) == 16:
        return with_checksum(source, to, ICMP6, message, 2)
    return message[:2] + struct.pack("!H", checksum(message)) + message[4:]


def arp(operation, sender_mac, sender, target_mac, target):
    return struct.pack("!HHBBH6s4s6s4s", 1, IP4, 6, 4, operation, sender_mac, sender, target_mac, target)


def mss(value):
    return struct.pack("!BBH", 2, 4, value)


def wscale(value):
    return struct.pack("!BBB", 3, 3, value) + b"\1"


def timestamps(value, echo):
    return b"\1\1" + struct.pack("!BBII", 8, 10, value & 0xffffffff, echo & 0xffffffff)


SACK_OK = b"\4\2\1\1"


def sack(*blocks):
    return b"\1\1" + struct.pack("!BB", 5, 2 + 8 * len(blocks)) + b"".join(
        struct.pack("!II", left & 0xffffffff, right & 0xffffffff) for left, right in blocks)


@dataclass
class Datagram:
    """One that arrived; of TCP also its segment."""
    source: bytes
    to: bytes
    protocol: int
    payload: bytes
    ttl: int = 0
    sport: int = 0
    dport: int = 0
    seq: int = 0
    ack: int = 0
    flags: int = 0
    window: int = 0
    options: dict = field(default_factory=dict)
    data: bytes = b""

    def timestamps(self):
        return struct.unpack("!II", self.options[8]) if 8 in self.options else None


def options_of(octets):
    found = {}
    while octets and octets[0] != 0:
        if octets[0] == 1:
            octets = octets[1:]
            continue
        if len(octets) < 2 or octets[1] < 2:
            break
        found[octets[0]] = octets[2:octets[1]]
        octets = octets[octets[1]:]
    return found


def parse(kind, packet):
    """The datagram of a frame's payload, or None."""
    if kind == IP4:
        words, length = packet[0] & 15, struct.unpack("!H", packet[2:4])[0]
        got = Datagram(packet[12:16], packet[16:20], packet[9], packet[words * 4:length], packet[8])
    elif kind == IP6:
        length = struct.unpack("!H", packet[4:6])[0]
        got = Datagram(packet[8:24], packet[24:40], packet[6], packet[40:40 + length], packet[7])
    else:
        return None
    if got.protocol == TCP:
        got.sport, got.dport, got.seq, got.ack, words, got.flags, got.window = struct.unpack("!HHIIBBH", got.payload[:16])
        got.options = options_of(got.payload[20:(words >> 4) * 4])
        got.data = got.payload[(words >> 4) * 4:]
    return got
