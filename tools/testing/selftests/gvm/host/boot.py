# SPDX-License-Identifier: GPL-2.0
"""One Linux over the servers, under unmodified QEMU: it boots, has their CPUs and nodes, powers off."""
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from vms import Agents, boot  # noqa: E402


def _homes(c):
    """The RAM of each NUMA node is homed on its server."""
    for n in c.nodes:
        end = time.monotonic() + 30
        place = ""
        while place != f"0- node:{n.index}\n":
            assert time.monotonic() < end, f"RAM of node {n.index} has its homes at: {place}"
            place = n.sh(f"cat /sys/fs/dsm/regions/boot.ram{n.index}/place").out
            time.sleep(0.1)


def test_needs_x2apic(c):
    """It is told so before anything runs, and nothing stays."""
    argv = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none",
            "-cpu", "host,-svm,-xsave,-x2apic"]
    with Agents(c) as a:
        vm = a.launch("nox2apic", ["--mem", "64M"], argv)
        vm.job.done.wait(60)
        o = vm.end(0)
        assert o.result.status, f"status {o.result.status}: {o.console.text()}"
        assert "gvm needs x2APIC" in o.console.text(), o.console.text()
        a.nothing_left()


def test_boot(c):
    # All CPUs take part in the boot, if there are not so many that it takes minutes.
    o = boot(c, "boot", ["cpus", "tsc", "numa"], 900, lambda: _homes(c), late=c.nr_nodes > 2)
    print(f"# its PID 1 ran after {o.init_s:.0f} s, off after {o.took_s:.0f} s")
