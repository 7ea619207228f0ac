# SPDX-License-Identifier: GPL-2.0
"""Nodes that leave and come back while the others go on: a home, the master."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from dsmhost import *  # noqa: E402,F403 pylint: disable=wildcard-import,unused-wildcard-import


def _leave_and_rejoin(c, who):
    fresh(c)
    others = [i for i in range(c.nr_nodes) if i != who]
    known = {i: finish(t, 60).sum for i, t in [(i, traffic(c, i, 2)) for i in range(c.nr_nodes)]}
    jobs = {i: traffic(c, i, 120, expected=known[i]) for i in others}
    for i in others:
        wait_for("traffic starts", 20, lambda i=i: "start" in jobs[i].text(17))
    down(c, who)
    clean(c[who])
    time.sleep(2)
    # New files, renames and sizes need a master: the next one is it.
    c[others[0]].sh("echo hello >/dev/dsm/without; mv /dev/dsm/without /dev/dsm/there", check=True)
    assert read(c[others[1]], "/dev/dsm/there") == "hello"
    up(c, who)
    assert read(c[who], "/dev/dsm/there") == "hello"
    finish(traffic(c, who, 2, expected=known[who]), 60)
    for i in others:
        t = stop(jobs[i])
        assert t.max_us < 20_000_000 * pace.patience, f"a fault on node {i} took {t.max_us} us"
    no_d_state(c.nodes)
    c.dsm_down()


def test_master_leaves(c):
    _leave_and_rejoin(c, 0)


def test_middle_leaves(c):
    _leave_and_rejoin(c, 1)


def test_last_leaves(c):
    _leave_and_rejoin(c, 2)


def test_one_after_the_other(c):
    """The contents end up on the last one, and spread again."""
    fresh(c)
    c[0].sh("head -c 2097152 /dev/urandom >/tmp/data; cp /tmp/data /dev/dsm/data", check=True)
    want = c[0].exec("sha256sum", "/tmp/data", check=True).out.split()[0]
    for n in c.nodes:
        assert n.exec("sha256sum", "/dev/dsm/data", check=True).out.split()[0] == want
    down(c, 0)
    down(c, 1)
    assert c[2].exec("sha256sum", "/dev/dsm/data", check=True).out.split()[0] == want
    up(c, 0)
    up(c, 1)
    down(c, 2)
    for n in c.nodes[:2]:
        assert n.exec("sha256sum", "/dev/dsm/data", check=True).out.split()[0] == want
    up(c, 2)
    c.dsm_down()
