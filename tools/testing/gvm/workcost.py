#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""
What nas, or with --debian programs of Debian's userland (work/work.sh), do in one Linux: over two
servers under gvm, and on one server with as many CPUs under plain KVM. Prints the times that the
guest measured, and their ratio.
"""
import argparse
import re
import sys

from gvmtest import ClusterError, disk, guest, run
from gvmtest.gvm import Agents
from memos import kernel
from memos.cluster import Cluster

ROW = re.compile(r"# work (\S+): (\d+) ms, status 0|ok \d+ (\S+) # (\d+) ms")
NAS = ["ep", "ep-a", "is", "cg"]
KINDS = ("plain", "gvm")


def linux(a: argparse.Namespace) -> guest.Linux:
    k = kernel.get(a.guest or ("stock" if a.debian else "qemu-patched"))
    make = disk.linux if a.debian else guest.Linux
    return make(k, "work" if a.debian else a.tests.split(","), cpus=a.cpus, mem=a.mem,
                late=not a.early)


def plain(a: argparse.Namespace) -> run.Outcome:
    with Cluster(1, a.kernel, cpus=a.cpus, mem=a.server_mem) as c:
        run.kvm_up(c)
        run.new_disk(c)
        return run.run(c, linux(a).plain(), "plain", a.timeout)


def spread(a: argparse.Namespace) -> run.Outcome:
    with Cluster(a.cpus, a.kernel, cpus=1, mem=a.server_mem) as c, Agents(c) as agents:
        return agents.linux("gvm", linux(a)).finish(a.timeout)


def rows(o: run.Outcome) -> dict[str, int]:
    return {m[1] or m[3]: int(m[2] or m[4]) for m in map(ROW.search, o.tap()) if m}


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--kernel", default="qemu-patched", help="the servers'")
    p.add_argument("--guest", help="the guest's: qemu-patched, Debian's is stock")
    p.add_argument("--debian", action="store_true", help="its init and programs, on a disk")
    p.add_argument("--cpus", type=int, default=2, help="of the guest, and servers of one each")
    p.add_argument("--mem", default="256M", help="of the guest")
    p.add_argument("--server-mem", default="1G")
    p.add_argument("--timeout", type=float, default=1800)
    p.add_argument("--tests", default=",".join(NAS), help="of the guest's")
    p.add_argument("--early", action="store_true", help="CPUs of all servers take part in the boot")
    p.add_argument("--only", choices=KINDS, help="one of the two")
    a = p.parse_args()
    got, bad = {}, []
    for kind, fn in zip(KINDS, (plain, spread)):
        if a.only and a.only != kind:
            continue
        o = fn(a)
        got[kind] = rows(o)
        bad += [f"{kind}: {x}" for x in o.problems]
        login = f"login after {o.login_s:.1f} s, " if o.login_s else ""
        print(f"{kind}: PID 1 after {o.init_s or -1:.1f} s, {login}end after {o.took_s:.1f} s; "
              f"log {o.console.path}", flush=True)
    names = list(dict.fromkeys(name for r in got.values() for name in r))
    print(f"{'ms in the guest':18}" + "".join(f"{k:>10}" for k in got) + "     plain/gvm")
    for name in names:
        ms = [r.get(name, 0) for r in got.values()]
        ratio = f"{ms[0] / ms[1]:14.2f}" if len(ms) == 2 and all(ms) else ""
        print(f"{name:18}" + "".join(f"{x:10}" for x in ms) + ratio)
    print("".join(f"PROBLEM {x}\n" for x in bad), end="")
    return 1 if bad or not names else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ClusterError as e:
        sys.exit(f"workcost: {e}")
