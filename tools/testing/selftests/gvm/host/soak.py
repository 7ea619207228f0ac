# SPDX-License-Identifier: GPL-2.0
"""
Begin, work on every CPU, end, again and again: reliability as a number (make soak-gvm N=200).
GVM_SOAK=linux: a Linux guest, which each time it boots takes a CPU off and on and uses disk and
network from every CPU; else kvmlet.
"""
import os
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from vms import Agents, boot, check  # noqa: E402

CYCLES = 5
WORK = "ap_up,pio,doorbell,again,storm,atomics,fill,timer,tsc,kick"


def _kvmlet(c) -> list[float]:
    took = []
    with Agents(c) as a:
        for i in range(CYCLES):
            start = time.monotonic()
            vm = a.kvmlet(f"soak{i}", [0, *range(c.nr_nodes)], "--only", WORK, "--rounds", "2")
            check(c, vm, 120)
            a.nothing_left()
            took.append(time.monotonic() - start)
    return took


def _linux(c) -> list[float]:
    """A cycle ends with a reboot, the last one with power off."""
    o = boot(c, "soak", ["cpus", "hotplug", "blk", "net", "reboot"], 900, boots=CYCLES,
             turns=10)
    begins = [0.0, *o.ends]
    return [b - a for a, b in zip(begins, begins[1:])]


def test_cycles(c):
    took = (_linux if os.environ.get("GVM_SOAK") == "linux" else _kvmlet)(c)
    print(f"# {len(took)} cycles: median {statistics.median(took):.1f} s, longest {max(took):.1f} s")
