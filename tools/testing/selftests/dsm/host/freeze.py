# SPDX-License-Identifier: GPL-2.0
"""A peer that does not answer, or is lost: faults can be killed, and give up in time."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from dsmhost import *  # noqa: E402,F403 pylint: disable=wildcard-import,unused-wildcard-import

# Every copy is node 1's: a fault of node 0 needs it, whoever is the home.
FILL = "head -c 65536 /dev/zero | tr '\\0' x >/dev/dsm/"
# Opening a file asks everyone, so that comes before the freeze.
TOUCH = """
import mmap, os, sys, time
f = open(sys.argv[3], 'r+b')
m = mmap.mmap(f.fileno(), 65536)
print('ready', flush=True)
while not os.path.exists('/tmp/go'):
    time.sleep(0.02)
print('go', flush=True)
if sys.argv[1] == 'read':
    os.pread(f.fileno(), 100, int(sys.argv[2]))
else:
    m[int(sys.argv[2])] = 65
print('done', flush=True)
"""
STATS = "/sys/fs/dsm/cluster/stats"


def _frozen(c, args, *accesses, homes=(1,)):
    """Node 1 has the pages, node 0 is about to use them, node 1 stands still."""
    fresh(c, args)
    for home in homes:
        name = f"frozen{home}"
        c[1].sh(f": >/dev/dsm/{name}", check=True)
        c[1].exec(str(BUILD / "tools/dsmctl"), "place", name, "node", str(home), check=True)
        c[1].sh(FILL + name, check=True)
    c[0].sh("rm -f /tmp/go", check=True)
    jobs = [c[0].spawn(["python3", "-c", TOUCH, how, str(at), f"/dev/dsm/frozen{home}"])
            for home in homes for how, at in accesses]
    for j in jobs:
        wait_for("python starts", 30, lambda j=j: "ready" in j.text(17))
    c[1].pause()
    c[0].sh("touch /tmp/go", check=True)
    for j in jobs:
        wait_for("python goes on", 10, lambda j=j: "go" in j.text(17))
    time.sleep(0.5)
    for j in jobs:
        assert "done" not in j.text(17), "the page was here already"
    return jobs


def _thawed(c):
    c[1].resume()
    time.sleep(1)


def _recovered(c):
    r = c[0].exec("python3", "-c", TOUCH, "write", "0", "/dev/dsm/frozen1", timeout=30)
    assert r.ok, f"no recovery: {r.out}{r.err}"
    assert c[1].sh("head -c 1 /dev/dsm/frozen1", check=True).out == "A"
    c.dsm_down()


def test_sigkill_ends_a_fault(c):
    # A long patience: neither the fault nor the membership gives up first.
    jobs = _frozen(c, "fault_timeout_ms=120000 dead_ms=120000",
                   ("write", 0), ("write", 4096 * 5), ("read", 4096 * 9))
    try:
        for job in jobs:
            start = time.monotonic()
            job.kill(9)
            assert job.wait(5).status == -9, f"survives SIGKILL: {stacks(c[0])}"
            assert time.monotonic() - start < 3 * pace.patience
        no_d_state([c[0]])
    finally:
        _thawed(c)
    _recovered(c)


def test_timeout_is_sigbus(c):
    start = time.monotonic()
    jobs = _frozen(c, "fault_timeout_ms=3000 dead_ms=120000",
                   ("write", 4096 * 3), ("read", 4096 * 7))
    try:
        r = jobs[0].wait(15)
        assert r.status == -7, f"status {r.status}: {r.out}{r.err}"
        r = jobs[1].wait(15)
        assert r.status == 1 and "OSError" in r.err, f"read(2): {r.status} {r.out}{r.err}"
        assert time.monotonic() - start < 60 * pace.patience
        lines = [x for x in log(c[0]).splitlines() if "no answer" in x]
        assert lines, "the log does not say why"
        # A retried fault does not wait once more: the write here, and read(2).
        assert read(c[0], f"{STATS}/fault_timeout") == "2"
    finally:
        _thawed(c)
    _recovered(c)


def test_a_lost_node_ends_the_wait(c):
    # No patience of a fault: it is the membership that tells.
    start = time.monotonic()
    jobs = _frozen(c, "fault_timeout_ms=600000 dead_ms=3000",
                   ("write", 4096 * 3), ("read", 4096 * 7), homes=(0, 1))
    try:
        for i, job in enumerate(jobs):
            r = job.wait(60)
            want = (1, "OSError") if i % 2 else (-7, "")
            assert r.status == want[0] and want[1] in r.err, \
                f"job {i}: {r.status}: {r.out}{r.err}\n{stacks(c[0])}"
        assert time.monotonic() - start < 200 * pace.patience
        assert read(c[0], f"{STATS}/fault_timeout") == "0"
        assert read(c[0], f"{STATS}/fault_lost") == "4"
        assert any("node 1 is lost" in x for x in log(c[0]).splitlines())
    finally:
        _thawed(c)
    bury(c)


def test_metadata_is_bounded_and_killable(c):
    fresh(c, "rpc_timeout_ms=3000 dead_ms=120000")
    c[1].sh(FILL + "frozen1", check=True)
    c[1].pause()
    try:
        start = time.monotonic()
        r = c[0].sh("echo x >/dev/dsm/new", timeout=20)
        assert not r.timed_out, f"create hangs: {stacks(c[0])}"
        assert time.monotonic() - start < 12 * pace.patience
        # What ends it now is the signal.
        c[0].sh("echo 60000 >/sys/fs/dsm/knobs/rpc_timeout_ms", check=True)
        job = c[0].spawn(["truncate", "-s", "10", "/dev/dsm/frozen1"])
        time.sleep(0.5)
        start = time.monotonic()
        job.kill(9)
        assert job.wait(8).status == -9, stacks(c[0])
        assert time.monotonic() - start < 3 * pace.patience
    finally:
        _thawed(c)
    c[0].sh("echo y >/dev/dsm/after", check=True)
    assert read(c[1], "/dev/dsm/after") == "y"
    c.dsm_down()
