# SPDX-License-Identifier: GPL-2.0
"""The interrupt matrix, and what else kvmlet asks of KVM, with vCPUs on several servers."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from vms import Agents, check, notified  # noqa: E402


def _run(c, name, owners, *options, ram="file"):
    with Agents(c) as a:
        check(c, a.kvmlet(name, owners, *options, ram=ram), 600)
        a.nothing_left()
        print(f"# {name}: {notified(c)} interrupts took a lane")
        if any(owners) and not options and "patched" in c.kernel.variant:
            assert notified(c)


def test_all_local(c):
    """Under gvm, and no vCPU elsewhere."""
    _run(c, "local", [0, 0])


def test_one_remote(c):
    _run(c, "remote", [0, 1])


def test_private_ram(c):
    """What the VMM maps privately becomes a region."""
    _run(c, "private", [0, 1], "--rounds", "5", ram="private")


def test_init(c):
    """Often: an INIT that is lost shows in one of a hundred."""
    _run(c, "init", [0, 1], "--only", "again", "--rounds", "200")


def test_three(c):
    """Two vCPUs meet on one server; over three servers each has one."""
    last = c.nr_nodes - 1
    _run(c, "three", [0, 1, last], "--rounds", "4")


def test_first_server_alone(c):
    """All but vCPU 0 are remote, and the one that is not is the last."""
    last = c.nr_nodes - 1
    _run(c, "mixed", [0, last, 1, 0], "--rounds", "3")
