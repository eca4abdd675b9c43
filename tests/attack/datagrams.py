"""Lines 16 to 20: ICMP, fragments, addresses, lengths and frames that lie.

Most are rows of a table: a frame, and the counter that names it. A row is refused in silence: nothing comes back, and the
counter moves once for each. Rows that are answered have functions of their own.
"""
import collections
import struct
import time

import packets as p
from scene import LONG, WORKERS, expect, expect_equal, limit, line, retry
from wire import CLIENT4, ME4, ME6, OWN4, VIP4, VIP6

ANY4, BROADCAST4, SUBNET4 = p.addr("0.0.0.0"), p.addr("255.255.255.255"), p.addr("198.18.0.255")
LOOP4, MULTICAST4 = p.addr("127.0.0.1"), p.addr("224.0.0.1")
ANY6, LOOP6, NODES6 = p.addr("::"), p.addr("::1"), p.addr("ff02::1")
ROUTING, FRAGMENT, HOP, DESTINATION = 43, 44, 0, 60
REST = b"\0\0\0\0"


def send_row(scene, row):
    name, kind, packet, _, *to = row
    scene.wire.frame(kind, packet, *to)
    return name


def refused(scene, rows):
    """Sends each row; expects silence and the counters. A failure is looked at row by row, so that it has a name."""
    def wrong(some):
        before = scene.stats()
        scene.wire.drain()
        for row in some:
            send_row(scene, row)
        time.sleep(0.15)
        after, wanted = scene.stats(), collections.Counter("drop_" + row[3] for row in some)
        said = [got for got in scene.wire.drain() if not (got.protocol == p.ICMP6 and got.payload[0] in (135, 136))]
        return said, {name: (after[name] - before[name], n) for name, n in wanted.items() if after[name] - before[name] < n}
    if any(wrong(rows)):
        for row in rows:
            said, missing = wrong([row])
            expect(not said, f"{row[0]}: was answered: {said}")
            expect(not missing, f"{row[0]}: counted (is, should be): {missing}; {scene.ctl('drops').stdout}")
    return len(rows)


def echo(source, to, size=32, **more):
    kind, protocol = (8, p.ICMP) if len(source) == 4 else (128, p.ICMP6)
    return p.ip(source, to, protocol, p.icmp(source, to, kind, 0, b"\0\1\0\1", b"e" * size), **more)


def echoes(scene, packet, wanted=1):
    """How many replies a request has."""
    return len(scene.wire.answers(packet, lambda got: got.payload[0] in (0, 129) and got.protocol in (p.ICMP, p.ICMP6), wanted))


# ---- 16

def quoting(c, kind, code, rest, seq):
    """An ICMP error about a segment that the gateway has sent us, or not."""
    segment = struct.pack("!HHI", 80, c.port, seq & 0xffffffff)
    about = p.ip4(VIP4, ME4, p.TCP, segment, length=1500)
    return p.ip4(ME4, VIP4, p.ICMP, p.icmp(ME4, VIP4, kind, code, rest, about))


def in_flight(scene):
    """A connection whose peer has not acknowledged what it was sent; where that begins."""
    scene.file("icmp", 60000)
    c = scene.connection()
    c.open()
    c.request("/files/icmp")
    got = c.get(3, lambda got: got.data)
    expect(got is not None and got.seq == c.rcv, "no response")
    return c


def forged_errors(scene):
    before, c = scene.stats(), in_flight(scene)
    for seq in (c.rcv - 1000, c.rcv + 10000000, c.rcv ^ 0x80000000):
        scene.wire.send(quoting(c, 3, 4, struct.pack("!HH", 0, 600), seq))
        scene.wire.send(quoting(c, 3, 3, REST, seq))
    time.sleep(0.1)
    after = scene.stats()
    expect_equal(after["drop_icmp_unrelated"] - before["drop_icmp_unrelated"], 6, "errors about what is not in flight")
    expect_equal(after["tcp_path_mtu_lowered"], before["tcp_path_mtu_lowered"], "path MTUs lowered by forged errors")
    for mtu in (0, 68):             # in flight, but of no link that there is
        scene.wire.send(quoting(c, 3, 4, struct.pack("!HH", 0, mtu), c.rcv))
    text = c.response(8)
    expect(len(text) > 60000, f"{len(text)} bytes came")
    expect(max(c.sizes) >= 512, f"an MTU of 68 makes segments of {max(c.sizes)}")
    c.reset()
    return min(c.sizes[:-1])


def hard_errors(scene):
    c = in_flight(scene)
    for kind, code in ((3, 2), (3, 3), (3, 0), (3, 1), (3, 13), (11, 0), (12, 0)):
        scene.wire.send(quoting(c, kind, code, REST, c.rcv))
    expect(len(c.response(8)) > 60000, "hard errors about a connection ended it")
    c.reset()


def our_errors(scene):
    """Errors that we send: limited, and none about what many got, about errors, or about pieces."""
    wire, before = scene.wire, scene.stats()
    bad = p.udp(ME4, VIP4, 5000, 4999, b"x")
    rows = [
        ("UDP to the subnet's broadcast", p.ip4(ME4, SUBNET4, p.UDP, p.udp(ME4, SUBNET4, 5000, 4999, b"x")), p.BROADCAST),
        ("UDP to 255.255.255.255", p.ip4(ME4, BROADCAST4, p.UDP, p.udp(ME4, BROADCAST4, 5000, 4999, b"x")), p.BROADCAST),
        ("UDP to us in a frame for all", p.ip4(ME4, VIP4, p.UDP, bad), p.BROADCAST),
        ("UDP to all nodes", p.ip6(ME6, NODES6, p.UDP, p.udp(ME6, NODES6, 5000, 4999, b"x")), b"\x33\x33\0\0\0\1"),
        ("an error about an error", p.ip4(ME4, VIP4, p.ICMP, p.icmp(ME4, VIP4, 3, 3, REST, p.ip4(VIP4, ME4, p.ICMP, b"\3\3" + bytes(6)))),
         None),
        ("from 0.0.0.0", p.ip4(ANY4, VIP4, p.UDP, p.udp(ANY4, VIP4, 5000, 4999, b"x")), None),
    ]
    for name, packet, to in rows:
        wire.drain()
        wire.send(packet, to)
        time.sleep(0.05)
        said = [got for got in wire.drain() if got.protocol in (p.ICMP, p.ICMP6) and got.payload[0] not in (135, 136)]
        expect(not said, f"an ICMP error is answered to: {name}")
    expect_equal(len(wire.answers(p.ip4(ME4, VIP4, p.UDP, bad), wanted=1)), 1, "port unreachable")
    start = time.monotonic()
    unsummed = p.ip4(ME4, VIP4, p.UDP, bad[:6] + b"\0\0" + bad[8:])
    sent, _ = scene.flood(100000 if LONG else 5000, 20000, [wire.template(unsummed, (20, 2))])
    took = time.monotonic() - start
    time.sleep(0.1)
    after = scene.stats()
    told = after["ip_icmp_errors_sent"] - before["ip_icmp_errors_sent"]
    expect(told <= WORKERS * limit("icmp_errors_per_s") * (took + 1.5), f"{told} errors in {took:.1f} s")
    scene.moved(before, "limit_icmp_errors_per_s", "drop_icmp_rate")
    return f"{sent} datagrams to a closed port got {told} errors in {took:.1f} s"


@line(16, "icmp")
def icmp(scene):
    smallest = forged_errors(scene)
    hard_errors(scene)
    refused(scene, [(f"ICMP type {kind}", p.IP4, p.ip4(ME4, VIP4, p.ICMP, p.icmp(ME4, VIP4, kind, 0, REST, p.ip4(
        VIP4, ME4, p.TCP, bytes(8)))), "icmp_type") for kind in (4, 5, 9, 10, 13, 15, 17, 40)])
    return f"an MTU of 68 in flight: segments of {smallest} at least; {our_errors(scene)}"


# ---- 17

def pieces6(identification, *pieces, following=p.ICMP6):
    """Fragments (offset, text, more) of one datagram over IPv6."""
    return [p.ip6(ME6, VIP6, FRAGMENT, p.fragment6(following, at, more, identification, text)) for at, text, more in pieces]


def fragments6(scene):
    whole = echo(ME6, VIP6, 1000)[40:]
    tcp_cut = p.tcp(ME6, VIP6, 5000, 80, p.SYN)
    rows = (
        ("whole", 1, [(0, whole[:504], 1), (504, whole[504:], 0)]),
        ("the last one first", 1, [(504, whole[504:], 0), (0, whole[:504], 1)]),
        ("atomic (RFC 6946)", 1, [(0, whole, 0)]),
        ("a duplicate", 1, [(0, whole[:504], 1), (0, whole[:504], 1), (504, whole[504:], 0)]),
        ("an overlap (RFC 5722)", 0, [(0, whole[:504], 1), (496, whole[496:], 0)]),
        ("an overlap with other text", 0, [(0, whole[:504], 1), (8, b"x" * 504, 1), (512, whole[512:], 0)]),
        ("two ends", 0, [(504, whole[504:], 0), (400, whole[400:600], 0), (0, whole[:504], 1)]),
        ("beyond 64 KiB", 0, [(0, whole[:504], 1), (65528, b"x" * 100, 0)]),
        ("not a multiple of 8", 0, [(0, whole[:501], 1), (504, whole[504:], 0)]),
        ("of no length", 0, [(0, b"", 1), (0, whole[:504], 1), (504, b"", 0)]),
    )
    for number, (name, replies, pieces) in enumerate(rows):
        packets = pieces6(0x1000 + number, *pieces)
        for packet in packets[:-1]:
            scene.wire.send(packet)
        expect_equal(echoes(scene, packets[-1], replies), replies, f"replies to an echo request in fragments: {name}")
    scene.wire.drain()
    for packet in pieces6(0x2000, (0, tcp_cut[:8], 1), (8, tcp_cut[8:], 0), following=p.TCP):
        scene.wire.send(packet)
    time.sleep(0.1)
    expect(not [g for g in scene.wire.drain() if g.protocol == p.TCP], "a SYN whose header is cut was answered (RFC 7112)")
    return len(rows) + 1


@line(17, "fragments", spare=4 * WORKERS * limit("reassembly_source"), after_s=75)
def fragments(scene):
    """IPv4's are put together by the kernel below this port (tests/unit/ip/test_fragments.c has them): a flood of them."""
    before, mbufs = scene.stats(), scene.mbufs()
    kinds = fragments6(scene)
    scene.moved(before, "drop_ip_fragment_overlap", "drop_ip_fragment_size", "drop_ip_fragment_malformed", "drop_ip_fragment_duplicate",
                "drop_ip_fragment_tiny")
    count = 100000 if LONG else 20000
    one = p.ip6(ME6, VIP6, FRAGMENT, p.fragment6(p.UDP, 0, 1, 0, b"x" * 800))
    many = p.ip6(p.addr("2001:db8::"), VIP6, FRAGMENT, p.fragment6(p.UDP, 1200, 1, 0, b"x" * 800))
    sent, per_s = scene.flood(count, 20000, [scene.wire.template(one, (44, 4))])
    held = scene.mbufs() - mbufs
    expect(held <= WORKERS * (limit("reassembly_source") + 64), f"{held} mbufs of one source are held")
    if LONG:
        scene.flood(count, 20000, [scene.wire.template(many, (12, 4), (44, 4))])
        held = scene.mbufs() - mbufs
        expect(held <= WORKERS * (limit("reassembly_datagrams") + 200), f"{held} mbufs are held")
    over = scene.moved(before, "limit_reassembly_source", "drop_ip_fragment_evicted")
    ping = [p.ip4(ME4, VIP4, p.ICMP, b"p" * 1400, identification=77, fragment=at // 8 | (0x2000 if at < 65000 else 0))
            for at in list(range(0, 64400, 1400)) + [65520]]
    for packet in ping:
        scene.wire.send(packet)
    expect_equal(echoes(scene, echo(ME4, VIP4)), 1, "replies to an echo request after a ping of death")
    return f"{kinds} kinds; {sent} incomplete datagrams at {per_s}/s: {over} over a source's share, {held} mbufs held"


# ---- 18

def syn(source, to, sport=4000, dport=80, flags=p.SYN, **more):
    return p.ip(source, to, p.TCP, p.tcp(source, to, sport, dport, flags, seq=1, **more))


def routed(segments, kind=0):
    return p.ip6(ME6, VIP6, ROUTING, bytes([p.ICMP6, 2, kind, segments]) + REST + ME6 + echo(ME6, VIP6)[40:])


MARTIANS = [
    ("LAND", p.IP4, syn(VIP4, VIP4, 80), "ip_land"),
    ("from another address of ours", p.IP4, syn(OWN4, VIP4), "ip_land"),
    ("from 127.0.0.1", p.IP4, syn(LOOP4, VIP4), "ip4_martian"),
    ("from 0.0.0.0", p.IP4, syn(ANY4, VIP4), "ip4_martian"),
    ("from 255.255.255.255", p.IP4, syn(BROADCAST4, VIP4), "ip4_martian"),
    ("from the subnet's broadcast", p.IP4, syn(SUBNET4, VIP4), "ip4_martian"),
    ("from multicast", p.IP4, syn(MULTICAST4, VIP4), "ip4_martian"),
    ("from class E", p.IP4, syn(p.addr("250.1.2.3"), VIP4), "ip4_martian"),
    ("to 127.0.0.1", p.IP4, syn(ME4, LOOP4), "ip4_martian"),
    ("a SYN in a frame for all", p.IP4, syn(ME4, VIP4), "eth_multicast", p.BROADCAST),
    ("to another host", p.IP4, syn(ME4, p.addr("198.18.0.9")), "ip_not_ours"),
    ("loose source route", p.IP4, p.ip4(ME4, VIP4, p.TCP, p.tcp(ME4, VIP4, 4000, 80, p.SYN), options=b"\x83\7\4\1\2\3\4\0"),
     "ip4_source_route"),
    ("strict source route", p.IP4, p.ip4(ME4, VIP4, p.TCP, p.tcp(ME4, VIP4, 4000, 80, p.SYN), options=b"\x89\7\4\1\2\3\4\0"),
     "ip4_source_route"),
    ("IPv6 LAND", p.IP6, syn(VIP6, VIP6, 80), "ip_land"),
    ("from ::", p.IP6, syn(ANY6, VIP6), "ip6_martian"),
    ("from ::1", p.IP6, syn(LOOP6, VIP6), "ip6_martian"),
    ("from ff02::1", p.IP6, syn(NODES6, VIP6), "ip6_martian"),
    ("from ::ffff:198.18.0.2", p.IP6, syn(p.addr("::ffff:198.18.0.2"), VIP6), "ip6_martian"),
    ("bad IPv4 checksum", p.IP4, p.ip4(ME4, VIP4, p.TCP, p.tcp(ME4, VIP4, 4000, 80, p.SYN), total=0x1234), "ip4_checksum"),
    ("bad TCP checksum", p.IP4, syn(ME4, VIP4, good=False), "tcp_checksum"),
    ("bad TCP checksum over IPv6", p.IP6, syn(ME6, VIP6, good=False), "tcp_checksum"),
    ("Xmas scan, all flags", p.IP4, syn(ME4, VIP4, flags=0x3f), "tcp_flags"),
    ("SYN and FIN", p.IP4, syn(ME4, VIP4, flags=p.SYN | p.FIN), "tcp_flags"),
    ("SYN and RST", p.IP4, syn(ME4, VIP4, flags=p.SYN | p.RST), "tcp_flags"),
    ("RST in no connection", p.IP4, syn(ME4, VIP4, flags=p.RST), "tcp_state"),
    ("null scan", p.IP4, syn(ME4, VIP4, flags=0), "tcp_flags"),
    ("FIN scan", p.IP4, syn(ME4, VIP4, flags=p.FIN), "tcp_flags"),
]


@line(18, "martians")
def martians(scene):
    wire, rows = scene.wire, refused(scene, MARTIANS)
    for name, port, flags, wanted in (("closed port", 4444, p.SYN, p.RST | p.ACK), ("ACK scan", 80, p.ACK, p.RST),
                                      ("FIN and ACK", 80, p.FIN | p.ACK, p.RST), ("SYN and ACK", 80, p.SYN | p.ACK, p.RST)):
        said = wire.answers(syn(ME4, VIP4, dport=port, flags=flags), wanted=1)
        expect_equal([got.flags for got in said], [wanted], f"flags of the answers to: {name}")
    told = [got.payload[:2] for got in wire.answers(routed(1), lambda got: got.protocol == p.ICMP6, 1)]
    expect_equal(told, [b"\4\0"], "a routing header 0 with a segment left: parameter problem")
    said = wire.answers(syn(ME4, VIP4, dport=4444, flags=0), wanted=1)
    expect_equal([got.flags for got in said], [p.RST | p.ACK], "a null scan of a closed port")
    return f"{rows} kinds refused in silence, 6 answered as the RFCs say"


# ---- 19

def bad_tcp(name, counter, words=None, options=b"", cut=None):
    segment = p.tcp(ME4, VIP4, 4000, 80, p.SYN, options=options, words=words)
    return (name, p.IP4, p.ip4(ME4, VIP4, p.TCP, segment if cut is None else segment[:cut]), counter)


LENGTHS = [
    ("IPv4: longer than the frame", p.IP4, p.ip4(ME4, VIP4, p.TCP, p.tcp(ME4, VIP4, 4000, 80, p.SYN), length=1400), "ip4_length"),
    ("IPv4: shorter than its header", p.IP4, p.ip4(ME4, VIP4, p.TCP, p.tcp(ME4, VIP4, 4000, 80, p.SYN), length=19), "ip4_length"),
    ("IPv4: length 0", p.IP4, p.ip4(ME4, VIP4, p.TCP, p.tcp(ME4, VIP4, 4000, 80, p.SYN), length=0), "ip4_length"),
    ("IPv4: header of 4 words", p.IP4, p.ip4(ME4, VIP4, p.TCP, bytes(40), words=4), "ip4_header"),
    ("IPv4: header longer than the datagram", p.IP4, p.ip4(ME4, VIP4, p.TCP, bytes(8), words=15, length=28), "ip4_header"),
    ("IPv4: version 5", p.IP4, p.ip4(ME4, VIP4, p.TCP, bytes(40), version=5), "ip4_header"),
    ("IPv6: longer than the frame", p.IP6, p.ip6(ME6, VIP6, p.TCP, p.tcp(ME6, VIP6, 4000, 80, p.SYN), length=1400), "ip6_length"),
    ("IPv6: version 4", p.IP6, p.ip6(ME6, VIP6, p.TCP, p.tcp(ME6, VIP6, 4000, 80, p.SYN), version=4), "ip6_header"),
    bad_tcp("TCP: header of 4 words", "tcp_malformed", words=4),
    bad_tcp("TCP: header of 0 words", "tcp_malformed", words=0),
    bad_tcp("TCP: header longer than the segment", "tcp_malformed", words=15),
    bad_tcp("TCP: 12 bytes", "tcp_malformed", cut=12),
    bad_tcp("TCP: option of length 0", "tcp_options", options=b"\2\0\5\xb4"),
    bad_tcp("TCP: option of length 1", "tcp_options", options=b"\2\1\5\xb4"),
    bad_tcp("TCP: option that goes on behind the header", "tcp_options", options=b"\1\1\2\4"),
    bad_tcp("TCP: unknown option behind the end", "tcp_options", options=b"\xfd\x28\0\0"),
    ("UDP: longer than the datagram", p.IP4, p.ip4(ME4, VIP4, p.UDP, p.udp(ME4, VIP4, 5000, 53, b"x", length=100)), "udp_malformed"),
    ("UDP: length 7", p.IP4, p.ip4(ME4, VIP4, p.UDP, p.udp(ME4, VIP4, 5000, 53, b"x", length=7)), "udp_malformed"),
    ("ICMP: 4 bytes", p.IP4, p.ip4(ME4, VIP4, p.ICMP, b"\x08\0\xf7\xff"), "icmp_malformed"),
]


@line(19, "lengths")
def lengths(scene):
    rows = refused(scene, LENGTHS)
    expect_equal(echoes(scene, p.ip4(ME4, VIP4, p.ICMP, echo(ME4, VIP4)[20:]) + b"padding that is no part of it"), 1,
                 "replies to an echo request with padding")
    return f"{rows} lies refused in silence, padding is none"


# ---- 20

def tag(number, kind, packet):
    return struct.pack("!HH", number, kind) + packet


FRAMES = [
    ("802.1Q, VLAN 7", p.VLAN, tag(7, p.IP4, echo(ME4, VIP4)), "eth_vlan"),
    ("802.1Q twice", p.VLAN, tag(0, p.VLAN, tag(7, p.IP4, echo(ME4, VIP4))), "eth_vlan"),
    ("802.1ad", 0x88a8, tag(7, p.VLAN, tag(8, p.IP4, echo(ME4, VIP4))), "eth_vlan"),
    ("IPX", 0x8137, bytes(46), "eth_type"),
    ("802.3 length", 46, bytes(46), "eth_type"),
    ("IPv4 without a header", p.IP4, b"", "ip4_header"),
    ("IPv4, 19 bytes", p.IP4, echo(ME4, VIP4)[:19], "ip4_header"),
    ("IPv6 without a header", p.IP6, b"", "ip6_header"),
    ("IPv6, 39 bytes", p.IP6, echo(ME6, VIP6)[:39], "ip6_header"),
    ("ARP, 20 bytes", p.ARP, p.arp(1, bytes(6), ME4, bytes(6), VIP4)[:20], "arp_malformed"),
]


@line(20, "frames")
def frames(scene):
    rows = refused(scene, FRAMES)
    for cut in range(0, 80):        # headers that end anywhere
        for packet in (syn(ME4, VIP4, options=p.mss(1460)), syn(ME6, VIP6, options=p.mss(1460)), routed(0)):
            scene.wire.frame(p.IP6 if packet[0] >> 4 == 6 else p.IP4, packet[:cut])
    expect_equal(echoes(scene, echo(ME4, VIP4, 1400)), 1, "replies to a large echo request")
    for sport in range(4000, 4080):
        scene.wire.send(syn(ME4, VIP4, sport, flags=p.RST))
    return f"{rows} frames refused in silence, 240 with headers that are cut"
