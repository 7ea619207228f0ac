#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""
Which pages of a guest cost most, and what is in them: a kernel of nas in a Linux guest over two
servers, remote faults from tracepoint dsm:dsm_fault_end, names from the guest's own page map and its
kernel's System.map.
"""
import argparse
import bisect
import re
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from gvmtest import ClusterError, guest
from gvmtest.gvm import Agents
from dsmprof import events
from memos import kernel
from memos.cluster import Cluster

PAGE = 4096
TRACING = "/sys/kernel/tracing"
KERNEL_MAP = 0xffffffff80000000  # of physical address 0, without KASLR
PAGES = re.compile(r"# pages (\S+)((?: [0-9a-f]+(?:-[0-9a-f]+)?)+)$")


@dataclass
class Page:
    """Faults by server and right, and what they took."""
    faults: dict[tuple[int, str], int] = field(default_factory=lambda: defaultdict(int))
    ns: int = 0

    @property
    def nr(self) -> int:
        return sum(self.faults.values())


class Symbols:
    """What the guest's kernel has in its image, and in its per-CPU areas at physical addresses."""

    def __init__(self, path: Path) -> None:
        lines = (line.split() for line in path.read_text().splitlines())
        found = sorted((int(value, 16), name) for value, _, name in lines)
        self.at = [a for a, _ in found]
        self.name = [n for _, n in found]
        self.value = {n: a for a, n in found}
        self.per_cpu: list[int] = []

    def between(self, first: int, last: int, most: int = 3) -> str:
        """Symbols that have a byte there, the largest first."""
        i = max(0, bisect.bisect_right(self.at, first) - 1)
        sizes: list[tuple[int, str]] = []
        while i < len(self.at) and self.at[i] < last:
            end = self.at[i + 1] if i + 1 < len(self.at) else last
            size = min(end, last) - max(self.at[i], first)
            if size > 0:
                sizes.append((size, self.name[i]))
            i += 1
        names = [n for _, n in sorted(sizes, reverse=True)]
        more = f" and {len(names) - most} more" if len(names) > most else ""
        return ", ".join(names[:most]) + more

    def what(self, pfn: int) -> str:
        at = KERNEL_MAP + pfn * PAGE
        if self.value["__init_begin"] <= at < self.value["__init_end"]:
            return ""  # it was freed
        if self.value["_text"] <= at < self.value["_end"]:
            return "kernel: " + self.between(at, at + PAGE)
        for cpu, start in enumerate(self.per_cpu):
            at = pfn * PAGE - start
            if -PAGE < at < self.value["__per_cpu_end"]:
                return f"kernel, CPU {cpu}: " + self.between(max(at, 0), at + PAGE)
        return ""


def names_of_pages(lines: list[str]) -> dict[int, str]:
    names: dict[int, str] = {}
    for m in filter(None, map(PAGES.search, lines)):
        for word in m[2].split():
            first, _, last = word.partition("-")
            for pfn in range(int(first, 16), int(last or first, 16) + 1):
                names.setdefault(pfn, m[1])
    return names


def on_all(c: Cluster, script: str) -> None:
    for n in c.nodes:
        n.sh(f"cd {TRACING} && {script}", check=True)


def faults(c: Cluster, regions: dict[int, int]) -> tuple[dict[int, Page], int]:
    """regions: {id: its first page in the guest}. Return: {page of the guest: faults}, those of others."""
    pages: dict[int, Page] = defaultdict(Page)
    other = 0
    for n in c.nodes:
        stats = n.sh(f"cat {TRACING}/per_cpu/cpu*/stats", check=True).out
        lost = sum(map(int, re.findall(r"^overrun: (\d+)$", stats, re.M)))
        if lost:
            print(f"server {n.index}: the first {lost} faults are not in the trace")
        trace = n.sh(f"cat {TRACING}/trace", check=True, timeout=300).out
        for e in filter(None, map(events.parse_line, trace.splitlines())):
            region, at = e.where
            if region not in regions:
                other += 1
                continue
            page = pages[regions[region] + at]
            page.faults[n.index, e.f["right"]] += 1
            page.ns += e.f["ns"]
    return pages, other


def regions_of(c: Cluster, name: str) -> dict[int, int]:
    """While it runs. Return: {region of its RAM: its first page in the guest}."""
    regions, at = {}, 0
    for i in range(c.nr_nodes):
        ino, size = c[0].sh(f"stat -c '%i %s' /dev/dsm/{name}.ram{i}", check=True).out.split()
        regions[int(ino)] = at // PAGE
        at += int(size)
    return regions


def per_cpu_of(c: Cluster, name: str, symbols: Symbols, cpus: int) -> list[int]:
    """While it runs. Return: physical addresses of its kernel's per-CPU areas."""

    def words(symbol: str, nr: int) -> list[int]:
        at = symbols.value[symbol] - KERNEL_MAP
        out = c[0].sh(f"od -An -v -tx8 -w8 -j {at} -N {8 * nr} /dev/dsm/{name}.ram0",
                      check=True).out
        return [int(x, 16) for x in out.split()]

    direct_map = words("page_offset_base", 1)[0]
    return [x - direct_map for x in words("__per_cpu_offset", cpus)]


def table(pages: dict[int, Page], what: dict[int, str], nodes: int, most: int) -> str:
    total = sum(p.ns for p in pages.values())
    groups: dict[str, list[Page]] = defaultdict(list)
    for pfn, p in pages.items():
        groups[what[pfn].split(":")[0]].append(p)
    rows = sorted(((sum(p.ns for p in g), name, g) for name, g in groups.items()), reverse=True)
    out = [f"{sum(p.nr for p in pages.values())} faults on {len(pages)} pages, "
           f"{total / 1e6:.0f} ms in all", "", f"{'what':24}{'pages':>7}{'faults':>8}{'of time':>9}"]
    for ns, name, g in rows:
        out.append(f"{name:24}{len(g):7}{sum(p.nr for p in g):8}{100 * ns / total:8.1f}%")
    columns = [(i, right) for i in range(nodes) for right in ("read", "write")]
    head = "".join(f"{f'{right} {i}':>8}" for i, right in columns)
    out += ["", f"{'page':>7}{head}{'us':>7}{'of time':>9}  what"]
    for pfn, p in sorted(pages.items(), key=lambda x: -x[1].ns)[:most]:
        cells = "".join(f"{p.faults[x]:8}" for x in columns)
        out.append(f"{pfn:7x}{cells}{p.ns / p.nr / 1000:7.0f}{100 * p.ns / total:8.1f}%  {what[pfn]}")
    return "\n".join(out)


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("what", choices=("is", "cg", "ep", "ep-a"))
    p.add_argument("--kernel", default="qemu-patched", help="the servers'; the guest's is qemu-patched")
    p.add_argument("--nodes", type=int, default=2, help="servers of a CPU each")
    p.add_argument("--server-mem", default="1G")
    p.add_argument("--most", type=int, default=16, help="pages to list")
    p.add_argument("--timeout", type=float, default=600)
    a = p.parse_args()
    k = kernel.get("qemu-patched")
    symbols = Symbols(k.image.parents[3] / "System.map")
    g = guest.Linux(k, [a.what], cpus=a.nodes, append="loglevel=5 GVM_PAGES=1")
    with Cluster(a.nodes, a.kernel, cpus=1, mem=a.server_mem) as c, Agents(c) as agents:
        vm = agents.linux("hot", g)
        vm.wait_for("ok 1 online", a.timeout)
        regions = regions_of(c, "hot")
        symbols.per_cpu = per_cpu_of(c, "hot", symbols, a.nodes)
        on_all(c, "echo 16384 >buffer_size_kb && echo >trace && echo 1 >tracing_on && "
                  "echo 1 >events/dsm/dsm_fault_end/enable")
        vm.wait_for("# pages follow", a.timeout)
        on_all(c, "echo 0 >tracing_on")
        pages, other = faults(c, regions)
        o = vm.finish(a.timeout)
    o.check()
    named = names_of_pages(o.tap())
    what = {pfn: named.get(pfn) or symbols.what(pfn) or "not known" for pfn in pages}
    print(table(pages, what, a.nodes, a.most))
    print(f"{other} faults of other regions; log {o.console.path}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (ClusterError, AssertionError) as e:
        sys.exit(f"hotpages: {e}")
