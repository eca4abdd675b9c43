#!/usr/bin/env python3
"""The four programs as programs: options, signals, a reader that goes away, a CPU that is too old."""
import os
import re
import signal
import subprocess
import tempfile
import time

from harness import LAB, ROOT, VIP4, Lab, case, expect, expect_equal, main, retry

FLAVOUR = os.environ.get("FLAVOUR", "release")
BIN = os.path.join(ROOT, "build", FLAVOUR, "bin")
PROGRAMS = ("sluice-dataplane", "sluice-control", "sluice-api", "sluicectl")

# Program and arguments, exit code, and what is said (to stderr when the code is not 0).
USAGE = [
    *((f"{p} --help", 0, f"usage: {p} ") for p in PROGRAMS),
    *((f"{p} --bogus", 2, "unrecognized option '--bogus'") for p in PROGRAMS),
    *((f"{p} --run", 2, "option '--run' requires an argument") for p in PROGRAMS),
    *((f"{p} --run x stray", 2, "unexpected argument: stray") for p in PROGRAMS[:3]),
    ("sluice-dataplane", 2, "missing: --run DIR"),
    ("sluice-dataplane --run x", 2, "missing: --state DIR"),
    ("sluice-dataplane --run x --state y --drain-ms 1x", 2, "--drain-ms: not a number of milliseconds up to 3600000: 1x"),
    ("sluice-dataplane --run x --state y --drain-ms -1", 2, "--drain-ms: not a number of milliseconds up to 3600000: -1"),
    ("sluice-dataplane --run x --state y --fault wake_lost", 2, "unrecognized option '--fault'"),
    ("sluice-control --run " + 100 * "x", 2, "--run: a socket's path would be too long: x"),
    ("sluice-api --listen nowhere", 2, "--listen nowhere: not an ADDRESS:PORT"),
    ("sluicectl --bogus", 2, "error: unrecognized option '--bogus'\nusage: sluicectl COMMAND"),
    ("sluicectl -f", 2, "error: option requires an argument -- 'f'\nusage: sluicectl COMMAND"),
    ("sluicectl --help", 0, "\nexit codes: 0 done; 1 "),
    ("sluicectl", 2, "usage: sluicectl COMMAND"),
    ("sluicectl fly", 2, 'unknown command "fly"'),
    ("sluicectl flows stray", 2, 'unexpected argument "stray"'),
    ("sluicectl flows -n x", 2, "does not take --namespace"),
    ("sluicectl flows stray", 2, "\nusage: sluicectl flows [OPTION]..."),
    ("sluicectl explain GET http://a.example:8o80/", 2, "not a URL like"),
    ("sluicectl workers --run /nonexistent", 4, "error: /nonexistent/dataplane.sock: No such file or directory: is the data plane running?"),
    ("sluice-dataplane --run /nonexistent/x --state y", 1, "/nonexistent/x: No such file or directory"),
    ("sluice-control --run /nonexistent/x --state y", 1, "/nonexistent/x: No such file or directory"),
]


def command(text):
    program, *arguments = text.split()
    return [os.path.join(BIN, program), *arguments]


@case
def usage():
    with tempfile.TemporaryDirectory() as scratch:
        for text, code, said in USAGE:
            run = subprocess.run(command(text), cwd=scratch, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                 timeout=20, check=False)
            expect_equal(run.returncode, code, f"{text}: exit code (said {run.stderr!r})")
            expect(said in (run.stderr if code else run.stdout), f"{text}: {run.stdout!r} {run.stderr!r}")
            expect(code or not run.stderr, f"{text}: {run.stderr!r}")
    return f"{len(USAGE)} ways to call them"


@case
def an_old_cpu_is_told():
    """The debugger takes the features of this CPU away, behind libgcc's look at them."""
    for program in PROGRAMS:
        run = subprocess.run(["gdb", "-nx", "-batch", "-ex", "break cpu_check", "-ex", "run --help", "-ex",
                              "set {char[16]}&__cpu_features2 = {0}", "-ex", "continue", os.path.join(BIN, program)],
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False,
                             env=dict(os.environ, ASAN_OPTIONS="detect_leaks=0"))
        expect(f"{program}: this CPU lacks AVX2, BMI or FMA: x86-64-v3 is needed" in run.stdout, run.stdout)
        expect("exited with code 01]" in run.stdout, run.stdout)


@case
def an_old_cpu_lives_to_say_it():
    """Up to the end of cpu_check() no instruction is one of those that are missing."""
    newer = re.compile(r"\s(v[a-z]\w*|andn|bextr|bls\w+|bzhi|mulx|pdep|pext|rorx|sarx|shlx|shrx|lzcnt|tzcnt|movbe)\s")
    for program in PROGRAMS:
        calls = []
        for function in ("main", "cpu_check"):
            text = subprocess.run(["objdump", "-d", "--no-show-raw-insn", f"--disassemble={function}",
                                   os.path.join(BIN, program)], stdout=subprocess.PIPE, text=True, check=True).stdout
            expect(f"<{function}>:" in text, f"{program}: no {function}")
            found = newer.search(text)
            expect(not found, f"{program}: {function}: {found and found.group(0)}")
            if function == "main":
                calls = re.findall(r"call\s+\S+ <([^>]+)>", text)
        expect_equal(calls[0], "cpu_check", f"{program}: main's first call")


class Program:
    """One that runs, in a scratch directory."""

    ready = {"sluice-dataplane": "dataplane.sock", "sluice-control": "control.sock", "sluice-api": "api.sock"}

    def __init__(self, name, scratch, output):
        self.name, self.scratch = name, scratch
        self.child = subprocess.Popen([os.path.join(BIN, name), "--run", scratch, "--state", os.path.join(scratch, "s")],
                                      stdout=output, stderr=output)
        retry(20, lambda: os.path.exists(os.path.join(scratch, self.ready[name])) or self.child.poll(), f"{name}'s socket")

    def end(self, number):
        start = time.monotonic()
        self.child.send_signal(number)
        expect_equal(self.child.wait(timeout=10), 0, f"{self.name}: exit code after signal {number}")
        return time.monotonic() - start


@case
def signals_end_them():
    slowest = 0.0
    for name in PROGRAMS[:3]:
        for number in (signal.SIGTERM, signal.SIGINT):
            with tempfile.TemporaryDirectory() as scratch, open(os.path.join(scratch, "log"), "w+", encoding="utf-8") as log:
                slowest = max(slowest, Program(name, scratch, log).end(number))
                log.seek(0)
                text = log.read()
                expect("crash" not in text and "ERROR" not in text, text)
    expect(slowest < 3, f"the slowest took {slowest:.1f} s")
    return f"the slowest took {slowest:.2f} s"


@case
def a_reader_that_goes_away():
    """Programs whose output is read by nobody any more go on; sluicectl ends."""
    for name in PROGRAMS[:3]:
        with tempfile.TemporaryDirectory() as scratch:
            reader, writer = os.pipe()
            os.close(reader)
            program = Program(name, scratch, writer)
            os.close(writer)
            time.sleep(0.2)
            expect_equal(program.child.poll(), None, f"{name} ended")
            program.end(signal.SIGTERM)
    reader, writer = os.pipe()
    os.close(reader)
    run = subprocess.run(command("sluicectl --help"), stdout=writer, stderr=subprocess.PIPE, timeout=20, check=False)
    os.close(writer)
    expect(run.returncode != 0 or not run.stderr, str(run))
    expect(b"ERROR" not in run.stderr, str(run.stderr))


@case
def term_lets_answers_finish():
    """A download under way when the data plane is told to end is not cut."""
    with Lab(workers=1, flavour=FLAVOUR) as lab:
        with open(os.path.join(LAB, "www", "files", "slow"), "wb") as f:
            f.write(os.urandom(3 << 20))
        load = lab.spawn("sluice-client", "curl", "-sS", "--limit-rate", "1m", "-o", "/dev/null", "-w",
                         "%{http_code} %{size_download}", f"http://{VIP4}/files/slow", stdout=subprocess.PIPE, text=True)
        retry(10, lambda: any(int(w["exchanges"]) for w in lab.items("workers")), "the download")
        pid = lab.pid("dataplane")
        os.kill(pid, signal.SIGTERM)
        out, _ = load.communicate(timeout=30)
        expect_equal(out, f"200 {3 << 20}", "the download")
        retry(5, lambda: not os.path.exists(f"/proc/{pid}/exe"), "the end of the data plane")
        expect("crash" not in lab.log("dataplane"), lab.log("dataplane"))
        with open(os.path.join(LAB, "access.log"), encoding="utf-8") as f:
            expect("GET /files/slow HTTP/1.1\" 200" in f.read(), "its line is missing in the access log")


main()
