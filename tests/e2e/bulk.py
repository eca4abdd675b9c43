#!/usr/bin/env python3
"""A large download and upload, byte for byte, with flat memory. BULK_MIB (default 64)."""
import hashlib
import os
import threading
import time

from harness import LAB, VIP4, Lab, case, expect, expect_equal, main, rss_kib

MIB = int(os.environ.get("BULK_MIB", "64"))


class Watch(threading.Thread):
    """The largest resident size of a process while it runs."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.peak, self.going = pid, 0, True

    def run(self):
        while self.going:
            self.peak = max(self.peak, rss_kib(self.pid))
            time.sleep(0.05)


def file_sha(path):
    digest = hashlib.sha256()
    with open(path, "rb") as f:
        while piece := f.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def watched(lab, transfer):
    """The first transfers touch pools for the first time (a small one not all of them); the last must not grow."""
    base = 0
    for _ in range(4):
        transfer()
        before, base = base, rss_kib(lab.pid("dataplane"))
        if base - before < 1024:
            break
    watch = Watch(lab.pid("dataplane"))
    watch.start()
    start = time.monotonic()
    transfer()
    seconds = time.monotonic() - start
    watch.going = False
    watch.join()
    growth = watch.peak - base
    expect(growth < 4096, f"resident memory grew by {growth} KiB (from {base})")
    return f"{MIB} MiB at {MIB / seconds:.0f} MiB/s, resident {base} KiB, grew {growth} KiB"


@case
def download(lab):
    path = os.path.join(LAB, "www", "files", "big")
    with open(path, "wb") as f:
        for _ in range(MIB):
            f.write(os.urandom(1 << 20))
    want = file_sha(path)

    def get():
        out = lab.client("sh", "-c", f"curl -sS --max-time 600 http://{VIP4}/files/big | sha256sum", timeout=700)
        expect_equal(out.split()[0], want, "sha256")
    return watched(lab, get)


@case
def upload(lab):
    path = os.path.join(LAB, "www", "files", "big")
    want = file_sha(path)

    def put():
        code = lab.client("curl", "-sS", "--max-time", "600", "-T", path, "-o", "/dev/null", "-w", "%{http_code}",
                          f"http://{VIP4}/upload/big", timeout=700)
        expect(code in ("201", "204"), code)
        stored = [p for p in (os.path.join(LAB, f"nginx{n}", "upload", "big") for n in (1, 2)) if os.path.exists(p)]
        expect(stored, "no backend stored the upload")
        expect_equal(file_sha(max(stored, key=os.path.getmtime)), want, "sha256")
    return watched(lab, put)


main(lambda: Lab(workers=2, flavour=os.environ.get("FLAVOUR", "release")))
