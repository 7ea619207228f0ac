# SPDX-License-Identifier: GPL-2.0
"""
Memory that the VMM allocated for itself becomes a region: on the patched kernel in place (adoption),
on a stock one by a copy.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from vms import Agents, check  # noqa: E402


def test_private_ram(c):
    with Agents(c) as a:
        vm = a.kvmlet("private", [0, 1], "--only", "turns,sb,mp,atomics,tables,slot,mix",
                      "--rounds", "3", ram="private")
        text = check(c, vm, 300).console.text()
        a.nothing_left()
    assert "private.m0" in text, text[-1000:]
    how = "adopted" if c.kernel.variant.endswith("patched") else "copied"
    assert f" KiB: {how}" in text, text[-1000:]
    other = {"adopted": "copied", "copied": "adopted"}[how]
    assert f" KiB: {other}" not in text, text[-1000:]
