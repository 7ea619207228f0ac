# SPDX-License-Identifier: GPL-2.0
"""The master is lost in the middle of a change: the others are alike, and go on."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from dsmhost import *  # noqa: E402,F403 pylint: disable=wildcard-import,unused-wildcard-import

LIST = "cd /dev/dsm && stat -c '%n %i %s %a %u %y' * 2>/dev/null | sort; true"


def _alike(c) -> bool:
    one, other = (n.sh(LIST, check=True).out for n in c.nodes[1:])
    return one == other


def _again(c):
    """With no file left the lost server may come again."""
    c[1].sh("rm -f /dev/dsm/*", check=True)
    c.restart(0)
    up(c, 0)
    c.dsm_down()


def _lost(c, cut_off):
    """A change of the master's comes to one of the others only."""
    got_it = 3 - cut_off
    fresh(c)
    c[0].sh("echo before >/dev/dsm/before", check=True)
    c.cut([0], [cut_off])
    c[0].spawn(["sh", "-c", "echo half >/dev/dsm/half"])
    wait_for("the file is on one of them", 20, lambda: c[got_it].sh("test -e /dev/dsm/half").ok)
    assert not c[cut_off].sh("test -e /dev/dsm/half").ok, "the wire is not cut"
    c[0].kill()
    c.heal()
    wait_for("the file is on the other", 60, lambda: c[cut_off].sh("test -e /dev/dsm/half").ok)
    c[cut_off].sh("mv /dev/dsm/half /dev/dsm/whole && : >/dev/dsm/new", check=True)
    assert _alike(c), [n.sh(LIST).out for n in c.nodes[1:]]
    names = c[got_it].sh("ls /dev/dsm", check=True).out.split()
    assert names == ["before", "new", "whole"], names
    _again(c)


def test_the_next_master_has_the_change(c):
    _lost(c, 2)


def test_the_next_master_lacks_the_change(c):
    _lost(c, 1)


def test_a_region_that_is_frozen_thaws(c):
    """It was to be placed otherwise; then the master, which had asked all but one, is lost."""
    fresh(c)
    c[1].sh("truncate -s 1M /dev/dsm/placed", check=True)
    dsmctl = str(BUILD / "tools/dsmctl")
    c[1].exec(dsmctl, "place", "placed", "node", "2", check=True)
    c.cut([0], [2])
    c[0].spawn([dsmctl, "place", "placed", "node", "1"])
    time.sleep(0.5)
    c[0].kill()
    c.heal()
    r = c[1].sh("echo hello >/dev/dsm/placed", timeout=60)
    assert r.ok, f"{r.err}{stacks(c[1])}"
    assert read(c[2], "/dev/dsm/placed") == "hello"
    assert _alike(c)
    _again(c)


def test_changes_under_way(c):
    """Files come and go everywhere when the master is lost."""
    loop = ("i=0; while :; do i=$((i+1)); f=/dev/dsm/$0-$((i%7)); "
            ": >$f && mv $f $f.x && chmod 600 $f.x && truncate -s $i $f.x; done")
    fresh(c)
    jobs = [n.spawn(["sh", "-c", loop, str(n.index)]) for n in c.nodes]
    time.sleep(3)
    c[0].kill()
    time.sleep(5 * pace.patience)
    for j in jobs[1:]:
        j.kill(9)
        assert not j.wait(30).timed_out, f"does not end:\n{stacks(j.node)}"
    c[2].sh(": >/dev/dsm/last", timeout=60, check=True)
    assert _alike(c), [n.sh(LIST).out for n in c.nodes[1:]]
    no_d_state(c.nodes[1:])
    _again(c)
