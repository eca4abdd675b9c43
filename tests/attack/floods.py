"""Lines 1, 2, 7: many packets, or many connections."""
import time

import packets as p
from scene import LONG, WORKERS, Clients, expect, expect_equal, limit, line, retry
from wire import ME4, VIP4, VIP6

BACKLOGS = WORKERS * limit("tcp_syn_listener")
FORGED = [p.addr(a) for a in ("45.0.0.0", "77.0.0.0", "101.0.0.0", "203.1.0.0")]


def forged(wire, flags, seq, options=b"", fields=((13, 3), (20, 2))):
    """Segments from all over the Internet, with random sources and ports."""
    return [wire.template(p.ip4(s, VIP4, p.TCP, p.tcp(s, VIP4, 0, 80, flags, seq, options=options)), *fields) for s in FORGED]


def take_back(scene, count, seed):
    """RSTs for what a flood of SYNs left, by the same sources: a reset at the next sequence number ends each."""
    scene.flood(count, 60000, forged(scene.wire, p.RST, 1001), seed)


@line(1, "syn_flood", after_s=75)
def syn_flood(scene):
    wire, before = scene.wire, scene.stats()
    count, rate = (6000000, 100000) if LONG else (120000, 60000)
    options = p.mss(1460) + p.SACK_OK + p.wscale(7)
    child = scene.flooding(count, rate, forged(wire, p.SYN, 1000, options), seed=7)
    retry(10, lambda: scene.stats()["limit_tcp_syn_listener"] > before["limit_tcp_syn_listener"], "cookies")
    opened = scene.stats()
    half_open = opened["tcp_opened"] - opened["tcp_closed"]
    expect(half_open < BACKLOGS + 200, f"{half_open} connections: a state for more SYNs than the backlog takes")
    crowd = Clients(scene, "crowd.py")
    note = by_cookies(scene)
    sent, per_s = (int(word) for word in child.communicate(timeout=200)[0].split())
    seen, after = crowd.seen(), scene.stats()
    expect(seen["lost"] * 1000 < seen["asked"], f"{seen['lost']} of {seen['asked']} ordinary connects failed: {seen['first']}")
    expect(seen["asked"] >= (2000 if LONG else 20), f"only {seen['asked']} ordinary connects during the flood")
    opened = after["tcp_opened"] - after["tcp_closed"]
    expect(opened < BACKLOGS + 200, f"{opened} connections after the flood")
    cookies = scene.moved(before, "limit_tcp_syn_listener", "tcp_cookies_accepted")
    if LONG:                        # by itself, when no ACK comes (RFC 9293, 3.8.3: the SYN,ACK was sent six times)
        retry(75, lambda: scene.pools()["tcp_conns"] < BACKLOGS // 20, "the end of half-open connections")
    else:
        take_back(scene, 4 * BACKLOGS, 7)
    ordinary = f"{seen['asked']} ordinary connects meanwhile, {seen['lost']} failed, {seen['late']} late, p99 {seen['p99']} ms"
    return f"{sent} SYNs at {per_s}/s, {cookies} answered by cookies; {ordinary}; {note}; {one_source(scene)}"


def one_source(scene):
    """A flood from one IPv4 address, and one from all over a /64: others have whole handshakes."""
    wire, before, held = scene.wire, scene.stats(), []
    for source, fields in ((p.addr("45.1.2.3"), [(20, 2)]), (p.addr("2001:db8:1:2::"), [(16, 8), (40, 2)])):
        make = lambda flags, seq: [wire.template(p.ip(source, vip, p.TCP, p.tcp(source, vip, 0, 80, flags, seq)), *fields)]
        vip = VIP4 if len(source) == 4 else VIP6
        opened = scene.pools()["tcp_conns"]
        scene.flood(10000, 30000, make(p.SYN, 1000), 5)
        held.append(scene.pools()["tcp_conns"] - opened)
        expect(held[-1] <= WORKERS * limit("tcp_syn_source") + 50, f"{held[-1]} half-open connections of one source")
        scene.flood(10000, 30000, make(p.RST, 1001), 5)
    after = scene.stats()
    expect_equal(after["tcp_cookies_accepted"], before["tcp_cookies_accepted"], "connections of others that were made of cookies")
    expect_equal(after["limit_tcp_syn_listener"], before["limit_tcp_syn_listener"], "SYNs beyond the listener's limit")
    cookies = scene.moved(before, "limit_tcp_syn_source")
    return f"of one source {held[0]}, of one /64 {held[1]} half open, {cookies} answered by cookies"


def by_cookies(scene):
    """Connections made of cookies, and what these restore of the SYN."""
    notes = []
    body = scene.file("cookie", 20000)
    for options, sizes in ((p.mss(1000), 1000), (p.mss(1460) + p.SACK_OK + p.wscale(5) + p.timestamps(5000, 0), 1448), (b"", 536)):
        before = scene.stats()["tcp_cookies_accepted"]
        c = scene.connection()
        if 8 in p.options_of(options):
            c.stamp = 5001
        answer = c.shake(options)
        expect_equal((3 in answer.options, 4 in answer.options), (3 in p.options_of(options), 4 in p.options_of(options)),
                     "window scale and SACK in the answer to a SYN")
        c.put(p.ACK)
        c.request("/files/cookie")
        got = c.response(20)
        expect(got.endswith(body), f"a file by a connection of a cookie: {len(got)} bytes")
        expect(scene.stats()["tcp_cookies_accepted"] > before, "the connection was not made of a cookie")
        expect(max(c.sizes) <= sizes, f"segments of {max(c.sizes)}, the peer takes {sizes}")
        c.reset()
        notes.append(str(max(c.sizes)))
    return f"MSS restored as {', '.join(notes)}"


@line(2, "forged_acks", after_s=75)
def forged_acks(scene):
    """Guesses at cookies, while cookies are being sent."""
    wire, before = scene.wire, scene.stats()
    scene.flood(30000, 60000, forged(wire, p.SYN, 1000, p.mss(1460)), 8)
    scene.moved(before, "limit_tcp_syn_listener")
    take_back(scene, 30000, 8)
    count, rate = (1000000, 60000) if LONG else (80000, 60000)
    before = scene.stats()
    sent, per_s = scene.flood(count, rate, forged(wire, p.ACK, 0, fields=((13, 3), (20, 2), (24, 8))), 9)
    after, _ = scene.stats(), scene.moved(before, "limit_tcp_resets_per_s")
    seen = after["drop_tcp_no_conn"] - before["drop_tcp_no_conn"]
    accepted = after["tcp_cookies_accepted"] - before["tcp_cookies_accepted"]
    resets = after["tcp_resets_sent"] - before["tcp_resets_sent"]
    expect_equal(accepted, 0, "connections made of guesses")
    expect(seen > count // 10, f"of {sent} ACKs only {seen} came through")
    took = sent / per_s + 2         # seconds that it may have touched
    expect(resets <= 2 * WORKERS * limit("tcp_resets_per_s") * took, f"{resets} resets in {took:.1f} s are not limited")
    return f"{sent} ACKs at {per_s}/s, {seen} seen, 0 accepted, {resets} answered by RST"


class Stalled:
    """Many connections whose peer has a request and no room for the answer."""

    def __init__(self, scene, count, path="/"):
        self.scene, self.wire, self.path = scene, scene.wire, path
        self.ports = range(10000, 10000 + count)
        self.next, self.ended, self.probes = {}, set(), []

    def put(self, port, flags, seq, ack, data=b""):
        self.wire.send(p.ip4(ME4, VIP4, p.TCP, p.tcp(ME4, VIP4, port, 80, flags, seq, ack, window=0, data=data)))

    def take(self, got):
        if got.dport not in self.ports:
            return False
        if got.flags & p.RST:
            self.ended.add(got.dport)
        elif got.flags & p.SYN and got.dport not in self.next:
            text = f"GET {self.path} HTTP/1.1\r\nHost: attack\r\n\r\n".encode()
            self.next[got.dport] = 1001 + len(text)
            self.put(got.dport, p.ACK | p.PSH, 1001, got.seq + 1, text)
        elif got.dport == self.ports[0] and got.data:
            self.probes.append(time.monotonic())
        return True

    def open(self):
        self.wire.on_tcp = self.take
        for _ in range(5):
            for port in self.ports:
                if port not in self.next:
                    self.wire.send(p.ip4(ME4, VIP4, p.TCP, p.tcp(ME4, VIP4, port, 80, p.SYN, 1000, window=0)))
                if port % 100 == 99:
                    time.sleep(0.005)
            deadline = time.monotonic() + 1
            while len(self.next) < len(self.ports) and time.monotonic() < deadline:
                time.sleep(0.05)
            if len(self.next) == len(self.ports):
                break
        expect(len(self.next) >= len(self.ports) * 0.99, f"only {len(self.next)} of {len(self.ports)} connections were opened")

    def close(self):
        for port in self.next:
            self.put(port, p.RST, self.next[port], 0)
            if port % 100 == 99:
                time.sleep(0.002)


def clients(scene):
    stats = scene.stats()
    return stats["http_server_conns_opened"] - stats["http_server_conns_closed"]


# Connections to upstreams, one for each request, stay in the pool: nginx closes them after 75 s.
@line(7, "zero_window", spare=1100, after_s=90)
def zero_window(scene):
    before, mbufs = scene.stats(), scene.mbufs()
    many = Stalled(scene, 10000 if LONG else 1000)
    many.open()
    held = (scene.mbufs() - mbufs) / len(many.next)
    expect(held <= 8, f"{held:.1f} mbufs for each")
    if LONG:                        # the gateway ends them: the peer takes less than http_read_rate
        retry(200, lambda: len(many.ended) >= len(many.next) * 0.99, "the end of connections with no window")
        scene.moved(before, "limit_http_read_rate")
    retry(10, lambda: len(many.probes) >= 4, "probes of a window of nothing")
    gaps = [b - a for a, b in zip(many.probes, many.probes[1:])]
    expect(all(b > a * 1.1 for a, b in zip(gaps, gaps[1:])) and gaps[-1] > 2 * gaps[0], f"probes do not back off: {gaps}")
    probes = scene.moved(before, "tcp_zero_window_probes")
    many.close()
    retry(10, lambda: clients(scene) < len(many.next) // 50 + 10, "the end of connections that were reset")
    many.wire.on_tcp = None
    ended = f"{len(many.ended)} ended by the gateway, " if LONG else ""
    return (f"{len(many.next)} connections, {held:.1f} mbufs each, {ended}{probes} probes, "
            f"gaps {', '.join(f'{g:.1f}' for g in gaps[:5])} s")
