#!/usr/bin/env python3
"""VLANs: HTTP over one tag and over two, to a kernel whose tags another program puts on and takes off (tagger.py: not every
kernel has VLAN interfaces), beside what the port carries without a tag. FLAVOUR, WORKERS (default 2)."""
import hashlib
import json
import os
import subprocess

from harness import LAB, VIP4, VIP6, Lab, case, expect, expect_equal, main, retry

HERE = os.path.dirname(os.path.realpath(__file__))
BULK_KIB = 4096
GATEWAY = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: %s, namespace: default}
spec:
  gatewayClassName: sluice
  addresses: [%s]
  listeners: [{name: http, protocol: HTTP, port: 80}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: %s, namespace: default}
spec:
  parentRefs: [{name: %s}]
  rules: [{backendRefs: [{name: web-1, port: 80}]}]
"""
VLANS = {"shop": ("5", "198.18.5", "2001:2:5"), "guests": ("100.5", "198.18.6", "2001:2:6")}


def machine(lab):
    answer = json.loads(lab.ctl("get", "machine", "self", "-o", "json").stdout)
    return {"apiVersion": answer["apiVersion"], "kind": "Machine", "metadata": {"name": "self"}, "spec": answer["spec"]}


def with_vlans(lab, vlans):
    """The lab's Machine with these VLANs: name, id, service."""
    m = machine(lab)
    names = {name for name, _, _ in vlans}
    m["spec"]["vlans"] = [{"name": name, "port": "client", "id": vid, **({"service": service} if service else {})}
                          for name, vid, service in vlans]
    m["spec"]["addresses"] = [a for a in m["spec"]["addresses"] if a["port"] in ("client", "backend")]
    m["spec"]["vipPool"] = [r for r in m["spec"]["vipPool"] if "first" in r]
    for name, (_, v4, v6) in VLANS.items():
        if name in names:
            m["spec"]["addresses"] += [{"address": f"{v4}.1/24", "port": name}, {"address": f"{v6}::1/64", "port": name}]
            m["spec"]["vipPool"] += [{"cidr": f"{v4}.0/24"}, {"cidr": f"{v6}::/64"}]
    lab.apply(json.dumps(m))


def tagger(lab, *names):
    child = lab.spawn("sluice-client", "python3", os.path.join(HERE, "tagger.py"), "data0",
                      *(f"{n}:{VLANS[n][0]}" for n in names), "1496", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    expect_equal(child.stdout.readline(), "ready\n", "tagger.py")
    for name in names:
        _, v4, v6 = VLANS[name]
        lab.client("ip", "addr", "add", f"{v4}.2/24", "dev", name)
        lab.client("ip", "addr", "add", f"{v6}::2/64", "dev", name, "nodad")
    return child


def digest(lab, url, *arguments):
    return hashlib.sha256(lab.curl(*arguments, url, text=False)).hexdigest()


def bulk():
    """A body of which no two places are the same; its digest."""
    text = b"".join(hashlib.sha512(str(i).encode()).digest() for i in range(BULK_KIB * 16))
    with open(os.path.join(LAB, "www", "files", "bulk"), "wb") as f:
        f.write(text)
    return hashlib.sha256(text).hexdigest()


@case
def http_over_one_tag_and_over_two(lab):
    """Both families, VIPs on each VLAN; added and taken away while the data plane runs."""
    before = lab.pid("dataplane")
    with_vlans(lab, [("shop", 5, 0), ("guests", 5, 100)])
    for name, (_, v4, v6) in VLANS.items():
        lab.apply(GATEWAY % (name, f'{{type: IPAddress, value: "{v4}.10"}}, {{type: IPAddress, value: "{v6}::10"}}', name, name))
    child = tagger(lab, *VLANS)
    for name, (_, v4, v6) in VLANS.items():
        retry(10, lambda a=v4: lab.client("curl", "-s", "--max-time", "2", f"http://{a}.10/", check=False), f"service on {name}")
        for url in (f"http://{v4}.10/", f"http://[{v6}::10]/"):
            for _ in range(10):
                expect_equal(lab.status(url), 200, url)
        shown = {a["address"]: a["port"] for a in lab.items("addresses")}
        expect_equal((shown[f"{v4}.1"], shown[f"{v4}.10"]), (name, name), "addresses")
        expect(any(n["port"] == name and n["address"] == f"{v4}.2" for n in lab.items("neigh")), "neigh")
    expect_equal(lab.status(f"http://{VIP4}/"), 200, "without a tag")
    expect_equal(lab.status(f"http://[{VIP6}]/"), 200, "without a tag, IPv6")
    drops = lab.stats()["drop_eth_vlan"]
    expect_equal(drops, 0, "drops of tags")
    expect_equal(lab.pid("dataplane"), before, "the process")
    child.communicate("", timeout=20)


@case
def bodies_byte_for_byte(lab):
    """4 MiB down each way, in frames of full size."""
    child = tagger(lab, *VLANS)
    want = bulk()
    for _, (_, v4, v6) in VLANS.items():
        expect_equal(digest(lab, f"http://{v4}.10/files/bulk"), want, v4)
        expect_equal(digest(lab, f"http://[{v6}::10]/files/bulk"), want, v6)
    child.communicate("", timeout=20)


@case
def a_tag_that_is_not_ours_is_dropped(lab):
    """And a VLAN that changes its id is another network at once."""
    before = lab.stats()["drop_eth_vlan"]
    with_vlans(lab, [("shop", 6, 0)])
    child = tagger(lab, "shop")
    retry(5, lambda: lab.client("ping", "-c1", "-W1", "198.18.5.1", check=False) and
          lab.stats()["drop_eth_vlan"] > before, "drops of tags")
    expect_equal(lab.client("curl", "-s", "--max-time", "2", "http://198.18.5.10/", check=False), "", "an answer on VLAN 5")
    with_vlans(lab, [("shop", 5, 0)])
    retry(10, lambda: lab.client("curl", "-s", "--max-time", "2", "http://198.18.5.10/", check=False), "service again")
    expect_equal(lab.status(f"http://{VIP4}/"), 200, "without a tag")
    child.communicate("", timeout=20)
    lab.alive()


main(lambda: Lab(workers=int(os.environ.get("WORKERS", "2")), flavour=os.environ.get("FLAVOUR", "release")))
