# SPDX-License-Identifier: GPL-2.0
"""What a program of the mm kselftests reports: TAP, or the ways of those that print none."""
import re

_TAP = re.compile(r"^(not )?ok (\d+)\b[ -]*([^#]*)(?:#\s*(\w+).*)?$")
# uffd-unit-tests: "Testing X on Y... done"; khugepaged: "X.... OK", after "Run test: Z".
_DOTS = re.compile(r"^(?:Testing )?(\S.*?)\.{3,}\s*"
                   r"(done|OK|Fail.*|failed.*|Timeout|Skip.*|skipped.*)$", re.I)
_RUN = re.compile(r"^Run test: (.*)$")
# Measured, so never the same: pagemap_ioctl counts what threads got done in the meantime,
# mrelease_test tells how large a child it took to be in time.
_COUNTED = re.compile(r"(Extra pages|extra thread faults|a child with) [\d.]+(MB| \([\d.]+%\))?")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
# Of a line of the kernel's log: what is not the same on every run.
_VARIES = re.compile(r"^\[[ .\d]+\] |\b0x[0-9a-f]+\b|\b[0-9a-f]{8,16}\b|\d+")

OK, FAIL, SKIP = "ok", "not ok", "skip"


class Results(dict):
    """case: OK, FAIL or SKIP. A name that comes again gets a number."""

    def put(self, case: str, result: str) -> None:
        name, nr = case, 1
        while name in self:
            nr += 1
            name = f"{case} ({nr})"
        self[name] = result

    def count(self, result: str) -> int:
        return sum(r == result for r in self.values())


def read(text: str, status: int) -> Results:
    """The cases of a program's output, and how it ended."""
    found = Results()
    run = ""
    for line in _COUNTED.sub(r"\1", _COLOUR.sub("", text)).splitlines():
        line = line.strip()
        if m := _TAP.match(line):
            skip = (m[4] or "").upper() == "SKIP"
            found.put(m[3].strip() or f"test {m[2]}", FAIL if m[1] else SKIP if skip else OK)
        elif m := _RUN.match(line):
            run = m[1] + ": "
        elif m := _DOTS.match(line):
            word = m[2].lower()
            result = OK if word in ("done", "ok") else SKIP if word.startswith("skip") else FAIL
            found.put(run + m[1].strip(), result)
    found.put("exit status", {0: OK, 4: SKIP}.get(status, FAIL))
    return found


def same_words(line: str) -> str:
    return _VARIES.sub("", line).strip()
