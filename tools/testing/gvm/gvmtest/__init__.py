# SPDX-License-Identifier: GPL-2.0
"""Guests inside the servers of an emulated cluster: with plain KVM, and under gvm."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "qemu"))

from memos import BUILD, TOP, ClusterError  # noqa: E402,F401

GVM = BUILD / "tools/gvm"
OUT = BUILD / "gvm"
