# SPDX-License-Identifier: GPL-2.0
"""
A peer that means no good. Servers 1 and 2 are a cluster of three whose node 0 is
not there; on server 0, whose address is node 0's, runs the hostile program.
"""
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from dsmhost import *  # noqa: E402,F403 pylint: disable=wildcard-import,unused-wildcard-import

GOOD = (1, 2)


def _up(c):
    jobs = [c[i].spawn(["sh", SCRIPT, "up", str(c.kernel.dsm_ko), str(i), peers(c), "dead_ms=600000"])
            for i in GOOD]
    for j in jobs:
        r = j.wait(60)
        assert r.ok, r.err


def _attack(c, mode, count, timeout=150):
    """Hostile traffic beside verified traffic; returns the counts and node 1's log."""
    bury(c)
    _up(c)
    for i in GOOD:
        log(c[i])
    jobs = [traffic(c, i, 200) for i in GOOD]
    for j in jobs:
        wait_for("traffic starts", 20, lambda j=j: "start" in j.text(17))
    port = read(c[1], "/sys/module/dsm/parameters/port")
    r = c[0].exec(str(PROGRAMS / "hostile"), mode, c[1].addr, "0", "1", "3", str(count),
                  timeout=timeout, env={"DSM_LOCAL": "/tmp", "DSM_PORT": port})
    assert r.ok, f"hostile: {r.status} {r.out}{r.err}"
    m = re.search(r"(\d+) tried, (\d+) refused, (\d+) dropped, (\d+) alive, (\d+) failed", r.out)
    done = [stop(j) for j in jobs]
    for i, t in zip(GOOD, done):
        assert t.max_us < 20_000_000 * pace.patience, f"node {i}: {t.max_us} us in a fault"
        finish(traffic(c, i, 1, expected=t.sum), 30)
    text = log(c[1])
    for i in GOOD:
        down(c, i)
        clean(c[i])
    return [int(x) for x in m.groups()], dsm_lines(text), r.out


def test_bad_hellos_are_refused(c):
    (tried, refused, _, _, _), lines, out = _attack(c, "hello", 30)
    assert refused == tried, out
    assert any("refused" in x for x in lines), "the log does not say so"


def test_bad_frames_cost_the_connection(c):
    (tried, _, dropped, _, _), lines, out = _attack(c, "frames", 20)
    # A request for a file that is gone is nobody's fault.
    alive = set(re.findall(r"kind (\d+): alive", out))
    assert alive <= {"15"} and dropped >= tried - 1, out
    assert any("connection dropped" in x or "sent a bad" in x for x in lines), "\n".join(lines)
    assert len(lines) < 20 * 6, f"{len(lines)} lines in the log for {tried} frames"
    for what in ("control message", "message of the membership", "message about metadata"):
        assert any(f"sent a bad {what}" in x for x in lines), f"{what}: " + "\n".join(lines)


def test_who_is_no_member_gets_no_page(c):
    (_, _, _, alive, _), _, out = _attack(c, "asks", 4)
    assert alive, out


def test_flipped_bits(c):
    (tried, _, dropped, alive, _), _, out = _attack(c, "flips", 25)
    assert dropped + alive >= tried // 2, out


def test_silence(c):
    """One that connects and says nothing is not in the way of the others."""
    _attack(c, "silent", 2)
