# SPDX-License-Identifier: GPL-2.0
"""What must not stand in a server's kernel log."""
import re
from pathlib import Path

from . import QEMU_DIR

BAD = re.compile(
    r"WARNING:|\bBUG\b|Oops|general protection fault|unable to handle|Kernel panic"
    r"|blocked for more than|possible (circular|recursive|irq lock)|inconsistent lock state"
    r"|INFO: (task|rcu|trying to register non-static key|suspicious)|suspicious RCU usage"
    r"|KASAN:|UBSAN:|ODEBUG:|soft lockup|hard LOCKUP|detected stall|workqueue lockup"
    r"|Marking (TSC|clocksource)|refcount_t:|list_(add|del) corruption|Call Trace:"
    r"|lock held when returning|bad unlock balance|sleeping function called|stack-protector"
    r"|double free|Object padding overwritten|Bad page|page allocation failure|segfault at")


def allowed() -> list[re.Pattern]:
    path = QEMU_DIR / "dmesg.allow"
    lines = path.read_text().splitlines() if path.exists() else []
    return [re.compile(line) for line in lines if line and not line.startswith("#")]


def complaints(text: str) -> list[str]:
    ok = allowed()
    return [line for line in text.splitlines()
            if BAD.search(line) and not any(a.search(line) for a in ok)]


def read_from(path: Path, offset: int) -> str:
    with open(path, "rb") as f:
        f.seek(offset)
        return f.read().decode(errors="replace")


def read_lines(path: Path, offset: int) -> tuple[str, int]:
    """The whole lines from there on, and where they end: what is being written comes next time."""
    with open(path, "rb") as f:
        f.seek(offset)
        data = f.read()
    end = data.rfind(b"\n") + 1
    return data[:end].decode(errors="replace"), offset + end
