# SPDX-License-Identifier: GPL-2.0
"""Text traces (tracefs, trace-cmd report, perf script) as events on one clock."""
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

from . import ProfError

# "task-pid [cpu] flags seconds: [dsm:]dsm_step: node=0 ..."
LINE = re.compile(r"^.*\[\d+\].*?\s(\d+)\.(\d{6,9}):\s+(?:dsm:)?dsm_(\w+):\s+(node=.*)$")
LOST = re.compile(r"\[LOST (\d+) EVENTS\]|LOST_EVENTS|^CPU:?\s*\d+ \[(\d+) EVENTS DROPPED\]"
                  r"|CPU \d+ \[LOST", re.I)
TEXT = {"type", "flags", "kind", "event", "old", "new", "old_dir", "new_dir", "verdict",
        "right", "state"}


@dataclass
class Event:
    ns: int                     # on the clock of the lowest node, see align()
    name: str                   # without "dsm_"
    node: int
    f: dict                     # fields; numbers as int, TEXT as str

    @property
    def where(self) -> tuple[int, int]:
        return self.f["region"], self.f["page"]


def parse_line(line: str):
    m = LINE.match(line)
    if not m:
        return None
    f = {}
    for word in m[4].split():
        key, _, value = word.partition("=")
        try:
            f[key] = value if key in TEXT else int(value, 0)
        except ValueError:
            return None
    if "node" not in f:
        return None
    return Event(int(m[1]) * 10**9 + int(m[2].ljust(9, "0")), m[3], f["node"], f)


def read(path: str) -> tuple[list[Event], int]:
    """The events of a file, and how many lines say that others were lost."""
    events, lost = [], 0
    try:
        with Path(path).open(errors="replace") as f:
            for line in f:
                e = parse_line(line)
                if e:
                    events.append(e)
                elif LOST.search(line):
                    lost += 1
    except OSError as e:
        raise ProfError(f"{path}: {e.strerror}") from e
    if not events:
        raise ProfError(f"{path}: no dsm events; record with \"dsm-prof record\", or enable "
                        "events/dsm in /sys/kernel/tracing")
    return events, lost


# ---- clocks

def _flights(events: list[Event]) -> Iterator[tuple[int, int, int]]:
    """(from, to, receive time - send time) of every message seen at both ends."""
    sent: dict[tuple, list[int]] = {}
    for e in events:
        if e.name not in ("msg_send", "msg_recv"):
            continue
        f = e.f
        key = (f["from"], f["to"], f["type"], f["region"], f["page"], f["tid"], f["requester"])
        if e.name == "msg_send":
            sent.setdefault(key, []).append(e.ns)
        elif sent.get(key):
            yield f["from"], f["to"], e.ns - sent[key].pop(0)


def offsets(events: list[Event]) -> dict[int, int]:
    """What to subtract from a node's time, by the fastest message each way.

    As NTP does: the fastest flight a->b shows latency + offset, the fastest
    b->a latency - offset. Nodes that exchanged nothing with the first one, or with those
    that did, are not in it."""
    # Each node's own order is what its trace says; sends before receives is not given
    # across clocks, so match in two passes.
    sends = [e for e in events if e.name == "msg_send"]
    receives = [e for e in events if e.name == "msg_recv"]
    fastest: dict[tuple[int, int], int] = {}
    for a, b, ns in _flights(sends + receives):
        fastest[a, b] = min(ns, fastest.get((a, b), ns))
    first = min(e.node for e in events)
    known, queue = {first: 0}, [first]
    while queue:
        a = queue.pop(0)
        for b in sorted({y for x, y in fastest if x == a}):
            if b not in known and (b, a) in fastest:
                known[b] = known[a] + (fastest[a, b] - fastest[b, a]) // 2
                queue.append(b)
    return known


def load(paths: list[str]) -> tuple[list[Event], dict[int, int], int]:
    """All events in order of time on one clock, the offsets found, lost lines."""
    events, lost, seen = [], 0, {}
    for path in paths:
        new, dropped = read(path)
        for node in {e.node for e in new}:
            if node in seen:
                raise ProfError(f"node {node} is in {seen[node]} and in {path}: one file a node")
            seen[node] = path
        events += new
        lost += dropped
    off = offsets(events)
    for e in events:
        e.ns -= off.get(e.node, 0)
    events.sort(key=lambda e: e.ns)
    return events, off, lost
