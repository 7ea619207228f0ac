#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""
What does the patch series cost a VM that uses nothing of it?

Instructions from an IPI between two halted vCPUs to its answer, under plain KVM: kvmlet's test
rtt_halted on one server of one CPU that counts instructions (-icount). Boots an unpatched and a
patched kernel, one after the other; prints both and their ratio, fails above --limit.
"""
import argparse
import statistics
import sys

from gvmtest import ClusterError, run
from gvmtest.gvm import KVMLET, round_trips
from gvmtest.guest import build_programs
from memos.cluster import Cluster

ROUNDS = 50


def measure(variant: str, npt: int, turns: int, timeout: float) -> list[list[int]]:
    """Return: of each turn [count, p50, p90, p99]."""
    rows = []
    with Cluster(1, variant, count_instructions=True) as c:
        run.kvm_up(c, f"npt={npt}")
        c[0].sh("echo 0 >/sys/module/kvm/parameters/halt_poll_ns", check=True)
        for turn in range(turns):
            o = run.run(c, [KVMLET, "--cpus", "2", "--only", "rtt_halted", "--rounds", str(ROUNDS)],
                        f"plain{turn}", timeout)
            o.check()
            rows.append(round_trips(o.console.text())["halted"])
        if problems := run.server_logs(c):
            raise ClusterError(f"{variant}: {problems}")
    return rows


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--kernels", nargs=2, default=["qemu", "qemu-patched"])
    p.add_argument("--npt", type=int, default=1, choices=(0, 1), help="nested paging")
    p.add_argument("--turns", type=int, default=3)
    p.add_argument("--limit", type=float, default=1.01, help="of the ratio of the medians")
    p.add_argument("--timeout", type=float, default=600)
    a = p.parse_args()
    build_programs()
    medians = []
    print("instructions from an IPI to its answer, two halted vCPUs")
    for variant in a.kernels:
        rows = measure(variant, a.npt, a.turns, a.timeout)
        medians.append(statistics.median(r[1] for r in rows))
        print(f"{variant:14} {len(rows)} x {rows[0][0]} trips, p50 of each {[r[1] for r in rows]}, "
              f"p90 {[r[2] for r in rows]}, p99 {[r[3] for r in rows]}", flush=True)
    ratio = medians[1] / medians[0]
    good = ratio <= a.limit
    print(f"ratio of the medians {ratio:.4f}\n{int(good)} passed, {int(not good)} failed, 0 skipped")
    return 0 if good else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ClusterError as e:
        sys.exit(f"kvmcost: {e}")
