#!/usr/bin/env python3
"""A worker that hangs: it is found, named and dumped with its stack; housekeeping goes on and the other worker serves; when
the worker goes on everything is as before. The fault is planted in a running data plane of the faults flavour."""
import json
import os
import re
import signal
import time

from harness import LAB, VIP4, Lab, case, expect, expect_equal, main, retry

HUNG = 1  # the last of two
ROUTE = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: change, namespace: default}
spec:
  parentRefs: [{name: lab}]
  rules:
  - matches: [{path: {type: Exact, value: /change-%d}}]
    filters: [{type: RequestRedirect, requestRedirect: {hostname: change-%d.example}}]
"""


def toggle(lab):
    os.kill(lab.pid("dataplane"), signal.SIGUSR1)


def curls(lab, n):
    """Statuses of n requests at once, each on a connection of its own."""
    out = lab.client("sh", "-c", f"for i in $(seq {n}); do curl -s -o /dev/null -w '%{{http_code}}\\n' --max-time 3 "
                     f"http://{VIP4}/ & done; wait", check=False)
    return out.split()


def requests(lab):
    return [int(w["requests"]) for w in lab.items("workers")]


def flows(lab):
    return json.loads(lab.ctl("flows", "-o", "json", check=False).stdout)


@case
def it_is_found_and_dumped(lab):
    expect_equal(curls(lab, 40), ["200"] * 40, "statuses before")
    toggle(lab)
    retry(10, lambda: f"worker {HUNG} hangs\n" in lab.log("dataplane"), "the log's line")
    stack = retry(5, lambda: re.search(r"worker 01 hangs here:\n((?:.*\[0x[0-9a-f]+\]\n)+)", lab.log("dataplane")),
                  "the stack in the log").group(1)
    expect("(worker_round+0x" in stack, f"no names in the stack:\n{stack}")
    with open(f"/run/sluice/hung-worker-{HUNG}.txt", encoding="utf-8") as f:
        expect("(worker_round+0x" in f.read(), "no stack in the file")
    workers = lab.items("workers")
    expect_equal([w["hung"] for w in workers], [w["worker"] == HUNG for w in workers], "hung")
    expect_equal([w["hangs"] for w in workers], [int(w["worker"] == HUNG) for w in workers], "hangs")
    expect_equal(lab.ctl("workers").stdout.split("\n")[1 + HUNG].split()[-2:], ["1", "true"], "HANGS, HUNG")


@case
def the_other_serves_on(lab):
    before = requests(lab)
    statuses = curls(lab, 100)
    after = requests(lab)
    served = statuses.count("200")
    # Those whose frames the kernel gives to the hung worker, on either side, get no answer.
    expect(served > 0, f"nothing was served: {statuses}")
    expect(after[0] - before[0] >= served, f"worker 0: {before} {after}")
    expect_equal(after[HUNG], before[HUNG], "requests of the hung worker")
    return f"{served} of 100 served"


@case
def walks_name_it(lab):
    start = time.monotonic()
    run = lab.ctl("flows", check=False)
    expect(time.monotonic() - start < 1, "flows waited")
    expect_equal(run.returncode, 4, "exit code of flows")
    expect_equal(run.stderr, f"error: incomplete: worker {HUNG} hangs\n", "error of flows")
    expect(run.stdout.startswith("LOCAL "), run.stdout)
    expect_equal({f["worker"] for f in flows(lab)} - {0}, set(), "workers of the flows")
    lab.ctl("neigh")  # the link owner answers


@case
def changes_and_the_log_go_on(lab):
    generation = lab.items("workers")[0]["generation"]
    lab.apply(ROUTE % (0, 0))
    retry(10, lambda: lab.items("workers")[0]["generation"] > generation, "a generation taken over")
    # It holds on to the one it uses: that is told when there is no place for another.
    for n in range(1, 6):
        lab.apply(ROUTE % (n, n))
        time.sleep(0.3)
    retry(10, lambda: f"4 generations are still in use, worker {HUNG} hangs" in
          lab.ctl("get", "gateway", "lab", "-o", "yaml").stdout, "the reason in the Gateway's status")
    agent = "while-one-hangs/1"
    retry(20, lambda: "200" in lab.client("curl", "-s", "-A", agent, "-o", "/dev/null", "-w", "%{http_code}", "--max-time",
                                          "1", f"http://{VIP4}/", check=False), "a request that is served")

    def logged():
        with open(os.path.join(LAB, "access.log"), encoding="utf-8") as f:
            return agent in f.read()
    retry(3, logged, "its line in the access log")


@case
def it_goes_on(lab):
    toggle(lab)
    retry(5, lambda: f"worker {HUNG} goes on" in lab.log("dataplane"), "the log's line")
    expect_equal([w["hung"] for w in lab.items("workers")], [False, False], "hung")
    lab.ctl("flows")
    retry(20, lambda: "//change-5.example/" in lab.curl("-I", f"http://{VIP4}/change-5", check=False).lower(),
          "the newest generation")
    before = requests(lab)
    expect_equal(curls(lab, 60), ["200"] * 60, "statuses afterwards")
    expect(all(a > b for a, b in zip(requests(lab), before)), f"requests {before} {requests(lab)}")
    lab.alive()


@case
def it_can_be_ended(lab):
    """SIGTERM ends the program although a worker does not."""
    toggle(lab)
    retry(10, lambda: [w["hung"] for w in lab.items("workers")] == [False, True], "the next hang")
    pid = lab.pid("dataplane")
    start = time.monotonic()
    os.kill(pid, signal.SIGTERM)
    retry(8, lambda: not os.path.exists(f"/proc/{pid}/exe"), "the end")
    expect(f"worker {HUNG} does not end" in lab.log("dataplane"), lab.log("dataplane")[-500:])
    return f"after {time.monotonic() - start:.1f} s"


main(lambda: Lab(workers=2, flavour="faults", options="--fault worker_hangs --drain-ms 2000"))
