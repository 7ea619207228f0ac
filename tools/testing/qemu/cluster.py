#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Drive emulated clusters: up, exec, link, …, down; and run tests on them."""
import argparse
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from memos import SELFTESTS, ClusterError, manifest, server  # noqa: E402
from memos.runner import Run  # noqa: E402


def arguments() -> argparse.Namespace:
    top = argparse.ArgumentParser(description=__doc__)
    sub = top.add_subparsers(dest="verb", required=True)

    def verb(name: str, text: str, named: bool = True) -> argparse.ArgumentParser:
        p = sub.add_parser(name, help=text, description=text)
        if named:
            p.add_argument("--name", default="default", help="which cluster")
        return p

    def shape(p: argparse.ArgumentParser) -> None:
        p.add_argument("--kernel", default="stock", help="stock, deb, qemu[-patched], debug[-patched]")
        p.add_argument("--cpus", type=int, default=1)
        p.add_argument("--mem", default="1G")

    p = verb("up", "start a cluster and leave it running")
    shape(p)
    p.add_argument("--nodes", type=int, default=2)
    p.add_argument("--numa", type=int, default=1, help="NUMA nodes a server, 1 or 2")
    p.add_argument("--net", choices=("switch", "direct"), default="switch")
    p.add_argument("--ttl", type=float, default=4 * 3600, help="seconds until it ends by itself")
    p.add_argument("--dsm", action="store_true", help="load dsm.ko and mount dsmfs")
    p.add_argument("--append", default="", help="more kernel command line")
    p = verb("_serve", "(internal) the process behind 'up'")
    p.add_argument("config")
    verb("down", "end a cluster")
    verb("status", "list servers")
    verb("logs", "print where the servers' logs are")
    p = verb("exec", "run a command on a server ('all': on every one)")
    p.add_argument("--timeout", type=float, default=600)
    p.add_argument("node")
    p.add_argument("argv", nargs=argparse.REMAINDER)
    p = verb("dsm", "load and mount, or unmount and unload, dsm.ko everywhere")
    p.add_argument("what", choices=("up", "down"))
    p.add_argument("args", nargs="*", help="module parameters")
    p = verb("console", "a root shell on a server's serial console (leave: Ctrl-])")
    p.add_argument("node", type=int)
    p = verb("link", "set a server's carrier")
    p.add_argument("node", type=int)
    p.add_argument("state", choices=("up", "down"))
    p = verb("cut", "lose all frames between two servers, silently")
    p.add_argument("a", type=int)
    p.add_argument("b", type=int)
    verb("heal", "undo cut")
    for name, text in (("kill", "pull a server's plug"), ("restart", "power it on again")):
        p = verb(name, text)
        p.add_argument("node", type=int)
    p = verb("run", "run selftests, all of tests.list if none is named", named=False)
    shape(p)
    p.add_argument("--nodes", type=int, help="instead of what tests.list says")
    p.add_argument("--list", type=Path, default=SELFTESTS / "tests.list")
    p.add_argument("--dsm-args", default="", help="more module parameters")
    p.add_argument("tests", nargs="*")
    return top.parse_args()


def main() -> int:
    args = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if args.verb == "run":
        tests = manifest.select(args.list, args.tests, args.nodes, args.kernel)
        run = Run(args.kernel, args.cpus, args.mem, args.dsm_args)
        return 0 if run.tests(tests) else 1
    return server.command(args)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ClusterError as e:
        sys.exit(f"cluster: {e}")
    except KeyboardInterrupt:
        sys.exit(130)
