"""Lines 3 to 6 and 8 to 13: segments that lie about sequence numbers, windows, sizes and ends of connections."""
import hashlib
import os
import struct
import time

import packets as p
from scene import LAB, LONG, expect, expect_equal, limit, line, retry
from wire import ME4, VIP4, whole

CHALLENGE_S = 0.6                   # a connection gets one challenge ACK in 500 ms
SPACE = 1 << 32


def opened(scene, **more):
    """A connection that has had a response."""
    c = scene.connection(**more)
    c.open()
    c.request()
    expect(whole(c.response()), "no response")
    return c


def is_challenge(c, got):
    """An ACK without text that tells where the gateway stands, which is where it stood."""
    return got is not None and got.flags == p.ACK and not got.data and (got.seq, got.ack) == (c.rcv, c.snd)


def challenged(c, what, **more):
    c.put(**more)
    got = c.get(1)
    expect(is_challenge(c, got), f"{what}: {got} and no challenge ACK")
    time.sleep(CHALLENGE_S)
    expect(c.lives(), f"{what}: the connection is gone")


def ended(scene, c, what):
    """Does the gateway know nothing of it any more?"""
    c.put(p.ACK, b"x")
    got = c.get(1)
    expect(got is not None and got.flags & p.RST, f"{what}: {got} and no reset")


@line(3, "resets")
def resets(scene):
    before = scene.stats()
    c = opened(scene)
    challenged(c, "RST in the window", flags=p.RST, seq=c.snd + 1000)
    challenged(c, "SYN in a connection", flags=p.SYN, seq=c.snd)
    challenged(c, "SYN in a connection, in the window", flags=p.SYN, seq=c.snd + 99)
    told = scene.moved(before, "tcp_challenge_acks")
    for _ in range(100):
        c.put(p.RST, seq=c.snd + 2000)
    many = sum(1 for _ in iter(lambda: c.get(0.2), None))
    expect_equal(many, 1, "challenge ACKs of 100 RSTs at once")
    for seq in (c.snd - 1, c.snd + 0x7fff0000, c.snd + 0x10000000):
        c.put(p.RST, seq=seq)
        expect(c.silent(), "RST outside of the window was answered")
    expect(c.lives(), "RST outside of the window: the connection is gone")
    c.put(p.RST, seq=c.snd)
    expect(c.silent(), "the RST was answered")
    ended(scene, c, "RST at the next sequence number")
    return f"{told} challenge ACKs, 1 for 100 at once"


@line(4, "blind_data")
def blind_data(scene):
    before, c = scene.stats(), opened(scene)
    for what, ack in (("ACK of what was not sent", c.rcv + 100000), ("ACK of long ago", c.rcv - 200000)):
        challenged(c, what, flags=p.ACK | p.PSH, data=b"GET /evil HTTP/1.1\r\nHost: x\r\n\r\n", ack=ack)
    c.reset()
    return f"{scene.moved(before, 'drop_tcp_ack')} segments dropped"


def upload(c, data, seconds=20):
    """Sends all of it, not faster than the gateway's window allows; what is lost is sent again from there."""
    start, scale, acked, window = c.snd, c.scale, 0, 30000
    sent, deadline = 0, time.monotonic() + seconds
    while acked < len(data) and time.monotonic() < deadline:
        while sent < len(data) and sent - acked < min(window, 60000):
            c.put(p.ACK, data[sent:sent + 1400], seq=start + sent)
            sent = min(sent + 1400, len(data))
        got = c.get(0.3)
        if got is None:
            sent = acked
        else:
            acked, window = max(acked, (got.ack - start) % SPACE), got.window << scale
    c.snd = (start + acked) % SPACE
    return acked


def near_wrap(scene):
    """A port whose initial sequence number at the gateway lies shortly before 2^32, and that number."""
    wire, found, before = scene.wire, [], scene.pools()["tcp_conns"]

    def look(got):
        if got.flags & p.SYN:
            if SPACE - (900 << 10) < got.seq < SPACE - (400 << 10):
                found.append((got.dport, got.seq))
            wire.send(p.ip4(ME4, VIP4, p.TCP, p.tcp(ME4, VIP4, got.dport, 80, p.RST, 1001)))
        return True

    wire.on_tcp = look
    for first in range(1024, 65000, 500):
        for port in range(first, first + 500):
            wire.send(p.ip4(ME4, VIP4, p.TCP, p.tcp(ME4, VIP4, port, 80, p.SYN, 1000)))
        if found:
            break
        time.sleep(0.01)
    # A lost RST is sent again when the gateway's SYN is.
    retry(5, lambda: scene.pools()["tcp_conns"] < before + 10, "the end of half-open connections")
    wire.on_tcp = None
    expect(found, "no initial sequence number near the wrap")
    return found[-1]


@line(5, "sequence_wrap")
def sequence_wrap(scene):
    body = os.urandom(1 << 20)
    c = scene.connection(seq=0xfffffff0)
    answer = c.open(p.mss(1460) + p.wscale(7), window=512)
    c.scale = answer.options[3][0]
    c.say(f"PUT /upload/wrap HTTP/1.1\r\nHost: attack\r\nx-backend: 2\r\ncontent-length: {len(body)}\r\n\r\n".encode(), window=512)
    expect_equal(upload(c, body), len(body), "bytes taken")
    expect(c.read(10, lambda text: b"\r\n\r\n" in text)[9:10] == b"2", "the upload failed")
    c.reset()
    with open(os.path.join(LAB, "nginx2", "upload", "wrap"), "rb") as f:
        expect_equal(hashlib.sha256(f.read()).digest(), hashlib.sha256(body).digest(), "digest of the upload")
    body = scene.file("wrap", 1 << 20)
    port, iss = near_wrap(scene)
    time.sleep(0.1)
    c = scene.connection(port=port)
    ahead = (c.open()).seq - iss
    expect(0 < ahead < 250000 * 10, f"the next initial sequence number of the same tuple is {ahead} ahead")
    c.request("/files/wrap")
    expect(c.response(20).endswith(body), "the download is another")
    wrapped = c.rcv < 1 << 30
    expect(wrapped, f"no wrap: {c.rcv}")
    c.reset()
    return f"1 MiB each way, iss {iss:#x}, {ahead} more for the same tuple"


@line(6, "paws")
def paws(scene):
    def stamped():
        c = scene.connection()
        c.stamp = 100000
        answer = c.open(p.mss(1460) + p.timestamps(c.stamp, 0))
        c.request()
        expect(whole(c.response()), "no response")
        return c, answer.timestamps()[0]
    before = scene.stats()
    c, first = stamped()
    c.put(p.ACK | p.PSH, b"GET /evil HTTP/1.1\r\nHost: x\r\n\r\n", options=p.timestamps(95000, c.echo))
    got = c.get(1)
    expect(is_challenge(c, got), f"an old timestamp: {got} and no ACK")
    dropped = scene.moved(before, "drop_tcp_paws")
    expect(c.lives(), "the connection is gone")
    c.reset()
    clocks = [first] + [stamped()[1] for _ in range(3)]
    near = min(abs(a - b) for i, a in enumerate(clocks) for b in clocks[:i])
    expect(near > 100000, f"timestamps of several tuples show one clock: {clocks}")
    return f"{dropped} dropped, clocks at least {near} ms apart"


def small_window(scene):
    """A window of one byte: no segments of one byte but probes; then the rest comes."""
    body, c = scene.file("small", 20000), scene.connection()
    c.open(window=1)
    c.window = 1
    c.request("/files/small")
    end, got = time.monotonic() + 1.5, []
    while (left := end - time.monotonic()) > 0:
        got.append(c.get(left))
    sizes = [len(g.data) for g in got if g and g.data]
    expect(len(sizes) <= 6 and max(sizes + [0]) <= 1, f"with a window of 1: segments of {sizes}")
    c.window = 65535
    c.put(p.ACK)
    expect(c.response(10).endswith(body), "after the window has opened")
    c.reset()
    return len(sizes)


def shrinking_window(scene):
    """The right edge moves back while much is in flight: nothing new comes behind the old one."""
    body, c = scene.file("shrink", 200000), scene.connection()
    c.open()
    edge, windows = [c.rcv + c.window], iter([30000, 3000, 0, 1, 0, 100, 60000])

    def each(got):
        over = (got.seq + len(got.data) - edge[0]) % SPACE
        expect(over == 0 or over > SPACE // 2, f"{over} bytes behind the window")
        c.window = next(windows, 65535)
        c.put(p.ACK)
        right = c.rcv + c.window
        edge[0] = right if (right - edge[0]) % SPACE < SPACE // 2 else edge[0]

    c.request("/files/shrink")
    expect(c.read(2, whole, each=each) is not None, "nothing")
    c.window = 65535
    c.put(p.ACK)
    c.reset()
    return body


@line(8, "windows")
def windows(scene):
    body = scene.file("window", 300000)
    c = scene.connection()
    c.open(p.mss(1460) + p.wscale(14))
    c.request("/files/window")
    expect(c.response(10).endswith(body), "with a window of 1 GiB")
    c.reset()
    c = scene.connection()
    c.open(p.mss(1460) + p.wscale(255))
    c.request("/files/window")
    expect(c.response(10).endswith(body), "with a window scale of 255")
    c.reset()
    shrinking_window(scene)
    probes = small_window(scene)
    return f"{probes} probes of a window of one byte"


SIZES = (("0", p.mss(0), 536), ("1", p.mss(1), 216), ("48", p.mss(48), 216), ("none", b"", 536), ("65535", p.mss(65535), 1460),
         ("option of 3 bytes", b"\2\3\1\1", 536))


@line(9, "segment_sizes")
def segment_sizes(scene):
    body, notes = scene.file("sizes", 64 << 10), []
    for name, options, most in SIZES:
        c = scene.connection()
        c.put(p.SYN, options=options, ack=0)
        got = c.get(1)
        if got is None:             # an option that lies about its length: the segment is dropped
            expect(name.startswith("option"), f"MSS {name}: no answer")
            continue
        c.snd, c.rcv = got.ack, (got.seq + 1) % SPACE
        c.put(p.ACK)
        c.request("/files/sizes")
        text = c.response(15)
        expect(text.endswith(body), f"MSS {name}: {len(text)} bytes came")
        bound = 2 * len(text) // most + 20
        expect(max(c.sizes) <= most, f"MSS {name}: a segment of {max(c.sizes)}")
        expect(max(c.sizes) >= most - 40 and len(c.sizes) <= bound, f"MSS {name}: {len(c.sizes)} segments for {len(text)} bytes")
        c.reset()
        notes.append(f"{name}: {len(c.sizes)}")
    return "segments for 64 KiB by MSS " + ", ".join(notes)


@line(10, "sack_panic")
def sack_panic(scene):
    """Small segments, and blocks that cover every other 8 bytes, what was never sent, what is long acknowledged."""
    scene.file("sack", 400000)
    before, acks, rounds = scene.stats(), 0, 20000 if LONG else 2000
    c = scene.connection()
    c.open(p.mss(48) + p.SACK_OK + p.wscale(7))
    c.request("/files/sack")
    c.read(3, lambda text: len(text) > 20000)
    una = c.rcv
    start = time.monotonic()
    for turn in range(rounds):
        at = una + 216 * (turn % 40) + 8 * (turn % 27)
        blocks = [(at + 16 * i, at + 16 * i + 8) for i in range(3)]
        if turn % 5 == 4:
            blocks[1] = [(una - 5000, una - 10), (una + 10000000, una + 10000008), (at + 8, at), (una - 1, una + SPACE // 2)][turn // 5 % 4]
        c.put(p.ACK, ack=una, options=p.sack(*blocks))
        acks += 1
        if turn % 50 == 0:
            time.sleep(0.001)
    took = time.monotonic() - start
    time.sleep(0.3)
    after = scene.stats()
    each_us = (after["worker_useful_ns"] - before["worker_useful_ns"]) / acks / 1000
    resent = after["tcp_retransmits"] - before["tcp_retransmits"]
    expect(each_us < 200, f"{each_us:.0f} us of a worker per ACK")
    expect(resent < acks, f"{resent} retransmits for {acks} ACKs")
    c.reset()
    return f"{acks} ACKs in {took:.1f} s, {resent} retransmits, {each_us:.1f} us each, all told"


def overlaps():
    """(name, segments of (offset, text)) of two requests of the same length: the first bytes to come must win."""
    good = b"GET /files/first HTTP/1.1\r\nHost: attack\r\n\r\n"
    evil = b"GET /files/evil1 HTTP/1.1\r\nHost: attack\r\n\r\n"
    n = len(good)
    return (
        ("in order, then all of the other", [(0, good[:20]), (0, evil)]),
        ("a tail, then all of the other", [(5, good[5:]), (0, evil)]),
        ("a middle, then the other around it", [(9, good[9:18]), (5, evil[5:n]), (0, evil[:12])]),
        ("pieces, then the other", [(10, good[10:13]), (14, good[14:17]), (13, good[13:14]), (6, evil[6:]), (0, evil[:10])]),
        ("the other over what waits, from the right", [(8, good[8:17]), (12, evil[12:30]), (3, evil[3:12]), (0, good[:3]),
                                                       (0, good)]),
        ("twice the same text", [(20, good[20:]), (20, evil[20:]), (4, good[4:20]), (0, evil)]),
    )


def many_holes(scene):
    """
    One byte here and there in the window, at random, on one connection: SegmentSmack. What is random are the low 16 bits, so
    the next byte is one whose low bits are just below their wrap: the window begins where the random ones do. The buffer is a
    small one, of a connection that has not shown a need: it is full before there are too many ranges.
    """
    c = opened(scene, seq=0x1234fe00)
    before, mbufs = scene.stats(), scene.mbufs()
    template = scene.wire.template(p.ip4(ME4, VIP4, p.TCP, p.tcp(ME4, VIP4, c.port, 80, p.ACK, 0x12350000, c.rcv, data=b"x")), (26, 2))
    sent, per_s = scene.flood(500000 if LONG else 40000, 60000, [template])
    scene.moved(before, "limit_tcp_recv_buffer", "tcp_ooo_queued")
    held = scene.mbufs() - mbufs
    expect(held <= limit("tcp_ooo_ranges"), f"{held} mbufs are held")
    c.reset()
    return f"{sent} holes at {per_s}/s: {held} mbufs held"


@line(11, "overlaps")
def overlapping(scene):
    first, _ = scene.file("first", 1000), scene.file("evil1", 1000)
    for name, segments in overlaps():
        c = scene.connection()
        c.open()
        for at, text in segments:
            c.put(p.ACK | p.PSH, text, seq=c.snd + at)
        c.snd = (c.snd + 43) % SPACE
        expect(c.response(3).endswith(first), f"{name}: not what came first")
        c.reset()
    return f"{len(overlaps())} kinds, the first bytes won; {many_holes(scene)}"


def text_after_fin(scene):
    c = scene.connection()
    c.open()
    c.say(b"GET / HTTP/1.1\r\nHost: attack\r\n\r\n", flags=p.ACK | p.PSH | p.FIN)
    c.put(p.ACK | p.PSH, b"GET /evil HTTP/1.1\r\nHost: x\r\n\r\n")
    text = c.read(3)
    expect(whole(text) and text.count(b"HTTP/1.1 ") == 1, f"half-closed: {text[:100]}")
    expect(c.ended in ("fin", "reset"), "half-closed: the gateway does not end it")


def closed_together(scene):
    c = scene.connection()
    c.open()
    c.request(fields="connection: close\r\n")
    text = c.read(3, each=lambda got: None if got.flags & p.FIN else c.put(p.ACK))
    expect(whole(text) and c.ended == "fin", f"connection: close: {c.ended}")
    c.put(p.ACK | p.FIN, ack=c.rcv - 1)
    got = c.get(1, lambda got: got.ack == (c.snd + 1) % SPACE)
    expect(got is not None and not got.flags & p.RST, f"both closed: {got}")
    c.snd = (c.snd + 1) % SPACE
    c.put(p.ACK)
    got = c.get(0.3)
    expect(got is None, f"both closed: {got}")


def last_ack_lost(scene):
    c = scene.connection()
    c.open()
    c.request()
    c.response()
    c.say(b"", flags=p.ACK | p.FIN)
    fins = []
    end = time.monotonic() + 2
    while (left := end - time.monotonic()) > 0:
        if (got := c.get(left)) and got.flags & p.FIN:
            fins.append(got)
    expect(len(fins) >= 2 and len({g.seq for g in fins}) == 1, f"{len(fins)} FINs while none was acknowledged")
    c.reset()
    return len(fins)


def never_ending(scene):
    """FIN_WAIT_2: the gateway closed, the peer never does."""
    before, c = scene.stats(), scene.connection()
    c.open()
    c.request(fields="connection: close\r\n")
    expect(whole(c.read(3)), "connection: close")
    finishing = lambda: (lambda s: s["tcp_finishing_opened"] - s["tcp_finishing_closed"])(scene.stats())
    closed = lambda: scene.stats()["tcp_closed"] > before["tcp_closed"]
    retry(90, lambda: not any(flow["remote"] == f"198.18.0.3:{c.port}" for flow in scene.items("flows")), "the end of FIN_WAIT_2")
    expect(closed() and finishing() >= 0, "not counted")


@line(12, "closing", after_s=75)
def closing(scene):
    text_after_fin(scene)
    closed_together(scene)
    fins = last_ack_lost(scene)
    if LONG:
        never_ending(scene)
    return f"{fins} FINs in 2 s while none was acknowledged"


def to_time_wait(scene):
    c = scene.connection()
    c.open()
    c.request(fields="connection: close\r\n")
    expect(whole(c.read(3)) and c.ended == "fin", "connection: close")
    c.say(b"", flags=p.ACK | p.FIN)
    expect(c.get(1, lambda got: got.ack == c.snd) is not None, "our FIN was not acknowledged")
    return c


@line(13, "time_wait", after_s=75)
def time_wait(scene):
    c = to_time_wait(scene)
    for what, flags, seq, wanted in (
            ("SYN with an old sequence number", p.SYN, c.snd - 70000, p.ACK), ("RST", p.RST, c.snd, None),
            ("SYN again: the RST did nothing", p.SYN, c.snd - 70000, p.ACK), ("RST before", p.RST, c.snd - 1, None),
            ("new SYN", p.SYN, c.snd + 10000, p.SYN | p.ACK)):
        c.put(flags, seq=seq, options=p.mss(1460) if flags == p.SYN else b"")
        got = c.get(0.5)
        expect_equal(got and got.flags, wanted, f"flags of the answer to {what}")
    c.snd, c.rcv = got.ack, (got.seq + 1) % SPACE
    c.put(p.ACK)
    expect(c.lives(), "the new connection does not serve")
    c.reset()
    if LONG:
        before = scene.stats()
        for n in range(3 * limit("tcp_time_wait")):
            to_time_wait(scene)
            if n % 1000 == 999 and scene.stats()["limit_tcp_time_wait"] > before["limit_tcp_time_wait"]:
                break
        return f"bounded after {n + 1} connections: {scene.moved(before, 'limit_tcp_time_wait')} forgotten"
    return "an old SYN gets an ACK, a RST nothing, a new SYN a connection"
