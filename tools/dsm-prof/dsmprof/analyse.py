# SPDX-License-Identifier: GPL-2.0
"""Figures from transactions: breakdown, hot pages, false sharing, comparison."""
from dataclasses import dataclass

from .events import Event
from .join import SEGMENTS, Transaction

# A page that two nodes wrote in turn this often is a suspect, if it was a third of all times
# that it was written: of two that write when they like it is half.
MIN_TURNS = 4
TURNS_OF_WRITES = 3


def quantile(values: list[int], percent: int) -> int:
    """The value that this many percent do not exceed; 0 for none."""
    if not values:
        return 0
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


@dataclass
class Kind:
    name: str
    count: int
    p50: int
    p90: int
    p99: int
    total: int
    mean: dict[str, float]      # ns by segment


def breakdown(done: list[Transaction]) -> list[Kind]:
    """By kind of fault, the one that costs most first."""
    groups: dict[str, list[Transaction]] = {}
    for t in done:
        groups.setdefault(t.kind, []).append(t)
    kinds = []
    for name, ts in groups.items():
        ns = [t.ns for t in ts]
        segments = [t.segments() for t in ts]
        columns = {s: [x.get(s, 0) for x in segments] for s, _ in SEGMENTS}
        kinds.append(Kind(name, len(ts), quantile(ns, 50), quantile(ns, 90), quantile(ns, 99),
                          sum(ns), {s: sum(c) / len(ts) for s, c in columns.items()}))
    return sorted(kinds, key=lambda k: -k.total)


@dataclass
class Page:
    where: tuple[int, int]
    faults: int = 0
    ns: int = 0
    nodes: frozenset = frozenset()
    writers: tuple = ()
    turns: int = 0              # times that the writer was another one than before
    writes: int = 0
    holds: int = 0

    @property
    def suspect(self) -> bool:
        return self.turns >= MIN_TURNS and TURNS_OF_WRITES * self.turns >= self.writes


def pages(done: list[Transaction], events: list[Event]) -> list[Page]:
    """Every page that was fetched, the one that cost most first."""
    found: dict[tuple[int, int], Page] = {}
    last: dict[tuple[int, int], int] = {}
    for t in sorted(done, key=lambda t: t.end):
        p = found.setdefault(t.where, Page(t.where))
        p.faults += 1
        p.ns += t.ns
        p.nodes |= {t.requester}
        if t.what == "read":
            continue
        p.writes += 1
        if last.get(t.where, t.requester) != t.requester:
            p.turns += 1
        last[t.where] = t.requester
        p.writers = tuple(sorted({*p.writers, t.requester}))
    for e in events:
        if e.name == "hold" and e.where in found:
            found[e.where].holds += 1
    return sorted(found.values(), key=lambda p: -p.ns)


@dataclass
class Report:
    title: str
    kinds: list[Kind]
    pages: list[Page]
    nr: int
    seconds: float
    offsets: dict[int, int]
    lost: int
    apart: list[int]            # nodes whose clock is not known
    latencies: list[int]

    @property
    def warnings(self) -> list[str]:
        out = []
        if self.lost:
            out.append(f"{self.lost} gaps in the traces: make the buffers larger, or trace less")
        if self.apart:
            out.append(f"node {', '.join(map(str, self.apart))}: no message to and from the others is "
                       "in both traces, so times do not match: record all at the same time")
        return out

    @property
    def suspects(self) -> list[Page]:
        return sorted((p for p in self.pages if p.suspect), key=lambda p: -p.turns)


def report(title: str, events: list[Event], done: list[Transaction], offsets: dict[int, int],
           lost: int) -> Report:
    seconds = (events[-1].ns - events[0].ns) / 1e9 if events else 0
    return Report(title, breakdown(done), pages(done, events), len(done), seconds, offsets, lost,
                  sorted({e.node for e in events} - offsets.keys()), [t.ns for t in done])


def compare(before: Report, after: Report) -> list[tuple[str, int, int, int, int, int, int]]:
    """(kind, count, p50, p99 before; count, p50, p99 after), 0 where there is none."""
    old = {k.name: k for k in before.kinds}
    new = {k.name: k for k in after.kinds}
    none = Kind("", 0, 0, 0, 0, 0, {})
    names = sorted({*old, *new}, key=lambda n: -(old.get(n, none).total + new.get(n, none).total))
    rows = []
    for n in names:
        a, b = old.get(n, none), new.get(n, none)
        rows.append((n, a.count, a.p50, a.p99, b.count, b.p50, b.p99))
    return rows
