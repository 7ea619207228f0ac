# SPDX-License-Identifier: GPL-2.0
"""QEMU's other machine: PCI Express, another chipset, more pins of the IOAPIC."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from vms import boot  # noqa: E402


def test_q35(c):
    o = boot(c, "q35", ["cpus", "blk", "net", "rng", "reboot"], 900, boots=2, turns=10, machine="q35",
             append="loglevel=7")
    assert "ACPI: MCFG" in o.console.text(), f"no PCI Express: {o.console.path}"
