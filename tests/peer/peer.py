#!/usr/bin/env python3
"""Kernel TCP on both sides of the gateway, through wires that are not perfect. PEER_FLOWS (50), PEER_KIB (64).

    sluice-client --veth-- relay (sluice-relay) --veth-- Sluice --veth-- relay --veth-- sluice-backend

Each case is a kind of wire, the same on both sides; 50 flows download and 50 upload over IPv4, as many over IPv6, all
at once, every byte checked by hash at both ends, whose congestion control is the gateway's. The fate of the n-th frame
follows from PEER_SEED (printed).
"""
import json
import os
import re
import subprocess
import time

from wires import HERE, ROUTE, SEED, WiredLab

from harness import VIP4, VIP6, case, expect, expect_equal, main, retry

FLOWS = int(os.environ.get("PEER_FLOWS", "50"))
BYTES = int(os.environ.get("PEER_KIB", "64")) * 1024
SECONDS = int(os.environ.get("PEER_SECONDS", "120"))


class PeerLab(WiredLab):
    """The lab with a relay on each wire and a backend whose bytes can be checked."""

    def __enter__(self):
        super().__enter__()
        backend = self.spawn("sluice-backend", "python3", os.path.join(HERE, "backend.py"), "9000", "198.18.1.11",
                             "2001:2:0:1::11", stdout=subprocess.PIPE, text=True)
        expect_equal(backend.stdout.readline().strip(), "ready", "backend")
        self.apply(ROUTE)
        return self

    def start_relays(self, settings):
        for number, side in enumerate(self.sides):
            self.start_relay(SEED * 10 + number, f"{side}-peer", f"{side}-gw", settings)


def difference(after, before):
    return {name: value - before.get(name, 0) for name, value in after.items()}


def run(lab, *settings, requests=2):
    """All flows over wires with these settings; returns the flows' report, the relays' counts and the gateway's."""
    lab.start_relays(settings)
    retry(20, lambda: lab.client("curl", "-s", "--max-time", "5", "-o", "/dev/null", "-w", "%{http_code}",
                                 f"http://{VIP4}/peer/2/1", check=False) == "200", "a first answer")
    before = lab.stats()
    out = lab.client("python3", os.path.join(HERE, "flows.py"), "/peer", str(FLOWS), str(BYTES), str(requests),
                     str(SECONDS), VIP4, VIP6, timeout=SECONDS + 60)
    report = json.loads(out)
    time.sleep(0.5)
    counted = difference(lab.stats(), before)
    wire = lab.stop_relays()
    text = (f"seed {SEED}: {report['seconds']} s, {report['mbit_per_s']} Mbit/s, {wire['received']} frames, "
            f"{wire['lost']} lost, {wire['reordered']} reordered, {wire['duplicated']} duplicated, "
            f"{wire['corrupted']} corrupted, {wire['missed']} missed; gateway: {counted['tcp_retransmits']} sent again, "
            f"{counted['tcp_fast_retransmits']} fast recoveries, {counted['tcp_rto']} timeouts; dropped: " +
            (", ".join(f"{value} {name[5:]}" for name, value in counted.items() if value and name.startswith("drop_"))
             or "nothing"))
    expect_equal(report["failures"], 0, f"failed flows ({report['first']}; {text})")
    expect_equal(report["done"], {"download": 2 * FLOWS, "upload": 2 * FLOWS}, "flows that were done")
    expect_equal(wire["oversize"] + wire["send_errors"], 0, "frames that the relay could not carry")
    lab.alive()
    return text, wire, counted


@case
def clean_with_delay(lab):
    text, _, counted = run(lab, "delay_us=2000", "queue=60000")
    for name in ("drop_tcp_checksum", "drop_ip4_checksum", "drop_worker_ring_full", "drop_port_tx_full"):
        expect_equal(counted[name], 0, f"{name} on a clean wire")
    return text


@case
def slow_line(lab):
    """20 Mbit/s and a queue of 100 frames: what is lost is lost by congestion."""
    text, wire, _ = run(lab, "delay_us=2000", "rate_mbit=20", "queue=100", requests=1)
    expect(wire["queue_full"] > 0, "the queue never was full")
    return text


@case
def loss(lab):
    text, wire, counted = run(lab, "loss=0.02", "delay_us=1000", "queue=60000")
    expect(wire["lost"] > 0 and counted["tcp_retransmits"] > 0, "nothing was lost")
    return text


@case
def reordering(lab):
    text, wire, counted = run(lab, "reorder=0.05", "reorder_us=3000", "delay_us=1000", "jitter_us=200", "queue=60000")
    expect(wire["reordered"] > 0 and counted["tcp_ooo_queued"] > 0, "nothing was reordered")
    return text


@case
def duplication(lab):
    text, wire, counted = run(lab, "duplicate=0.05", "delay_us=1000", "queue=60000")
    expect(wire["duplicated"] > 0 and counted["drop_tcp_duplicate"] > 0, "nothing was duplicated")
    return text


@case
def corruption(lab):
    text, wire, counted = run(lab, "corrupt=0.02", "delay_us=1000", "queue=60000")
    seen = sum(counted[name] for name in ("drop_tcp_checksum", "drop_ip4_checksum"))
    expect(wire["corrupted"] > 0 and seen > 0, "nothing was corrupted")
    return text + f"; {seen} wrong checksums seen"


def ask_for_ecn(side, mode):
    subprocess.run(["ip", "netns", "exec", f"sluice-{side}", "sysctl", "-qw", f"net.ipv4.tcp_ecn={mode}"], check=True)


def sends_as(lab, **tcp):
    """Changes Machine.spec.tcp, and waits until every worker has it."""
    def generations():
        return [int(worker["generation"]) for worker in lab.items("workers")]
    before = max(generations())
    machine = json.loads(lab.ctl("get", "machine", "self", "-o", "json").stdout)
    machine = {"apiVersion": machine["apiVersion"], "kind": "Machine", "metadata": {"name": "self"},
               "spec": {**machine["spec"], "tcp": tcp}}
    lab.apply(json.dumps(machine))
    retry(10, lambda: min(generations()) > before, "the new generation")


def one_download(lab):
    """What `ss -tio` of the client, and the gateway's flows, say of a connection while it downloads."""
    curl = lab.spawn("sluice-client", "curl", "-s", "-o", "/dev/null", "--limit-rate", "100k",
                     f"http://{VIP4}/peer/2/400000", stdout=subprocess.DEVNULL)

    def seen():
        return lab.client("ss", "-tinoH", "state", "established", "dst", VIP4, check=False)
    try:
        retry(10, lambda: "bytes_received" in seen(), "a connection")
        time.sleep(0.5)
        return seen(), [f for f in lab.items("flows") if f["side"] == "client" and f["state"] == "ESTABLISHED"]
    finally:
        curl.terminate()
        curl.wait()


@case
def marks(lab):
    """ECN with the kernel through routers that mark: nothing is lost, windows fall all the same."""
    for side in lab.sides:
        ask_for_ecn(side, 1)
    sends_as(lab, upstreams={"ecn": True})
    text, wire, counted = run(lab, "mark=0.05", "delay_us=1000", "queue=60000")
    expect(wire["marked"] > 0, "nothing was marked")
    expect(counted["tcp_ecn_marked"] > 0, "the gateway has seen no mark")
    expect(counted["tcp_ecn_reduced"] > 0, "no window of the gateway has fallen")
    return text + (f"; {wire['marked']} marked, {counted['tcp_ecn_marked']} of them seen by the gateway, which reduced "
                   f"{counted['tcp_ecn_reduced']} windows")


@case
def machine_says_how_to_send(lab):
    """Machine.spec.tcp for connections from then on, as both ends see it."""
    lab.start_relays(["mark=0.2", "delay_us=1000"])
    ask_for_ecn("client", 1)
    sends_as(lab, listeners={"ecn": False, "congestionControl": "newreno", "pacing": False})
    theirs, ours = one_download(lab)
    expect(" ecn " not in theirs, f"the kernel speaks ECN: {theirs}")
    expect(any(not f["ecn"] and f["congestionControl"] == "newreno" and int(f["pacingRate"]) == 0 for f in ours),
           f"flows: {ours}")
    expect("newreno" in lab.ctl("get", "machine", "self", "-o", "yaml").stdout, "get machine does not show it")
    refused = lab.ctl("apply", "-f", "-", check=False, input=json.dumps({
        "apiVersion": "sluice.internal/v1alpha1", "kind": "Machine", "metadata": {"name": "self"},
        "spec": {"tcp": {"listeners": {"congestionControl": "vegas"}}}}))
    expect("spec.tcp.listeners.congestionControl" in refused.stdout + refused.stderr, f"not refused by name: {refused}")
    sends_as(lab)
    theirs, ours = one_download(lab)
    expect(" ecn " in theirs and "ecnseen" in theirs, f"the kernel does not speak ECN, or has seen no ECT: {theirs}")
    expect(any(f["ecn"] and f["congestionControl"] == "cubic" for f in ours), f"flows: {ours}")
    lab.stop_relays()


def of_ss(text):
    """What `ss -tinH` tells: the kernel's end ("198.18.0.2:4711") -> {"rtt": "20.1/0.5", "mss": "1448", ...}."""
    lines, told = iter(text.splitlines()), {}
    for line in lines:
        told[line.split()[2]] = dict(re.findall(r"(\w+):(\S+)", next(lines)))
    return told


def near(ours, theirs, factor):
    return theirs / factor <= ours <= theirs * factor


@case
def flows_say_what_ss_says(lab):
    """`sluicectl flows` beside `ss -ti` of the kernel at the other ends, 20 ms away."""
    lab.start_relays(["delay_us=10000"])
    curl = lab.spawn("sluice-client", "curl", "-s", "-o", "/dev/null", "--limit-rate", "500k",
                     f"http://{VIP4}/peer/2/3000000", stdout=subprocess.DEVNULL)

    def kernels(side, *which):
        return of_ss(subprocess.run(lab.in_ns(f"sluice-{side}", "ss", "-tinH", "state", "established", *which), check=True,
                                    stdout=subprocess.PIPE, text=True).stdout)

    def pairs(flows, theirs):
        return [(f, theirs[f["remote"]]) for f in flows if f["state"] == "ESTABLISHED" and f["remote"] in theirs]
    try:
        retry(10, lambda: any("bytes_received" in k for k in kernels("client", "dst", VIP4).values()), "a connection")
        time.sleep(1)
        flows = lab.items("flows")
        clients = pairs(flows, kernels("client", "dst", VIP4))
        upstreams = pairs(flows, kernels("backend", "sport", "=", ":9000"))
    finally:
        curl.terminate()
        curl.wait()
        lab.stop_relays()
    expect_equal(len(clients), 1, f"connections of clients that both ends tell of: {flows}")
    expect(len(upstreams) > 0, f"none of the upstream's connections is among the flows: {flows}")
    for ours, kernel in clients + upstreams:
        both = f"{ours}, the kernel says {kernel}"
        expect_equal((ours["mss"], ours["pmtu"]), (int(kernel["mss"]), int(kernel["pmtu"])), f"MSS and MTU of {both}")
        expect(ours["cwnd"] >= ours["mss"], f"window of {both}")
        expect(ours["ssthresh"] == 0 or ours["ssthresh"] >= 2 * ours["mss"], f"ssthresh of {both}")
        expect(ours["rtoMs"] >= ours["srttUs"] / 1000, f"timeout of {both}")
    ours, kernel = clients[0]
    rtt_ms, rttvar_ms = map(float, kernel["rtt"].split("/"))
    expect(near(ours["srttUs"] / 1000, rtt_ms, 4), f"round trip times: {ours}, {kernel}")
    expect(0 < ours["rttvarUs"] < 1000 * max(rtt_ms, 10 * rttvar_ms), f"their variance: {ours}, {kernel}")
    expect(ours["minRttUs"] >= 20000 and ours["deliveryRate"] > 0, f"what the path has shown: {ours}")
    # The flows were asked first, and what is acknowledged was received before.
    expect_equal(ours["bytesIn"], int(kernel["bytes_sent"]), "bytes of the request")
    expect(0 < ours["bytesOut"] <= int(kernel["bytes_received"]), f"bytes: {ours}, {kernel}")
    return (f"rtt {ours['srttUs'] / 1000} ms, the kernel's {rtt_ms}; rttvar {ours['rttvarUs'] / 1000}, {rttvar_ms}; "
            f"rto {ours['rtoMs']}, {kernel['rto']}; {ours['deliveryRate']} bytes/s; {len(upstreams)} connections of the upstream")


def samples_of_download(lab, *settings, kib=4096):
    """Flows of one download's connection, one after the other, over a client's wire with these settings; what both counted."""
    lab.start_relay(SEED * 10, "client-peer", "client-gw", settings)
    lab.start_relay(SEED * 10 + 1, "backend-peer", "backend-gw", [])
    before, seen = lab.stats(), []
    curl = lab.spawn("sluice-client", "curl", "-s", "-o", "/dev/null", "--max-time", "60", f"http://{VIP4}/peer/2/{kib * 1024}",
                     stdout=subprocess.DEVNULL)
    while curl.poll() is None:
        seen += [f for f in lab.items("flows") if f["side"] == "client" and f["state"] == "ESTABLISHED" and f["bytesOut"] > 200000]
        time.sleep(0.05)
    counted = difference(lab.stats(), before)
    wire = lab.stop_relays()
    expect_equal(curl.returncode, 0, "curl's exit code")
    expect(len(seen) >= 5, f"only {len(seen)} samples of the download")
    return seen, counted, wire


def median(values):
    return sorted(values)[len(values) // 2]


@case
def flows_say_what_the_path_does(lab):
    """What loss does to a window, and reordering, as `sluicectl flows` tells it: bounds that follow from the transfer."""
    seen, counted, wire = samples_of_download(lab, "loss=0.01", "delay_us=10000")
    last = seen[-1]
    # Every second segment is acknowledged, at least: of what the relay drops a half to all was ours.
    expect(0.4 * wire["lost"] <= counted["tcp_retransmits"] <= 1.5 * wire["lost"],
           f"{counted['tcp_retransmits']} sent again, {wire['lost']} lost")
    expect(last["retransmits"] <= counted["tcp_retransmits"] and
           last["retransmits"] >= 0.5 * counted["tcp_retransmits"] * last["bytesOut"] / (4096 * 1024),
           f"{last['retransmits']} by the flow, {counted['tcp_retransmits']} by the counter: {last}")
    # CUBIC where 1 % is lost, at 20 ms: 12 segments (RFC 9438, 5.1), Reno's 12 as well.
    window = median([f["cwnd"] / f["mss"] for f in seen])
    expect(4 <= window <= 36, f"the window's median is {window:.1f} segments")
    expect(last["ssthresh"] >= 2 * last["mss"], f"ssthresh: {last}")
    highest = max(f["cwnd"] for f in seen)
    expect(all(f["ssthresh"] <= highest for f in seen if f["ssthresh"]), f"ssthresh above all windows: {highest}")
    paced = median([int(f["pacingRate"]) * f["srttUs"] / 1e6 / f["cwnd"] for f in seen])
    expect(0.5 <= paced <= 3, f"paced at {paced:.2f} windows in a round trip")
    delivered = median([f["deliveryRate"] * f["srttUs"] / 1e6 / f["cwnd"] for f in seen])
    expect(0.2 <= delivered <= 2, f"{delivered:.2f} windows are delivered in a round trip")
    expect(not last["reordering"], f"reordering where there is none: {last}")
    disordered, _, others = samples_of_download(lab, "reorder=0.05", "delay_us=10000", "rate_mbit=80", "queue=2000", kib=24576)
    expect(others["reordered"] > 0 and disordered[-1]["reordering"], f"reordering is not seen: {disordered[-1]}")
    return (f"window {window:.1f} segments, paced at {paced:.2f}, {delivered:.2f} delivered; {wire['lost']} lost, "
            f"{counted['tcp_retransmits']} sent again; {len(seen)} and {len(disordered)} samples")


@case
def everything(lab):
    text, _, _ = run(lab, "loss=0.05", "reorder=0.05", "duplicate=0.01", "corrupt=0.01", "delay_us=1000",
                     "jitter_us=500", "rate_mbit=200", "queue=2000", requests=1)
    return f"{4 * FLOWS} flows, 0 mismatches; {text}"


@case
def nothing_is_left(lab):
    """After all that, what was opened is closed again (but for pooled and lingering connections)."""
    def settled():
        stats = lab.stats()
        return stats["exchanges_opened"] == stats["exchanges_closed"] and \
            stats["http_server_conns_opened"] == stats["http_server_conns_closed"]
    lab.start_relays(["delay_us=500"])
    retry(90, settled, "the end of all exchanges and client connections")


main(lambda: PeerLab(workers=int(os.environ.get("WORKERS", "2")), flavour=os.environ.get("FLAVOUR", "release")))
