# SPDX-License-Identifier: GPL-2.0
"""Memory that the module leaked, as kmemleak of the debug kernel finds it."""
import re
from typing import Any

from . import ClusterError

FILE = "/sys/kernel/debug/kmemleak"
# Twice, as it reports what did not change between scans and is older than 5 s.
# One that has given up, for want of memory, fails. Cleared, so that a later test does not pay; a
# kernel without it says nothing.
SCAN = (f"test -w {FILE} || exit 0; echo scan >{FILE} && sleep 6 && echo scan >{FILE} &&"
        f"cat {FILE} && echo clear >{FILE}")
# A frame without a name is of a module that is gone, and only one ever goes.
NAMELESS = re.compile(r"^\s+(\[<[0-9a-f]+>\] )?0x[0-9a-f]+\s*$", re.M)


def reports(text: str) -> list[str]:
    return [r for r in re.split(r"(?m)^(?=unreferenced object )", text)
            if r.startswith("unreferenced object ")]


def of_dsm(text: str) -> list[str]:
    return [r for r in reports(text) if "dsm" in r or NAMELESS.search(r)]


def scan(nodes: list[Any], outputs: dict[str, str], timeout: float = 180) -> list[str]:
    """Scan all servers at once, keep what they report; return what is dsm's."""
    problems = []
    try:
        jobs = [n.spawn(["sh", "-c", SCAN]) for n in nodes]
        for j in jobs:
            r = j.wait(timeout)
            if r.out:
                outputs[f"kmemleak{j.node.index}"] = r.out
            if not r.ok:
                problems.append(f"node {j.node.index}: kmemleak: no answer: {r.err.strip()}")
            problems += [f"node {j.node.index}: leak: {x.splitlines()[0]}" for x in of_dsm(r.out)[:5]]
    except ClusterError as e:
        problems.append(str(e))
    return problems
