#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Benchmark DSM faults on emulated clusters of 2 and 3 servers, beside raw verbs and TCP."""
import argparse
import json
import sys
import unittest
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tools/testing/qemu"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from memos import BUILD, ClusterError  # noqa: E402
from memos.cluster import Cluster  # noqa: E402
import raw  # noqa: E402

Row = dict


@dataclass(frozen=True)
class Target:
    """What a row has to reach: bounds on value / raw and value / tcp."""
    max_raw: Optional[float] = None
    max_tcp: Optional[float] = None
    min_raw: Optional[float] = None

    def __str__(self) -> str:
        parts = [(self.max_raw, "<= {:.2g}x raw"), (self.max_tcp, "<= {:.2g}x TCP"),
                 (self.min_raw, ">= {:.2g}x raw")]
        return ", ".join(text.format(v) for v, text in parts if v is not None)


TARGETS = {
    "read-home-clean": Target(max_raw=1.3, max_tcp=1.2),
    "read-home-dirty": Target(max_raw=1.3, max_tcp=1.2),
    "read-3hop": Target(max_raw=2.0),
    "write-1-sharer": Target(max_raw=2.0),
    "upgrade-1-sharer": Target(max_raw=1.3),
    "both-directions": Target(max_raw=1.5),
    "seq-prefetch": Target(min_raw=0.8),
    "rate-4-threads": Target(min_raw=0.8),
}


def ratio(row: Row, base: str) -> Optional[float]:
    return row["value"] / row[base] if row[base] and row["value"] else None


def verdict(row: Row) -> str:
    """'-' without a target, else pass, FAIL or '?' if what it needs was not measured."""
    target = TARGETS.get(row["name"])
    if not target:
        return "-"
    to_raw, to_tcp = ratio(row, "raw"), ratio(row, "tcp")
    checks = [(target.max_raw, to_raw, 1), (target.max_tcp, to_tcp, 1),
              (target.min_raw, to_raw, -1)]
    needed = [(bound, got, sign) for bound, got, sign in checks if bound is not None]
    if row["error"] or any(got is None for _, got, _ in needed):
        return "?"
    return "pass" if all(got * sign <= bound * sign for bound, got, sign in needed) else "FAIL"


def figure(unit: str, value: float) -> str:
    if not value:
        return "-"
    if unit == "ns":
        return f"{value / 1e3:.1f} us"
    return f"{value:.0f} /s" if unit == "per_s" else f"{value / 1e6:.1f} MB/s"


def cells(row: Row) -> list[str]:
    def fraction(base: str) -> str:
        r = ratio(row, base)
        return f"{r:.2f}" if r else "-"

    tail = [figure("ns", row[q]) for q in ("p90", "p99")]
    return [row["name"], str(row["count"]), figure(row["unit"], row["value"]), *tail,
            figure(row["unit"], row["raw"]), figure("ns", row["tcp"]), fraction("raw"),
            fraction("tcp"), str(TARGETS.get(row["name"], "-")), verdict(row)]


HEADS = ["fault", "count", "p50 or rate", "p90", "p99", "raw", "TCP", "/ raw", "/ TCP", "target",
         "verdict"]


def table(rows: list[Row], rst: bool) -> str:
    lines = [HEADS] + [cells(r) for r in rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEADS))]
    text = ["  ".join(c.ljust(w) for c, w in zip(line, widths)).rstrip() for line in lines]
    if rst:
        rule = "  ".join("=" * w for w in widths)
        text = [rule, text[0], rule, *text[1:], rule]
    return "\n".join(text) + "\n"


def merge(per_cluster: list[list[Row]]) -> list[Row]:
    """Of each row that of the smallest cluster that could measure it."""
    best: dict[str, Row] = {}
    for rows in per_cluster:
        for r in rows:
            if r["name"] not in best or best[r["name"]]["error"]:
                best[r["name"]] = r
    return list(best.values())


def bench(c: Cluster, args: argparse.Namespace, extra: list[str]) -> list[Row]:
    """Run dsm-bench on all servers of a cluster at once."""
    out = BUILD / f"bench-{c.nr_nodes}.json"
    out.unlink(missing_ok=True)
    peers = ",".join(n.addr for n in c.nodes)
    common = ["--nodes", str(c.nr_nodes), "--peers", peers, "--json", str(out), "--poll",
              args.poll, "--timeout", str(args.kind_timeout)]
    common += ["--quick"] if args.quick else ["--count", str(args.count)]
    common += ["--only", args.only] if args.only else []
    jobs = [n.spawn([str(raw.BENCH), "--node", str(n.index), *common, *extra]) for n in c.nodes]
    results = [j.wait(args.timeout) for j in jobs]
    for n, r in zip(c.nodes, results):
        if not r.ok:
            why = "timed out" if r.timed_out else f"status {r.status}"
            raise ClusterError(f"node {n.index}: dsm-bench: {why}: {r.err.strip()}")
    return json.loads(out.read_text())["rows"]


def cluster_rows(nodes: int, args: argparse.Namespace) -> list[Row]:
    with Cluster(nodes, variant=args.kernel, cpus=args.cpus, net=args.net,
                 name=f"bench-{nodes}") as c:
        raw.load(c.nodes)
        raw.prefer(c.nodes, args.nice)
        if args.no_dsm:
            c.each(["mkdir", "-p", "/tmp/bench"])
            kinds = [k.split()[0] for k in c[0].exec(str(raw.BENCH), "--list").out.splitlines()]
            one_page = "pingpong-page"  # no store ever reaches the other side
            return bench(c, args, ["--dir", "/tmp/bench", "--no-place", "--only",
                                   args.only or ",".join(k for k in kinds if k != one_page)])
        c.dsm_up(args.dsm_args)
        rows = bench(c, args, [])
        c.dsm_down()
        return rows


def check_complete(rows: list[Row], max_nodes: int) -> list[str]:
    """What --quick is for: everything ran and has figures."""
    faults = [f"{r['name']}: error {r['error']}" for r in rows
              if r["error"] and r.get("nodes", 0) <= max_nodes]
    return faults + [f"{r['name']}: no figure" for r in rows
                     if not r["error"] and not r["value"]]


class Check(unittest.TestCase):
    """--self-check: the judge is judged first."""

    ROW = {"name": "read-home-clean", "error": 0, "unit": "ns", "value": 1200.0, "raw": 1000.0,
           "raw_name": "", "tcp": 1100.0, "count": 9, "min": 1, "p50": 1200, "p90": 2, "p99": 3,
           "max": 4}

    def row(self, **changes) -> Row:
        return {**self.ROW, **changes}

    def test_verdict(self) -> None:
        self.assertEqual(verdict(self.ROW), "pass")
        self.assertEqual(verdict(self.row(value=1310.0)), "FAIL")
        self.assertEqual(verdict(self.row(tcp=900.0)), "FAIL")
        self.assertEqual(verdict(self.row(raw=0.0)), "?")
        self.assertEqual(verdict(self.row(error=5)), "?")
        self.assertEqual(verdict(self.row(name="zero-read")), "-")
        fast = self.row(name="seq-prefetch", unit="bytes_s", value=8e6, raw=9e6)
        self.assertEqual(verdict(fast), "pass")
        self.assertEqual(verdict({**fast, "value": 7e6}), "FAIL")

    def test_merge(self) -> None:
        missing = self.row(error=61, value=0.0)
        self.assertEqual(merge([[missing], [self.ROW]]), [self.ROW])
        self.assertEqual(merge([[self.ROW], [missing]]), [self.ROW])

    def test_table(self) -> None:
        lines = table([self.ROW], rst=True).splitlines()
        self.assertEqual((lines[0], lines[2], lines[4]), (lines[0],) * 3)
        self.assertIn("1.20", lines[3])

    def test_complete(self) -> None:
        self.assertEqual(check_complete([self.ROW], 2), [])
        self.assertTrue(check_complete([self.row(value=0.0)], 2))


def arguments() -> argparse.Namespace:
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--nodes", type=int, nargs="*", default=[2, 3])
    p.add_argument("--kernel", default="stock")
    p.add_argument("--cpus", type=int, default=1)
    p.add_argument("--net", choices=("switch", "direct"), default="switch")
    p.add_argument("--nice", type=int, default=0, help="of the servers' sessions")
    p.add_argument("--count", type=int, default=500)
    p.add_argument("--poll", default="softirq", choices=raw.POLLS, help="of the raw figures")
    p.add_argument("--only", help="kinds, with commas between")
    p.add_argument("--dsm-args", default="", help="more module parameters")
    p.add_argument("--kind-timeout", type=int, default=120)
    p.add_argument("--timeout", type=float, default=1800)
    p.add_argument("--json", type=Path, help="write all rows")
    p.add_argument("--rst", type=Path, help="write the table for performance.rst")
    p.add_argument("--quick", action="store_true", help="does it run? No verdict on speed")
    p.add_argument("--no-dsm", action="store_true", help="on tmpfs: tests the benchmark itself")
    p.add_argument("--self-check", action="store_true")
    return p.parse_args()


def main() -> int:
    args = arguments()
    if args.self_check:
        tests = unittest.defaultTestLoader.loadTestsFromTestCase(Check)
        return 0 if unittest.TextTestRunner().run(tests).wasSuccessful() else 1
    rows = merge([cluster_rows(n, args) for n in args.nodes])
    print(table(rows, rst=False), end="")
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n")
    if args.rst:
        args.rst.write_text(table(rows, rst=True))
    faults = check_complete(rows, max(args.nodes))
    for f in faults:
        print(f"bench: {f}", file=sys.stderr)
    missed = not args.quick and any(verdict(r) in ("FAIL", "?") for r in rows)
    return 1 if faults or missed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ClusterError as e:
        sys.exit(f"bench: {e}")
