#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Boot a Linux guest in a server with plain KVM, RAM private or on dsmfs; say how long it took."""
import argparse
import sys

from gvmtest import ClusterError, guest, run
from memos.cluster import Cluster


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--nodes", type=int, default=1)
    p.add_argument("--kernel", default="stock", help="the servers' kernel")
    p.add_argument("--server-mem", default="1G")
    p.add_argument("--ram", choices=("private", "dsm"), default="private")
    p.add_argument("--cpus", type=int, default=2, help="vCPUs of the guest")
    p.add_argument("--mem", default="256M", help="of the guest")
    p.add_argument("--append", default="loglevel=5", help="to the guest's command line")
    p.add_argument("--tests", default="cpus", help="comma separated, or 'all'")
    p.add_argument("--times", type=int, default=1)
    p.add_argument("--timeout", type=float, default=600)
    p.add_argument("--name", default=None, help="of the cluster")
    a = p.parse_args()
    tests = guest.TESTS if a.tests == "all" else a.tests.split(",")
    bad = 0
    with Cluster(a.nodes, a.kernel, mem=a.server_mem, name=a.name) as c:
        run.kvm_up(c)
        g = guest.Linux(c.kernel, tests, cpus=a.cpus, mem=a.mem, append=a.append,
                        boots=3 if "reboot" in tests else 1)
        for i in range(a.times):
            if a.ram == "dsm":
                c.dsm_up()
            run.new_disk(c)
            argv = g.plain("/dev/dsm/ram" if a.ram == "dsm" else "")
            o = run.run(c, argv, f"plain{i}", a.timeout, ignore="Call Trace:" if "nmi" in tests else "")
            print(f"boot {i}: init after {o.init_s or -1:.1f} s, end after {o.took_s:.1f} s; "
                  f"log {o.console.path}", flush=True)
            print("\n".join("    " + x for x in o.tap()))
            o.problems += run.server_logs(c)
            print("".join(f"    PROBLEM {x}\n" for x in o.problems), end="", flush=True)
            bad += bool(o.problems)
            if a.ram == "dsm":
                c.dsm_down()
    return 1 if bad else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ClusterError as e:
        sys.exit(f"boot: {e}")
