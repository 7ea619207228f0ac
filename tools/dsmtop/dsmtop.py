#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Watch a cluster: faults, messages, pages, latencies, regions and links, live.

A SOURCE is a directory as /sys/fs/dsm, or a file of snapshots (made on the other
server with --snapshot; two in one file give rates). Without one it is this server."""
import argparse
import os
import select
import shutil
import sys
import time
from pathlib import Path
from typing import Optional
from urllib.parse import quote, unquote

# Frames a peer has buffers for; those beyond are queued.
WINDOW = 64
SYSFS = os.environ.get("DSM_SYSFS", "/sys/fs/dsm")
Snapshot = dict[str, str]

# Title, rows of (label, counters added up, shown even if 0).
RATES = (
    ("faults/s", (("read", ("fault_read",), True), ("write", ("fault_write",), True),
                  ("upgrade", ("fault_upgrade",), True), ("local", ("fault_local",), True),
                  ("nowait", ("fault_nowait",), False),
                  ("failed", ("fault_timeout", "fault_killed", "fault_lost"), False))),
    ("messages/s", (("sent", ("msg_sent",), True), ("received", ("msg_received",), True),
                    ("late, stale, twice", ("msg_late", "msg_stale", "msg_duplicate"), False),
                    ("put off", ("msg_backlog",), False), ("errors", ("msg_error",), False))),
    ("pages/s", (("sent", ("page_sent",), True), ("received", ("page_received",), True),
                 ("zero, no data", ("zero_granted",), True),
                 ("prefetched", ("prefetch_sent",), False),
                 ("prefetched, used", ("prefetch_hit",), False),
                 ("taken away", ("inv_received",), True), ("shared out", ("downgrade",), False),
                 ("held back", ("hold",), False), ("in use, waited", ("revoke_wait",), False),
                 ("evicted", ("evict",), False), ("not evicted", ("evict_nak",), False),
                 ("pushed here", ("push_received",), False))),
    ("frames/s", (("sent", ("frame_sent",), True), ("received", ("frame_received",), True),
                  ("sent again", ("frame_resent",), False),
                  ("twice, bad", ("frame_duplicate", "frame_bad"), False),
                  ("links lost, reset", ("link_lost", "link_reset"), False))),
)


# ---- snapshots

def read_sysfs(top: Path) -> Snapshot:
    """All files below a directory; the names of regions are quoted as in a URL."""
    snap = {"time_ns": str(time.monotonic_ns())}
    if not (top / "cluster/name").exists():
        raise OSError(f"{top} shows no cluster: is the module loaded? (dsmctl join)")
    for where, _dirs, files in os.walk(top):
        parts = [quote(p, safe="") for p in Path(where).relative_to(top).parts]
        for name in files:
            try:
                text = (Path(where) / name).read_text(errors="replace")
            except OSError:     # write-only, or a region that has just gone
                continue
            snap["/".join(parts + [name])] = text.rstrip("\n").replace("\n", ",")
    return snap


def write_snapshot(snap: Snapshot, out) -> None:
    out.write("".join(f"{key}={snap[key]}\n" for key in sorted(snap)) + "\n")
    out.flush()


def read_snapshots(path: Path) -> list[Snapshot]:
    """The snapshots of a file, which a blank line ends each."""
    snaps: list[Snapshot] = [{}]
    for line in path.read_text().splitlines():
        key, equals, value = line.partition("=")
        if equals:
            snaps[-1][key] = value
        elif snaps[-1]:
            snaps.append({})
    snaps = [s for s in snaps if "time_ns" in s]
    if not snaps:
        raise OSError(f"{path} holds no snapshot: make one with dsmtop --snapshot")
    return snaps


class Node:
    """A source, and its last two snapshots."""

    def __init__(self, source: str, label: Optional[str] = None) -> None:
        self.path = Path(source)
        self.label = label
        self.old: Optional[Snapshot] = None
        self.new: Optional[Snapshot] = None
        self.error = ""

    def poll(self) -> None:
        try:
            if self.path.is_dir():
                snaps = [read_sysfs(self.path)]
            else:
                snaps = read_snapshots(self.path)
        except OSError as e:
            self.error = str(e)
            self.old = self.new = None
            return
        self.error = ""
        if len(snaps) > 1:
            self.old, self.new = snaps[-2:]
        elif not self.new or snaps[0]["time_ns"] != self.new["time_ns"]:
            self.old, self.new = self.new, snaps[0]

    def get(self, key: str, default: str = "") -> str:
        return (self.new or {}).get(key, default)

    def number(self, key: str) -> int:
        return to_int(self.get(key))

    def title(self) -> str:
        return self.label or f"node {self.get('cluster/node', '?')}"

    def seconds(self) -> float:
        """Between the snapshots; 0: there is only one, and no rate."""
        if not self.old or not self.new:
            return 0
        return max(0, to_int(self.new["time_ns"]) - to_int(self.old["time_ns"])) / 1e9

    def since(self, key: str) -> int:
        """What a counter has grown by; all of it if it was reset, or if there is no before."""
        new = self.number(key)
        old = to_int(self.old.get(key, "")) if self.seconds() else 0
        return new - old if new >= old else new

    def rate(self, stats: tuple[str, ...]) -> float:
        grown = sum(self.since(f"cluster/stats/{s}") for s in stats)
        return grown / (self.seconds() or 1)

    def buckets(self, hist: str) -> list[int]:
        key = f"cluster/latency/{hist}/histogram"
        new = [to_int(n) for n in self.get(key).split()]
        old = [to_int(n) for n in self.old.get(key, "").split()] if self.seconds() else []
        if len(old) != len(new) or any(o > n for o, n in zip(old, new)):
            return new
        return [n - o for o, n in zip(old, new)]


def to_int(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        return 0


def percentile(buckets: list[int], percent: int) -> Optional[float]:
    """Nanoseconds, interpolated within the bucket: bucket i begins at 2^i."""
    total = sum(buckets)
    rank = -(-total * percent // 100)
    before = 0
    for i, n in enumerate(buckets):
        if n and before + n >= rank:
            low, width = (1 << i, 1 << i) if i else (0, 2)
            return low + width * (rank - before) / n - 1
        before += n
    return None


# ---- the picture

def short(value: float) -> str:
    """At most six characters."""
    if value == 0:
        return "0"
    for unit in ("", "k", "M", "G", "T"):
        if value < 9999.5:
            return f"{value:.0f}{unit}" if value >= 99.95 or value == int(value) else f"{value:.1f}{unit}"
        value /= 1000
    return f"{value:.0f}P"


def mib(pages: int) -> str:
    return short(pages / 256)


class Table:
    """A label and a column a node."""

    def __init__(self, nodes: list[Node], total: bool) -> None:
        self.nodes, self.lines = nodes, []
        self.total = total and len(nodes) > 1
        self.width = max([15] + [len(n.title()) + 2 for n in nodes])

    def text(self, label: str, cells: list[str]) -> None:
        self.lines.append(f"{label[:25]:<25}" + "".join(f"{c[:self.width - 1]:>{self.width}}"
                                                        for c in cells))

    def numbers(self, label: str, values: list[float]) -> None:
        cells = [short(v) if n.new else "-" for v, n in zip(values, self.nodes)]
        self.text(label, cells + [short(sum(values))] if self.total else cells)

    def title(self, label: str) -> None:
        self.lines.append(f"\033[1m{label}\033[0m")


def links(n: Node) -> str:
    states = [v for k, v in (n.new or {}).items()
              if k.startswith("peers/") and k.endswith("/link")]
    down = len([s for s in states if s != "up"])
    return f"{len(states) - down} up" + (f", {down} not" if down else "")


def head(t: Table) -> None:
    one = next((n for n in t.nodes if n.new), None)
    if one:
        rates = any(n.seconds() for n in t.nodes)
        t.title(f"cluster {one.get('cluster/name', '?')}  epoch {one.get('cluster/epoch', '?')}  "
                f"members {one.get('cluster/members') or 'none'}  "
                f"master {one.get('cluster/master', '?')}"
                + ("" if rates else "  (totals: one snapshot has no rates)"))
    t.text("", [n.title() for n in t.nodes] + (["sum"] if t.total else []))
    t.text("state", [n.get("cluster/state", "?") if n.new else "no data" for n in t.nodes])
    t.text("links", [links(n) if n.new else "-" for n in t.nodes])
    t.text("resident MiB", [mib(n.number("cluster/nr_resident_pages")) for n in t.nodes])


def rates(t: Table, everything: bool) -> None:
    for title, rows in RATES:
        t.title(title)
        for label, stats, always in rows:
            values = [n.rate(stats) for n in t.nodes]
            if always or everything or any(values):
                t.numbers("  " + label, values)


def latencies(t: Table) -> None:
    names = sorted({k.split("/")[2] for n in t.nodes for k in n.new or {}
                    if k.startswith("cluster/latency/")})
    t.title("latency us, p50 / p99")
    for name in names:
        cells = []
        for n in t.nodes:
            buckets = n.buckets(name)
            p50, p99 = percentile(buckets, 50), percentile(buckets, 99)
            cells.append("-" if p50 is None else f"{short(p50 / 1e3)} / {short(p99 / 1e3)}")
        if any(c != "-" for c in cells):
            t.text("  " + name, cells)


def regions(t: Table, most: int) -> None:
    found: dict[str, int] = {}
    for n in t.nodes:
        for key in n.new or {}:
            if key.startswith("regions/") and key.endswith("/nr_resident"):
                name = key.split("/")[1]
                found[name] = found.get(name, 0) + n.number(key)
    if not found:
        return
    t.title("regions, resident MiB")
    for name in sorted(found, key=lambda r: (-found[r], r))[:most]:
        size = max(n.number(f"regions/{name}/size") for n in t.nodes)
        label = f"{unquote(name)[:14]} ({short(size / 2**20)} MiB)"
        t.text("  " + label, [mib(n.number(f"regions/{name}/nr_resident")) for n in t.nodes])
    if len(found) > most:
        t.lines.append(f"  and {len(found) - most} more")


def peers(t: Table) -> None:
    trouble = []
    for n in t.nodes:
        ids = [k.split("/")[1] for k in n.new or {}
               if k.startswith("peers/") and k.endswith("/link")]
        for i in sorted(ids, key=to_int):
            link = n.get(f"peers/{i}/link")
            queued = n.number(f"peers/{i}/queued")
            if link != "up" or queued >= WINDOW:
                trouble.append(f"  {n.title()} to node {i} ({n.get(f'peers/{i}/address', '?')}): "
                               f"link {link}, {queued} queued, "
                               f"{n.get(f'peers/{i}/unacked', '?')} unacknowledged")
    if trouble:
        t.title("links to look at")
        t.lines += trouble


def render(nodes: list[Node], everything: bool = False, most: int = 10) -> list[str]:
    t = Table(nodes, total=True)
    head(t)
    rates(t, everything)
    latencies(t)
    regions(t, most)
    peers(t)
    t.lines += [f"{n.title()}: {n.error}" for n in nodes if n.error]
    return t.lines


def plain(line: str) -> str:
    return line.replace("\033[1m", "").replace("\033[0m", "")


# ---- modes

def key_pressed(seconds: float) -> str:
    if not sys.stdin.isatty():
        time.sleep(seconds)
        return ""
    ready, _, _ = select.select([sys.stdin], [], [], seconds)
    return os.read(sys.stdin.fileno(), 1).decode(errors="replace") if ready else ""


def live(nodes: list[Node], args: argparse.Namespace) -> None:
    import termios
    import tty
    saved = termios.tcgetattr(sys.stdin) if sys.stdin.isatty() else None
    if saved:
        tty.setcbreak(sys.stdin)
    sys.stdout.write("\033[?1049h\033[?25l")
    try:
        while True:
            columns, rows = shutil.get_terminal_size()
            lines = render(nodes, args.all)[:rows - 1]
            out = "".join((x if "\033" in x else x[:columns]) + "\033[K\n" for x in lines)
            sys.stdout.write("\033[H" + out + "\033[J")
            sys.stdout.flush()
            if key_pressed(args.interval) == "q":
                return
            for n in nodes:
                n.poll()
    finally:
        sys.stdout.write("\033[?25h\033[?1049l")
        if saved:
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, saved)


def batch(nodes: list[Node], args: argparse.Namespace, count: int) -> None:
    color = sys.stdout.isatty()
    for i in range(count):
        if any(n.path.is_dir() for n in nodes):
            time.sleep(args.interval)
            for n in nodes:
                n.poll()
        lines = render(nodes, args.all)
        print("\n".join(lines if color else map(plain, lines)), end="\n\n" if i < count - 1 else "\n")
        sys.stdout.flush()


def arguments(argv: Optional[list[str]]) -> argparse.Namespace:
    p = argparse.ArgumentParser(prog="dsmtop", description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("source", nargs="*", help="directory or file of snapshots")
    p.add_argument("--merge", nargs="+", default=[], metavar="SOURCE",
                   help="show these once, side by side")
    p.add_argument("--labels", nargs="+", default=[], metavar="NAME", help="titles of the columns")
    p.add_argument("--interval", type=float, default=1.0, help="seconds, default 1")
    p.add_argument("--all", action="store_true", help="also the counters that do not move")
    p.add_argument("--once", action="store_true", help="one picture, after one interval")
    p.add_argument("--batch", type=int, metavar="N", help="N pictures, or N snapshots")
    p.add_argument("--snapshot", action="store_true",
                   help="print a snapshot of the one source, key=value a line")
    args = p.parse_args(argv)
    args.source += args.merge
    if args.interval <= 0 or (args.batch is not None and args.batch < 1):
        p.error("interval and N are greater than 0")
    if args.snapshot and len(args.source) > 1:
        p.error("--snapshot is of one source")
    if len(args.labels) > len(args.source or [SYSFS]):
        p.error("more labels than sources")
    return args


def main(argv: Optional[list[str]] = None) -> int:
    args = arguments(argv)
    sources = args.source or [SYSFS]
    if args.snapshot:
        for i in range(args.batch or 1):
            if i:
                time.sleep(args.interval)
            try:
                write_snapshot(read_sysfs(Path(sources[0])), sys.stdout)
            except OSError as e:
                print(f"dsmtop: {e}", file=sys.stderr)
                return 1
        return 0
    nodes = [Node(s, args.labels[i] if i < len(args.labels) else None)
             for i, s in enumerate(sources)]
    for n in nodes:
        n.poll()
    if not any(n.new for n in nodes):
        print("\n".join(f"dsmtop: {n.error}" for n in nodes), file=sys.stderr)
        return 1
    if args.merge or args.once or args.batch or not sys.stdout.isatty():
        batch(nodes, args, args.batch or 1)
    else:
        live(nodes, args)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (KeyboardInterrupt, BrokenPipeError):
        sys.stderr.close()
        sys.exit(130)
