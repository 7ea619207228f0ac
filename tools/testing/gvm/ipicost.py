#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""
What an IPI to a vCPU of another member costs, with stubs as the program of a stock kernel and as
mailboxes of a patched one: instructions of all that runs from the IPI until its answer is there
(kvmlet's test rtt, both CPUs halted), counted by QEMU's -icount, so that load changes nothing.

Both members are on one server of one CPU, so what would be the work of two servers and of the
wire is in one sum; soft-RoCE is part of it. An entry into the guest counts as one instruction.
"""
import argparse
import re
import statistics
import sys

from gvmtest import GVM, ClusterError, run
from gvmtest.gvm import KVMLET, Agents
from memos.cluster import Cluster

RTT = re.compile(r"rtt CPU 1 halted: (\d+) trips, p50 (\d+) p90 (\d+) p99 (\d+) ns")
KINDS = ("program", "mailbox")


class Counted(Cluster):
    """Its time is the number of instructions."""

    def _qemu(self, i: int) -> list[str]:
        argv = super()._qemu(i)
        argv[argv.index("-accel") + 1] = "tcg,thread=single"
        return [*argv, "-icount", "shift=0,sleep=on"]


def measure(c: Cluster, kind: str, turn: int, rounds: int, timeout: float) -> list[int]:
    """One VM. Return: trips, p50, p90, p99."""
    name = f"{kind}{turn}"
    with Agents(c, env={"GVM_STUB": kind}) as a:
        o = run.start(c, [str(GVM), "run", "--name", name, "--servers", f"{c[0].addr},{c[0].addr}",
                          "--raw", "--vcpus", "0,1", "--", KVMLET, "--cpus", "2", "--only", "rtt",
                          "--rounds", str(rounds), "--mem-file", f"/dev/dsm/{name}.mem"],
                      name, env=a.env).finish(timeout)
        o.check()
    text = o.console.text()
    m = RTT.search(text)
    if f"stubs: {kind}" not in text or not m:
        raise ClusterError(f"{name}: no figure for stubs of that kind; log: {o.console.path}")
    return [int(x) for x in m.groups()]


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--kernel", default="qemu-patched")
    p.add_argument("--turns", type=int, default=3)
    p.add_argument("--rounds", type=int, default=20, help="ten trips each")
    p.add_argument("--timeout", type=float, default=600)
    a = p.parse_args()
    got: dict[str, list[list[int]]] = {k: [] for k in KINDS}
    with Counted(1, a.kernel) as c:
        for turn in range(a.turns):
            for kind in KINDS:
                got[kind].append(measure(c, kind, turn, a.rounds, a.timeout))
    print(f"instructions from an IPI to its answer, {a.turns} x {got['program'][0][0]} trips; "
          "p50, p90, p99: medians")
    p50 = {}
    for kind, rows in got.items():
        med = [int(statistics.median(r[k] for r in rows)) for k in (1, 2, 3)]
        p50[kind] = med[0]
        print(f"{kind:10}" + "".join(f"{x:10}" for x in med)
              + f"   p50 of each: {[r[1] for r in rows]}")
    print(f"program / mailbox {p50['program'] / p50['mailbox']:.2f}, "
          f"a stub {(p50['program'] - p50['mailbox']) // 2} fewer")
    return 0 if p50["mailbox"] < p50["program"] else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ClusterError as e:
        sys.exit(f"ipicost: {e}")
