# SPDX-License-Identifier: GPL-2.0
"""A wire that fails for a while: nothing is lost, nothing happens twice."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from dsmhost import *  # noqa: E402,F403 pylint: disable=wildcard-import,unused-wildcard-import



def _outage(c, begin, end, seconds):
    jobs = [traffic(c, i, 90, pages=32) for i in range(c.nr_nodes)]
    for j in jobs:
        wait_for("traffic starts", 20, lambda j=j: "start" in j.text(17))
    for s in seconds:
        begin()
        time.sleep(s)
        end()
        time.sleep(3)
    done = [stop(j, 40) for j in jobs]
    for i, t in enumerate(done):
        assert t.max_us < (max(seconds) + 8 * pace.patience) * 1_000_000, f"node {i}: {t.max_us} us in a fault"
    # Every increment is there exactly once: the sums are what their owners counted.
    for i, t in enumerate(done):
        finish(traffic(c, i, 1, pages=32, expected=t.sum), 30)
    no_d_state(c.nodes)


def test_carrier(c):
    fresh(c)
    _outage(c, lambda: c[1].link(False), lambda: c[1].link(True), (1, 3))
    c.dsm_down()


def test_silent_cut(c):
    fresh(c)
    _outage(c, lambda: c.cut([0], [1]), c.heal, (1, 3))
    c.dsm_down()


def test_loss(c):
    """Five percent of all packets vanish: RDMA's retries, or ours."""
    fresh(c)
    c.loss([0], [1], 50)
    known = [finish(t, 90).sum for t in [traffic(c, i, 8, pages=16) for i in range(2)]]
    c.heal()
    for i in range(2):
        finish(traffic(c, i, 1, pages=16, expected=known[i]), 30)
    c.dsm_down()


def test_metadata_over_an_outage(c):
    fresh(c)
    job = c[1].spawn(["sh", "-c", "for i in $(seq 60); do echo $i >/dev/dsm/f$i || exit 1; done"])
    time.sleep(0.2)
    c.cut([0], [1])
    time.sleep(2)
    c.heal()
    r = job.wait(60)
    assert r.ok, f"{r.out}{r.err}{stacks(c[1])}"
    for n in c.nodes:
        out = n.sh("cat $(seq -f /dev/dsm/f%g 60)", check=True).out.split()
        assert out == [str(i) for i in range(1, 61)], f"node {n.index}: {out}"
    c.dsm_down()
