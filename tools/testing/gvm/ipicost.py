#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""
What an IPI to a vCPU of another server and its answer cost: with stubs as the program of a stock
kernel, as mailboxes of a patched one, and as those with eventfds that dsm.ko connects. Instructions
that both servers execute, soft-RoCE included, counted by QEMU's -icount, so that load changes
nothing; an entry into the guest counts as one.

Each server has one CPU; what it executes is the time it was not idle. A VM makes few round trips
(kvmlet's test rtt_halted), another one many: the difference is what the trips between cost.
"""
import argparse
import re
import statistics
import sys

from gvmtest import ClusterError
from gvmtest.gvm import Agents
from memos.cluster import Cluster

RTT = re.compile(r"rtt CPU 1 halted: (\d+) trips, p50 (\d+) p90 (\d+) p99 (\d+) ns")
KINDS = ("program", "mailbox", "eventfd")
FEW, MANY = 100, 1100


class Counted(Cluster):
    """Its time is the number of instructions."""

    def _qemu(self, i: int) -> list[str]:
        argv = super()._qemu(i)
        argv[argv.index("-accel") + 1] = "tcg,thread=single"
        return [*argv, "-icount", "shift=0,sleep=on"]


def busy(c: Cluster) -> int:
    """Instructions executed so far, in 10 millions."""
    total = 0.0
    for n in c.nodes:
        up, idle = (float(x) for x in n.sh("cat /proc/uptime").out.split())
        total += up - idle
    return round(total * 1e9)


def one_vm(c: Cluster, name: str, kind: str, trips: int, timeout: float) -> tuple[int, int]:
    """Return: instructions in all, p50 of a trip in ns."""
    with Agents(c, env={"GVM_STUB": kind}) as a:
        for n in c.nodes:
            n.sh("echo 0 >/sys/module/kvm/parameters/halt_poll_ns", check=True)
        before = busy(c)
        o = a.kvmlet(name, [0, 1], "--only", "rtt_halted", "--rounds", str(trips // 10))
        o.finish(timeout).check()
        total = busy(c) - before
    text = o.console.text()
    m = RTT.search(text)
    if f"stubs: {kind}" not in text or not m or int(m[1]) != trips:
        raise ClusterError(f"{name}: no figure for stubs of that kind; log: {o.console.path}")
    return total, int(m[2])


def measure(c: Cluster, kind: str, turn: int, timeout: float) -> int:
    """Return: instructions a trip."""
    few, _ = one_vm(c, f"{kind}{turn}few", kind, FEW, timeout)
    many, p50 = one_vm(c, f"{kind}{turn}many", kind, MANY, timeout)
    cost = (many - few) // (MANY - FEW)
    print(f"{kind}: {cost} instructions a trip ({few / 1e9:.2f} and {many / 1e9:.2f} s busy, "
          f"p50 {p50} ns)", flush=True)
    return cost


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--kernel", default="qemu-patched")
    p.add_argument("--turns", type=int, default=3)
    p.add_argument("--timeout", type=float, default=600)
    a = p.parse_args()
    got: dict[str, list[int]] = {k: [] for k in KINDS}
    with Counted(2, a.kernel) as c:
        for turn in range(a.turns):
            for kind in KINDS:
                got[kind].append(measure(c, kind, turn, a.timeout))
    print(f"instructions from an IPI to its answer, {a.turns} x {MANY - FEW} trips")
    median = {kind: int(statistics.median(x)) for kind, x in got.items()}
    for kind, x in got.items():
        print(f"{kind:10} {median[kind]:10}   program / this {median['program'] / median[kind]:.2f}"
              f"   each turn: {x}")
    return 0 if median["eventfd"] < median["mailbox"] < median["program"] else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ClusterError as e:
        sys.exit(f"ipicost: {e}")
