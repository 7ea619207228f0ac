# SPDX-License-Identifier: GPL-2.0
"""A peer that does not answer: faults can be killed, and give up in time."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from dsmhost import *  # noqa: E402,F403 pylint: disable=wildcard-import,unused-wildcard-import

# Every page of the file is node 1's: a fault of node 0 needs it.
FILL = "head -c 65536 /dev/zero | tr '\\0' x >/dev/dsm/frozen"
TOUCH = ("import mmap;f=open('/dev/dsm/frozen','r+b');m=mmap.mmap(f.fileno(),65536);"
         "print('go',flush=True);m[{at}]=65;print('done',flush=True)")
READ = "head -c 100 /dev/dsm/frozen >/dev/null"


def _frozen(c, args):
    fresh(c, args)
    c[1].sh(FILL, check=True)
    # What was written here is not what counts as held for ever.
    c[1].pause()


def _thawed(c):
    c[1].resume()
    time.sleep(1)


def _touch(c, at):
    job = c[0].spawn(["python3", "-c", TOUCH.format(at=at)])
    wait_for("python starts", 20, lambda: "go" in job.text(17))
    time.sleep(0.5)
    assert "done" not in job.text(17), "the page was here already"
    return job


def test_sigkill_ends_a_fault(c):
    # A long patience: neither the fault nor the membership gives up first.
    _frozen(c, "fault_timeout_ms=120000 dead_ms=120000")
    try:
        for at in (0, 4096 * 5):
            job = _touch(c, at)
            start = time.monotonic()
            job.kill(9)
            assert job.wait(5).status == -9, f"survives SIGKILL: {stacks(c[0])}"
            assert time.monotonic() - start < 3
        job = c[0].spawn(["sh", "-c", READ])
        time.sleep(1)
        c[0].sh("pkill -9 head", check=True)
        assert job.wait(5).status is not None
        no_d_state_of_0(c)
    finally:
        _thawed(c)
    job = c[0].spawn(["python3", "-c", TOUCH.format(at=0)])
    assert job.wait(20).ok, "no recovery"
    assert c[1].sh("head -c 1 /dev/dsm/frozen", check=True).out == "A"
    c.dsm_down()


def no_d_state_of_0(c):
    out = c[0].sh("ps -e -o state=,pid=,comm= | grep '^D' || true").out
    assert not out.strip(), f"{out}\n{stacks(c[0])}"


def test_timeout_is_sigbus(c):
    _frozen(c, "fault_timeout_ms=2000 dead_ms=120000")
    try:
        start = time.monotonic()
        r = _touch(c, 4096 * 3).wait(15)
        took = time.monotonic() - start
        assert r.status == -7, f"status {r.status}: {r.out}{r.err}"
        assert took < 8, f"{took:.1f} s for a timeout of 2 s"
        r = c[0].sh(READ, timeout=15)
        assert not r.ok and not r.timed_out, "read(2) must fail as well"
        lines = [x for x in log(c[0]).splitlines() if "no answer" in x]
        assert lines, "the log does not say why"
    finally:
        _thawed(c)
    assert c[0].spawn(["python3", "-c", TOUCH.format(at=4096 * 3)]).wait(20).ok, "no recovery"
    c.dsm_down()


def test_metadata_is_bounded_and_killable(c):
    _frozen(c, "rpc_timeout_ms=3000 dead_ms=120000")
    try:
        start = time.monotonic()
        r = c[0].sh("echo x >/dev/dsm/new", timeout=20)
        assert not r.timed_out, f"create hangs: {stacks(c[0])}"
        assert time.monotonic() - start < 12
        job = c[0].spawn(["truncate", "-s", "10", "/dev/dsm/frozen"])
        time.sleep(0.5)
        job.kill(9)
        assert job.wait(8).status is not None, stacks(c[0])
    finally:
        _thawed(c)
    c[0].sh("echo y >/dev/dsm/after", check=True)
    assert read(c[1], "/dev/dsm/after") == "y"
    c.dsm_down()
