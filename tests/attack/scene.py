"""Where attacks take place: the lab, an attacker on the client's wire, a canary, and the books of memory.

    sluice-client 198.18.0.2 ----+---- gateway
    sluice-attacker 198.18.0.3 --+     (its default route: what goes to forged sources goes to the attacker)
"""
import functools
import json
import os
import re
import subprocess
import sys
import time

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))
# pylint: disable=wrong-import-position
import harness
from harness import LAB, VIP4, Lab, expect, expect_equal, retry, rss_kib  # noqa: F401
from wire import INTERFACE, NAMESPACE, Connection, Wire

WORKERS = 2
LONG = os.environ.get("ATTACK", "short") == "long"
VERBOSE = os.environ.get("VERBOSE")
FLAVOUR = os.environ.get("FLAVOUR", "release")
ROUTES = """  routes:
    - to: 0.0.0.0/0
      via: 198.18.0.3
    - to: "::/0"
      via: 2001:2::3
"""
SHORT_S = 5                         # how long the short form waits for memory to come back
SPARE = 24                          # objects or mbufs that the canary itself may leave, on top of 1 %


def limit(name):
    """Of limits.def, per worker."""
    with open(os.path.join(ROOT, "dataplane/base/limits.def"), encoding="utf-8") as f:
        return int(re.search(rf"^LIMIT\({name}, (\d+)", f.read(), re.M).group(1))


def config():
    with open(os.path.join(ROOT, "configs/lab.yaml"), encoding="utf-8") as f:
        text = f.read()
    os.makedirs(LAB, exist_ok=True)
    path = os.path.join(os.path.dirname(LAB), "attack.yaml")
    with open(path, "w", encoding="utf-8") as f:
        f.write(text.replace("  vipPool:\n", ROUTES + "  vipPool:\n", 1))
    return path


def host(*command):
    subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=20)


class Scene(Lab):
    """The lab and the attacker's place on the wire."""

    def __init__(self):
        super().__init__(workers=WORKERS, flavour=FLAVOUR, config=config())
        self.wire = None

    def __enter__(self):
        super().__enter__()
        path = os.path.join("/run/netns", NAMESPACE)
        with open(path, "w", encoding="ascii"):
            pass
        host("unshare", f"--net={path}", "true")
        host("ip", "-n", "sluice-client", "link", "add", "link", "data0", "name", "attack0", "type", "macvlan", "mode", "bridge")
        host("ip", "-n", "sluice-client", "link", "set", "attack0", "netns", NAMESPACE, "name", INTERFACE)
        host(*self.in_ns(NAMESPACE, "sysctl", "-qw", f"net.ipv6.conf.{INTERFACE}.disable_ipv6=1"))
        host("ip", "-n", NAMESPACE, "link", "set", INTERFACE, "up", "allmulticast", "on")
        os.makedirs(os.path.join(LAB, "www", "files"), exist_ok=True)
        self.wire = Wire()
        self.warm_up()
        return self

    def __exit__(self, *what):
        if self.wire:
            self.wire.close()
        super().__exit__(*what)
        subprocess.run(["umount", "-l", os.path.join("/run/netns", NAMESPACE)], check=False)

    def warm_up(self):
        """Connections to all upstreams by both workers, and the attacker as a known neighbour."""
        for _ in range(40):
            c = self.connection()
            c.open()
            c.request()
            c.response()
            c.reset()

    def connection(self, *where, **more):
        return Connection(self.wire, *where, **more)

    def file(self, name, size):
        """A file that both backends serve; returns its bytes."""
        body = os.urandom(size)
        with open(os.path.join(LAB, "www", "files", name), "wb") as f:
            f.write(body)
        return body

    def flood(self, count, rate, templates, seed=1):
        """Returns (sent, per second)."""
        ran = subprocess.run(self.in_ns(NAMESPACE, os.path.join(ROOT, "build", FLAVOUR, "attack", "flood"), INTERFACE, str(count),
                                        str(rate), str(seed)), input="\n".join(templates) + "\n", text=True, check=True,
                             stdout=subprocess.PIPE, timeout=600)
        return tuple(int(word) for word in ran.stdout.split())

    def flooding(self, count, rate, templates, seed=1):
        """The same beside what else is done; wait() for it."""
        child = self.spawn(NAMESPACE, os.path.join(ROOT, "build", FLAVOUR, "attack", "flood"), INTERFACE, str(count), str(rate),
                           str(seed), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        child.stdin.write("\n".join(templates) + "\n")
        child.stdin.close()
        child.stdin = None
        return child

    def pools(self):
        """Name -> objects in use, over all workers; pools of packets are "mbufs rx", "mbufs hdr", ..."""
        used = {}
        for item in self.items("pools"):
            name = re.sub(r"^w\d+\.", "mbufs ", item["pool"])
            used[name] = used.get(name, 0) + int(item["used"])
        return used

    def mbufs(self):
        return Books(self).mbufs()

    def moved(self, before, *names):
        """Expects that these counters moved since; returns by how much the first did."""
        after = self.stats()
        for name in names:
            expect(after[name] > before[name], f"{name} did not move ({after[name]})")
        return after[names[0]] - before[names[0]] if names else 0


class Clients:
    """A program of ordinary clients on kernel TCP. Has had its first answer when this returns."""

    def __init__(self, scene, program):
        self.child = scene.spawn("sluice-client", "python3", os.path.join(ROOT, "tests/attack", program), VIP4,
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        expect_equal(self.child.stdout.readline(), "begun\n", f"the first word of {program}")

    def seen(self):
        out, _ = self.child.communicate("\n", timeout=60)
        return json.loads(out)


class Books:
    """What the gateway holds: mbufs and objects of its pools, over all workers, and resident memory."""

    def __init__(self, scene):
        self.pools = scene.pools()
        self.kib = rss_kib(scene.pid("dataplane"))

    def mbufs(self):
        return sum(used for name, used in self.pools.items() if name.startswith("mbufs "))

    def objects(self):
        return sum(used for name, used in self.pools.items() if not name.startswith("mbufs "))

    def over(self, before, spare):
        """Pools of which more is in use than 1 % above before: (before, now)."""
        return {name: (before.pools.get(name, 0), used) for name, used in self.pools.items()
                if used > before.pools.get(name, 0) * 1.01 + spare}


def settle(scene, before, spare, seconds):
    deadline = time.monotonic() + seconds
    while True:
        after = Books(scene)
        over = after.over(before, spare)
        if not over or time.monotonic() > deadline:
            expect(not over, f"held {seconds} s after the attack (before, now): {over}")
            return after
        time.sleep(0.1)


def tell(scene, before):
    """What has been counted since, or the last that the data plane said if it says no more."""
    try:
        print({name: value - before[name] for name, value in scene.stats().items() if value != before[name]})
    except AssertionError:
        with open(os.path.join(LAB, "dataplane.log"), encoding="utf-8") as f:
            print("".join(f.readlines()[-20:]))


def attack(scene, function, spare, after_s):
    """Once: what the function says, what the canary saw, the books before and after."""
    before, canary, counters = Books(scene), Clients(scene, "canary.py"), scene.stats()
    try:
        note = function(scene)
    except AssertionError:
        tell(scene, counters)
        raise
    finally:
        scene.wire.on_tcp = None
    seen = canary.seen()
    if VERBOSE:
        tell(scene, counters)
        print(seen)
    expect(seen["asked"] > 0 and seen["lost"] == 0, f"the canary lost {seen['lost']} of {seen['asked']}: {seen['first']}")
    after = settle(scene, before, SPARE if LONG else spare, after_s if LONG else SHORT_S)
    scene.alive()
    return note, seen, before, after


def line(number, name, spare=SPARE, after_s=30):
    """
    Makes a function of the scene the case for one line of the checklist. `spare`: how much more than 1 % the short form
    may still hold in a pool; `after_s`: how long the full form waits for the rest.

    Pools are touched lazily, so that resident memory may grow to what a pool's high water takes, and stays there. If it
    has, the same attack is made again, and at the third time at the latest must not make it grow any more.
    """
    def decorate(function):
        @functools.wraps(function)
        def run(scene):
            grew = ""
            for _ in range(3):
                note, seen, before, after = attack(scene, function, spare, after_s)
                if after.kib <= before.kib * 1.01:
                    break
                grew += f" (first {before.kib} > {after.kib})"
            expect(after.kib <= before.kib * 1.01, f"resident: {before.kib} KiB before, {after.kib} KiB after, once more{grew}")
            return (f"canary {seen['lost']}/{seen['asked']} lost, p99 {seen['p99']} ms; mbufs {before.mbufs()} > {after.mbufs()}, "
                    f"objects {before.objects()} > {after.objects()}, resident {before.kib} > {after.kib} KiB{grew}; {note}")
        run.__name__ = f"line_{number:02}_{name}"
        run.number = number
        harness.case(run)
        return run
    return decorate
