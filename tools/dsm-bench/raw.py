#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Raw verbs and TCP round trips between two emulated servers: what a data path may hope for."""
import argparse
import statistics
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tools/testing/qemu"))

from memos import BUILD, ClusterError  # noqa: E402
from memos.cluster import Cluster  # noqa: E402
from memos.node import Node  # noqa: E402

DEBUGFS = "/sys/kernel/debug/dsm_pingpong"
MODULE = BUILD / "dsm-pingpong/dsm_pingpong.ko"
BENCH = BUILD / "tools/dsm-bench"

# The rows of the table: name, what dsm_pingpong is told.
SHAPES = [
    ("64 -> 64", "req=64 rep=64"),
    ("64 -> 4096", "req=64 rep=4096"),
    ("64 -> 4096 + imm", "req=64 rep=4096 imm=1"),
    ("80 -> 80, 2 SGE", "req=80 rep=80 head=80"),
    ("80 -> 80 + 4096, 2 SGE", "req=80 rep=4176 head=80"),
    ("80 -> 80 + 4016, 2 SGE", "req=80 rep=4096 head=80"),
]
POLLS = ["softirq", "workqueue", "unbound", "thread", "waiter"]


def load(nodes: list[Node]) -> None:
    for n in nodes:
        n.sh(f"grep -q '^dsm_pingpong ' /proc/modules || insmod {MODULE}", check=True)


def prefer(nodes: list[Node], nice: int) -> None:
    """Let other work on this machine wait while we measure; each server is a session."""
    for n in nodes:
        Path(f"/proc/{n.pid}/autogroup").write_text(str(nice))


def pingpong(node: Node, peer: Node, line: str, timeout: float = 120) -> dict[str, float]:
    """One run of dsm_pingpong from node to peer; figures by name, times in ns."""
    r = node.sh(f"echo 'addr={peer.addr} {line}' >{DEBUGFS}/run && cat {DEBUGFS}/result",
                timeout=timeout)
    if not r.ok:
        raise ClusterError(f"dsm_pingpong {line}: {r.err.strip()}")
    pairs = dict(w.split("=", 1) for w in r.out.split())
    return {k: float(v) for k, v in pairs.items() if k not in ("mode", "poll")}


def median(results: list[dict[str, float]], key: str) -> float:
    return statistics.median(r[key] for r in results)


def tcp(nodes: list[Node], count: int) -> float:
    """p50 in ns of 64 B -> 4096 B over TCP from node 1 to node 0."""
    peers = ",".join(n.addr for n in nodes)
    jobs = [n.spawn([str(BENCH), "--node", str(n.index), "--nodes", str(len(nodes)),
                     "--peers", peers, "--tcp", str(count)]) for n in nodes]
    results = [j.wait(60) for j in jobs]
    for r in results:
        if not r.ok:
            raise ClusterError(f"dsm-bench --tcp: {r.err.strip()}")
    return float(results[1].out.split("=")[1])


def arguments() -> argparse.Namespace:
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--cpus", type=int, default=1)
    p.add_argument("--count", type=int, default=1000)
    p.add_argument("--rounds", type=int, default=3, help="of which the medians are taken")
    p.add_argument("--net", choices=("switch", "direct"), default="direct")
    p.add_argument("--latency-only", action="store_true")
    p.add_argument("--nice", type=int, default=0, help="of the servers' sessions")
    p.add_argument("--count-instructions", action="store_true",
                   help="path lengths of a server that talks to itself, not times")
    p.add_argument("--polls", nargs="*", default=POLLS, choices=POLLS)
    return p.parse_args()


Found = dict[tuple[str, str], list[dict[str, float]]]


def measure(client: Node, server: Node, args: argparse.Namespace) -> Found:
    found: Found = {}
    runs = [(n, f"{line} count={args.count} warmup=10") for n, line in SHAPES]
    many = [(f"rate 64 -> 4096, depth {d}", f"req=64 rep=4096 depth={d} count={args.count}")
            for d in (1, 2, 4)]
    many += [("stream 4096, window 16", f"req=4096 depth=16 mode=stream count={4 * args.count}"),
             ("stream 65536, window 8", f"req=65536 depth=8 mode=stream count={args.count // 4}")]
    runs += [] if args.latency_only else many
    # A busy machine has slow seconds: what is compared runs close together.
    for _ in range(args.rounds):
        if client is not server:
            p50 = tcp([server, client], args.count)
            found.setdefault(("64 -> 4096", "TCP"), []).append(
                {"p50_ns": p50, "p90_ns": 0, "p99_ns": 0})
        for poll in args.polls:
            for name, line in runs:
                result = pingpong(client, server, f"{line} poll={poll}")
                found.setdefault((name, poll), []).append(result)
    return found


def paired(found: Found, name: str, poll: str) -> float:
    """Median over rounds of p50 against that of 64 -> 4096 in the same round."""
    base = found[("64 -> 4096", poll if poll != "TCP" else next(p for _, p in found if p != poll))]
    rs = found[(name, poll)]
    return statistics.median(r["p50_ns"] / b["p50_ns"] for r, b in zip(rs, base))


def show(found: Found) -> None:
    for (name, poll), rs in found.items():
        if name.startswith("stream"):
            print(f"{name:26} {poll:10} {median(rs, 'bytes_s') / 1e6:8.1f} MB/s")
        elif name.startswith("rate"):
            print(f"{name:26} {poll:10} {median(rs, 'rate'):8.0f} /s")
        else:
            p50, p90, p99 = (median(rs, k) / 1e3 for k in ("p50_ns", "p90_ns", "p99_ns"))
            quiet = sorted(r["p50_ns"] for r in rs)[len(rs) // 4] / 1e3
            print(f"{name:26} {poll:10} {p50:8.1f} ({p90:.1f}, {p99:.1f}) "
                  f"quiet {quiet:.1f} paired {paired(found, name, poll):.2f}")


def main() -> int:
    args = arguments()
    if args.count_instructions:
        # It talks to itself, so drivers and network are not in the figures.
        with Cluster(1, cpus=args.cpus, count_instructions=True) as c:
            load(c.nodes)
            show(measure(c[0], c[0], args))
        return 0
    with Cluster(2, cpus=args.cpus, net=args.net) as c:
        load(c.nodes)
        prefer(c.nodes, args.nice)
        print(f"{args.cpus} vCPU, {args.net}, accel {c.accel}; us p50 (p90, p99), medians of "
              "rounds; quiet: p50 at the lower quartile of rounds; paired: to 64 -> 4096")
        show(measure(c[1], c[0], args))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ClusterError as e:
        sys.exit(f"raw: {e}")
