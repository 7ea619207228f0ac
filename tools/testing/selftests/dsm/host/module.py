# SPDX-License-Identifier: GPL-2.0
"""Loading, mounting, unmounting, unloading, with traffic on the other node."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from dsmhost import *  # noqa: E402,F403 pylint: disable=wildcard-import,unused-wildcard-import


def test_cycles_leave_nothing(c):
    for _ in range(4):
        fresh(c)
        c.dsm_down()
    for n in c.nodes:
        clean(n)


def test_busy_is_said(c):
    fresh(c)
    job = traffic(c, 1, 60)
    wait_for("traffic starts", 10, lambda: "start" in job.text(17))
    r = c[1].exec("umount", "/dev/dsm")
    assert not r.ok and "busy" in r.err, r.err
    r = c[1].exec("rmmod", "dsm")
    assert not r.ok and "in use" in r.err, r.err
    r = c[1].sh("/bin/echo 1 >/sys/fs/dsm/cluster/leave")
    assert not r.ok and "busy" in r.err.lower(), r.err
    stop(job)
    c.dsm_down()


def test_reload_under_traffic(c):
    """What a node wrote is there when it comes back; the other one goes on."""
    fresh(c)
    steady = traffic(c, 0, 120)
    known = 0
    for _ in range(3):
        known = finish(traffic(c, 1, 2, expected=known), 60).sum
        down(c, 1)
        clean(c[1])
        up(c, 1)
    finish(traffic(c, 1, 1, expected=known), 60)
    t = stop(steady)
    assert t.max_us < 20_000_000 * pace.patience, f"a fault on node 0 took {t.max_us} us"
    no_d_state(c.nodes)
    c.dsm_down()


def test_umount_during_traffic(c):
    fresh(c)
    steady, job = traffic(c, 0, 60), traffic(c, 1, 60)
    wait_for("traffic starts", 10, lambda: "start" in job.text(17))
    c[1].exec("umount", "-l", "/dev/dsm", check=True)
    time.sleep(2)
    known = stop(job).sum
    wait_for("module not in use", 20, lambda: c[1].exec("rmmod", "dsm").ok)
    clean(c[1])
    up(c, 1)
    finish(traffic(c, 1, 1, expected=known), 30)
    stop(steady)
    c.dsm_down()


def test_killed_traffic(c):
    """SIGKILL in the middle of faults leaves nothing behind, again and again."""
    fresh(c)
    steady = traffic(c, 0, 90)
    for _ in range(8):
        job = traffic(c, 1, 60, pages=8)
        wait_for("traffic starts", 20, lambda j=job: "start" in j.text(17))
        time.sleep(0.3)
        job.kill(9)
        assert job.wait(10).status == -9
    stop(steady)
    c.dsm_down()
    for n in c.nodes:
        clean(n)
