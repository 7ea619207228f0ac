# SPDX-License-Identifier: GPL-2.0
"""Traces as the operator's guide takes them: of two servers, joined; of the view."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from dsmhost import *  # noqa: E402,F403 pylint: disable=wildcard-import,unused-wildcard-import

PROF = str(BUILD / "tools/dsm-prof")
EVENTS = "/sys/kernel/tracing/events/dsm"


def _record(c):
    """By dsm-prof on the first server for as long as by trace-cmd on the other one."""
    prof = c[0].spawn([PROF, "record", "-o", "/tmp/trace", "-s", "600"])
    wait_for("dsm-prof records", 60, lambda: c[0].sh(
        "grep -q 1 /sys/kernel/tracing/instances/dsm-prof/events/dsm/enable").ok)
    c[1].exec("trace-cmd", "record", "-q", "-C", "mono", "-e", "dsm", "-o", "/tmp/trace", "sleep", "5",
              timeout=120, check=True)
    prof.kill(2)
    r = prof.wait(60)
    assert r.ok, f"dsm-prof record: {r.err}{r.out}"


def test_join(c):
    """One server by dsm-prof, the other by trace-cmd; both write the same pages."""
    fresh(c)
    jobs = [traffic(c, i, 300, pages=8) for i in range(c.nr_nodes)]
    for j in jobs:
        wait_for("traffic starts", 20, lambda j=j: "start" in j.text(17))
    _record(c)
    for j in jobs:
        stop(j)
    c[0].sh("cp /tmp/trace /dev/dsm/trace0", check=True)
    c[1].sh("trace-cmd report -t /tmp/trace >/dev/dsm/trace1", timeout=120, check=True)
    r = c[0].exec(PROF, "report", "--html", "/tmp/report.html", "/dev/dsm/trace0", "/dev/dsm/trace1",
                  check=True, timeout=120)
    print(f"# {r.out}".replace("\n", "\n# "))
    assert "WARNING" not in r.out, "events were lost"
    faults = {m[1]: int(m[2]) for m in re.finditer(r"^((?:write|upgrade)[^|]*?) +(\d+) ", r.out, re.M)}
    assert sum(faults.values()) > 20, f"few faults to write: {faults}"
    assert re.search(r"^  region \d+ page \d+: nodes 0, 1 wrote it in turn", r.out, re.M)
    assert read(c[0], "/tmp/report.html").startswith("<!DOCTYPE html>")
    c.dsm_down()


def test_view(c):
    """Who leaves and comes back is in the trace of who stays."""
    fresh(c)
    c[0].sh(f"echo >/sys/kernel/tracing/trace; echo 1 >{EVENTS}/dsm_member/enable", check=True)
    down(c, 1)
    up(c, 1)
    c[0].sh(f"echo 0 >{EVENTS}/dsm_member/enable", check=True)
    out = c[0].sh("cat /sys/kernel/tracing/trace", check=True).out
    views = re.findall(r"dsm_member: node=0 view=(\d+) epoch=(\d+) members=(\d+) lost=(\d+)", out)
    numbers = [int(v[0]) for v in views]
    assert numbers == sorted(set(numbers)) and all(numbers), views
    assert [v[2] for v in views][-1] == "2" and "1" in [v[2] for v in views], views
    assert {v[1] for v in views} == {views[0][1]} and {v[3] for v in views} == {"0"}, views
    c.dsm_down()
