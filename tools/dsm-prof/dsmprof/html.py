# SPDX-License-Identifier: GPL-2.0
"""A report as one HTML file with its pictures in it."""
from html import escape
from math import log2
from typing import Optional

from .analyse import Report, compare
from .join import SEGMENTS
from .text import change, us

COLORS = dict(zip((s for s, _ in SEGMENTS),
                  ("#4e79a7", "#f28e2b", "#76b7b2", "#e15759", "#59a14f", "#b07aa1", "#9c755f")))
STYLE = """body{font:14px system-ui,sans-serif;margin:2em auto;max-width:1000px;color:#222}
table{border-collapse:collapse;margin:1em 0}td,th{padding:3px 10px;text-align:right}
th{border-bottom:1px solid #888}td:first-child,th:first-child{text-align:left}
.key span{display:inline-block;width:12px;height:12px;margin:0 4px 0 12px}
.warn{color:#b00}svg{display:block;margin:1em 0}svg text{font-size:12px}"""


def _table(head: list[str], rows: list[list[str]]) -> str:
    cells = "".join(f"<th>{escape(h)}</th>" for h in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(c)}</td>" for c in r) + "</tr>" for r in rows)
    return f"<table><tr>{cells}</tr>{body}</table>"


def _bars(r: Report) -> str:
    """A bar a kind of fault: where its mean latency goes."""
    most = max((sum(k.mean.values()) for k in r.kinds), default=0) or 1
    out, y = [], 0
    for k in r.kinds:
        x = 180.0
        out.append(f'<text x="170" y="{y + 17}" text-anchor="end">{escape(k.name)}</text>')
        for s, text in SEGMENTS:
            width = 700 * k.mean[s] / most
            if width > 0.2:
                out.append(f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="24" '
                           f'fill="{COLORS[s]}"><title>{escape(text)}: {us(k.mean[s])} us'
                           f'</title></rect>')
            x += width
        out.append(f'<text x="{x + 6:.1f}" y="{y + 17}">{us(sum(k.mean.values()))} us</text>')
        y += 32
    key = "".join(f'<span style="background:{COLORS[s]}"></span>{escape(t)}' for s, t in SEGMENTS)
    return f'<p class="key">{key}</p><svg width="980" height="{y}">{"".join(out)}</svg>'


def _histogram(reports: list[Report]) -> str:
    """Latencies on a logarithmic scale, a line a report."""
    steps = 4               # buckets an octave
    counts = []
    for r in reports:
        c: dict[int, int] = {}
        for ns in r.latencies:
            b = int(log2(max(ns, 1)) * steps)
            c[b] = c.get(b, 0) + 1
        counts.append(c)
    every = [b for c in counts for b in c]
    if not every:
        return ""
    low, high = min(every), max(every) + 1
    most = max(n / max(1, len(r.latencies)) for r, c in zip(reports, counts) for n in c.values())
    width = 900 / (high - low)
    out = []
    for r, c, color in zip(reports, counts, ("#4e79a7", "#e15759")):
        for b, n in c.items():
            height = 180 * n / len(r.latencies) / most
            out.append(f'<rect x="{20 + (b - low) * width:.1f}" y="{190 - height:.1f}" '
                       f'width="{max(1, width - 1):.1f}" height="{height:.1f}" fill="{color}" '
                       f'fill-opacity="0.6"><title>{escape(r.title)}: {n}</title></rect>')
    for octave in range(-(-low // steps), high // steps + 1):
        x = 20 + (octave * steps - low) * width
        out.append(f'<text x="{x:.1f}" y="206">{us(2 ** octave)}</text>')
    return f'<svg width="980" height="215">{"".join(out)}</svg>'


def _pages(r: Report, most: int) -> str:
    rows = [[f"{p.where[0]} / {p.where[1]}", str(p.faults), f"{p.ns / 1e6:.3f}",
             ", ".join(map(str, sorted(p.nodes))), str(p.writes), str(p.turns), str(p.holds),
             "suspect" if p.suspect else ""] for p in r.pages[:most]]
    return _table(["region / page", "faults", "total ms", "nodes", "writes", "turns", "holds",
                   "false sharing"], rows)


def _one(r: Report, most: int) -> str:
    rows = [[k.name, str(k.count), us(k.p50), us(k.p90), us(k.p99), f"{k.total / 1e6:.2f}"]
            for k in r.kinds]
    warnings = "".join(f'<p class="warn">{escape(w)}.</p>' for w in r.warnings)
    return (f"<h2>{escape(r.title)}</h2><p>{r.nr} transactions in {r.seconds:.3f} s.</p>{warnings}"
            + _table(["kind", "count", "p50 us", "p90 us", "p99 us", "total ms"], rows)
            + "<h3>Where the mean latency goes</h3>" + _bars(r)
            + "<h3>Hot pages</h3>" + _pages(r, most))


def render(r: Report, before: Optional[Report] = None, most: int = 20) -> str:
    reports = [before, r] if before else [r]
    body = ""
    if before:
        rows = [[n, str(a), str(d), us(b), us(e), change(b, e), us(c), us(f), change(c, f)]
                for n, a, b, c, d, e, f in compare(before, r)]
        body = "<h2>Before and after</h2>" + _table(
            ["kind", "count", "after", "p50 us", "after", "", "p99 us", "after", ""], rows)
    body += "<h2>Latencies, us</h2>" + _histogram(reports)
    body += "".join(_one(x, most) for x in reversed(reports))
    return (f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>dsm-prof</title>'
            f"<style>{STYLE}</style></head><body><h1>dsm-prof</h1>{body}</body></html>\n")
