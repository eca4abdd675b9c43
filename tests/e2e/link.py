#!/usr/bin/env python3
"""The link that the gateway lives on: fragments from a kernel and by hand, hosts that claim its addresses, and kernels
whose own duplicate address detection meets them. FLAVOUR, WORKERS (default 2).

The lab's ports are AF_PACKET sockets, and DPDK asks the kernel to put IPv4 fragments together for these (PACKET_FANOUT),
which cuts what is then larger than their slots of 2 KiB. So what the stack itself does with fragments is seen over IPv6
here, and over IPv4 in unit/ip/test_fragments.c and the simulator; answers in fragments are seen over both."""
import json
import os
import re
import signal
import socket
import subprocess

from harness import VIP4, VIP6, Lab, case, expect, expect_equal, main, retry

HERE = os.path.dirname(os.path.realpath(__file__))
GATEWAY = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: %s, namespace: default}
spec:
  gatewayClassName: sluice
  addresses: [{type: IPAddress, value: "%s"}]
  listeners: [{name: http, protocol: HTTP, port: 80}]
"""


def gateway_mac(lab):
    lab.status(f"http://{VIP4}/")
    return re.search(r"lladdr (\S+)", lab.client("ip", "neigh", "show", VIP4)).group(1)


def link_client(lab, *arguments):
    return lab.client("python3", os.path.join(HERE, "link_client.py"), *map(str, arguments)).strip()


def address(lab, text):
    return next((a for a in lab.items("addresses") if a["address"] == text), None)


def condition(lab, kind, name, wanted):
    """status/reason of a condition; "none" without it."""
    answer = json.loads(lab.ctl("get", kind, name, "-o", "json").stdout)
    for each in answer["status"]["conditions"]:
        if each["type"] == wanted:
            return each["status"] + "/" + each["reason"]
    return "none"


# ---- fragments ----

@case
def large_echoes_go_back_byte_for_byte(lab):
    for family, size in ((4, 1473), (4, 1900), (6, 1453), (6, 4000), (6, 20000), (6, 65000)):
        expect_equal(link_client(lab, "echo", family, size), "the same", f"{size} bytes, IPv{family}")
    stats = lab.stats()
    expect(stats["ip_reassembled"] >= 4 and stats["ip_fragments_sent"] >= 2 + 2 + 2 + 3 + 14 + 45, f"not in fragments: {stats}")


@case
def a_request_in_fragments_is_answered(lab):
    mac = gateway_mac(lab)
    before = lab.stats()["ip_reassembled"]
    for _ in range(5):
        expect_equal(link_client(lab, "get", 6, mac), "HTTP/1.1 200 OK", "status")
    expect(lab.stats()["ip_reassembled"] >= before + 5, "they did not come in fragments")


@case
def overlaps_are_dropped_and_counted(lab):
    mac = gateway_mac(lab)
    before = lab.stats()
    expect_equal(link_client(lab, "overlap", 6, mac, 50), "0", "answers")
    after = lab.stats()
    expect_equal(after["drop_ip_fragment_overlap"] - before["drop_ip_fragment_overlap"], 100, "dropped")
    expect("ip_fragment_overlap" in lab.ctl("drops").stdout, "sluicectl drops does not show it")


# ---- addresses ----

def kept_addresses():
    with open("/run/sluice/addresses", "rb") as file:
        return file.read()


def probes_around_the_first_answer(lab, family, mac, forget):
    """Of the data plane, which is killed and started anew."""
    watch = lab.spawn("sluice-client", "python3", os.path.join(HERE, "link_client.py"), "start", str(family), mac,
                      stdout=subprocess.PIPE, text=True)
    pid = lab.pid("dataplane")
    os.kill(pid, signal.SIGKILL)
    retry(5, lambda: not os.path.exists(f"/proc/{pid}/exe"), "its end")
    if forget:
        os.unlink("/run/sluice/addresses")
    expect_equal(watch.stdout.readline(), "ready\n", "the client")
    lab.lab("start-dataplane")
    counts = [int(n) for n in watch.communicate(timeout=60)[0].split()]
    retry(10, lambda: lab.status(f"http://{VIP4}/") == 200, "service")
    return counts


@case
def a_new_process_goes_on_with_the_addresses(lab):
    """After kill -9 the next one answers while it probes; without a trace of the last one it probes first (RFC 5227, 2.1.1)."""
    mac = gateway_mac(lab)
    for family in (4, 6):
        retry(5, lambda: b"\xff\xff" + socket.inet_aton(VIP4) in kept_addresses(), "the file of addresses")
        before, after = probes_around_the_first_answer(lab, family, mac, False)
        expect(after >= 1 and before + after == 3, f"IPv{family}: {before} probes before the first answer, {after} behind it")
        expect_equal(probes_around_the_first_answer(lab, family, mac, True), [3, 0], f"IPv{family}, probes of a first start")


@case
def addresses_are_probed_again_when_the_link_was_down(lab):
    """RFC 5227, 2.1. The client's end goes down and comes back, which the gateway sees as a cable that does."""
    mac = gateway_mac(lab)
    lab.client("sysctl", "-qw", "net.ipv6.conf.data0.keep_addr_on_down=1")
    before = lab.stats()["address_probes_sent"]
    lab.client("ip", "link", "set", "data0", "down")
    retry(5, lambda: "port client: its link is down" in lab.log("dataplane"), "a line about the link that is down")
    watch = lab.spawn("sluice-client", "sh", "-c", "sleep 0.2; ip link set data0 up; sleep 0.1; exec python3 "
                      f"{os.path.join(HERE, 'link_client.py')} start 4 {mac}", stdout=subprocess.PIPE, text=True)
    answer = watch.communicate(timeout=60)[0].split()
    expect_equal(answer[0], "ready", "the client")
    expect(int(answer[1]) + int(answer[2]) >= 2 and int(answer[2]) >= 1, f"probes before and after the first answer: {answer[1:]}")
    expect("port client: its link is up" in lab.log("dataplane"), "no line about the link that is up")
    # Four addresses of that side, three times each, and the link-local one.
    retry(5, lambda: lab.stats()["address_probes_sent"] == before + 15, "probes")
    retry(10, lambda: lab.status(f"http://{VIP4}/") == 200, "service")
    retry(10, lambda: lab.status(f"http://[{VIP6}]/") == 200, "service over IPv6")


def claim(lab, add, text):
    """A kernel of the same link has the address too, and does not ask before."""
    length = "64" if ":" in text else "24"
    lab.client("ip", "addr", "add" if add else "del", f"{text}/{length}", "dev", "data0", *(["nodad"] if add and ":" in text else []))


@case
def an_address_that_a_host_has_is_not_used(lab):
    """RFC 5227, 2.1.1; RFC 4862, 5.4: probed, found taken, told, and used when it is free."""
    for name, text in (("taken4", "198.18.0.40"), ("taken6", "2001:2::40")):
        claim(lab, True, text)
        lab.apply(GATEWAY % (name, text))
        retry(10, lambda t=text: (address(lab, t) or {}).get("contested"), f"a conflict about {text}")
        shown = address(lab, text)
        expect_equal((shown["state"], shown["usable"]), ("tentative", False), text)
        mac = lab.client("cat", "/sys/class/net/data0/address").strip()
        expect_equal(shown["claimant"], mac, "who claims it")
        retry(5, lambda n=name: condition(lab, "gateway", n, "AddressConflict") == "True/ClaimedByAnotherHost", "Gateway's status")
        expect_equal(condition(lab, "gateway", name, "Programmed"), "False/AddressNotUsable", "Programmed")
        expect_equal(condition(lab, "machine", "self", "AddressConflict"), "True/ClaimedByAnotherHost", "Machine's status")
        retry(12, lambda t=text: f"address {t}" in lab.log("dataplane"), "a line in the log")
        expect("not used" in lab.ctl("get", "gateway", name, "-o", "yaml").stdout, "the message does not say it")
        claim(lab, False, text)
        retry(20, lambda t=text: address(lab, t)["state"] == "active", f"{text} in use when it is free")
        retry(5, lambda n=name: condition(lab, "gateway", n, "Programmed") == "True/Programmed", "Programmed")
        expect_equal(condition(lab, "gateway", name, "AddressConflict"), "False/NoConflict", "when it is over")


@case
def an_address_in_use_is_defended(lab):
    """RFC 5227, 2.4 (c): once in ten seconds, never given up, and told."""
    mac = gateway_mac(lab)
    before = lab.stats()
    # A gratuitous announcement of our VIP by another host, from the backend's side of nothing: raw, so that the client's
    # own kernel does not take the address for its own.
    frame = "ff" * 6 + "020000006666" + "0806" + "0001080006040001" + "020000006666" + "c612000a" + "00" * 6 + "c612000a"
    shout = ("import socket; s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(('data0', 0)); "
             f"s.send(bytes.fromhex('{frame}'))")
    for _ in range(5):
        lab.client("python3", "-c", shout)
    shown = retry(5, lambda: (lambda a: a["contested"] and a)(address(lab, VIP4)), "a conflict about the VIP")
    expect_equal((shown["state"], shown["usable"], shown["claimant"]), ("active", True, "02:00:00:00:66:66"), VIP4)
    after = lab.stats()
    expect_equal(after["neigh_conflicts"] - before["neigh_conflicts"], 5, "conflicts")
    expect_equal(after["address_announcements_sent"] - before["address_announcements_sent"], 1, "defences")
    retry(5, lambda: condition(lab, "gateway", "lab", "AddressConflict") == "True/ClaimedByAnotherHost", "Gateway's status")
    expect_equal(condition(lab, "gateway", "lab", "Programmed"), "True/Programmed", "Programmed")
    retry(12, lambda: "it is defended" in lab.log("dataplane"), "a line in the log")
    # The client's kernel has heard both, and ours last.
    expect_equal(gateway_mac(lab), mac, "whom the client believes")
    expect_equal(lab.status(f"http://{VIP4}/"), 200, "status")


@case
def a_kernel_finds_our_addresses_taken(lab):
    """Its duplicate address detection (RFC 4862, 5.4) meets our defence."""
    lab.client("sysctl", "-qw", "net.ipv6.conf.data0.accept_dad=1")
    lab.client("ip", "addr", "add", f"{VIP6}/128", "dev", "data0")
    try:
        retry(5, lambda: "dadfailed" in lab.client("ip", "-6", "addr", "show", "dev", "data0"), "the kernel's detection")
    finally:
        lab.client("ip", "addr", "del", f"{VIP6}/128", "dev", "data0")
        lab.client("sysctl", "-qw", "net.ipv6.conf.data0.accept_dad=0")
    expect_equal(lab.status(f"http://[{VIP6}]/"), 200, "status")
    lab.alive()


main(lambda: Lab(workers=int(os.environ.get("WORKERS", "2")), flavour=os.environ.get("FLAVOUR", "release")))
