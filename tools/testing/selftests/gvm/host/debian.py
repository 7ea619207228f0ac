# SPDX-License-Identifier: GPL-2.0
"""Debian with its stock kernel and its own init over the servers: to its prompt, all units well, off."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from vms import Agents, check, disk  # noqa: E402

from memos import kernel  # noqa: E402


def test_login(c):
    with Agents(c) as a:
        g = disk.linux(kernel.get("stock"), "login", cpus=c.nr_nodes, mem="384M")
        o = check(c, a.linux("debian", g), 900)
        a.nothing_left()
    assert o.login_s, f"no prompt: {o.console.path}"
    print(f"# its PID 1 ran after {o.init_s:.0f} s, its prompt came after {o.login_s:.0f} s")
