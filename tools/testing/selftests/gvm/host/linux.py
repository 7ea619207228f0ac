# SPDX-License-Identifier: GPL-2.0
"""One Linux over the servers, under unmodified QEMU."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from vms import BACKTRACES, Agents, check, guest  # noqa: E402


def _boot(c, name, tests, timeout, **kw):
    with Agents(c) as a:
        g = guest.Linux(c.kernel, tests, cpus=c.nr_nodes, **kw)
        o = check(c, a.linux(name, g), timeout, BACKTRACES if "nmi" in tests else "")
        a.nothing_left()
        return o


def test_boot(c):
    _boot(c, "boot", ["cpus", "numa"], 300)


def test_cpus(c):
    _boot(c, "cpus", ["cpus", "timer", "tsc", "ipi", "wake", "nmi", "forks"], 600)


def test_hotplug(c):
    _boot(c, "hotplug", ["cpus", "hotplug", "ipi", "cpus"], 600)


def test_memory(c):
    _boot(c, "memory", ["litmus", "count", "memory", "shootdown"], 600)


def test_devices(c):
    _boot(c, "devices", ["blk", "net", "rng"], 600)


def test_reboot(c):
    _boot(c, "reboot", ["cpus", "reboot"], 900, reboots=True)
