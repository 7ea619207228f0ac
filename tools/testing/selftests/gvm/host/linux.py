# SPDX-License-Identifier: GPL-2.0
"""One Linux over the servers, under unmodified QEMU, and what it can do there."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from vms import boot  # noqa: E402


def test_cpus(c):
    boot(c, "cpus", ["cpus", "timer", "tsc", "ipi", "wake", "nmi", "forks"], 600)


def test_hotplug(c):
    boot(c, "hotplug", ["cpus", "hotplug", "ipi", "cpus"], 600)


def test_memory(c):
    boot(c, "memory", ["litmus", "count", "memory", "shootdown"], 600)


def test_devices(c):
    boot(c, "devices", ["blk", "net", "rng"], 600)


def test_reboot(c):
    boot(c, "reboot", ["cpus", "reboot"], 900, reboots=True)
