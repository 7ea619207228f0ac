# SPDX-License-Identifier: GPL-2.0
"""The KUnit tests of dsm.ko (modules/dsm/tests): alone, and with a bad loop transport."""
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from dsmhost import *  # noqa: E402,F403 pylint: disable=wildcard-import,unused-wildcard-import
from memos import tap  # noqa: E402

DEBUGFS = "/sys/kernel/debug/kunit"


def _run(c, args: str = "") -> None:
    n = c[0]
    n.sh("mountpoint -q /sys/kernel/debug || mount -t debugfs none /sys/kernel/debug", check=True)
    log(n)
    r = insmod(c, 0, f"kunit=1 {args}", timeout=900)
    assert r.ok, r.err
    planned = re.findall(r"^(?:\[[^]]*\] )?1\.\.(\d+)$", log(n), re.M)
    suites = n.sh(f"ls {DEBUGFS}", check=True).out.split()
    wrong = []
    if planned[:1] != [str(len(suites))]:
        wrong.append(f"{planned[:1]} suites planned, these ran: {suites}")
    for s in suites:
        text = read(n, f"{DEBUGFS}/{s}/results")
        # The cases are a subtest of the suite.
        cases = "\n".join(x[4:] for x in text.splitlines() if x.startswith("    "))
        for v in (tap.judge(text, "kunit", []), tap.judge(cases, "kunit", [])):
            wrong += [f"{s}: {p}" for p in v.problems]
        if any(s in w for w in wrong):
            wrong.append(text)
    n.exec("rmmod", "dsm", check=True)
    clean(n)
    assert not wrong, "\n".join(wrong)


def test_alone(c):
    _run(c)


def test_frames_take_a_while(c):
    _run(c, "loop_delay_us=1000")


def test_frames_come_twice(c):
    _run(c, "loop_dup_ppm=200000")


def test_connections_break(c):
    _run(c, "loop_drop_ppm=5000 loop_dup_ppm=10000 reconnect_ms=20")
