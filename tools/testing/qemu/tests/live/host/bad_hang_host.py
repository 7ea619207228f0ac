# SPDX-License-Identifier: GPL-2.0
"""A host-driven test that never ends."""
import time


def test_hang(_c) -> None:
    time.sleep(1000)
