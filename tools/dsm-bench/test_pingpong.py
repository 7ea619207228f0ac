#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""dsm_pingpong.ko on two emulated servers: bad input, lost peers, unloading at any moment."""
import contextlib
import sys
import time
import unittest

import raw
from memos.cluster import Cluster
from memos.node import Job, Node

ENDLESS = "count=1000000"
BAD = ["x=1", "addr=foo", "req=0", "req=99999999", "depth=0", "poll=bogus", "head=4",
       f"count={10 ** 11}", "port=99999", "x" * 3000]
GOOD = ["depth=256 count=1000", "depth=8 count=200 poll=waiter rep=4096", "poll=workqueue imm=1",
        "depth=7 mode=stream req=5000 count=100", "depth=1 mode=stream req=64 count=33",
        "req=1000 rep=9 head=1024 count=50", "req=80 rep=4176 head=80 count=50",
        "rep=65536 count=20", "depth=4 count=3"]


class Pingpong(unittest.TestCase):
    stack = contextlib.ExitStack()
    cluster: Cluster

    @classmethod
    def setUpClass(cls) -> None:
        cls.cluster = cls.stack.enter_context(Cluster(2, cpus=2, name="pingpong"))

    @classmethod
    def tearDownClass(cls) -> None:
        cls.stack.close()

    def setUp(self) -> None:
        self.a, self.b = self.cluster.nodes
        raw.load(self.cluster.nodes)

    def start(self) -> Job:
        job = self.a.spawn(["sh", "-c", f"echo 'addr={self.b.addr} {ENDLESS}' >{raw.DEBUGFS}/run"])
        time.sleep(1.5)
        return job

    def unload(self, *nodes: Node) -> None:
        for n in nodes:
            n.exec("rmmod", "dsm_pingpong", timeout=30, check=True)

    def fails(self, job: Job, within_s: float) -> None:
        r = job.wait(within_s)
        self.assertFalse(r.timed_out)
        self.assertNotEqual(r.status, 0)

    def test_bad_input(self) -> None:
        for line in BAD:
            r = self.a.sh(f"echo 'addr={self.b.addr} {line}' >{raw.DEBUGFS}/run")
            self.assertNotEqual(r.status, 0, line)

    def test_good_input(self) -> None:
        for line in GOOD:
            self.assertGreater(raw.pingpong(self.a, self.b, line)["p50_ns"], 0, line)

    def test_nobody_listens(self) -> None:
        with self.assertRaises(raw.ClusterError):
            raw.pingpong(self.a, self.b, "port=9999")

    def test_server_unloads_in_a_run(self) -> None:
        job = self.start()
        self.unload(self.b)
        self.fails(job, 15)

    def test_client_is_killed(self) -> None:
        job = self.start()
        self.assertNotEqual(self.a.exec("rmmod", "dsm_pingpong").status, 0)
        job.kill()
        self.fails(job, 5)
        self.unload(self.a)

    def test_silence(self) -> None:
        job = self.start()
        self.cluster.cut([0], [1])
        self.fails(job, 40)
        self.unload(self.a, self.b)
        self.cluster.heal()

    def test_zz_device_goes(self) -> None:
        job = self.start()
        self.b.exec("rdma", "link", "delete", "rxe0", timeout=30, check=True)
        self.fails(job, 40)
        self.unload(self.a, self.b)

    def tearDown(self) -> None:
        for n in self.cluster.nodes:
            bad = n.sh("dmesg | grep -E 'BUG|WARNING|Oops|hung task|Call Trace'")
            self.assertEqual(bad.out, "")


if __name__ == "__main__":
    sys.exit(unittest.main())
