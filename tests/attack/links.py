"""Lines 14, 21, 22, 23: upstreams that do not answer, peers that vanish, neighbours and links."""
import subprocess
import threading
import time

import packets as p
from floods import Stalled
from scene import LONG, expect, expect_equal, host, limit, line, retry
from wire import ME4, ME6, OWN4, VIP4, VIP6

SILENT = """
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: Backend
metadata: {name: silent, namespace: default}
spec: {endpoints: [{ip: {address: 198.18.1.11, port: 9009}}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: silent, namespace: default}
spec:
  parentRefs: [{name: lab}]
  rules:
  - matches: [{path: {type: PathPrefix, value: /silent}}]
    backendRefs: [{group: gateway.envoyproxy.io, kind: Backend, name: silent}]
"""
# Takes connections and requests, and says nothing; a connection without a request is closed after 2 s.
LISTENER = """
import asyncio
async def serve(reader, writer):
    try:
        while await asyncio.wait_for(reader.read(65536), 2):
            await reader.read()
    except (OSError, asyncio.TimeoutError):
        pass
    writer.close()
async def main():
    async with await asyncio.start_server(serve, "198.18.1.11", 9009, backlog=4096) as server:
        await server.serve_forever()
asyncio.run(main())
"""


def silent_upstream(scene):
    if "backend/default/silent" in scene.ctl("explain", "GET", "http://198.18.0.10/silent").stdout:
        return
    scene.spawn("sluice-backend", "python3", "-c", LISTENER)
    reach = scene.in_ns("sluice-backend", "nc", "-z", "198.18.1.11", "9009")
    retry(10, lambda: subprocess.run(reach, check=False, stderr=subprocess.DEVNULL).returncode == 0, "the silent upstream")
    scene.apply(SILENT)
    retry(10, lambda: "backend/default/silent" in scene.ctl("explain", "GET", "http://198.18.0.10/silent").stdout, "the route")


@line(14, "silent_upstream", spare=64, after_s=90)
def silent(scene):
    """More requests than one upstream's connections and queue take: others get 503 at once, and all others their answers."""
    silent_upstream(scene)
    before = scene.stats()
    conns, pending = limit("cluster_conns"), limit("cluster_pending")
    many = Stalled(scene, 6000 if LONG else 3000, "/silent")
    many.open()
    retry(10, lambda: scene.stats()["exchanges_5xx"] - before["exchanges_5xx"] >= len(many.next) - conns - pending - 50, "503")
    scene.moved(before, "limit_cluster_conns", "limit_cluster_pending")
    refused = scene.stats()["exchanges_5xx"] - before["exchanges_5xx"]
    ports = sorted(int(flow["local"].split(":")[1]) for flow in scene.items("flows") if flow["remote"] == "198.18.1.11:9009")
    expect(conns * 0.9 <= len(ports) <= conns, f"{len(ports)} connections to one upstream, the limit is {conns}")
    side = sum(1 for a, b in zip(ports, ports[1:]) if b == a + 1)
    expect(side < len(ports) // 4 and ports[-1] - ports[0] > 20000, f"ports are not random: {side} of {len(ports)} side by side")
    many.close()
    retry(10, lambda: not any(f["remote"] == "198.18.1.11:9009" and f["bytesOut"] for f in scene.items("flows")),
          "the end of connections to the upstream")
    many.wire.on_tcp = None
    return f"{len(many.next)} requests: {len(ports)} connections from random ports ({side} side by side), {refused} answered 503"


@line(21, "dead_peers", after_s=30)
def dead_peers(scene):
    """
    Keepalives with the sequence number before the next are answered. In the full form a peer vanishes with a response under
    way: it takes less than LIMIT_http_read_rate over one minute, which is measured from minute to minute, and is reset.
    """
    c = scene.connection()
    c.open()
    c.request()
    expect(b" 200 " in c.response()[:20], "no response")
    for data in (b"", b"x"):
        time.sleep(0.6)             # an ACK for what is old comes once in 500 ms
        c.put(p.ACK, data, seq=c.snd - 1)
        got = c.get(1)
        expect(got is not None and got.flags == p.ACK and got.ack == c.snd, f"a keepalive with {len(data)} bytes: {got}")
    expect(c.lives(), "the connection is gone")
    c.reset()
    if not LONG:
        return "keepalives with and without a byte are answered"
    before, c = scene.stats(), scene.connection()
    c.open()
    c.request()                     # nothing of the answer is acknowledged
    start = time.monotonic()
    there = lambda: any(flow["remote"] == f"198.18.0.3:{c.port}" for flow in scene.items("flows"))
    expect(there(), "no connection to begin with")
    retry(125, lambda: not there(), "the end of a connection whose peer vanished")
    took = time.monotonic() - start
    scene.moved(before, "limit_http_read_rate", "tcp_rto")
    return f"a peer that vanished was given up after {took:.0f} s"


def storm(scene):
    """Announcements of everybody by everybody; the gateway's own neighbours stay what they are."""
    wire = scene.wire
    ours = lambda: {n["address"]: n["mac"] for n in scene.items("neigh") if n["address"] in ("198.18.0.2", "198.18.0.3")}
    known = ours()
    others = [p.addr(f"198.18.0.{last}") for last in range(130, 160)]
    sent, per_s = scene.flood(1000000 if LONG else 30000, 50000, [
        (p.BROADCAST + wire.mac + b"\x08\x06" + p.arp(operation, b"\x02" + bytes(5), a, bytes(6), a)).hex() + " 23:5"
        for operation in (1, 2) for a in others])
    expect_equal(ours(), known, "neighbours that were known before a storm of ARP")
    return f"{sent} announcements at {per_s}/s"


def scan(scene):
    """Segments from all over the client's /64: each answer wants another neighbour."""
    wire, before = scene.wire, scene.stats()
    source = p.addr("2001:2::")
    wire.drain()
    template = wire.template(p.ip6(source, VIP6, p.TCP, p.tcp(source, VIP6, 0, 80, p.ACK, 1, 1)), (16, 8), (40, 2))
    start = time.monotonic()
    sent, per_s = scene.flood(1000000 if LONG else 40000, 15000, [template])
    solicited = sum(1 for got in wire.drain() if got.protocol == p.ICMP6 and got.payload[0] == 135)
    took = time.monotonic() - start
    entries = scene.items("neigh")
    expect(len(entries) <= limit("neighbours"), f"{len(entries)} neighbours")
    expect(solicited <= limit("solicits_per_s") * (took + 1.5), f"{solicited} solicitations in {took:.1f} s")
    expect(any(n["gateway"] and n["address"] == "198.18.0.3" for n in entries), "the default gateway's entry is gone")
    scene.moved(before, "limit_solicits_per_s")
    return f"{sent} sources at {per_s}/s: {len(entries)} neighbours, {solicited} solicitations in {took:.1f} s"


def crowd(scene):
    """All of the client's /64 asks for our address: who asks is remembered, and the oldest who is no gateway forgotten for it."""
    wire, before = scene.wire, scene.stats()
    source = p.addr("2001:2::")
    ask = p.icmp(source, VIP6, 135, 0, bytes(4), VIP6 + b"\1\1" + wire.mac)
    template = wire.template(p.ip6(source, VIP6, p.ICMP6, ask, hops=255), (16, 8))
    sent, per_s = scene.flood(100000 if LONG else 2 * limit("neighbours"), 10000, [template])
    evicted = scene.moved(before, "neigh_evicted", "limit_neighbours")
    entries = scene.items("neigh")
    expect(limit("neighbours") * 0.9 < len(entries) <= limit("neighbours"), f"{len(entries)} neighbours")
    gateways = {n["address"] for n in entries if n["gateway"]}
    expect_equal(gateways, {"198.18.0.3", "2001:2::3"}, "gateways among them")
    return f"{sent} who ask at {per_s}/s: {len(entries)} neighbours, {evicted} evicted, no gateway"


def conflict(scene):
    """
    Somebody has our address, he says: the gateway says that it is its own (RFC 5227), once in ten seconds, also if that
    was just before; counts, and goes on.
    """
    wire, before = scene.wire, scene.stats()
    mac = b"\2\0\0\0\0\x66"
    wire.arps.clear()
    defences = lambda: sum(1 for _, whose, sender, target in list(wire.arps) if sender == VIP4 == target and whose == wire.gateway)

    def claim():
        for _ in range(20):
            wire.frame(p.ARP, p.arp(1, mac, VIP4, bytes(6), VIP4), p.BROADCAST)
        time.sleep(0.5)
        return defences()

    retry(11, claim, "the defence of our address")
    expect(defences() <= 3, f"{defences()} defences against 20 claims at once")
    claims = scene.moved(before, "neigh_conflicts")
    return f"{claims} claims counted, defended {defences()} times"


def lies(scene):
    """Neighbour discovery from afar, advertisements that nobody asked for, and routers."""
    wire, before = scene.wire, scene.stats()
    stranger = p.addr("2001:2::dead")
    solicitation = p.icmp(ME6, VIP6, 135, 0, bytes(4), VIP6 + b"\1\1" + wire.mac)
    for hops in (254, 64, 1):
        expect(not wire.answers(p.ip6(ME6, VIP6, p.ICMP6, solicitation, hops=hops), seconds=0.05), "a solicitation from afar")
        wire.advertise(ME6, VIP6, hops=hops, mac=b"\2\0\0\0\0\x66")
    expect_equal(scene.moved(before, "drop_nd_hop_limit"), 6, "of them dropped for the hop limit")
    wire.advertise(stranger, VIP6, flags=0x20000000)
    expect(not any(n["address"] == "2001:2::dead" for n in scene.items("neigh")), "an unsolicited advertisement made a neighbour")
    router = p.icmp(ME6, p.addr("ff02::1"), 134, 0, b"\x40\0\x07\x08", bytes(8) + b"\1\1" + wire.mac)
    wire.frame(p.IP6, p.ip6(ME6, p.addr("ff02::1"), p.ICMP6, router, hops=255), b"\x33\x33\0\0\0\1")
    retry(2, lambda: scene.stats()["drop_icmp_type"] > before["drop_icmp_type"], "the router advertisement's drop")
    expect(not wire.answers(p.ip4(ME4, VIP4, p.ICMP, p.icmp(ME4, VIP4, 9, 0, b"\1\2\7\x08", OWN4 + bytes(4)))), "a router by ICMP")


@line(22, "neighbours", spare=limit("neighbours_queued"), after_s=30)
def neighbours(scene):
    lies(scene)
    return f"{storm(scene)}; {scan(scene)}; {crowd(scene)}; {conflict(scene)}"


def flap(times):
    for _ in range(times):
        time.sleep(0.3)
        host("ip", "-n", "sluice-gw", "link", "set", "gw-client", "down")
        time.sleep(0.2)
        host("ip", "-n", "sluice-gw", "link", "set", "gw-client", "up")
    for mtu in (1300, 1500):
        time.sleep(0.2)
        host("ip", "-n", "sluice-client", "link", "set", "data0", "mtu", str(mtu))


@line(23, "link", after_s=30)
def link(scene):
    """The wire goes down and comes up in a download, and its MTU changes: the same bytes."""
    body, c = scene.file("link", (8 << 20) if LONG else (2 << 20)), scene.connection()
    c.open(p.mss(1200))
    c.request("/files/link")
    breaker = threading.Thread(target=flap, args=(5 if LONG else 2,))
    breaker.start()

    came, silence = [time.monotonic()], [0]

    def each(_):
        if breaker.is_alive():      # slowly, so that the download lasts as long as the link fails
            time.sleep(0.001)
        c.put(p.ACK)
        silence[0] = max(silence[0], time.monotonic() - came[0])
        came[0] = time.monotonic()

    start = time.monotonic()
    text = c.response(60, each=each)
    took = time.monotonic() - start
    breaker.join()
    expect(text.endswith(body), f"{len(text)} bytes came, or others, with at most {silence[0]:.1f} s between two segments")
    c.reset()
    expect(silence[0] < 5, f"nothing came for {silence[0]:.1f} s")
    return (f"{len(body) >> 20} MiB in {took:.1f} s while the link failed and changed its MTU, "
            f"{silence[0]:.1f} s at most between two segments")
