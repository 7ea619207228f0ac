# SPDX-License-Identifier: GPL-2.0
"""Run a VMM on a server, keep its console with times, judge its TAP."""
import re
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

from memos import dmesg, tap
from memos.cluster import Cluster
from memos.node import Job, Result

from . import ClusterError
from .guest import DISK

_TAP = re.compile(r"(?:^|\[\s*[\d.]+\] )tap: (.*)$")
_BOOTED = "# init runs"
_LOGIN = "Debian GNU/Linux 12 guest ttyS0"  # the prompt itself has no end of line
_ENDED = "] reboot: "  # Restarting system, or Power down
# Of a CPU with nohz_full whose start takes more than a second, if the boot began 3 s before: gvm.rst.
_SLOW_START = re.compile(r"-\[ cut here \]-(?:(?! cut here ).)*? sched_tick_remote\+"
                         r"(?:(?! cut here ).)*?\[ end trace ", re.S)


class Console:
    """Output of a command, line by line, each with the second it came; also on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: list[tuple[float, str]] = []
        self._start = time.monotonic()
        self._rest = b""
        self._lock = threading.Lock()
        self._file = open(path, "w", encoding="utf-8")

    def output(self, _kind: int, data: bytes) -> None:
        with self._lock:
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in lines:
                self._add(line)

    def _add(self, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip("\r")
        now = time.monotonic() - self._start
        self.lines.append((now, text))
        self._file.write(f"{now:8.3f} {text}\n")
        self._file.flush()

    def age(self) -> float:
        return time.monotonic() - self._start

    def close(self) -> None:
        with self._lock:
            if self._rest:
                self._add(self._rest)
            self._rest = b""
            self._file.close()

    def text(self) -> str:
        return "\n".join(t for _, t in self.lines)

    def when(self, what: str) -> Optional[float]:
        return next((at for at, t in self.lines if what in t), None)


@dataclass
class Outcome:
    """How a guest went."""
    console: Console
    result: Result
    took_s: float
    problems: list[str] = field(default_factory=list)

    @property
    def init_s(self) -> Optional[float]:
        """Seconds from the start of the VMM to the guest's PID 1."""
        return self.console.when(_BOOTED)

    @property
    def login_s(self) -> Optional[float]:
        """Seconds from the start of the VMM to Debian's prompt."""
        return self.console.when(_LOGIN)

    @property
    def boots(self) -> int:
        """How often PID 1 ran."""
        return self.console.text().count(_BOOTED)

    @property
    def ends(self) -> list[float]:
        """Seconds from the start of the VMM to the end of each of its boots."""
        return [at for at, t in self.console.lines if _ENDED in t]

    def tap(self) -> list[str]:
        """TAP lines: marked ones of a Linux guest's log, else all."""
        text = [t for _, t in self.console.lines]
        marked = [m[1] for m in map(_TAP.search, text) if m]
        return marked or text

    def check(self) -> None:
        if self.problems:
            tail = "\n".join(t for _, t in self.console.lines[-15:])
            raise AssertionError("; ".join(self.problems) + f"\n{tail}\nlog: {self.console.path}")


def _judge(o: Outcome, name: str, ignore: str) -> None:
    if o.result.timed_out:
        o.problems.append(f"no end after {o.took_s:.0f} s")
    elif o.result.status is None:
        o.problems.append(o.result.death)
    elif o.result.status:
        o.problems.append(f"the VMM's exit status is {o.result.status}")
    boots = "\n".join(o.tap()).split(_BOOTED)
    for early in boots[:-1]:
        o.problems += [x for x in early.splitlines() if x.startswith("not ok")]
    o.problems += tap.judge(boots[-1], name, []).problems
    bad = [x for x in dmesg.complaints(_SLOW_START.sub("", o.console.text()))
           if not (ignore and re.search(ignore, x))]
    o.problems += [f"guest's log: {x}" for x in bad[:5]]


@dataclass
class Running:
    """A command on a server, with its console."""
    job: Job
    console: Console
    name: str

    def wait_for(self, what: str, timeout: float) -> float:
        """Until a text is on the console. Return: the second it came."""
        end = time.monotonic() + timeout
        while (at := self.console.when(what)) is None:
            done = self.job.done.is_set()
            if done or time.monotonic() > end:
                when = f"its status is {self.job.status}" if done else f"in {timeout:.0f} s"
                raise AssertionError(f"{self.name}: no \"{what}\", {when}:\n"
                                     f"{self.console.text()[-2000:]}")
            time.sleep(0.1)
        return at

    def finish(self, timeout: float, ignore: str = "") -> Outcome:
        """Wait for a VMM's end and judge it. ignore: log lines that look bad and are not."""
        o = self.end(timeout)
        _judge(o, self.name, ignore)
        return o

    def end(self, timeout: float) -> Outcome:
        r = self.job.wait(timeout)
        self.console.close()
        return Outcome(self.console, r, self.console.age())


def start(c: Cluster, argv: list[str], name: str, node: int = 0,
          env: Optional[dict[str, str]] = None) -> Running:
    console = Console(c.logs / f"{name}.guest")
    return Running(c[node].spawn(argv, env, console.output), console, name)


def run(c: Cluster, argv: list[str], name: str, timeout: float, node: int = 0,
        ignore: str = "") -> Outcome:
    return start(c, argv, name, node).finish(timeout, ignore)


def kvm_up(c: Cluster, args: Optional[str] = None) -> None:
    """
    KVM in every server: SVM as QEMU emulates it, args are its module's. Without them: shadow paging
    where the patch series makes that right over dsmfs: it reads page tables, nested paging writes.
    """
    if args is None:
        args = "npt=0" if c.kernel.variant.endswith("-patched") else ""
    for n in c.nodes:
        r = n.sh(f"test -e /dev/kvm || modprobe kvm_amd {args}; test -c /dev/kvm")
        if not r.ok:
            raise ClusterError(f"node {n.index}: no KVM: {r.err.strip()}")


def new_disk(c: Cluster, node: int = 0, mib: int = 16) -> None:
    c[node].sh(f"rm -f {DISK}; truncate -s {mib}M {DISK}", check=True)


def server_logs(c: Cluster) -> list[str]:
    """Bad lines of the servers' logs since they booted."""
    return [f"node {n.index}: log: {x}" for n in c.nodes
            for x in dmesg.complaints(dmesg.read_from(n.console, 0))[:5]]
