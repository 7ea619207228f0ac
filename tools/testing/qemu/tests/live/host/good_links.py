# SPDX-License-Identifier: GPL-2.0
"""Links can be lost silently, visibly, and come back; a server can die and return."""
import time

PING = ("ping", "-c1", "-W1")


def reaches(c, a: int, b: int) -> bool:
    return c[a].exec(*PING, c[b].addr).ok


def eventually(what, timeout: float = 10) -> None:
    deadline = time.monotonic() + timeout
    while not what():
        assert time.monotonic() < deadline, "not in time"


def test_silent_cut(c) -> None:
    assert reaches(c, 0, 1)
    c.cut([0], [1])
    assert not reaches(c, 0, 1)
    assert reaches(c, 0, 2)
    c.heal()
    eventually(lambda: reaches(c, 0, 1))


def test_delay(c) -> None:
    c.delay([0], [1], 200_000)
    assert "time=4" in c[0].exec(*PING, c[1].addr, check=True).out
    c.heal()


def test_carrier(c) -> None:
    c[1].link(False)
    assert "NO-CARRIER" in c[1].sh("ip link show eth0").out
    c[1].link(True)
    eventually(lambda: reaches(c, 1, 2))


def test_rdma(c) -> None:
    server = c[1].spawn(["rping", "-s", "-C", "5"])
    time.sleep(1)
    c[0].exec("rping", "-c", "-a", c[1].addr, "-C", "5", timeout=20, check=True)
    server.wait(10)


def test_kill_and_restart(c) -> None:
    job = c[2].spawn(["sleep", "100"])
    c[2].kill()
    assert job.wait(5).status is None
    c.restart(2)
    eventually(lambda: reaches(c, 0, 2))
