# SPDX-License-Identifier: GPL-2.0
"""Emulated cluster of servers: the library behind cluster.py and host-driven tests."""
from pathlib import Path

TOP = Path(__file__).resolve().parents[4]
BUILD = TOP / "build"
QEMU_DIR = TOP / "tools/testing/qemu"
SELFTESTS = TOP / "tools/testing/selftests/dsm"


class ClusterError(Exception):
    """The cluster, not the code under test, did something it must not."""
