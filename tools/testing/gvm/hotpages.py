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
from memos import kernel
from memos.cluster import Cluster

PAGE = 4096
TRACING = "/sys/kernel/tracing"
KERNEL_MAP = 0xffffffff80000000  # of physical address 0, without KASLR
SUM = r"""/dsm_fault_end/ {
	for (i = 1; i <= NF; i++) { split($i, a, "="); f[a[1]] = a[2] }
	k = f["region"] " " f["page"] " " f["right"]; n[k]++; ns[k] += f["ns"]
} END { for (k in n) printf "%s %d %.0f\n", k, n[k], ns[k] }"""
PAGES = re.compile(r"# pages (\S+)((?: [0-9a-f]+(?:-[0-9a-f]+)?)+)$")


@dataclass
class Page:
    """Faults by server, to read and to write, and what they took."""
    reads: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    writes: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    ns: int = 0

    @property
    def faults(self) -> int:
        return sum(self.reads.values()) + sum(self.writes.values())


class Symbols:
    """What the guest's kernel has in its image and in its per-CPU areas."""

    def __init__(self, path: Path, per_cpu: list[int]) -> None:
        """per_cpu: physical addresses of its per-CPU areas."""
        found = []
        for line in path.read_text().splitlines():
            value, kind, name = line.split()
            if not name.startswith("__ksymtab"):
                found.append((int(value, 16), name, kind))
        found.sort()
        self.at = [a for a, _, _ in found]
        self.name = [n for _, n, _ in found]
        self.end = dict((n, a) for a, n, _ in found)
        self.per_cpu = per_cpu

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
        if self.end["__init_begin"] <= at < self.end["__init_end"]:
            return ""  # it was freed
        if self.end["_text"] <= at < self.end["_end"]:
            return "kernel: " + self.between(at, at + PAGE)
        for cpu, start in enumerate(self.per_cpu):
            at = pfn * PAGE - start
            if -PAGE < at < self.end["__per_cpu_end"]:
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


def watch(c: Cluster, on: bool) -> None:
    for n in c.nodes:
        n.sh(f"cd {TRACING} && echo {int(on)} >tracing_on" +
             (" && echo 16384 >buffer_size_kb && echo >trace && echo 1 >events/dsm/dsm_fault_end/enable"
              if on else ""), check=True)


def faults(c: Cluster, regions: dict[int, int]) -> tuple[dict[int, Page], int]:
    """regions: {id: its first page in the guest}. Return: {page of the guest: faults}, those of others."""
    pages: dict[int, Page] = defaultdict(Page)
    other = 0
    for n in c.nodes:
        lost = n.sh(f"awk '/^overrun/ {{ n += $2 }} END {{ print n + 0 }}' {TRACING}/per_cpu/cpu*/stats",
                    check=True).out.strip()
        if lost != "0":
            print(f"server {n.index}: the first {lost} faults are not in the trace")
    for n in c.nodes:
        n.sh(f"cat >/tmp/sum.awk <<'END'\n{SUM}\nEND\n", check=True)
        out = n.sh(f"awk -f /tmp/sum.awk {TRACING}/trace", check=True, timeout=300).out
        for line in out.splitlines():
            region, at, right, nr, ns = line.split()
            if int(region) not in regions:
                other += int(nr)
                continue
            page = pages[regions[int(region)] + int(at)]
            (page.writes if "write" in right else page.reads)[n.index] += int(nr)
            page.ns += int(ns)
    return pages, other


def guests_memory(c: Cluster, name: str, symbols: Path, cpus: int) -> tuple[dict[int, int], list[int]]:
    """While it runs. Return: {region: first page}, physical addresses of the CPUs' areas."""
    regions, at = {}, 0
    for i in range(c.nr_nodes):
        r = c[0].sh(f"stat -c '%i %s' /dev/dsm/{name}.ram{i}", check=True).out.split()
        regions[int(r[0])] = at // PAGE
        at += int(r[1])

    def words(symbol: str, nr: int) -> list[int]:
        at = next(int(x.split()[0], 16) for x in symbols.read_text().splitlines()
                  if x.endswith(f" {symbol}"))
        out = c[0].sh(f"od -An -v -tx8 -w8 -j {at - KERNEL_MAP} -N {8 * nr} /dev/dsm/{name}.ram0",
                      check=True).out
        return [int(x, 16) for x in out.split()]

    direct_map = words("page_offset_base", 1)[0]
    return regions, [x - direct_map for x in words("__per_cpu_offset", cpus)]


def table(pages: dict[int, Page], what: dict[int, str], nodes: int, most: int) -> str:
    total = sum(p.ns for p in pages.values())
    groups: dict[str, Page] = defaultdict(Page)
    count: dict[str, int] = defaultdict(int)
    for pfn, p in pages.items():
        name = what[pfn].split(":")[0]
        groups[name].ns += p.ns
        groups[name].reads[0] += p.faults
        count[name] += 1
    out = [f"{sum(p.faults for p in pages.values())} faults on {len(pages)} pages, "
           f"{total / 1e6:.0f} ms in all", "", f"{'what':24}{'pages':>7}{'faults':>8}{'of time':>9}"]
    for name, p in sorted(groups.items(), key=lambda x: -x[1].ns):
        out.append(f"{name:24}{count[name]:7}{p.faults:8}{100 * p.ns / total:8.1f}%")
    head = "".join(f"{f'read {i}':>8}{f'write {i}':>8}" for i in range(nodes))
    out += ["", f"{'page':>7}{head}{'us':>7}{'of time':>9}  what"]
    for pfn, p in sorted(pages.items(), key=lambda x: -x[1].ns)[:most]:
        cells = "".join(f"{p.reads[i]:8}{p.writes[i]:8}" for i in range(nodes))
        out.append(f"{pfn:7x}{cells}{p.ns / p.faults / 1000:7.0f}{100 * p.ns / total:8.1f}%  {what[pfn]}")
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
    symbols = k.image.parents[3] / "System.map"
    g = guest.Linux(k, [a.what], cpus=a.nodes, append="loglevel=5 GVM_PAGES=1")
    with Cluster(a.nodes, a.kernel, cpus=1, mem=a.server_mem) as c, Agents(c) as agents:
        vm = agents.linux("hot", g)
        vm.wait_for("ok 1 online", a.timeout)
        regions, per_cpu = guests_memory(c, "hot", symbols, a.nodes)
        watch(c, True)
        vm.wait_for("# pages follow", a.timeout)
        watch(c, False)
        pages, other = faults(c, regions)
        o = vm.finish(a.timeout)
    o.check()
    named, kernels = names_of_pages(o.tap()), Symbols(symbols, per_cpu)
    what = {pfn: named.get(pfn) or kernels.what(pfn) or "not known" for pfn in pages}
    print(table(pages, what, a.nodes, a.most))
    print(f"{other} faults of other regions; log {o.console.path}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (ClusterError, AssertionError) as e:
        sys.exit(f"hotpages: {e}")
