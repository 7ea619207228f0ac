# SPDX-License-Identifier: GPL-2.0
"""Several nodes in one kernel: the loop transport."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from dsmhost import *  # noqa: E402,F403 pylint: disable=wildcard-import,unused-wildcard-import


def _loop_up(c, nr):
    r = insmod(c, 0, f"loop={nr}")
    assert r.ok, r.err
    for i in range(nr):
        c[0].sh(f"mkdir -p /dev/dsm{i}; mount -t dsmfs loop{i} /dev/dsm{i}", check=True)


def _loop_down(c, nr):
    for i in range(nr):
        c[0].sh(f"umount /dev/dsm{i}", check=True)
    c[0].exec("rmmod", "dsm", check=True)
    clean(c[0])


def test_three_nodes_in_one_kernel(c):
    _loop_up(c, 3)
    c[0].sh("echo hello >/dev/dsm0/f", check=True)
    for i in range(3):
        assert read(c[0], f"/dev/dsm{i}/f") == "hello"
    jobs = [c[0].spawn([str(PROGRAMS / "traffic"), f"/dev/dsm{i}/t", "16", "5"],
                       {"DSM_NODE": str(i), "DSM_NODES": "3", "DSM_MNT": f"/dev/dsm{i}",
                        **pace.env()})
            for i in range(3)]
    for j in jobs:
        finish(j, 60)
    _loop_down(c, 3)


def test_selftests_in_one_kernel(c):
    """A program meant for a cluster, on one: barriers by files."""
    _loop_up(c, 3)
    c[0].sh("rm -rf /tmp/ctl; mkdir /tmp/ctl", check=True)
    for name in ("fs", "locks"):
        jobs = [c[0].spawn([str(PROGRAMS / name)],
                           {"DSM_NODE": str(i), "DSM_NODES": "3", "DSM_MNT": f"/dev/dsm{i}",
                            "DSM_LOCAL": "/tmp/ctl", **pace.env(),
                            "DSM_SCALE": str(max(pace.work // 5, 1))}) for i in range(3)]
        for j in jobs:
            r = j.wait(120)
            assert r.ok, f"{name}: {r.out[-3000:]}{r.err[-1000:]}"
        c[0].sh("rm -f /tmp/ctl/*", check=True)
    _loop_down(c, 3)
