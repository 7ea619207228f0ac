# SPDX-License-Identifier: GPL-2.0
"""One Linux over the servers, under unmodified QEMU, and what it can do there."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from vms import Agents, boot, check, guest  # noqa: E402


def test_cpus(c):
    boot(c, "cpus", ["cpus", "timer", "tsc", "ipi", "wake", "nmi", "forks"], 600)


def test_hotplug(c):
    boot(c, "hotplug", ["cpus", "hotplug", "ipi", "cpus"], 600)


def test_memory(c):
    boot(c, "memory", ["litmus", "count", "memory", "shootdown"], 600)


def test_devices(c):
    boot(c, "devices", ["blk", "net", "rng"], 600)


def test_reboot(c):
    boot(c, "reboot", ["cpus", "reboot"], 900, boots=3)


def test_move(c):
    """The second CPU goes to the first server and back while it is at work."""
    with Agents(c) as a:
        g = guest.Linux(c.kernel, ["count", "timer", "count", "cpus"], cpus=c.nr_nodes)
        vm = a.linux("move", g)
        vm.wait_for("online #", 400)
        said = []
        for server in (0, 1):
            r = a.move("move", 1, server)
            said.append(r.out.strip() or r.err.strip())
        check(c, vm, 600)
        a.nothing_left()
    print("".join(f"# {x}\n" for x in said), end="")
    assert all("paused for" in x for x in said), said
