# SPDX-License-Identifier: GPL-2.0
"""A server ends without a word while the test looks elsewhere."""


def test_lost(c) -> None:
    c[1].qmp("quit")
    assert c[1].dead.wait(10)
