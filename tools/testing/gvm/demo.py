#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""
One Linux over emulated servers, as it runs: it boots, tells what machine it is on, computes on all
its CPUs beside a picture of them, and one CPU goes to the first server and back meanwhile.
"""
import argparse
import sys
import threading

from gvmtest import OUT, TOP, ClusterError, guest, run
from gvmtest.gvm import Agents
from memos.cluster import Cluster

NAME = "demo"


def show(vm: run.Running, stop: threading.Event) -> None:
    """The guest's log as it comes, TAP's marks left out."""
    shown = 0
    while not stop.wait(0.2) or shown < len(vm.console.lines):
        for at, text in vm.console.lines[shown:]:
            print(f"{at:7.1f} s  {text.split('tap: ')[-1].removeprefix('# ')}", flush=True)
            shown += 1


def move(agents: Agents, vcpu: int, server: int) -> None:
    r = agents.move(NAME, vcpu, server)
    print(f"$ gvm move {NAME} {vcpu} {server}\n{(r.out or r.err).strip()}", flush=True)
    if not r.ok:
        raise ClusterError("gvm move failed")


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--kernel", default="qemu-patched", help="of servers and guest")
    p.add_argument("--nodes", type=int, default=2)
    p.add_argument("--size", type=int, default=28, help="nas ep: log2 of pairs, 24 or 28")
    p.add_argument("--pause", type=float, default=5, help="seconds of work before each move")
    p.add_argument("--timeout", type=float, default=600)
    a = p.parse_args()
    work = f"{TOP}/tools/testing/gvm/work/show.sh {OUT}/nas {a.size}"
    with Cluster(a.nodes, a.kernel, cpus=1, mem="1G") as c, Agents(c) as agents:
        g = guest.Linux(c.kernel, ["work"], cpus=a.nodes, work=work)
        vm = agents.linux(NAME, g)
        stop = threading.Event()
        shower = threading.Thread(target=show, args=(vm, stop))
        shower.start()
        try:
            vm.wait_for("nas ep", a.timeout)
            for server in (0, a.nodes - 1):
                if vm.job.done.wait(a.pause):
                    raise ClusterError("the work was done before a CPU moved: try a larger --size")
                move(agents, a.nodes - 1, server)
            o = vm.finish(a.timeout)
        finally:
            stop.set()
            shower.join()
    o.check()
    print(f"\nOne Linux on {a.nodes} servers: its PID 1 ran after {o.init_s:.0f} s, "
          f"off after {o.took_s:.0f} s.")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (ClusterError, AssertionError) as e:
        sys.exit(f"demo: {e}")
