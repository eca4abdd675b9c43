#!/usr/bin/env python3
"""The access log under load: rotated with SIGHUP no line is lost; on a disk that is full (a small tmpfs) lines are lost and
counted, nothing else suffers, and when there is room again it goes on with whole lines. LOGS_SECONDS (default 4)."""
import contextlib
import glob
import os
import re
import signal
import subprocess
import time

from harness import LAB, VIP4, Lab, case, expect, expect_equal, main, retry

SECONDS = int(os.environ.get("LOGS_SECONDS", "4"))
FLAVOUR = os.environ.get("FLAVOUR", "release")
SMALL = os.path.join(LAB, "small")
LINE = re.compile(r'\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\] "GET /\S* HTTP/1\.1" \d{3} \S+ \d+ \d+ \d+ \S+ '
                  r'"[^"]*" "[^"]*" "[^"]*" "[^"]*" "[^"]*"')


def reopen(lab):
    os.kill(lab.pid("dataplane"), signal.SIGHUP)


def wrk(lab, connections=32):
    return lab.spawn("sluice-client", "wrk", "-t1", f"-c{connections}", f"-d{SECONDS}s", f"http://{VIP4}/", stdout=subprocess.PIPE,
                     text=True)


def served(text):
    expect("Non-2xx" not in text and "Socket errors" not in text, text)
    return int(re.search(r"(\d+) requests in", text).group(1))


def whole_lines(path):
    with open(path, encoding="utf-8") as f:
        text = f.read()
    expect(text == "" or text.endswith("\n"), f"{path}: the last line is torn: {text[-200:]!r}")
    lines = text.split("\n")[:-1]
    bad = [line for line in lines if not LINE.fullmatch(line)]
    expect(not bad, f"{path}: {bad[:2]}")
    return len(lines)


def logged(lab):
    stats = lab.stats()
    return stats["access_logged"], stats["access_lost"]


@case
def rotation_loses_nothing():
    log = os.path.join(LAB, "access.log")
    for old in glob.glob(log + "*"):
        os.unlink(old)
    with Lab(workers=2, flavour=FLAVOUR) as lab:
        # As much load as leaves the rings room when this machine lets the log's thread wait for a CPU: what is shown here
        # is that rotation loses nothing, not how much the rings hold.
        load, rotations = wrk(lab, connections=4), 0
        while load.poll() is None:
            time.sleep(0.1)
            os.rename(log, f"{log}.{rotations}")
            reopen(lab)
            retry(3, lambda: os.path.exists(log), "the new file")
            rotations += 1
        requests = served(load.stdout.read())

        def complete():
            records, lost = logged(lab)
            expect_equal(lost, 0, "access_lost")
            return records == sum(whole_lines(name) for name in glob.glob(log + "*")) and records
        records = retry(10, complete, "as many lines as records")
        expect(records >= requests, f"{requests} requests, {records} records")
        return f"{requests} requests, {rotations} rotations"


@contextlib.contextmanager
def small_disk():
    os.makedirs(SMALL, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", SMALL], check=True)
    try:
        yield os.path.join(SMALL, "access.log")
    finally:
        subprocess.run(["umount", "-l", SMALL], check=False)


@case
def full_disk_costs_lines_only():
    with small_disk() as log, Lab(workers=2, flavour=FLAVOUR, options=f"--access-log {log}") as lab:
        slowest, rounds, requests, before = 0.0, 0, 0, logged(lab)
        deadline = time.monotonic() + 60
        while logged(lab)[1] == 0 or rounds == 0:  # two rings of 1 MiB are to be filled
            expect(time.monotonic() < deadline, "no line was lost in a minute")
            load = wrk(lab)
            while load.poll() is None:
                start = time.monotonic()
                lab.stats()
                slowest = max(slowest, time.monotonic() - start)
                time.sleep(0.1)
            requests += served(load.stdout.read())
            rounds += 1
        expect("access log: No space left on device" in lab.log("dataplane"), lab.log("dataplane")[-500:])
        expect(slowest < 1, f"an answer of housekeeping took {slowest:.2f} s")
        expect_equal([w["hangs"] for w in lab.items("workers")], [0, 0], "hangs")
        kept, lost = (after - b for after, b in zip(logged(lab), before))
        expect(kept + lost >= requests, f"{requests} requests, {kept} logged, {lost} lost")
        # A larger disk under the same name, as after cleaning up.
        os.rename(log, log + ".1")
        subprocess.run(["mount", "-o", "remount,size=64m", SMALL], check=True)
        reopen(lab)
        retry(10, lambda: "access log: written again" in lab.log("dataplane"), "it is written again")
        lab.curl("-A", "after-the-flood/1", f"http://{VIP4}/")

        def arrived():
            with open(log, encoding="utf-8") as f:
                return "after-the-flood/1" in f.read()
        retry(5, arrived, "the newest line")
        with open(log + ".1", encoding="utf-8") as f:
            first = f.read().count("\n")  # its last line may be torn: the new file has it whole
        expect_equal(first + whole_lines(log), logged(lab)[0], "lines against records that the rings took")
        return f"{requests} requests, {lost} lines lost, slowest answer {slowest * 1000:.0f} ms"


main()
