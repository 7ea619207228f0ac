# SPDX-License-Identifier: GPL-2.0
"""What the tests of gvm share."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "gvm"))

from gvmtest import disk, guest, run  # noqa: E402,F401
from gvmtest.gvm import KVMLET, Agents, round_trips, stacks  # noqa: E402,F401

BACKTRACES = "Call Trace:"  # of the guest's test nmi, which asks for them


def check(c, vm: run.Running, timeout: float, ignore: str = "") -> run.Outcome:
    """To its end; if it does not come, what every thread on every server does."""
    vm.job.done.wait(timeout)
    if not vm.job.done.is_set():
        (c.logs / f"{vm.name}.stacks").write_text(stacks(c))
    o = vm.finish(0, ignore)
    o.check()
    return o


def notified(c) -> int:
    """Interrupts that took a lane (tools/gvm/lanes.h) since dsm.ko was loaded."""
    return sum(int(n.sh("cat /sys/fs/dsm/cluster/stats/notify_received", check=True).out)
               for n in c.nodes)


def boot(c, name, tests, timeout, begun=None, **kw) -> run.Outcome:
    """
    One Linux over all servers, a CPU on each, that runs these tests and powers off.
    begun: called once it has been started
    """
    with Agents(c) as a:
        g = guest.Linux(c.kernel, tests, cpus=c.nr_nodes, **kw)
        vm = a.linux(name, g)
        if begun:
            begun()
        o = check(c, vm, timeout, BACKTRACES if "nmi" in tests else "")
        a.nothing_left()
        assert o.boots == g.boots, f"booted {o.boots} times, not {g.boots}: {o.console.path}"
        return o
