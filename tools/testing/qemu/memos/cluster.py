# SPDX-License-Identifier: GPL-2.0
"""N servers and the wires between them."""
import os
import shutil
import struct
import subprocess
import threading
import time
from dataclasses import dataclass
from errno import ETIMEDOUT
from pathlib import Path
from typing import Iterable, Optional

from . import BUILD, TOP, ClusterError, initramfs, kernel, node, spawn, tsc
from .pace import pace

APPEND = ("console=ttyS0,115200 loglevel=7 panic=-1 no_timer_check nokaslr mitigations=off "
          "tsc=reliable random.trust_cpu=on net.ifnames=0 audit=0 rcupdate.rcu_expedited=1 ")

# QEMU 7.2's cmpxchg16b leaves rubbish in EFLAGS until the next instruction that sets them: an
# interrupt in between pushes it, and what returns to it dies (seen: a double fault in SLUB's
# fast path, EFLAGS half of RAX). Linux does without that instruction.
TCG_CPU = "max,-cx16"


KEEP = 10  # directories of runs that are over


def prune(dirs: Iterable[Path], keep: int) -> None:
    """Remove all but the youngest; another run may do so as well."""
    def age(path: Path) -> float:
        try:
            return path.stat().st_mtime
        except OSError:
            return 0

    for d in sorted(dirs, key=age)[:-keep]:
        shutil.rmtree(d, ignore_errors=True)


@dataclass
class _Barrier:
    count: int
    deadline: float
    arrived: list[tuple[node.Node, int]]


class Cluster:
    """Use as a context manager; everything in it dies with this process at the latest."""

    def __init__(self, nodes: int = 2, variant: str = "stock", name: Optional[str] = None,
                 cpus: int = 1, mem: str = "1G", net: str = "switch", append: str = "",
                 numa: int = 1, count_instructions: bool = False) -> None:
        if not 1 <= nodes <= 8:
            raise ClusterError(f"{nodes} servers: 1 to 8 can be emulated")
        if numa not in (1, 2):
            raise ClusterError(f"{numa} NUMA nodes a server: 1 or 2 can be emulated")
        self.name = name or f"run-{os.getpid()}"
        self.nr_nodes, self.cpus, self.mem, self.numa = nodes, cpus, mem, numa
        # The switch costs less than the noise (README), and it can lose frames silently.
        self.net = net
        if self.net == "direct" and nodes != 2:
            raise ClusterError("net=direct joins two servers only")
        # AML under KASAN and lockdep took about 17 of 50 s in one boot log, and 200 of 250 on a
        # loaded host. Without ACPI there are no other CPUs and no NUMA nodes.
        pace.set(variant)
        # A server's clock is the number of its instructions, 1 ns each: path lengths without noise.
        self.count_instructions = count_instructions
        no_acpi = " acpi=off" if cpus == numa == 1 else " pci=noacpi"
        # While Linux 6.12 identifies its first CPU, features are forgotten for a moment, LA57 too:
        # KASAN takes addresses of page tables of five levels, in an interrupt, for wild ones then.
        self.append = append + (no_acpi + " no5lvl" if pace.slow else "")
        self.boot_timeout = 120 * pace.patience
        self.dir = BUILD / "cluster" / self.name
        self.logs = self.dir / "logs"  # of a test; kept with what the servers logged
        self.nodes: list[node.Node] = []
        self._switch: Optional[subprocess.Popen] = None
        self._switch_lock = threading.Lock()
        self._barriers: dict[str, _Barrier] = {}
        self._barrier_lock = threading.Lock()
        self._down = threading.Event()
        spawn.build_tools()
        self.kernel = kernel.get(variant)
        self.initrd = initramfs.build(self.kernel)
        self.accel = "tcg" if count_instructions else spawn.accel(self.kernel.image, self.initrd)
        # Without ACPI there is no clock to calibrate the TSC with but the PIT, and that fails on a
        # loaded host: time would be counted in ticks of 10 ms.
        khz = tsc.khz() if pace.slow and self.accel == "tcg" else None
        self.append += f" tsc_early_khz={khz}" if khz else ""

    def __enter__(self) -> "Cluster":
        try:
            return self.up()
        except BaseException:
            self.down()
            raise

    def __exit__(self, *_exc) -> None:
        self.down()

    def __getitem__(self, i: int) -> node.Node:
        return self.nodes[i]

    # -- life

    def up(self) -> "Cluster":
        prune((d for d in self.dir.parent.glob("run-*") if not Path(f"/proc/{d.name[4:]}").exists()),
              KEEP)
        shutil.rmtree(self.dir, ignore_errors=True)
        self.logs.mkdir(parents=True)
        self._down.clear()
        self._barriers.clear()
        deadline = time.monotonic() + self.boot_timeout
        if self.net == "switch":
            self._switch = spawn.spawn([str(BUILD / "qemu/switch"), str(self.nr_nodes)],
                                       cwd=self.dir, text=True, bufsize=1,
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            if self._switch.stdout.readline() != "ready\n":
                raise ClusterError("the switch does not start")
        self.nodes = [node.Node(i, self.dir, self._qemu(i), self._on_barrier)
                      for i in range(self.nr_nodes)]
        for n in self.nodes:
            n.start()
        threading.Thread(target=self._watch_barriers, daemon=True).start()
        for n in self.nodes:
            n.wait_ready(deadline)
            if n.release != self.kernel.release:
                raise ClusterError(f"node {n.index} runs {n.release}, not {self.kernel.release}")
        return self

    def down(self) -> None:
        self._down.set()
        for n in self.nodes:
            n.kill()
        if self._switch:
            spawn.stop(self._switch)
            self._switch = None

    def restart(self, index: int) -> node.Node:
        """Power a killed server on again (behind the switch only)."""
        if self.net != "switch":
            raise ClusterError("restarting one server needs net=switch")
        self.nodes[index].kill()
        n = node.Node(index, self.dir, self._qemu(index), self._on_barrier)
        self.nodes[index] = n
        n.start()
        n.wait_ready(time.monotonic() + self.boot_timeout)
        return n

    def _qemu(self, i: int) -> list[str]:
        if self.net == "switch":
            netdev = f"stream,id=net0,server=off,addr.type=unix,addr.path=sw{i}"
        else:
            server = "on" if i == 0 else "off"
            netdev = f"stream,id=net0,server={server},addr.type=unix,addr.path=wire"
        accel, clock = self.accel, []
        if self.count_instructions:
            # Idle time that is skipped would be too short for an answer from outside.
            accel = "tcg,thread=single"
            clock = ["-icount", f"shift=0,sleep={'off' if self.nr_nodes == 1 else 'on'}"]
        elif accel == "tcg":
            accel = "tcg,thread=multi"
        append = (APPEND + self.append + f" MEMOS_NODE={i} MEMOS_NODES={self.nr_nodes} "
                  f"MEMOS_TOP={TOP} MEMOS_LIBMODULES={self.kernel.modules}")
        argv = ["qemu-system-x86_64", "-name", f"memos-{self.name}-{i}", "-nodefaults",
                "-no-user-config", "-no-reboot", "-display", "none", "-machine", "pc",
                "-accel", accel, "-cpu", TCG_CPU if self.accel == "tcg" else "host",
                "-smp", str(self.cpus), "-m", self.mem,
                "-kernel", str(self.kernel.image), "-initrd", str(self.initrd), "-append", append,
                "-chardev", f"socket,id=ser,path=node{i}.serial,server=on,wait=off,"
                            f"logfile=node{i}.console,logappend=on", "-serial", "chardev:ser",
                "-qmp", f"unix:node{i}.qmp,server=on,wait=off",
                "-device", "virtio-serial-pci",
                "-chardev", f"socket,id=agent,path=node{i}.agent,server=on,wait=off",
                "-device", "virtserialport,chardev=agent,name=org.memos.agent",
                "-device", "virtio-rng-pci",
                "-netdev", netdev,
                "-device", f"virtio-net-pci,id=nic0,netdev=net0,mac=52:54:00:77:00:{i + 1:02x},"
                           "host_mtu=9000,romfile="]
        argv += clock + self._qemu_numa()
        for tag, path, ro in (("root", "/", "on"), ("top", str(TOP), "on"),
                              ("build", str(BUILD), "off")):
            argv += ["-fsdev", f"local,id={tag},path={path},security_model=none,readonly={ro},"
                               "multidevs=remap",
                     "-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}"]
        return argv

    def _qemu_numa(self) -> list[str]:
        """Half of the memory on a node without CPUs."""
        if self.numa == 1:
            return []
        unit = {"M": 1, "G": 1024}.get(self.mem[-1].upper(), 0)
        if not unit or not self.mem[:-1].isdecimal():
            raise ClusterError(f"mem={self.mem}: with two NUMA nodes a number of M or G")
        argv = []
        for n, cpus in ((0, f",cpus=0-{self.cpus - 1}"), (1, "")):
            argv += ["-object", f"memory-backend-ram,id=ram{n},size={int(self.mem[:-1]) * unit // 2}M",
                     "-numa", f"node,nodeid={n},memdev=ram{n}{cpus}"]
        return argv

    # -- wires

    def switch(self, command: str) -> str:
        if not self._switch:
            raise ClusterError("this needs net=switch")
        with self._switch_lock:
            self._switch.stdin.write(command + "\n")
            answer = self._switch.stdout.readline().strip()
        if not answer or answer.startswith("error"):
            raise ClusterError(f"switch: {command}: {answer or 'died'}")
        return answer

    def _pairs(self, a: list[int], b: list[int]) -> list[tuple[int, int]]:
        return [p for x in a for y in b if x != y for p in ((x, y), (y, x))]

    def cut(self, a: list[int], b: list[int], up: bool = False) -> None:
        """Lose every frame between two groups, silently: a partition. Undo with heal()."""
        for x, y in self._pairs(a, b):
            self.switch(f"link {x} {y} {int(up)}")

    def heal(self) -> None:
        everyone = list(range(self.nr_nodes))
        for x, y in set(self._pairs(everyone, everyone)):
            for command in (f"link {x} {y} 1", f"delay {x} {y} 0", f"loss {x} {y} 0"):
                self.switch(command)

    def delay(self, a: list[int], b: list[int], us: int) -> None:
        for x, y in self._pairs(a, b):
            self.switch(f"delay {x} {y} {us}")

    def loss(self, a: list[int], b: list[int], permille: int) -> None:
        for x, y in self._pairs(a, b):
            self.switch(f"loss {x} {y} {permille}")

    # -- barriers

    def _on_barrier(self, n: node.Node, ident: int, text: str) -> None:
        count, timeout_s, name = text.split(" ", 2)
        with self._barrier_lock:
            deadline = time.monotonic() + int(timeout_s) * pace.patience
            b = self._barriers.setdefault(name, _Barrier(int(count), deadline, []))
            b.arrived.append((n, ident))
            b.deadline = min(b.deadline, deadline)
            if len(b.arrived) >= b.count:
                self._release(name, 0)

    def _release(self, name: str, error: int) -> None:
        for n, ident in self._barriers.pop(name).arrived:
            try:
                n.send(node.BARRIER_DONE, ident, struct.pack("<i", error))
            except ClusterError:
                pass  # it died waiting

    def _watch_barriers(self) -> None:
        while not self._down.wait(0.25):
            with self._barrier_lock:
                now = time.monotonic()
                for name in [k for k, b in self._barriers.items() if now > b.deadline]:
                    self._release(name, ETIMEDOUT)

    # -- commands on many servers

    def each(self, argv: list[str], timeout: float = 60,
             env: Optional[dict[str, str]] = None) -> list[node.Result]:
        """Run a command on every living server at the same time."""
        jobs = [n.spawn(argv, env) for n in self.nodes if n.alive]
        deadline = time.monotonic() + timeout
        return [j.wait(max(0.0, deadline - time.monotonic())) for j in jobs]

    def _dsm(self, verb: str, args: str, timeout: float) -> None:
        script = str(TOP / "tools/testing/qemu/guest/dsm.sh")
        peers = ",".join(n.addr for n in self.nodes)
        jobs = [n.spawn(["sh", script, verb, str(self.kernel.dsm_ko), str(n.index), peers, args])
                for n in self.nodes if n.alive]
        deadline = time.monotonic() + timeout
        for j in jobs:
            r = j.wait(max(0.0, deadline - time.monotonic()))
            if not r.ok:
                why = "timed out" if r.timed_out else f"status {r.status}"
                raise ClusterError(f"node {j.node.index}: dsm {verb}: {why}: {r.err.strip()}")

    def dsm_up(self, args: str = "", timeout: float = 60) -> None:
        """insmod dsm.ko with all servers as peers, and mount, everywhere at once."""
        if not self.kernel.dsm_ko.exists():
            raise ClusterError(f"{self.kernel.dsm_ko} is missing: "
                               f"run 'make modules KERNEL={self.kernel.variant}'")
        self._dsm("up", args, timeout)

    def dsm_down(self, timeout: float = 60) -> None:
        self._dsm("down", "", timeout)
