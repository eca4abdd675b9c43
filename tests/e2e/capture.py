#!/usr/bin/env python3
"""sluicectl capture: frames of both ports as pcapng that tshark reads, filtered, while traffic goes on."""
import contextlib
import os
import signal
import subprocess
import time

from harness import ENTER, LAB, ROOT, VIP4, Lab, case, expect, expect_equal, main, retry

FLAVOUR = os.environ.get("FLAVOUR", "release")
CTL = os.path.join(ROOT, "build", FLAVOUR, "bin", "sluicectl")


def file(name):
    return os.path.join(LAB, name + ".pcapng")


def start(name, *arguments):
    """A capture into a file; returns when it has begun: the file has its header."""
    with contextlib.suppress(FileNotFoundError):
        os.remove(file(name))
    child = subprocess.Popen([CTL, "capture", "-w", file(name), *arguments], stderr=subprocess.PIPE, text=True)
    retry(10, lambda: os.path.exists(file(name)) and os.path.getsize(file(name)) > 0, f"the capture {name} begins")
    return child


def stop(child):
    time.sleep(0.3)  # what is on its way
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=20)
    expect_equal(child.returncode, 0, f"sluicectl's exit code ({errors})")


def tshark(name, *arguments):
    """What tshark prints of the file, one line per frame, and an error when it finds fault with it."""
    run = subprocess.run([ENTER, "tshark", "-n", "-r", file(name), *arguments], text=True, check=False, timeout=60,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    lines = [line for line in run.stderr.split("\n") if line and "as user" not in line]
    expect(run.returncode == 0 and not lines, f"tshark: {run.stderr}")
    return [line for line in run.stdout.split("\n") if line]


def fields(name, query, *names):
    return [tuple(line.split("\t")) for line in
            tshark(name, "-Y", query, "-T", "fields", *(word for n in names for word in ("-e", n)))]


@case
def both_sides_of_an_exchange(lab):
    child = start("both", "tcp")
    expect_equal(lab.status(f"http://{VIP4}/"), 200, "status")
    stop(child)
    requests = sorted(fields("both", "http.request", "frame.interface_name", "ip.src", "ipv6.src"))
    expect_equal([interface for interface, _, _ in requests], ["backend", "client"], "the request is seen on both ports")
    expect(requests[0][1:] in (("198.18.1.1", ""), ("", "2001:2:0:1::1")), f"who asks the backend: {requests[0]}")
    expect_equal(requests[1][1], "198.18.0.2", "who asks us")
    expect_equal(fields("both", "http.response", "http.response.code"), [("200",), ("200",)], "responses")
    # Our checksums are made by software here, so they are in the copies.
    bad = tshark("both", "-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE", "-Y",
                 "tcp.checksum.status == 0 || ip.checksum.status == 0")
    expect_equal(bad, [], "frames with wrong checksums")
    directions = set(fields("both", "ip.src == 198.18.0.2", "frame.packet_flags_direction"))
    expect_equal(directions, {("0x00000001",)}, "directions of what the client sent")
    return f"{len(tshark('both'))} frames"


@case
def filter_port_count_and_snap(lab):
    child = start("some", "-p", "client", "-c", "3", "-s", "60", "tcp", "port", "80", "and", "src", "host", VIP4)
    for _ in range(3):
        expect_equal(lab.status(f"http://{VIP4}/"), 200, "status")
    child.wait(timeout=20)
    expect_equal(child.returncode, 0, "sluicectl's exit code")
    seen = fields("some", "frame", "ip.src", "frame.cap_len", "frame.interface_name")
    expect_equal(len(seen), 3, "frames")
    expect(all(source == VIP4 and int(n) <= 60 and name == "client" for source, n, name in seen), f"frames: {seen}")


@case
def standard_output(lab):
    child = subprocess.Popen(f"{CTL} capture -c 5 tcp | {ENTER} tshark -n -r - 2>{LAB}/tshark.log", shell=True, text=True,
                             stdout=subprocess.PIPE)
    retry(10, lambda: lab.status(f"http://{VIP4}/") == 200 and child.poll() is not None, "five frames are captured")
    expect_equal(len(child.communicate()[0].strip().split("\n")), 5, "frames that tshark read from a pipe")


@case
def traffic_goes_on(lab):
    """Under load, with a reader who stops and one who is killed: no request fails, what is lost is counted."""
    before = lab.stats()
    wrk = lab.spawn("sluice-client", "wrk", "-t1", "-c16", "-d40", f"http://{VIP4}/", stdout=subprocess.PIPE, text=True)
    time.sleep(0.5)
    slow = start("load", "tcp")
    retry(10, lambda: lab.stats()["capture_frames"] - before["capture_frames"] > 1000, "frames copied")
    slow.send_signal(signal.SIGSTOP)
    retry(20, lambda: lab.stats()["limit_capture_copies"] > before["limit_capture_copies"], "a loss that is counted")
    slow.kill()
    slow.wait()
    retry(10, may_capture, "the next capture may begin")
    wrk.send_signal(signal.SIGINT)
    output = wrk.communicate(timeout=30)[0]
    expect("Non-2xx" not in output and "Socket errors" not in output, output)
    lab.alive()
    after = lab.stats()
    copied, lost = (after[n] - before[n] for n in ("capture_frames", "limit_capture_copies"))
    return f"{copied} frames copied, {lost} lost; {output.split('requests in')[0].split()[-1]} requests"


def may_capture():
    return subprocess.run([CTL, "capture", "-c", "1", "-w", "/dev/null", "tcp"], stderr=subprocess.DEVNULL, timeout=20,
                          check=False).returncode == 0


@case
def refusals(lab):
    for arguments, code, words in (
            (["tcp", "prot", "80"], 2, 'error: filter "tcp prot 80": '),
            (["-c", "0"], 2, "error: --count 0: not a number from 1 to"),
            (["-s", "70000"], 2, "error: --snap 70000: not a number from 1 to 65535"),
            (["-p", "nosuch"], 1, 'error: the data plane refused: port: there is no port "nosuch"'),
            (["-o", "json"], 2, "does not take --output")):
        run = lab.ctl("capture", "-w", "/dev/null", *arguments, check=False)
        expect_equal(run.returncode, code, f"exit code of {arguments}")
        expect(words in run.stderr, f"{arguments}: {run.stderr}")
    first = start("first", "icmp")
    run = lab.ctl("capture", "-w", "/dev/null", check=False)
    expect(run.returncode == 1 and "another capture is under way" in run.stderr, f"a second capture: {run.stderr}")
    stop(first)


@case
def ends_with_the_data_plane(lab):
    child = start("last", "tcp")
    os.kill(lab.pid("dataplane"), signal.SIGTERM)
    child.wait(timeout=20)
    expect_equal(child.returncode, 0, "sluicectl's exit code")
    tshark("last")


main(lambda: Lab(workers=2, flavour=FLAVOUR))
