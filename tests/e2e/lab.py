#!/usr/bin/env python3
"""What make run and make stop promise: the lab takes nothing that it does not give back, and says what is wrong; the
example configurations apply to it."""
import json
import os
import shutil
import subprocess
import tempfile

from harness import LAB, LAB_DIR, ROOT, VIP4, Lab, case, expect, expect_equal, main

LABS, ROUNDS = 6, 10
NAMESPACES = ("sluice-client", "sluice-gw", "sluice-backend")
# In a proc of its own, as each entry of the root has one.
OWN_PROC = ["unshare", "--mount", "--propagation", "private", "sh", "-c", "mount -t proc proc /proc && exec \"$@\"", "sh"]


def left_over():
    """What a lab that is down may not leave."""
    found = [f"/run/netns/{n}" for n in NAMESPACES if os.path.exists(f"/run/netns/{n}")]
    found += ["/run/sluice/" + name for name in os.listdir("/run/sluice")]
    found += [os.path.join(LAB, name) for name in os.listdir(LAB) if name.endswith(".pid") or name in ("state", "hugepages")]
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as f:
                line = f.read().replace("\0", " ")
        except OSError:
            continue
        if LAB + "/" in line and ("sluice-" in line or "nginx" in line):
            found.append(f"process {pid}: {line}")
    return found


@case
def hugepages_of_labs_side_by_side():
    """Labs that come and go at once add their pages and take them away: none is lost, and nobody else's is taken."""
    others = 100
    count = os.path.join(LAB, "nr_hugepages")
    os.makedirs(LAB, exist_ok=True)
    with open(count, "w", encoding="ascii") as f:
        f.write(f"{others}\n")
    script = f"for i in $(seq {ROUNDS}); do platform/lab/lab reserve-hugepages; platform/lab/lab release-hugepages; done"
    labs = [subprocess.Popen([*OWN_PROC, "sh", "-c", script], cwd=ROOT,
                             env=dict(os.environ, LAB_DIR=f"{LAB_DIR}/{n}", LAB_HUGEPAGES=count)) for n in range(LABS)]
    for lab in labs:
        expect_equal(lab.wait(timeout=60), 0, "exit code")
    with open(count, encoding="ascii") as f:
        expect_equal(int(f.read()), others, "pages when all are down")
    for n in range(LABS):
        shutil.rmtree(os.path.join(LAB, str(n)))


@case
def up_and_down():
    with Lab() as lab:
        expect_equal(lab.status(f"http://{VIP4}/"), 200, "status")
        with tempfile.TemporaryDirectory() as elsewhere:
            shutil.copy(os.path.join(ROOT, "configs", "examples", "canary.yaml"), elsewhere)
            run = subprocess.run([os.path.join(ROOT, "build", "sluicectl"), "apply", "-f", "canary.yaml"], cwd=elsewhere,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
            expect("httproute.gateway.networking.k8s.io/shop created" in run.stdout, f"build/sluicectl: {run.stdout}")
        lab.env["LAB_QUIET"] = ""
        expect_equal(lab.lab("down").stdout, f"Sluice is stopped; its logs are in {LAB_DIR}\n", "down")
        expect_equal(left_over(), [], "left over")
        expect_equal(lab.lab("down").stdout, f"Sluice is not running; its logs are in {LAB_DIR}\n", "down again")


@case
def a_lab_that_does_not_come_up():
    """Its logs stay, and nothing else."""
    lab = Lab(workers=0)
    run = lab.lab("up", check=False)
    expect_equal(run.returncode, 1, "exit code")
    expect("spec.workers: Invalid value: 0" in run.stdout, run.stdout)
    expect_equal(left_over(), [], "left over")
    expect(os.path.getsize(os.path.join(LAB, "apply.log")) > 0, "apply.log")


@case
def one_lab_at_a_time():
    """Neither up nor down of another clone touches the lab that runs."""
    with Lab() as lab:
        other = Lab()
        other.env["LAB_DIR"] = LAB_DIR + "-other"
        for command in ("up", "down"):
            run = other.lab(command, check=False)
            expect_equal((run.returncode, run.stdout), (1, f"error: a lab is up in {ROOT}: make stop there first\n"), command)
        expect_equal(lab.status(f"http://{VIP4}/"), 200, "status")
        lab.alive()


@case
def examples_apply():
    """Each alone, all together, and away again."""
    folder = os.path.join(ROOT, "configs", "examples")
    with Lab() as lab:
        for path in [*(os.path.join(folder, name) for name in sorted(os.listdir(folder))), folder]:
            lab.ctl("apply", "-f", path)
            lab.ctl("wait-ready")
            expect_equal(lab.status(f"http://{VIP4}/"), 200, f"status with {path}")
            lab.ctl("delete", "-f", path)
        lab.ctl("apply", "-f", folder)
        lab.ctl("wait-ready")
        expect_equal(lab.status("-H", "Host: shop.example", f"http://{VIP4}/"), 200, "the shop")
        expect_equal(lab.status("-H", "Host: store.example", f"http://{VIP4}/"), 308, "its old name")
        gateway = lab.ctl("get", "gtw", "public", "-n", "edge", "-o", "json").stdout
        vip = json.loads(gateway)["status"]["addresses"][0]["value"]
        expect_equal(lab.status("-H", "Host: www.shop.example", f"http://{vip}/images"), 200, "images")


main()
