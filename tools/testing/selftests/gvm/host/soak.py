# SPDX-License-Identifier: GPL-2.0
"""
Begin, work on every CPU, end, again and again: reliability as a number (make soak-gvm N=200).
GVM_SOAK=linux: a Linux guest that takes a CPU off and on, uses disk and network, and reboots;
else kvmlet, several times.
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


def _kvmlet(c):
    took = []
    with Agents(c) as a:
        for i in range(CYCLES):
            start = time.monotonic()
            vm = a.kvmlet(f"soak{i}", [0, *range(c.nr_nodes)], "--only", WORK, "--rounds", "2")
            check(c, vm, 120)
            a.nothing_left()
            took.append(time.monotonic() - start)
    print(f"# {CYCLES} cycles: median {statistics.median(took):.1f} s, longest {max(took):.1f} s")


def test_cycles(c):
    if os.environ.get("GVM_SOAK") == "linux":
        boot(c, "soak", ["cpus", "hotplug", "blk", "net", "reboot"], 900, reboots=True)
    else:
        _kvmlet(c)
