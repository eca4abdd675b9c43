"""End to end tests: real programs in network namespaces of this test's own.

A test file lists cases with @case and ends with main(). Everything runs in a private mount namespace with its own
/run/netns and /run/sluice, so a lab that a developer has running (make run) is never touched. The closing line is
the plain one: N passed, N failed, N skipped.
"""
import contextlib
import json
import os
import re
import subprocess
import sys
import time
import traceback

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
# Each test file and form has a folder of its own: tests may run side by side.
LAB_DIR = "build/lab-test/" + "-".join([os.path.splitext(os.path.basename(sys.argv[0] or "test"))[0],
                                        os.environ.get("FLAVOUR", "release"), os.environ.get("WORKERS", "")]).rstrip("-")
LAB = os.path.join(ROOT, LAB_DIR)
ENTER = os.path.join(ROOT, "platform/root/enter")
VIP4, VIP6 = "198.18.0.10", "2001:2::10"
CASES = []


class Skip(Exception):
    """A case that cannot run here; the text says why and is printed."""


def case(function):
    CASES.append(function)
    return function


def expect(condition, message="expectation failed"):
    if not condition:
        raise AssertionError(message)


def expect_equal(got, want, what="value"):
    if got != want:
        raise AssertionError(f"{what}: got {got!r}, want {want!r}")


def retry(seconds, probe, what):
    """Calls probe until it returns something true; its last answer is in the error."""
    deadline = time.monotonic() + seconds
    while True:
        answer = probe()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not happen within {seconds} s (last: {answer!r})")
        time.sleep(0.02)


class Lab:
    """A running lab: the gateway and its neighbours (platform/lab/lab)."""

    def __init__(self, workers=2, flavour="release", config=None, options=""):
        self.workers, self.flavour = workers, flavour
        self.env = dict(os.environ, WORKERS=str(workers), FLAVOUR=flavour, LAB_DIR=LAB_DIR, LAB_QUIET="1",
                        LAB_DATAPLANE_OPTIONS=options)
        if config:
            self.env["LAB_CONFIG"] = config
        self.children = []

    def __enter__(self):
        run = self.lab("up", check=False)
        if run.returncode:
            self.lab("down", check=False)
            raise AssertionError(f"the lab did not come up:\n{run.stdout}")
        return self

    def __exit__(self, *_):
        for child in self.children:
            child.kill()
            child.wait()
        self.lab("down", check=False)

    def lab(self, command, check=True):
        return subprocess.run([os.path.join(ROOT, "platform/lab/lab"), command], env=self.env, text=True, check=check,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)

    def pid(self, name):
        with open(os.path.join(LAB, name + ".pid"), encoding="ascii") as f:
            return int(f.read())

    def log(self, name):
        with open(os.path.join(LAB, name + ".log"), encoding="utf-8", errors="replace") as f:
            return f.read()

    @staticmethod
    def in_ns(netns, *command):
        return [ENTER, "--netns", netns, *command]

    def client(self, *command, timeout=120, check=True, text=True, **more):
        """Runs a command in sluice-client and returns what it printed."""
        return subprocess.run(self.in_ns("sluice-client", *command), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=timeout, check=check, text=text, **more).stdout

    def spawn(self, netns, *command, **more):
        child = subprocess.Popen(self.in_ns(netns, *command), **more)
        self.children.append(child)
        return child

    def curl(self, *arguments, **more):
        return self.client("curl", "-sS", "--max-time", "20", *arguments, **more)

    def status(self, *arguments):
        return int(self.curl("-o", "/dev/null", "-w", "%{http_code}", *arguments))

    def ctl(self, *arguments, check=True, **more):
        run = subprocess.run([os.path.join(ROOT, "build", self.flavour, "bin", "sluicectl"), *arguments], text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False, **more)
        if check and run.returncode:
            raise AssertionError(f"sluicectl {' '.join(arguments)}: {run.stdout}{run.stderr}")
        return run

    def apply(self, text):
        return self.ctl("apply", "-f", "-", input=text).stdout

    def items(self, what):
        """The items of flows, neigh, drops, stats or workers."""
        answer = json.loads(self.ctl(what, "-o", "json").stdout)
        return answer["items"] if isinstance(answer, dict) else answer

    def stats(self):
        """Counter name -> sum over the workers."""
        return {item["name"]: int(item["value"]) for item in self.items("stats")}

    def backend_requests(self, n, pattern=r""):
        with open(os.path.join(LAB, f"nginx{n}", "access.log"), encoding="utf-8") as f:
            return sum(1 for line in f if re.search(pattern, line))

    def alive(self):
        for name in ("control", "api", "dataplane"):
            expect(os.path.exists(f"/proc/{self.pid(name)}"), f"{name} died:\n{self.log(name)[-2000:]}")


def rss_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))


def private_mounts():
    """Re-executes this program in a mount namespace with /run/netns and /run/sluice of its own."""
    if os.environ.get("SLUICE_PRIVATE") == "1":
        return
    os.environ["SLUICE_PRIVATE"] = "1"
    script = ("mkdir -p /run/netns /run/sluice && mount -t tmpfs tmpfs /run/netns && mount -t tmpfs tmpfs /run/sluice"
              " && exec \"$@\"")
    os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh",
                          sys.executable, *sys.argv])


def main(context=contextlib.nullcontext):
    """Runs the cases (those named on the command line, or all) with what context() gives."""
    private_mounts()
    wanted = [a for a in sys.argv[1:] if not a.startswith("-") and "=" not in a]
    passed = failed = skipped = 0
    try:
        with context() as given:
            for function in CASES:
                if wanted and function.__name__ not in wanted:
                    continue
                start = time.monotonic()
                try:
                    note = function(given) if given is not None else function()
                    passed += 1
                    print(f"ok {function.__name__} ({time.monotonic() - start:.1f} s){': ' + note if note else ''}",
                          flush=True)
                except Skip as why:
                    skipped += 1
                    print(f"ok {function.__name__} # SKIP {why}", flush=True)
                except Exception:  # pylint: disable=broad-except
                    failed += 1
                    print(f"not ok {function.__name__}\n{traceback.format_exc()}", flush=True)
    except AssertionError as why:
        failed += 1
        print(f"not ok setup\n{why}", flush=True)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    sys.exit(1 if failed else 0)
