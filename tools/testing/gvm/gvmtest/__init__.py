# SPDX-License-Identifier: GPL-2.0
"""Guests inside the servers of an emulated cluster: with plain KVM, and under gvm."""
import sys
from pathlib import Path

_TOOLS = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(_TOOLS / "testing/qemu"), str(_TOOLS / "dsm-prof")]

from memos import BUILD, TOP, ClusterError  # noqa: E402,F401

GVM = BUILD / "tools/gvm"
OUT = BUILD / "gvm"
