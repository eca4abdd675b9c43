#!/usr/bin/env python3
"""What a kernel peer cannot be made to send or to tell, from this namespace's data0.

link_client.py echo FAMILY BYTES      a kernel socket: an echo request of that size, compared byte for byte
link_client.py get FAMILY GATEWAY_MAC a TCP connection of its own whose request is one segment in three fragments
link_client.py overlap FAMILY GATEWAY_MAC NUMBER  echo requests whose fragments overlap; prints how many were answered
link_client.py start FAMILY GATEWAY_MAC   asks for echoes all the time while the gateway starts, as one who knows its MAC address;
                                      prints how many of its probes for the VIP came before the first answer, and after it

The stack's own parsers and encoders are not used.
"""
import os
import random
import socket
import struct
import sys
import time

from checksum import checksum

VERB, FAMILY = sys.argv[1], int(sys.argv[2])
V4 = FAMILY == 4
AF = socket.AF_INET if V4 else socket.AF_INET6
VIP = "198.18.0.10" if V4 else "2001:2::10"
ME = "198.18.0.77" if V4 else "2001:2::77"       # nobody's: the kernel leaves it to us
TCP, ICMP = 6, 1 if V4 else 58
with open("/sys/class/net/data0/address", encoding="ascii") as file:
    MAC = bytes.fromhex(file.read().strip().replace(":", ""))


def packed(address):
    return socket.inet_pton(AF, address)


def pseudo(protocol, n):
    if V4:
        return packed(ME) + packed(VIP) + struct.pack("!BBH", 0, protocol, n)
    return packed(ME) + packed(VIP) + struct.pack("!II", n, protocol)


def datagram(protocol, part, at=0, more=False, identification=0):
    """A frame of one fragment, or of the whole when it is one."""
    whole = at == 0 and not more
    if V4:
        head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(part), identification & 0xffff, at // 8 | more << 13, 64, protocol, 0,
                           packed(ME), packed(VIP))
        return GATEWAY + MAC + b"\x08\0" + head[:10] + struct.pack("!H", checksum(head)) + head[12:] + part
    if not whole:
        part = struct.pack("!BBHI", protocol, 0, at | more, identification) + part
    head = struct.pack("!IHBB16s16s", 6 << 28, len(part), protocol if whole else 44, 64, packed(ME), packed(VIP))
    return GATEWAY + MAC + b"\x86\xdd" + head + part


def answer_question(wire, frame):
    """Who has our address? We do: nobody else answers for it."""
    if V4 and frame[12:14] == b"\x08\x06" and frame[20:22] == b"\0\1" and frame[38:42] == packed(ME):
        wire.send(frame[6:12] + MAC + b"\x08\x06" + frame[14:20] + b"\0\2" + MAC + packed(ME) + frame[22:32])
    elif not V4 and frame[12:14] == b"\x86\xdd" and frame[20] == 58 and frame[54] == 135 and frame[62:78] == packed(ME):
        to = frame[22:38]
        body = struct.pack("!BBHI", 136, 0, 0, 0x60 << 24) + packed(ME) + b"\2\1" + MAC
        total = checksum(packed(ME) + to + struct.pack("!II", len(body), 58) + body)
        body = body[:2] + struct.pack("!H", total) + body[4:]
        wire.send(frame[6:12] + MAC + b"\x86\xdd" + struct.pack("!IHBB", 6 << 28, len(body), 58, 255) + packed(ME) + to + body)


def received(wire, protocol, seconds):
    """The transport parts of what comes for us, until the time is up."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        wire.settimeout(left)
        try:
            frame = wire.recv(65536)
        except TimeoutError:
            return
        answer_question(wire, frame)
        if V4 and frame[12:14] == b"\x08\0" and frame[23] == protocol and frame[30:34] == packed(ME):
            yield frame[34:14 + struct.unpack("!H", frame[16:18])[0]]
        elif not V4 and frame[12:14] == b"\x86\xdd" and frame[20] == protocol and frame[38:54] == packed(ME):
            if protocol != 58 or frame[54] in (128, 129):
                yield frame[54:54 + struct.unpack("!H", frame[18:20])[0]]


def segment(flags, seq, ack, text=b""):
    head = struct.pack("!HHIIBBHHH", PORT, 80, seq & 0xffffffff, ack & 0xffffffff, 0x50, flags, 65535, 0, 0) + text
    return head[:16] + struct.pack("!H", checksum(pseudo(TCP, len(head)) + head)) + head[18:]


def get(wire):
    """The first try may have to wait for the gateway to find us: the SYN is sent until it is answered."""
    for _ in range(20):
        wire.send(datagram(TCP, segment(2, 1000, 0)))
        answer = next((a for a in received(wire, TCP, 0.5) if a[13] & 0x12 == 0x12 and a[2:4] == struct.pack("!H", PORT)), None)
        if answer:
            break
    theirs = struct.unpack("!I", answer[4:8])[0] + 1
    wire.send(datagram(TCP, segment(0x10, 1001, theirs)))
    request = b"GET /fragments HTTP/1.1\r\nHost: a\r\nX-Filler: " + b"f" * 3000 + b"\r\n\r\n"
    whole = segment(0x18, 1001, theirs, request)
    parts = [(0, 1000, True), (1000, 2000, True), (2000, len(whole), False)]
    random.shuffle(parts)
    for at, end, more in parts:
        wire.send(datagram(TCP, whole[at:end], at, more, PORT))
    for answer in received(wire, TCP, 5):
        text = answer[(answer[12] >> 4) * 4:]
        if text:
            print(text.split(b"\r\n")[0].decode())
            break
    wire.send(datagram(TCP, segment(4, 1001 + len(request), theirs)))


def overlap(wire, number):
    for i in range(number):
        body = struct.pack("!BBHHH", 8 if V4 else 128, 0, 0, 77, i) + os.urandom(1200)
        total = checksum((b"" if V4 else pseudo(ICMP, len(body))) + body)
        body = body[:2] + struct.pack("!H", total) + body[4:]
        parts = [(0, 800, True), (792, len(body), False)]
        random.shuffle(parts)
        for at, end, more in parts:
            wire.send(datagram(ICMP, body[at:end], at, more, 0x7000 + i))
    # And one that is right, last: whoever answers has seen the others.
    body = struct.pack("!BBHHH", 8 if V4 else 128, 0, 0, 77, 0xffff) + b"x" * 64
    total = checksum((b"" if V4 else pseudo(ICMP, len(body))) + body)
    for _ in range(10):
        wire.send(datagram(ICMP, body[:2] + struct.pack("!H", total) + body[4:]))
        answers = [struct.unpack("!H", a[6:8])[0] for a in received(wire, ICMP, 0.5)]
        if 0xffff in answers:
            print(sum(1 for a in answers if a != 0xffff))
            return
    print("nobody answers")


def is_probe(frame):
    """RFC 5227, 1.1; RFC 4862, 5.4.2."""
    if V4:
        return frame[12:14] == b"\x08\x06" and frame[28:32] == b"\0" * 4 and frame[38:42] == packed(VIP)
    return frame[12:14] == b"\x86\xdd" and frame[20] == 58 and frame[54] == 135 and frame[22:38] == b"\0" * 16 and \
        frame[62:78] == packed(VIP)


def start(wire):
    body = struct.pack("!BBHHH", 8 if V4 else 128, 0, 0, 77, 1) + b"x" * 64
    total = checksum((b"" if V4 else pseudo(ICMP, len(body))) + body)
    request = datagram(ICMP, body[:2] + struct.pack("!H", total) + body[4:])
    counts, answered, until, wait = [0, 0], False, time.monotonic() + 30, 0.0
    print("ready", flush=True)
    while time.monotonic() < until:
        if not answered and time.monotonic() >= wait:
            wire.send(request)
            wait = time.monotonic() + 0.005
        wire.settimeout(0.005)
        try:
            frame = wire.recv(65536)
        except TimeoutError:
            continue
        answer_question(wire, frame)
        if is_probe(frame):
            counts[answered] += 1
        elif is_echo(frame) and not answered:
            answered = True
            until = time.monotonic() + 1
    print(*counts if answered else ["nobody answers"])


def is_echo(frame):
    if V4:
        return frame[12:14] == b"\x08\0" and frame[23] == ICMP and frame[30:34] == packed(ME) and frame[34] == 0
    return frame[12:14] == b"\x86\xdd" and frame[20] == ICMP and frame[38:54] == packed(ME) and frame[54] == 129


def echo(size):
    raw = socket.socket(AF, socket.SOCK_RAW, socket.IPPROTO_ICMP if V4 else socket.IPPROTO_ICMPV6)
    if V4:
        raw.setsockopt(socket.IPPROTO_IP, 10, 0)  # IP_MTU_DISCOVER: let the kernel cut it
    raw.settimeout(3)
    text = os.urandom(size)
    for sequence in range(5):
        body = struct.pack("!BBHHH", 8 if V4 else 128, 0, 0, os.getpid() & 0xffff, sequence) + text
        if V4:
            body = body[:2] + struct.pack("!H", checksum(body)) + body[4:]
        raw.sendto(body, (VIP, 0))
        try:
            while True:
                answer = raw.recv(65600)
                answer = answer[20:] if V4 else answer
                if answer[0] == (0 if V4 else 129) and answer[4:8] == body[4:8]:
                    print("the same" if answer[8:] == text else f"another: {len(answer)} bytes")
                    return
        except TimeoutError:
            continue
    print("no answer")


PORT = random.randrange(20000, 60000)
if VERB == "echo":
    echo(int(sys.argv[3]))
else:
    GATEWAY = bytes.fromhex(sys.argv[3].replace(":", ""))
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as out:
        out.bind(("data0", 0))
        if VERB == "get":
            get(out)
        elif VERB == "start":
            start(out)
        else:
            overlap(out, int(sys.argv[4]))
