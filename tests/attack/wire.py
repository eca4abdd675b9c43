"""The attacker's end of the wire: a raw socket in its own network namespace, and TCP connections played by hand.

A thread receives. It answers ARP and neighbour solicitations for the addresses that the attacker plays, and puts TCP by
the attacker's (address, port) into boxes, all else into one more. What goes to forged sources of floods (outside of the
client's subnets) is left to the kernel's filter, so that Python sees only what it waits for.
"""
import collections
import ctypes
import os
import queue
import random
import socket
import struct
import threading
import time

import packets as p

VIP4, VIP6, OWN4, OWN6 = (p.addr(a) for a in ("198.18.0.10", "2001:2::10", "198.18.0.1", "2001:2::1"))
ME4, ME6 = p.addr("198.18.0.3"), p.addr("2001:2::3")
CLIENT4 = p.addr("198.18.0.2")
NAMESPACE, INTERFACE = "sluice-attacker", "data0"
# Passes all but IPv4 for outside of 198.18.0.0/24: ldh [12]; jne #0x800, pass; ld [30]; and #0xffffff00; jeq 198.18.0.0;
FILTER = [(0x28, 0, 0, 12), (0x15, 0, 3, 0x800), (0x20, 0, 0, 30), (0x54, 0, 0, 0xffffff00), (0x15, 0, 1, 0xc6120000),
          (0x06, 0, 0, 0x40000), (0x06, 0, 0, 0)]
FILTER[1] = (0x15, 0, 3, 0x800)


def raw_socket(namespace, interface):
    """The calling thread enters the namespace and comes back; the socket stays there."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(os.path.join("/run/netns", namespace), os.O_RDONLY)
    os.setns(there, os.CLONE_NEWNET)
    try:
        raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        steps = b"".join(struct.pack("HBBI", *step) for step in FILTER)
        buffer = ctypes.create_string_buffer(steps)
        program = struct.pack("HL", len(FILTER), ctypes.addressof(buffer))
        raw.setsockopt(socket.SOL_SOCKET, 26, program)  # SO_ATTACH_FILTER
        raw.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)  # SO_RCVBUFFORCE
        raw.bind((interface, 0))
    finally:
        os.setns(home, os.CLONE_NEWNET)
        os.close(home)
        os.close(there)
    return raw


class Wire:
    """One raw socket, its thread and its boxes."""

    def __init__(self):
        self.raw = raw_socket(NAMESPACE, INTERFACE)
        self.mac = self.raw.getsockname()[4]
        self.plays = {ME4, ME6}
        self.boxes, self.others = {}, queue.SimpleQueue()
        self.arps = collections.deque(maxlen=10000)
        self.on_tcp = None          # gets a segment first; true: it has taken it
        self.closed = False
        self.gateway = p.BROADCAST
        threading.Thread(target=self.receive, daemon=True).start()
        self.gateway = self.resolve()

    def close(self):
        self.closed = True
        self.raw.close()

    # ---- out

    def frame(self, kind, payload, to=None, source=None):
        try:
            return self.raw.send((to or self.gateway) + (source or self.mac) + struct.pack("!H", kind) + payload)
        except OSError:
            return 0

    def send(self, packet, to=None):
        """An IP datagram."""
        self.frame(p.IP6 if packet[0] >> 4 == 6 else p.IP4, packet, to)

    def template(self, packet, *fields):
        """A line for flood: fields are (offset behind the Ethernet header, length)."""
        kind = p.IP6 if packet[0] >> 4 == 6 else p.IP4
        return (self.gateway + self.mac + struct.pack("!H", kind) + packet).hex() + "".join(f" {14 + at}:{n}" for at, n in fields)

    # ---- in

    def receive(self):
        while not self.closed:
            try:
                frame, where = self.raw.recvfrom(65536)
            except OSError:
                return
            if where[2] == socket.PACKET_OUTGOING or len(frame) < 34:
                continue
            self.take(struct.unpack("!H", frame[12:14])[0], frame)

    def take(self, kind, frame):
        packet = frame[14:]
        if kind == p.ARP:
            self.take_arp(packet)
            return
        got = p.parse(kind, packet)
        if got is None or got.protocol == p.ICMP6 and self.take_solicitation(got):
            return
        if got.protocol == p.TCP and self.on_tcp and self.on_tcp(got):
            return
        box = self.boxes.get((got.to, got.dport)) if got.protocol == p.TCP else None
        (box or self.others).put(got)

    def take_arp(self, packet):
        operation, sender_mac, sender, _, target = struct.unpack("!6xH6s4s6s4s", packet[:28])
        self.arps.append((operation, sender_mac, sender, target))
        if operation == 1 and target in self.plays and sender != target:
            self.frame(p.ARP, p.arp(2, self.mac, target, sender_mac, sender), sender_mac)

    def take_solicitation(self, got):
        if got.payload[0] != 135:
            return False
        target = got.payload[8:24]
        self.others.put(got)
        if target in self.plays and got.source != bytes(16):
            self.advertise(target, got.source)
        return True

    def advertise(self, target, to, flags=0x60000000, hops=255, mac=None):
        body = target + b"\2\1" + (mac or self.mac)
        message = p.icmp(target, to, 136, 0, struct.pack("!I", flags), body)
        self.send(p.ip6(target, to, p.ICMP6, message, hops=hops))

    def resolve(self):
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            self.frame(p.ARP, p.arp(1, self.mac, ME4, bytes(6), VIP4))
            time.sleep(0.05)
            for operation, mac, sender, _ in list(self.arps):
                if operation == 2 and sender == VIP4:
                    return mac
        raise AssertionError("the gateway does not answer ARP")

    def drain(self):
        """What came for no box; and forgets it."""
        found = []
        while not self.others.empty():
            found.append(self.others.get())
        return found

    def answers(self, packet, match=lambda got: True, wanted=0, seconds=0.15):
        """
        Sends a datagram and returns what comes for no box meanwhile, as far as it matches, without solicitations. If so
        many are wanted, they have two seconds, and those that come beside them a moment.
        """
        self.drain()
        self.send(packet)
        found, deadline = [], time.monotonic() + (2 if wanted else seconds)
        while (left := deadline - time.monotonic()) > 0:
            try:
                got = self.others.get(timeout=left)
            except queue.Empty:
                break
            if not (got.protocol == p.ICMP6 and got.payload[0] in (135, 136)) and match(got):
                found.append(got)
                if len(found) == wanted:
                    deadline = time.monotonic() + 0.05
        return found

    def free_port(self):
        while True:
            port = random.randrange(10000, 60000)
            if (ME4, port) not in self.boxes and (ME6, port) not in self.boxes:
                return port


class Connection:
    """One of TCP, from the attacker to the gateway. Nothing happens by itself: no ACK, no retransmission."""

    def __init__(self, wire, local=ME4, remote=VIP4, port=None, seq=None, dport=80):
        self.wire, self.local, self.remote, self.dport = wire, local, remote, dport
        self.port = port or wire.free_port()
        self.box = wire.boxes.setdefault((local, self.port), queue.SimpleQueue())
        self.snd = random.getrandbits(32) if seq is None else seq
        self.rcv = 0
        self.window = 65535
        self.stamp = None           # our timestamp; the peer's is echoed
        self.echo = 0

    def segment(self, flags, data=b"", seq=None, ack=None, window=None, options=b"", **more):
        if self.stamp is not None and not options:
            options = p.timestamps(self.stamp, self.echo)
        return p.ip(self.local, self.remote, p.TCP, p.tcp(
            self.local, self.remote, self.port, self.dport, flags, self.snd if seq is None else seq,
            self.rcv if ack is None else ack, self.window if window is None else window, options, data, **more))

    def put(self, flags, data=b"", **more):
        """Sends exactly this; sequence numbers stay where they are."""
        self.wire.send(self.segment(flags, data, **more))

    def say(self, data, flags=p.ACK | p.PSH, **more):
        self.put(flags, data, **more)
        self.snd = (self.snd + len(data) + (1 if flags & p.FIN else 0)) & 0xffffffff

    def get(self, seconds=2.0, match=lambda got: True):
        """The next segment that matches, or None; others are lost."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                got = self.box.get(timeout=left)
            except queue.Empty:
                return None
            if stamps := got.timestamps():
                self.echo = stamps[0]
            if match(got):
                return got
        return None

    def silent(self, seconds=0.3):
        return self.get(seconds) is None

    def shake(self, options=None, window=None):
        """The SYN, and the gateway's answer to it."""
        self.put(p.SYN, options=p.mss(1460) if options is None else options, ack=0, window=window)
        got = self.get(3, lambda got: got.flags & p.SYN)
        if got is None or got.flags != p.SYN | p.ACK or got.ack != (self.snd + 1) & 0xffffffff:
            raise AssertionError(f"the answer to a SYN: {got}")
        self.snd = got.ack
        self.rcv = (got.seq + 1) & 0xffffffff
        return got

    def open(self, options=None, window=None):
        answer = self.shake(options, window)
        self.put(p.ACK, window=window)
        return answer

    def request(self, path="/", fields="", method="GET"):
        self.say(f"{method} {path} HTTP/1.1\r\nHost: attack\r\n{fields}\r\n".encode())

    def read(self, seconds=5.0, enough=None, window=None, each=None):
        """
        Takes text in order and acknowledges it, until a FIN or RST, or until `enough` says so of what there is. Returns
        the text; self.sizes are those of the segments that held it.
        """
        text, ahead, self.sizes, self.ended = bytearray(), {}, [], None
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not (enough and enough(text)):
            got = self.get(deadline - time.monotonic())
            if got is None:
                break
            if got.flags & p.RST:
                self.ended = "reset"
                break
            if got.data:
                self.sizes.append(len(got.data))
                ahead[got.seq] = got.data
            while self.rcv in ahead:
                data = ahead.pop(self.rcv)
                text += data
                self.rcv = (self.rcv + len(data)) & 0xffffffff
            if got.flags & p.FIN and (got.seq + len(got.data)) & 0xffffffff == self.rcv:
                self.rcv = (self.rcv + 1) & 0xffffffff
                self.ended = "fin"
            if got.data or got.flags & p.FIN:
                if each:
                    each(got)
                else:
                    self.put(p.ACK, window=window)
            if self.ended:
                break
        return bytes(text)

    def response(self, seconds=5.0, **more):
        return self.read(seconds, whole, **more)

    def reset(self):
        self.put(p.RST | p.ACK)

    def lives(self):
        """Is a request answered?"""
        while not self.box.empty():
            self.box.get()
        self.request()
        return b" 200 " in self.response(3)[:20]


def whole(text):
    """Is this a whole response with a content-length? Asked after each segment, so all but the head is only measured."""
    end = text.find(b"\r\n\r\n")
    for line in bytes(text[:max(end, 0)]).lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return len(text) - end - 4 >= int(line.split(b":")[1])
    return False
