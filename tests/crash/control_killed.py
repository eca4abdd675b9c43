#!/usr/bin/env python3
"""kill -9 of sluice-control while four clients write: nothing acknowledged is lost, nothing is there by halves.

Each write sets two objects to the same value in one transaction. After every start resourceVersion must not have gone
back. KILLS (20) says how often, FLAVOUR which build. Prints the seed; SEED=N replays the moments of the kills.
"""
import json
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

KILLS = int(os.environ.get("KILLS", "20"))
SEED = int(os.environ.get("SEED", "0")) or random.randrange(1, 1 << 31)
PROGRAM = f"build/{os.environ.get('FLAVOUR', 'release')}/bin/sluice-control"
WRITERS = 4


class Box:
    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="control_killed.")
        self.socket = os.path.join(self.directory, "control.sock")
        self.process = None

    def start(self):
        self.process = subprocess.Popen([PROGRAM, "--run", self.directory, "--state", self.directory + "/state"])

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def ask(self, request):
        """The reply; OSError or EOFError when nobody is there, or goes away before it answers."""
        text = json.dumps(dict(request, local=True)).encode()
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(20)
            s.connect(self.socket)
            s.sendall(struct.pack("<I", len(text)) + text)
            length, = struct.unpack("<I", receive(s, 4))
            return json.loads(receive(s, length))

    def wait(self):
        for _ in range(400):
            try:
                return int(self.ask({"verb": "ready"})["resourceVersion"])
            except (OSError, EOFError):
                time.sleep(0.05)
        sys.exit(f"{PROGRAM} does not answer\n0 passed, 1 failed, 0 skipped")


def receive(s, n):
    got = b""
    while len(got) < n:
        piece = s.recv(n - len(got))
        if not piece:
            raise EOFError
        got += piece
    return got


def pair(writer, value=None):
    return [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"w{writer}-{half}"},
             "data": {"v": str(value)}} for half in "ab"]


def write(box, writer, acknowledged, stop, wrong):
    value = 0
    while not stop.is_set():
        value += 1
        try:
            reply = box.ask({"verb": "apply", "objects": pair(writer, value)})
        except (OSError, EOFError):
            time.sleep(0.02)
            continue
        if reply["code"] not in (200, 201):
            wrong.append(f"writer {writer}: {reply}")
        acknowledged[writer] = value


def read(box, writer):
    return [int(box.ask({"verb": "get", "objects": [o]})["results"][0]["object"]["data"]["v"]) for o in pair(writer)]


def main():
    print(f"seed {SEED} (SEED={SEED} {sys.argv[0]})")
    dice, box = random.Random(SEED), Box()
    acknowledged, stop, wrong, version, highest = {}, threading.Event(), [], 0, 0
    writers = [threading.Thread(target=write, args=(box, w, acknowledged, stop, wrong)) for w in range(WRITERS)]
    box.start()
    box.wait()
    for thread in writers:
        thread.start()
    for _ in range(KILLS):
        time.sleep(0.05 + dice.random() * 0.3)
        highest = max(highest, version)
        box.kill()
        box.start()
        version = box.wait()
        if version < highest:
            wrong.append(f"resourceVersion went back from {highest} to {version}")
    stop.set()
    for thread in writers:
        thread.join()
    box.kill()
    box.start()
    box.wait()
    for writer, value in acknowledged.items():
        halves = read(box, writer)
        if halves[0] != halves[1] or halves[0] < value:
            wrong.append(f"writer {writer} was told that {value} is stored, and {halves} is")
    box.kill()
    shutil.rmtree(box.directory)
    if len(acknowledged) != WRITERS:
        wrong.append(f"only writers {sorted(acknowledged)} ever got an answer")
    print(f"{KILLS} kills, {sum(acknowledged.values())} writes, resourceVersion {version}")
    print("\n".join(wrong))
    print(f"{int(not wrong)} passed, {int(bool(wrong))} failed, 0 skipped")
    return 1 if wrong else 0


sys.exit(main())
