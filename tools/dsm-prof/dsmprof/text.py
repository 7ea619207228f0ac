# SPDX-License-Identifier: GPL-2.0
"""A report for the terminal."""
from .analyse import Report, compare
from .join import SEGMENTS


def us(ns: float) -> str:
    return f"{ns / 1000:.1f}"


def change(before: int, after: int) -> str:
    return f"{100 * (after - before) / before:+.0f}%" if before and after else "-"


def _head(r: Report) -> list[str]:
    out = [f"{r.title}: {r.nr} transactions in {r.seconds:.3f} s"]
    skew = ", ".join(f"node {n} {ns / 1000:+.1f}" for n, ns in sorted(r.offsets.items()) if ns)
    if skew:
        out.append(f"clocks differ, corrected by the fastest messages (us): {skew}")
    return out + [f"WARNING: {w}" for w in r.warnings]


def _kinds(r: Report) -> list[str]:
    short = [s for s, _ in SEGMENTS]
    out = ["", "LATENCY us                  count     p50     p90     p99 | mean: "
           + " ".join(f"{s:>8}" for s in short)]
    for k in r.kinds:
        out.append(f"{k.name:<24} {k.count:>8} {us(k.p50):>7} {us(k.p90):>7} {us(k.p99):>7} |"
                   + "       " + " ".join(f"{us(k.mean[s]):>8}" for s in short))
    return out


def _pages(r: Report, most: int) -> list[str]:
    out = ["", "HOT PAGES    region         page   faults   total ms  nodes    writes  turns  holds"]
    for p in r.pages[:most]:
        out.append(f"             {p.where[0]:>6} {p.where[1]:>12} {p.faults:>8} {p.ns / 1e6:>10.3f}"
                   f"  {','.join(map(str, sorted(p.nodes))):<8} {p.writes:>6} {p.turns:>6} {p.holds:>6}")
    suspects = r.suspects
    out += ["", f"FALSE SHARING SUSPECTS: {len(suspects) or 'none'}"]
    for p in suspects[:most]:
        out.append(f"  region {p.where[0]} page {p.where[1]}: nodes "
                   f"{', '.join(map(str, p.writers))} wrote it in turn {p.turns} times "
                   f"({p.ns / 1e6:.3f} ms)")
    if suspects:
        out.append("  If they use different bytes, put these on pages of their own.")
    return out


def render(r: Report, most: int = 10) -> str:
    return "\n".join(_head(r) + _kinds(r) + _pages(r, most)) + "\n"


def render_compare(before: Report, after: Report) -> str:
    out = _head(before) + _head(after) + [
        "", "                            count             p50 us                 p99 us",
        "                           before   after    before   after change  before   after change"]
    for name, n0, p0, q0, n1, p1, q1 in compare(before, after):
        out.append(f"{name:<24} {n0:>8} {n1:>7}  {us(p0):>8} {us(p1):>7} {change(p0, p1):>6} "
                   f"{us(q0):>7} {us(q1):>7} {change(q0, q1):>6}")
    return "\n".join(out) + "\n"
