#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The tour: servers with Debian's stock kernel share memory over soft-RoCE."""
import argparse
import sys
import time

from memos import BUILD, ClusterError
from memos.cluster import Cluster

TOOLS = BUILD / "tools"
FILE = "/dev/dsm/picture"
WIDTH = 100


def title(text: str) -> None:
    print(f"\n\033[1m== {text} {'=' * max(0, WIDTH - 4 - len(text))}\033[0m", flush=True)


def run(c: Cluster, n: int, *argv: str, timeout: float = 60) -> str:
    r = c[n].exec(*argv, timeout=timeout)
    if not r.ok:
        raise ClusterError(f"node {n}: {' '.join(argv)}: status {r.status}: {r.err.strip()}")
    return r.out


def boot(c: Cluster) -> None:
    title(f"{c.nr_nodes} servers, Debian's stock kernel, soft-RoCE between them")
    start = time.monotonic()
    c.up()
    kernel = run(c, 0, "uname", "-r").strip()
    print(f"booted Linux {kernel} on {len(c.nodes)} servers in {time.monotonic() - start:.0f} s")
    c.dsm_up()
    print("insmod dsm.ko, mount -t dsmfs none /dev/dsm: done on all of them")
    print(run(c, 0, str(TOOLS / "dsmctl"), "status"))


def shared(c: Cluster) -> None:
    title("a file written on one server is memory of every server")
    c[0].sh("echo 'hello from server 0' >/dev/dsm/hello").out
    for n in range(1, len(c.nodes)):
        print(f"server {n} reads: {run(c, n, 'cat', '/dev/dsm/hello').strip()}")


def top(c: Cluster, files: list[str]) -> str:
    """Snapshots of all servers, then one table."""
    tool = str(TOOLS / "dsmtop")
    for n, f in enumerate(files):
        c[n].sh(f"{tool} --snapshot >{f}")
    return run(c, 0, tool, "--merge", *files)


def paint(c: Cluster) -> None:
    title("one picture, painted by all servers in one memory")
    prog = str(TOOLS / "dsm-mandel")
    jobs = [c[n].spawn([prog, "paint", FILE, str(n)]) for n in range(len(c.nodes))]
    for n, j in enumerate(jobs):
        r = j.wait(60)
        if not r.ok:
            raise ClusterError(f"node {n}: dsm-mandel: status {r.status}: {r.err.strip()}")
    print(run(c, 0, prog, "show", FILE))
    title("what that took")
    print(top(c, [f"{c.dir}/top.{n}" for n in range(len(c.nodes))]))


def latency(c: Cluster) -> None:
    title("fault latencies, us (emulated servers: compare them with each other only)")
    print(f"{'node':>4} {'fault':<10} {'count':>7} {'p50':>8} {'p90':>8} {'p99':>8}")
    for n in range(len(c.nodes)):
        for kind in ("read", "write", "upgrade", "zero"):
            base = f"/sys/fs/dsm/cluster/latency/fault_{kind}"
            out = run(c, n, "sh", "-c", f"cd {base} && cat count p50_ns p90_ns p99_ns").split()
            if int(out[0]):
                us = [f"{int(v) / 1000:8.0f}" for v in out[1:]]
                print(f"{n:>4} {kind:<10} {out[0]:>7} {' '.join(us)}")


def leave(c: Cluster) -> None:
    title("leaving cleanly")
    c.dsm_down()
    for n in c.nodes:
        left = n.sh("grep -c '^dsm ' /proc/modules; ls -d /sys/fs/dsm 2>/dev/null").out.split()
        if left != ["0"]:
            raise ClusterError(f"node {n.index}: something of dsm is left: {left}")
    print("umount, rmmod: nothing is left on any server")


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--nodes", type=int, default=2)
    args = p.parse_args()
    start = time.monotonic()
    try:
        c = Cluster(args.nodes, name="demo")
        try:
            for step in (boot, shared, paint, latency, leave):
                step(c)
        finally:
            c.down()
    except ClusterError as e:
        print(f"demo: {e}", file=sys.stderr)
        return 1
    print(f"\ndone in {time.monotonic() - start:.0f} s; next: make cluster, make bench, README.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
