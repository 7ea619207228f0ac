# SPDX-License-Identifier: GPL-2.0
import contextlib
import io
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import dsmtop  # noqa: E402


class Sysfs(unittest.TestCase):
    def setUp(self):
        self.tmp = tempfile.TemporaryDirectory()
        self.addCleanup(self.tmp.cleanup)
        self.top = Path(self.tmp.name) / "dsm"
        self.put("cluster/name", "dsm")
        self.put("cluster/node", 1)
        self.put("cluster/state", "in")
        self.put("cluster/stats/fault_read", 100)
        self.put("cluster/latency/fault_read/histogram", "0 " * 13 + "100 " + "0 " * 25 + "0")
        self.put("regions/a=b c/nr_resident", 512)
        self.put("regions/a=b c/size", 8 << 20)
        self.put("regions/a=b c/place", "0-1 node:1\n2- block:4")
        self.put("peers/0/link", "down")
        self.put("peers/0/queued", 3)

    def put(self, name, value):
        path = self.top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{value}\n")

    def run_main(self, *argv):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = dsmtop.main(list(argv))
        return code, out.getvalue(), err.getvalue()

    def snapshot(self, name, times=1):
        path = Path(self.tmp.name) / name
        code, out, _ = self.run_main("--snapshot", str(self.top))
        self.assertEqual(code, 0)
        with path.open("a") as f:
            f.write(out)
        return path

    def test_snapshot_reads_back(self):
        snap = dsmtop.read_snapshots(self.snapshot("a"))[0]
        self.assertEqual(snap["regions/a%3Db%20c/place"], "0-1 node:1,2- block:4")
        self.assertEqual(snap["cluster/stats/fault_read"], "100")

    def test_merge_of_single_snapshots_shows_totals(self):
        a, b = self.snapshot("a"), self.snapshot("b")
        code, out, _ = self.run_main("--merge", str(a), str(b), "--labels", "alpha", "beta")
        self.assertEqual(code, 0)
        self.assertIn("totals", out)
        self.assertRegex(out, r"alpha +beta +sum")
        self.assertRegex(out, r"  read +100 +100 +200")
        self.assertRegex(out, r"a=b c \(8 MiB\) +2 +2")
        self.assertIn("link down, 3 queued", out)
        self.assertNotIn("\033", out)

    def test_two_snapshots_give_rates_and_their_own_latency(self):
        path = self.snapshot("a")
        self.put("cluster/stats/fault_read", 300)
        self.put("cluster/latency/fault_read/histogram", "0 " * 10 + "50 0 0 100 " + "0 " * 25 + "0")
        self.snapshot("a")
        n = dsmtop.Node(str(path))
        n.poll()
        n.old["time_ns"], n.new["time_ns"] = "0", "2000000000"
        self.assertEqual(n.rate(("fault_read",)), 100)
        self.assertEqual(dsmtop.percentile(n.buckets("fault_read"), 99), 1024 + 1024 - 1)

    def test_counters_that_were_reset(self):
        n = dsmtop.Node(str(self.top))
        n.poll()
        self.put("cluster/stats/fault_read", 7)
        n.poll()
        self.assertEqual(n.since("cluster/stats/fault_read"), 7)

    def test_a_node_that_goes(self):
        n = dsmtop.Node(str(self.top), "gone")
        n.poll()
        (self.top / "cluster/name").unlink()
        n.poll()
        text = "\n".join(dsmtop.render([n]))
        self.assertIn("no data", text)
        self.assertIn("dsmctl join", text)

    def test_nothing_there(self):
        code, _, err = self.run_main(str(self.top / "none"))
        self.assertEqual(code, 1)
        self.assertIn("none", err)

    def test_a_file_without_snapshots(self):
        path = Path(self.tmp.name) / "x"
        path.write_text("nothing\n")
        code, _, err = self.run_main("--merge", str(path))
        self.assertEqual(code, 1)
        self.assertIn("holds no snapshot", err)


class Percentile(unittest.TestCase):
    def test_as_the_kernel(self):
        self.assertIsNone(dsmtop.percentile([0] * 40, 50))
        self.assertEqual(dsmtop.percentile([0, 0, 0, 4], 50), 8 + 8 * 2 / 4 - 1)
        self.assertEqual(dsmtop.percentile([1], 99), 1)
        self.assertEqual(dsmtop.percentile([99, 0, 0, 1], 99), 1)

    def test_short(self):
        for value, text in ((0, "0"), (0.5, "0.5"), (99.96, "100"), (9999, "9999"),
                            (9999.6, "10.0k"), (12345, "12.3k"), (2.5e9, "2500M")):
            self.assertEqual(dsmtop.short(value), text)


if __name__ == "__main__":
    unittest.main()
