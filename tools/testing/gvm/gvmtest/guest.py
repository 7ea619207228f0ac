# SPDX-License-Identifier: GPL-2.0
"""What a guest is made of: initramfs, command lines."""
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

from memos import initramfs, tsc
from memos.kernel import Kernel

from . import OUT, TOP, ClusterError

MODULES = "virtio_pci virtio_blk virtio_net virtio_rng crc32_pclmul crc32_generic".split()
APPEND = ("console=ttyS0,115200 earlyprintk=serial tsc=reliable nokaslr mitigations=off panic=-1 "
          "no_timer_check printk.devkmsg=on random.trust_cpu=on net.ifnames=0 audit=0 "
          "rcupdate.rcu_expedited=1")
TESTS = ("cpus timer tsc ipi wake hotplug nmi forks litmus count memory shootdown numa "
         "blk net rng").split()
USERLAND = "9pnet_virtio 9p overlay".split()
EXT4 = "crc32c_generic ext4".split()
DISK = "/tmp/gvm-disk"


def build_programs() -> None:
    p = subprocess.run(["make", "-s", "-C", TOP / "tools/testing/gvm", f"OUTPUT={OUT}"],
                       check=False, stdout=sys.stderr)
    if p.returncode:
        raise ClusterError("cannot build tools/testing/gvm")


@dataclass
class Linux:
    """A Linux guest that runs the named tests of guest/*.c and powers off."""
    kernel: Kernel
    tests: list[str]
    cpus: int = 2
    nodes: int = 1
    mem: str = "256M"
    append: str = "loglevel=5"
    boots: int = 1  # the test "reboot" has it boot so often
    turns: int = 100  # percent: what hotplug, blk and net do of their turns
    late: bool = True  # over several servers: boots on one CPU, then the test "online" has the others
    work: str = ""  # command line of the test "work", run in the server's root file system
    disk: Optional[Path] = None  # an ext4 image whose init takes over; what is written is thrown away
    machine: str = "pc"
    options: list[str] = field(default_factory=list)

    def initrd(self) -> Path:
        build_programs()
        root = EXT4 if self.disk else USERLAND if self.work else []
        return initramfs.build(self.kernel, OUT / "guest-init", MODULES + root, "gvm-guest")

    def clock(self) -> str:
        """The TSC's rate: what it could be measured by is emulated, and not precise."""
        khz = tsc.khz()
        return f"tsc_early_khz={khz}" if khz else ""

    def spread(self) -> str:
        """
        Over several servers: no ticks on CPUs that do without, as those of all write the same
        pages; nothing that wakes up idle CPUs; pages come to where they are used by themselves.
        """
        last = self.cpus - 1
        return (f"nohz_full=1-{last} rcu_nocbs=0-{last} numa_balancing=disable "
                f"sysctl.vm.compaction_proactiveness=0 {'maxcpus=1' if self.late else ''}")

    def argv(self) -> list[str]:
        """QEMU and all options but those that gvm adds: accel, irqchip, smp, memory."""
        several = self.nodes > 1
        tests = ["online", *self.tests] if several and self.late else self.tests
        append = (f"{APPEND} {self.clock()} {self.spread() if several else ''} {self.append} "
                  f"GVM_CPUS={self.cpus} GVM_NODES={self.nodes} GVM_BOOTS={self.boots} "
                  f"GVM_TURNS={self.turns} GVM_TEST={','.join(tests)}")
        root = []
        if self.disk:
            append += " GVM_DISK=/dev/vdb"
            root = ["-drive", f"file={self.disk},format=raw,if=none,id=root,snapshot=on",
                    "-device", "virtio-blk-pci,drive=root"]
        elif self.work:
            append += f' GVM_WORK="{self.work}"'
            root = ["-fsdev", "local,id=server,path=/,security_model=none,readonly=on,"
                              "multidevs=remap",
                    "-device", "virtio-9p-pci,fsdev=server,mount_tag=server"]
        return ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none",
                "-machine", self.machine,
                *([] if self.boots > 1 else ["-no-reboot"]), "-cpu", "host,-svm,-xsave",
                "-kernel", str(self.kernel.image), "-initrd", str(self.initrd()),
                "-append", append, "-serial", "stdio",
                "-drive", f"file={DISK},format=raw,if=none,id=disk,cache=writeback",
                "-device", "virtio-blk-pci,drive=disk", "-device", "virtio-rng-pci",
                "-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,romfile=",
                *root, *self.options]

    def plain(self, mem_path: str = "") -> list[str]:
        """The same with KVM of one server, RAM private or in a file."""
        argv = [*self.argv(), "-accel", "kvm", "-smp", str(self.cpus), "-m", self.mem]
        machine = "kernel-irqchip=split"
        if mem_path:
            machine += ",memory-backend=ram"
            argv += ["-object", f"memory-backend-file,id=ram,mem-path={mem_path},share=on,"
                                f"size={self.mem}"]
        return [*argv, "-machine", machine]
