# SPDX-License-Identifier: GPL-2.0
"""What the host-driven tests share."""
import re
import time
from dataclasses import dataclass

from memos import BUILD, TOP
from memos.cluster import Cluster
from memos.node import Job, Node
from memos.pace import pace

PROGRAMS = BUILD / "selftests"
SCRIPT = str(TOP / "tools/testing/qemu/guest/dsm.sh")


def env(c: Cluster, i: int) -> dict[str, str]:
    return {"DSM_NODE": str(i), "DSM_NODES": str(c.nr_nodes), "DSM_MNT": "/dev/dsm",
            **pace.env()}


def peers(c: Cluster) -> str:
    return ",".join(n.addr for n in c.nodes)


def up(c: Cluster, i: int, args: str = "", timeout: float = 60) -> None:
    """insmod and mount on one server."""
    c[i].exec("sh", SCRIPT, "up", str(c.kernel.dsm_ko), str(i), peers(c), args, timeout=timeout,
              check=True)


def down(c: Cluster, i: int, timeout: float = 60) -> None:
    c[i].exec("sh", SCRIPT, "down", timeout=timeout, check=True)


def bury(c: Cluster) -> None:
    """Whatever a failed case left."""
    for n in c.nodes:
        if n.alive:
            n.sh("pkill -9 -x traffic; true")
            down(c, n.index)


def fresh(c: Cluster, args: str = "") -> None:
    """insmod and mount everywhere, from a clean start."""
    bury(c)
    c.dsm_up(args)


def insmod(c: Cluster, i: int, args: str, timeout: float = 60):
    return c[i].sh(f"insmod {c.kernel.dsm_ko} {args}", timeout=timeout)


def log(n: Node) -> str:
    """The kernel's messages since the last call; the console file keeps them."""
    return n.sh("dmesg -c", check=True).out


def dsm_lines(text: str) -> list[str]:
    return [x for x in text.splitlines() if "dsm" in x]


def clean(n: Node) -> None:
    """No trace of the module."""
    r = n.sh("cat /proc/modules /proc/filesystems | grep -w 'dsm\\|dsmfs'; ls -d /sys/fs/dsm 2>/dev/null;"
             "ps -e -o comm= | grep ^dsm; true", check=True)
    assert not r.out.strip(), f"node {n.index}: left behind: {r.out}"


@dataclass
class Traffic:
    sum: int
    ops: int
    max_us: int


def traffic(c: Cluster, i: int, seconds: int, pages: int = 64, expected=None,
            name: str = "traffic", mnt: str = "/dev/dsm") -> Job:
    argv = [str(PROGRAMS / "traffic"), f"{mnt}/{name}", str(pages), str(seconds)]
    if expected is not None:
        argv.append(str(expected))
    return c[i].spawn(argv, env(c, i) | {"DSM_MNT": mnt})


def finish(job: Job, timeout: float) -> Traffic:
    r = job.wait(timeout)
    who = f"node {job.node.index}"
    assert not r.timed_out, f"{who}: traffic does not end:\n{r.out}\n{stacks(job.node)}"
    m = re.search(r"sum (\d+) ops (\d+) max_us (\d+)", r.out)
    assert r.status == 0 and m, f"{who}: traffic: status {r.status}: {r.out}{r.err}"
    t = Traffic(*map(int, m.groups()))
    assert t.ops > 0, f"{who}: no progress"
    return t


def stop(job: Job, timeout: float = 30) -> Traffic:
    job.kill(10)
    return finish(job, timeout)


def stacks(n: Node) -> str:
    if not n.alive:
        return "dead"
    return n.sh("for p in $(pgrep 'traffic|dsm|rmmod|umount|insmod|mount'); do "
                "echo \"== $p $(cat /proc/$p/comm)\"; cat /proc/$p/stack; done", timeout=20).out


def wait_for(what: str, seconds: float, ready) -> None:
    seconds *= pace.patience
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.2)


def read(n: Node, path: str) -> str:
    return n.exec("cat", path, check=True).out.strip()


def no_d_state(nodes: list[Node]) -> None:
    for n in nodes:
        if n.alive:
            ps = n.exec("ps", "-e", "-o", "state=,pid=,comm=", check=True).out.splitlines()
            stuck = [x for x in ps if x.startswith("D")]
            assert ps and not stuck, f"node {n.index}: {stuck}\n{stacks(n)}"
