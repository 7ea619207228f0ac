# SPDX-License-Identifier: GPL-2.0
"""Servers that do not agree on the cluster: bounded, and said on both sides."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from dsmhost import *  # noqa: E402,F403 pylint: disable=wildcard-import,unused-wildcard-import

A, B, C = "10.77.0.1", "10.77.0.2", "10.77.0.3"


def _mount_fails(n, bound=20):
    start = time.monotonic()
    r = n.sh("mkdir -p /dev/dsm && mount -t dsmfs none /dev/dsm", timeout=bound)
    assert not r.timed_out, f"mount hangs: {stacks(n)}"
    assert not r.ok, "mounted"
    assert time.monotonic() - start < bound * pace.patience
    return r.err


def _rmmod(n, bound=20):
    start = time.monotonic()
    n.exec("rmmod", "dsm", check=True, timeout=bound)
    assert time.monotonic() - start < bound * pace.patience
    clean(n)


def _disagree(c, first, second, word):
    """Both load; neither mounts; the log of one of them names the reason."""
    for n in c.nodes:
        log(n)
    for i, args in ((0, first), (1, second)):
        r = insmod(c, i, args + " join_timeout_ms=3000 leave_timeout_ms=3000")
        assert r.ok, r.err
    for n in c.nodes:
        _mount_fails(n)
    for n in c.nodes:
        _rmmod(n)
    text = "\n".join(sum((dsm_lines(log(n)) for n in c.nodes), []))
    assert word in text, f"'{word}' is not in the log:\n{text}"
    assert len(text.splitlines()) < 60, f"too much in the log:\n{text}"


def test_numbers_of_nodes_differ(c):
    _disagree(c, f"node=0 peers={A},{B}", f"node=1 peers={A},{B},{C}", "numbers of nodes")


def test_order_differs(c):
    _disagree(c, f"node=0 peers={A},{B}", f"node=0 peers={B},{A}", "same node number")


def test_ports_differ(c):
    _disagree(c, f"node=0 peers={A},{B} port=7000", f"node=1 peers={A},{B} port=7001", "node 1")


def test_nobody_there(c):
    log(c[0])
    r = insmod(c, 0, f"node=0 peers={A},10.77.0.99 join_timeout_ms=2000 leave_timeout_ms=2000")
    assert r.ok, r.err
    _mount_fails(c[0])
    assert c[0].sh("cat /sys/fs/dsm/cluster/joined").out.strip() == "0"
    _rmmod(c[0])
    lines = dsm_lines(log(c[0]))
    assert any("cannot connect" in x for x in lines), lines
    assert len(lines) < 20, lines


def test_interrupted_mount(c):
    insmod(c, 0, f"node=0 peers={A},{B} join_timeout_ms=60000")
    job = c[0].spawn(["mount", "-t", "dsmfs", "none", "/dev/dsm"])
    time.sleep(1)
    job.kill(9)
    assert job.wait(5).status == -9, stacks(c[0])
    _rmmod(c[0])


def test_late_peer(c):
    """One comes ten seconds later: no harm."""
    c[0].sh("mkdir -p /dev/dsm", check=True)
    insmod(c, 0, f"node=0 peers={A},{B}")
    job = c[0].spawn(["mount", "-t", "dsmfs", "none", "/dev/dsm"])
    time.sleep(8)
    up(c, 1)
    assert job.wait(30).ok
    c[0].sh("echo late >/dev/dsm/f", check=True)
    assert read(c[1], "/dev/dsm/f") == "late"
    c.dsm_down()
