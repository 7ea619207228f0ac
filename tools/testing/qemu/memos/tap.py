# SPDX-License-Identifier: GPL-2.0
"""The gate: a TAP stream passes only if it says so completely."""
import fnmatch
import re
from dataclasses import dataclass, field
from pathlib import Path

_PLAN = re.compile(r"^1\.\.(\d+)\s*(?:#\s*SKIP\b\s*(.*))?$", re.I)
_RESULT = re.compile(r"^(not )?ok\b\s*(\d+)?\s*-?\s*([^#]*)(?:#\s*(\w+)\s*(.*))?$", re.I)


@dataclass
class Verdict:
    passed: int = 0
    skipped: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.problems

    @property
    def all_skipped(self) -> bool:
        return self.ok and not self.passed


def read_skips(path: Path) -> list[tuple[str, str]]:
    """Lines "TEST CASE-GLOB reason…" of skips.allow."""
    if not path.exists():
        return []
    lines = (line.split("#")[0].split(None, 2) for line in path.read_text().splitlines())
    return [(w[0], w[1]) for w in lines if len(w) >= 2]


def judge(text: str, test: str, allowed: list[tuple[str, str]]) -> Verdict:
    """Check one program's output. Indented lines (KTAP subtests) do not count."""
    v = Verdict()
    planned = None
    seen = 0

    def skip(case: str, why: str) -> None:
        name = f"{case} ({why})" if why else case
        if any(fnmatch.fnmatch(test, t) and fnmatch.fnmatch(case, c) for t, c in allowed):
            v.skipped.append(name)
        else:
            v.problems.append(f"skip not in skips.allow: {name}")

    for line in text.splitlines():
        line = line.rstrip()
        if line.startswith("Bail out!"):
            v.problems.append(line)
        elif m := _PLAN.match(line):
            if planned is not None:
                v.problems.append("two plans")
            planned = int(m[1])
            if planned == 0:
                if m[2] is None:
                    v.problems.append("a plan of no tests")
                else:
                    skip("*", m[2])
        elif m := _RESULT.match(line):
            seen += 1
            number, case = int(m[2] or seen), m[3].strip()
            if number != seen:
                v.problems.append(f"result {number} where {seen} was due")
            if m[1]:
                v.problems.append(line)
            elif (m[4] or "").upper() == "SKIP":
                skip(case, m[5])
            else:
                v.passed += 1
    if planned is None:
        v.problems.append("no plan")
    elif seen != planned:
        v.problems.append(f"{planned} tests planned, {seen} reported")
    return v
