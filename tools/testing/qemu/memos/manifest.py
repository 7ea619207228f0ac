# SPDX-License-Identifier: GPL-2.0
"""tests.list: one line a test, "name kind nodes timeout kernel [numa]"."""
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Optional

from . import BUILD, SELFTESTS, ClusterError

KINDS = ("nodes", "bare", "host")
KERNELS = ("any", "stock", "debug", "qemu", "patched")  # patched: with the patch series


@dataclass(frozen=True)
class Test:
    name: str
    kind: str
    nodes: int
    timeout: float
    kernel: str = "any"
    root: Path = SELFTESTS  # where the manifest is, and so the tests
    numa: int = 1  # NUMA nodes a server

    def program(self) -> Path:
        """What to run: a host test's Python file, or what the servers execute."""
        if self.kind == "host":
            candidates = [self.root / "host" / f"{self.name}.py"]
        else:
            candidates = [BUILD / "selftests" / self.name]
            candidates += [self.root / f"{self.name}{s}" for s in ("", ".sh", ".py")]
        for c in candidates:
            if c.is_file():
                return c
        raise ClusterError(f"no program for test {self.name}: looked for "
                           + ", ".join(str(c) for c in candidates))


def parse(path: Path) -> list[Test]:
    tests = []
    for nr, line in enumerate(path.read_text().splitlines(), 1):
        words = line.split("#")[0].split()
        if not words:
            continue
        try:
            name, kind, nodes, timeout, kernel, *numa = words
            t = Test(name, kind, int(nodes), float(timeout), kernel, path.parent,
                     *(int(n) for n in numa))
            if (kind not in KINDS or kernel not in KERNELS or not 1 <= t.nodes <= 8
                    or len(numa) > 1 or t.numa not in (1, 2)):
                raise ValueError
        except ValueError:
            raise ClusterError(f"{path}:{nr}: want 'name {'|'.join(KINDS)} nodes timeout "
                               f"{'|'.join(KERNELS)} [numa]'") from None
        tests.append(t)
    return tests


def select(path: Path, names: list[str], nodes: Optional[int], variant: str) -> list[Test]:
    """The named tests (or all that suit the kernel); nodes overrides the manifest."""
    listed = parse(path) if path.exists() else []
    if not names:
        suits = {"any", variant, "patched" if variant.endswith("-patched") else "any",
                 variant.removesuffix("-patched")}
        return [t for t in listed if t.kernel in suits]
    chosen = []
    for name in names:
        t = next((x for x in listed if x.name == name), None)
        if t is None:
            kind = "host" if (path.parent / "host" / f"{name}.py").exists() else "nodes"
            t = Test(name, kind, 2, 120, root=path.parent)
        chosen.append(replace(t, nodes=nodes) if nodes else t)
    return chosen
