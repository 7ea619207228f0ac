# SPDX-License-Identifier: GPL-2.0
"""One server: its QEMU, its agent's frames, its monitor."""
import json
import os
import socket
import struct
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Optional

from . import ClusterError, spawn
from .pace import pace

(EXEC, KILL, BARRIER_DONE, KMSG) = range(1, 5)
(HELLO, STDOUT, STDERR, EXIT, BARRIER) = range(16, 21)
HEAD = struct.Struct("<III")


@dataclass
class Result:
    """How a command ended; status is None if its server died under it."""
    status: Optional[int]
    out: str
    err: str
    timed_out: bool = False
    death: str = ""  # what is known of its server's

    @property
    def ok(self) -> bool:
        return self.status == 0 and not self.timed_out


@dataclass
class Job:
    """A command that runs on a node."""
    node: "Node"
    id: int
    argv: list[str]
    on_output: Optional[Callable[[int, bytes], None]] = None
    status: Optional[int] = None
    done: threading.Event = field(default_factory=threading.Event)
    chunks: list[tuple[int, bytes]] = field(default_factory=list)

    def kill(self, sig: int = 9) -> None:
        self.node.send(KILL, self.id, struct.pack("<i", sig))

    def text(self, which: int) -> str:
        return b"".join(d for t, d in self.chunks if t == which).decode(errors="replace")

    def wait(self, timeout: float = 60) -> Result:
        """Bounded by timeout plus a grace of 5 s in which the command is killed."""
        timed_out = not self.done.wait(timeout * pace.patience)
        if timed_out and self.node.alive:
            self.kill()
            self.done.wait(5 * pace.patience)
        death = self.node.death() if self.status is None and not timed_out else ""
        return Result(self.status, self.text(STDOUT), self.text(STDERR), timed_out, death)


def connect(directory: Path, name: str, proc: subprocess.Popen, timeout: float) -> socket.socket:
    """Connect to directory/name, whose path may be too long for sun_path."""
    deadline = time.monotonic() + timeout
    fd = os.open(directory, os.O_PATH)
    try:
        while True:
            s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                s.connect(f"/proc/self/fd/{fd}/{name}")
                return s
            except OSError as e:
                s.close()
                if proc.poll() is not None:
                    raise ClusterError(f"{name}: process ended, see {directory}") from e
                if time.monotonic() > deadline:
                    raise ClusterError(f"{name}: {e}") from e
                time.sleep(0.02)
    finally:
        os.close(fd)


class Node:
    def __init__(self, index: int, directory: Path, argv: list[str],
                 on_barrier: Callable[["Node", int, str], None]) -> None:
        self.index = index
        self.dir = directory
        self.console = directory / f"node{index}.console"
        self.release = ""
        self.ready = threading.Event()
        self.dead = threading.Event()
        self.killed = False  # on purpose
        self._argv = argv
        self._on_barrier = on_barrier
        self._jobs: dict[int, Job] = {}
        self._next_id = 1
        self._lock = threading.Lock()
        self._qmp_lock = threading.Lock()
        self._proc: Optional[subprocess.Popen] = None

    @property
    def addr(self) -> str:
        return f"10.77.0.{self.index + 1}"

    @property
    def alive(self) -> bool:
        return self._proc is not None and self._proc.poll() is None and not self.dead.is_set()

    @property
    def pid(self) -> int:
        return self._proc.pid if self._proc else 0

    def death(self) -> str:
        """Why it does not answer any more, as far as its QEMU tells."""
        try:
            status = self._proc.wait(2) if self._proc else None
        except subprocess.TimeoutExpired:
            return "the server's agent is gone, its QEMU is not"
        if status is None or status >= 0:
            return f"the server died, its QEMU's exit status is {status}"
        return f"the server died, its QEMU of signal {-status}"

    def start(self) -> None:
        with open(self.dir / f"node{self.index}.qemu", "ab") as log:
            self._proc = spawn.spawn(self._argv, cwd=self.dir, stdin=subprocess.DEVNULL,
                                     stdout=log, stderr=log)
        self._agent = connect(self.dir, f"node{self.index}.agent", self._proc, 20)
        qmp = connect(self.dir, f"node{self.index}.qmp", self._proc, 20)
        qmp.settimeout(20)
        self._qmp = qmp.makefile("rw")
        self._qmp.readline()
        self.qmp("qmp_capabilities")
        threading.Thread(target=self._reader, daemon=True).start()

    def wait_ready(self, deadline: float) -> None:
        while not self.ready.wait(0.1):
            if self.dead.is_set() or time.monotonic() > deadline:
                why = self.death() if self.dead.is_set() else "it is not up in time"
                raise ClusterError(f"node {self.index}: {why}, see {self.console}")

    # -- agent

    def send(self, kind: int, ident: int, data: bytes) -> None:
        with self._lock:
            try:
                self._agent.sendall(HEAD.pack(len(data), ident, kind) + data)
            except OSError as e:
                raise ClusterError(f"node {self.index} is dead: {e}") from e

    def spawn(self, argv: list[str], env: Optional[dict[str, str]] = None,
              on_output: Optional[Callable[[int, bytes], None]] = None) -> Job:
        """Start a command; a server may run many at once."""
        if not self.alive:
            raise ClusterError(f"node {self.index} is dead")
        pairs = [f"{k}={v}" for k, v in (env or {}).items()]
        with self._lock:
            job = Job(self, self._next_id, list(argv), on_output)
            self._next_id += 1
            self._jobs[job.id] = job
        words = [str(len(pairs)), *pairs, *argv]
        self.send(EXEC, job.id, b"".join(w.encode() + b"\0" for w in words))
        return job

    def exec(self, *argv: str, timeout: float = 60, env: Optional[dict[str, str]] = None,
             check: bool = False) -> Result:
        r = self.spawn(list(argv), env).wait(timeout)
        if check and not r.ok:
            why = "timed out" if r.timed_out else f"status {r.status}"
            raise ClusterError(f"node {self.index}: {' '.join(argv)}: {why}: {r.err or r.out}")
        return r

    def sh(self, script: str, **kw) -> Result:
        return self.exec("sh", "-c", script, **kw)

    def kmsg(self, text: str) -> None:
        self.send(KMSG, 0, f"memos: {text}\n".encode())

    def _reader(self) -> None:
        buf = b""
        while True:
            try:
                data = self._agent.recv(1 << 16)
            except OSError:
                data = b""
            if not data:
                break
            buf += data
            while len(buf) >= HEAD.size:
                size, ident, kind = HEAD.unpack_from(buf)
                if len(buf) < HEAD.size + size:
                    break
                self._frame(kind, ident, buf[HEAD.size:HEAD.size + size])
                buf = buf[HEAD.size + size:]
        self.dead.set()
        with self._lock:
            jobs = list(self._jobs.values())
        for job in jobs:
            job.done.set()

    def _frame(self, kind: int, ident: int, data: bytes) -> None:
        if kind == HELLO:
            self.release = data.decode()
            self.ready.set()
        elif kind == BARRIER:
            self._on_barrier(self, ident, data.decode(errors="replace"))
        elif ident in self._jobs:
            job = self._jobs[ident]
            if kind == EXIT:
                raw = struct.unpack("<i", data)[0]
                job.status = -(raw & 0x7f) if raw & 0x7f else (raw >> 8) & 0xff
                with self._lock:
                    del self._jobs[ident]
                job.done.set()
            else:
                job.chunks.append((kind, data))
                if job.on_output:
                    job.on_output(kind, data)

    # -- monitor

    def qmp(self, execute: str, **arguments) -> dict:
        with self._qmp_lock:
            try:
                self._qmp.write(json.dumps({"execute": execute, "arguments": arguments}) + "\n")
                self._qmp.flush()
                while True:
                    reply = json.loads(self._qmp.readline() or '{"error": "closed"}')
                    if "error" in reply:
                        raise ClusterError(f"node {self.index}: {execute}: {reply['error']}")
                    if "return" in reply:
                        return reply["return"]
            except (OSError, ValueError) as e:
                raise ClusterError(f"node {self.index}: monitor: {e}") from e

    def link(self, up: bool) -> None:
        """Carrier of eth0. For loss without a sign of it see Cluster.cut()."""
        self.qmp("set_link", name="nic0", up=up)

    def pause(self) -> None:
        self.qmp("stop")

    def resume(self) -> None:
        self.qmp("cont")

    def kill(self) -> None:
        """Pull the plug."""
        self.killed = True
        if self._proc:
            spawn.stop(self._proc)
            self.dead.wait(5)
