#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""
Do KVM's asynchronous page faults pay over dsmfs? kvmlet's tests of memory on two servers, with
faults that wait for the page so long (knob nowait_us; 0: never) before they are made asynchronous,
in turn. Prints the time of each test, the sum, and how many faults became asynchronous.
"""
import argparse
import re
import statistics
import sys

from gvmtest import ClusterError
from gvmtest.gvm import Agents
from memos.cluster import Cluster

TESTS = "sb,mp,turns,atomics,tables,fill"
ROW = re.compile(r"^ok \d+ (\w+): .* # (\d+) ms$")


def measure(c: Cluster, us: int, turn: int, a: argparse.Namespace) -> dict[str, int]:
    """One VM. Return: ms by test, and its faults."""
    name = f"us{us}n{turn}"
    with Agents(c, f"nowait_us={us}") as agents:
        vm = agents.kvmlet(name, [0, 1], "--only", a.tests, "--rounds", str(a.rounds))
        o = vm.finish(a.timeout)
        asynchronous = sum(int(n.sh("cat /sys/fs/dsm/cluster/stats/fault_nowait", check=True).out)
                           for n in c.nodes)
    o.check()
    ms = {m[1]: int(m[2]) for m in map(ROW.match, o.tap()) if m and m[1] != "ap_up"}
    return {**ms, "sum": sum(ms.values()), "asynchronous": asynchronous}


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--kernel", default="qemu-patched")
    p.add_argument("--us", default="0,2000,1000000", help="values of nowait_us")
    p.add_argument("--turns", type=int, default=5)
    p.add_argument("--tests", default=TESTS)
    p.add_argument("--rounds", type=int, default=10)
    p.add_argument("--timeout", type=float, default=300)
    a = p.parse_args()
    values = [int(x) for x in a.us.split(",")]
    got: dict[int, list[dict[str, int]]] = {us: [] for us in values}
    with Cluster(2, a.kernel) as c:
        for turn in range(a.turns):
            for us in values:
                got[us].append(measure(c, us, turn, a))
    print(f"ms, medians of {a.turns}; with nowait_us" + "".join(f"{us:>8}" for us in values))
    for name in got[values[0]][0]:
        print(f"{name:32}" + "".join(
            f"{statistics.median(r[name] for r in got[us]):8.0f}" for us in values))
    sums = [[r["sum"] for r in got[us]] for us in values]
    print("sums: " + "; ".join(f"{us}: {sorted(s)}" for us, s in zip(values, sums)))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (ClusterError, AssertionError) as e:
        sys.exit(f"asynccost: {e}")
