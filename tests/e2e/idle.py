#!/usr/bin/env python3
"""Sleeping workers wake in time: 10 requests/s, 4 workers on 2 CPUs; no request is slower than 5 ms above the median.
The second case does the same while neighbour entries expire and ICMP errors arrive at workers that do not own the
flow. The others prove that it can see. IDLE_SECONDS (default 10), IDLE_SLACK_MS (default 5).

This machine does other things at the same time, so what is late has to be told from what had to wait for a CPU. Both
are counted: the kernel says how long each thread was runnable without running (/proc/PID/task/TID/schedstat) and how long
the machine itself was not running (steal); a worker says by how much its rounds began late. Not every host reports
what it steals; so there is a witness on each CPU, which sleeps for 4 ms at a time and says by how much it woke late
without having waited for the CPU: then the CPU itself stood still. Two things are expected:

- a worker: between two requests, what it was late is what it waited for a CPU, but for the slack;
- a request: what it took above the median is what those on its way (client, workers, nginx, softirqs) waited for a CPU
  and what CPUs stood still, but for the slack. As they may have waited at the same time this allows more than happened,
  but it does not allow much: a lost wake-up lasts until the end of a sleep of half a second (a nap of 1 ms where frames
  wake nobody).
"""
import json
import os
import signal
import subprocess
import threading
import time

from harness import VIP4, Lab, case, expect, main

SECONDS = int(os.environ.get("IDLE_SECONDS", "10"))
SLACK_MS = float(os.environ.get("IDLE_SLACK_MS", "5"))
FLAVOUR = os.environ.get("FLAVOUR", "release")

# Runs in sluice-client: one keep-alive connection per request in turn over ten of them, 10 requests/s. Prints for each
# request how long it took and how long those on its way waited for a CPU; and for each worker the same per request.
PROBE = r"""
import glob, http.client, json, mmap, os, struct, sys, time
vip, requests, dataplane, counters = sys.argv[1], int(sys.argv[2]) * 10, int(sys.argv[3]), sys.argv[4]
late_cell, cells = int(sys.argv[5]), int(sys.argv[6])
others = [int(pid) for pid in sys.argv[7:]]

def comm(path):
    with open(path + "/comm") as f:
        return f.read().strip()

def waits_of(path):
    return open(path + "/schedstat", "rb", buffering=0)

def read(files):
    return [int(f.seek(0) or f.read().split()[1]) / 1e6 for f in files]

def stolen_ms():
    with open("/proc/stat") as f:
        return int(f.readline().split()[8]) * 1000 / os.sysconf("SC_CLK_TCK")

threads = {comm(t): t for t in glob.glob(f"/proc/{dataplane}/task/*")}
workers = [waits_of(threads[name]) for name in sorted(threads) if name.startswith("dpdk-worker")]
softirqs = [p for p in glob.glob("/proc/[0-9]*") if os.path.exists(p + "/comm") and comm(p).startswith("ksoftirqd/")]
parties = [waits_of(f"/proc/{pid}") for pid in others] + [waits_of(p) for p in softirqs] + [waits_of("/proc/self")]
with open(counters, "rb") as f:
    books = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)
stride = (cells * 8 + 63) // 64 * 64

def late_ms():
    return [struct.unpack_from("<Q", books, 64 + w * stride + late_cell * 8)[0] / 1e6 for w in range(len(workers))]

def witness(cpu, cell):
    os.sched_setaffinity(0, {cpu})
    waits, late = waits_of("/proc/self"), 0.0
    while os.getppid() == probe:
        before, begin = read([waits])[0], time.monotonic()
        time.sleep(0.004)
        over = (time.monotonic() - begin) * 1000 - 4 - (read([waits])[0] - before)
        if over > 1:
            late += over
            struct.pack_into("<d", stood, cell * 8, late)

cpus = sorted(os.sched_getaffinity(0))
stood = mmap.mmap(-1, 8 * len(cpus))
probe = os.getpid()
for cell, cpu in enumerate(cpus):
    if os.fork() == 0:
        witness(cpu, cell)
        os._exit(0)

def stood_ms():
    return sum(struct.unpack_from(f"<{len(cpus)}d", stood))

def look():
    before, late, after, stolen = read(workers), late_ms(), read(workers), stolen_ms()
    return before, late, after, stolen, sum(after) + sum(read(parties)), stood_ms()

connections = [http.client.HTTPConnection(vip, 80, timeout=10) for _ in range(10)]
rows = []
start, last = time.monotonic(), look()
for n in range(requests):
    time.sleep(max(0, start + n / 10 - time.monotonic()))
    c = connections[n % 10]
    begin = look()
    if rows:
        rows[-1][1] += begin[5] - witnessed
    witnessed = begin[5]
    t = time.monotonic()
    c.request("GET", "/")
    r = c.getresponse()
    body = r.read()
    took = (time.monotonic() - t) * 1000
    assert r.status == 200 and body.startswith(b"hello"), (r.status, body)
    now = look()
    late = [(b - a, max(0, b - a - (y - x) - (now[3] - last[3])))
            for a, b, x, y in zip(last[1], now[1], last[0], now[2])]
    rows.append([took, now[4] - begin[4] + now[3] - begin[3], late])
    last = now
print(json.dumps({"workers": len(workers), "rows": rows[10:]}))
"""

# ICMP "host unreachable" and "time exceeded" about the gateway's own segments, from the client's address, to the VIP.
NOISE = r"""
import random, socket, struct, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
def checksum(b):
    t = sum(struct.unpack("!%%dH" %% (len(b) // 2), b))
    t = (t >> 16) + (t & 0xffff)
    return ~(t + (t >> 16)) & 0xffff
end = time.monotonic() + %d
while time.monotonic() < end:
    port = random.randrange(32768, 61000)
    inner = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40, 1, 0x4000, 64, 6, 0, socket.inet_aton("%s"),
                        socket.inet_aton("198.18.0.2")) + struct.pack("!HHI", 80, port, random.getrandbits(32))
    body = struct.pack("!BBHI", random.choice((3, 11)), random.choice((0, 1)), 0, 0) + inner
    body = body[:2] + struct.pack("!H", checksum(body)) + body[4:]
    s.sendto(body, ("%s", 0))
    time.sleep(0.005)
"""


def make_noise(lab):
    children = [lab.spawn("sluice-client", "python3", "-c", NOISE % (SECONDS, VIP4, VIP4))]
    for netns in ("sluice-client", "sluice-backend"):
        children.append(lab.spawn(netns, "sh", "-c", f"for i in $(seq {SECONDS}); do ip neigh flush dev data0; sleep 1; "
                                  "done", stderr=subprocess.DEVNULL))
    return children


def nginx_pids(lab):
    """Masters and their workers."""
    masters = [lab.pid("nginx1"), lab.pid("nginx2")]
    children = []
    for pid in masters:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
            children += [int(child) for child in f.read().split()]
    return children


def measure(lab, noise, seconds=SECONDS):
    children = make_noise(lab) if noise else []
    cells = [item["name"] for item in lab.items("stats") if "workers" in item]
    seen = json.loads(lab.client("python3", "-c", PROBE, VIP4, str(seconds), str(lab.pid("dataplane")),
                                 "/run/sluice/counters", str(cells.index("worker_late_ns")), str(len(cells)),
                                 *(str(pid) for pid in nginx_pids(lab)), timeout=seconds + 60))
    for child in children:
        child.wait(timeout=30)
    expect(seen["workers"] == lab.workers, f"threads of workers: {seen['workers']}")
    rows = seen["rows"]
    took = sorted(row[0] for row in rows)
    median, slowest = took[len(took) // 2], took[-1]
    rest = sorted((max(0.0, row[0] - median - row[1]), row[0], row[1], n) for n, row in enumerate(rows))
    late = sorted((left, all_of_it, worker) for row in rows for worker, (all_of_it, left) in enumerate(row[2]))
    most = max(all_of_it for _, all_of_it, _ in late)
    expect(late[-1][0] <= SLACK_MS, f"worker {late[-1][2]} was {late[-1][1]:.2f} ms late between two requests and waited for a "
           f"CPU in all but {late[-1][0]:.2f} of them")
    slow = [f"{t:.1f} (waited for CPUs: {w:.1f}, second {n // 10})" for left, t, w, n in rest if left > SLACK_MS]
    expect(not slow, f"{len(slow)} of {len(took)} requests slower than median {median:.2f} + {SLACK_MS} ms: {slow[-5:]}")
    lab.alive()
    return (f"{len(took)} requests, median {median:.2f} ms, slowest {slowest:.2f} ms, of which unexplained {rest[-1][0]:.2f}; "
            f"workers late at most {most:.2f} ms between two requests, of which unexplained {late[-1][0]:.2f}")


@case
def ten_requests_a_second(lab):
    return measure(lab, False)


@case
def with_neighbours_expiring_and_icmp_errors(lab):
    return measure(lab, True)


def expect_seen(lab, what):
    try:
        measure(lab, False, 3)
    except AssertionError as why:
        return str(why)
    raise AssertionError(f"{what} was not seen")


@case
def a_stop_is_seen(lab):
    """Threads that are stopped do not wait for a CPU; 150 ms of it are sure to hit a request."""
    def stop():
        os.kill(lab.pid("dataplane"), signal.SIGSTOP)
        time.sleep(0.15)
        os.kill(lab.pid("dataplane"), signal.SIGCONT)
    timer = threading.Timer(2.5, stop)
    timer.start()
    try:
        return expect_seen(lab, "the stop")
    finally:
        timer.join()


def a_lost_wake_up_is_seen(lab):
    os.kill(lab.pid("dataplane"), signal.SIGUSR1)
    try:
        return expect_seen(lab, "the lost wake-up")
    finally:
        os.kill(lab.pid("dataplane"), signal.SIGUSR1)


if FLAVOUR == "faults":
    case(a_lost_wake_up_is_seen)
main(lambda: Lab(workers=4, flavour=FLAVOUR, options="--fault wake_lost" if FLAVOUR == "faults" else ""))
