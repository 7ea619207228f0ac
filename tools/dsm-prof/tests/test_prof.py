# SPDX-License-Identifier: GPL-2.0
import contextlib
import io
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from dsmprof import ProfError, analyse, events, join  # noqa: E402
from dsmprof.__main__ import main  # noqa: E402

MSG = "region={r} page={p} tid={tid} type={type} flags={flags} from={a} to={b} requester={q} home=1 acks=0 epoch=1"


class Traces:
    """Node 0 asks, 1 is home, 2 the owner; the clocks of 1 and 2 are off."""
    OFF = {0: 0, 1: 5_000_000, 2: -3_000_000}

    def __init__(self):
        self.lines = {n: [] for n in self.OFF}

    def add(self, node, ns, name, text):
        ns += self.OFF[node] + 10**10
        self.lines[node].append(f"   qemu-12 [{node:03}] ..... {ns // 10**9}.{ns % 10**9:09}: "
                                f"dsm_{name}: node={node} {text}\n")

    def msg(self, ns, flight, type_, a, b, tid, flags="", page=7, q=0):
        text = MSG.format(r=1, p=page, tid=tid, type=type_, flags=flags, a=a, b=b, q=q)
        self.add(a, ns, "msg_send", text)
        self.add(b, ns + flight, "msg_recv", text)

    def step(self, ns, node, tid, event, old, new, kind="page", page=7):
        self.add(node, ns, "step", f"region=1 page={page} tid={tid} kind={kind} event={event} "
                 f"from=0 old={old} new={new} old_dir=- new_dir=- verdict=OK")

    def fault(self, ns, node, page):
        self.add(node, ns, "fault_start", f"region=1 page={page} right=read state=I")

    def write_from_owner(self, t, tid, q=0, page=7):
        self.fault(t, q, page)
        self.step(t, q, tid, "WRITE", "I", "IX", page=page)
        self.msg(t + 100, 2000, "GETX", q, 1, tid, page=page, q=q)
        self.msg(t + 3000, 2000, "INV", 1, 2, tid, page=page, q=q)
        if q != 2:
            self.msg(t + 9000, 4000, "GRANT", 2, q, tid, "PAGE|WRITE", page=page, q=q)
        self.step(t + 13100, q, tid, "GRANT", "IX", "E", "msg", page=page)
        self.add(q, t + 14100, "fault_end", f"region=1 page={page} right=write err=0 ns=1")

    def read_from_home(self, t, tid, fault=True):
        if fault:
            self.fault(t - 500, 0, 9)
        self.step(t, 0, tid, "READ", "I", "IS", page=9)
        self.msg(t + 100, 2000, "GETS", 0, 1, tid, page=9)
        self.msg(t + 2500, 4000, "GRANT", 1, 0, tid, "PAGE", page=9)
        self.step(t + 6600, 0, tid, "GRANT", "IS", "S", "msg", page=9)
        if fault:
            self.add(0, t + 6600, "fault_end", "region=1 page=9 right=read err=0 ns=1")

    def files(self, top):
        paths = []
        for node, lines in self.lines.items():
            if lines:
                paths.append(str(Path(top) / f"{node}.txt"))
                Path(paths[-1]).write_text("# tracer: nop\n" + "".join(lines))
        return paths


class Prof(unittest.TestCase):
    def setUp(self):
        self.tmp = tempfile.TemporaryDirectory()
        self.addCleanup(self.tmp.cleanup)
        t = self.traces = Traces()
        t.write_from_owner(0, 1)
        t.read_from_home(20000, 2)
        t.msg(50000, 2000, "ACK", 1, 0, 99)         # symmetric flights for the clocks
        t.msg(60000, 2000, "ACK", 2, 1, 99)
        t.msg(70000, 2000, "ACK", 1, 2, 98)

    def load(self):
        seen, off, _ = events.load(self.traces.files(self.tmp.name))
        return seen, off, join.transactions(seen)

    def test_clocks(self):
        self.assertEqual(self.load()[1], Traces.OFF)

    def test_traces_of_different_times(self):
        t = Traces()
        t.write_from_owner(0, 1)
        t.lines[2] = [x for x in t.lines[2] if "msg_" not in x] + t.lines[2][-1:]
        seen, off, _ = events.load(t.files(self.tmp.name))
        r = analyse.report("x", seen, join.transactions(seen), off, 0)
        self.assertIn(2, r.apart)
        self.assertIn("record all at the same time", r.warnings[0])

    def test_segments_of_a_write_from_the_owner(self):
        t = self.load()[2][0]
        self.assertEqual(t.kind, "write, from owner")
        self.assertEqual(t.ns, 14100)
        self.assertEqual(t.segments(), {"request": 2100, "home": 900, "forward": 2000, "owner": 4000,
                                        "grant": 4000, "acks": 100, "wake": 1000})

    def test_segments_of_a_read_from_home(self):
        t = self.load()[2][1]
        self.assertEqual(t.kind, "read, from home")
        self.assertEqual(t.segments(), {"request": 2100, "home": 400, "grant": 4000, "acks": 100,
                                        "wake": 0})

    def test_fetched_ahead(self):
        self.traces.read_from_home(80000, 3, fault=False)
        t = self.load()[2]
        self.assertEqual([x.kind for x in t],
                         ["write, from owner", "read, from home", "fetched ahead"])

    def test_a_transaction_without_an_end_does_not_count(self):
        self.traces.step(80000, 0, 3, "READ", "I", "IS")
        self.assertEqual(len(self.load()[2]), 2)

    def test_false_sharing(self):
        for i in range(10):
            self.traces.write_from_owner(100000 + i * 20000, 10 + i, q=i % 2 * 2, page=5)
            self.traces.write_from_owner(110000 + i * 20000, 30 + i, q=0, page=6)
        seen, off, done = self.load()
        r = analyse.report("x", seen, done, off, 0)
        self.assertEqual([(p.where, p.writers, p.turns) for p in r.suspects],
                         [((1, 5), (0, 2), 9)])

    def test_report_and_html(self):
        html = Path(self.tmp.name) / "r.html"
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            code = main(["report", "--html", str(html), *self.traces.files(self.tmp.name)])
        self.assertEqual(code, 0)
        self.assertIn("write, from owner", out.getvalue())
        self.assertIn("<svg", html.read_text())

    def test_compare(self):
        files, out = self.traces.files(self.tmp.name), io.StringIO()
        with contextlib.redirect_stdout(out):
            code = main(["compare", "--before", *files, "--after", *files])
        self.assertEqual(code, 0)
        self.assertIn("+0%", out.getvalue())

    def test_mistakes(self):
        files = self.traces.files(self.tmp.name)
        with self.assertRaisesRegex(ProfError, "one file a node"):
            events.load([files[0], files[0]])
        empty = Path(self.tmp.name) / "empty"
        empty.write_text("# nothing\n")
        with self.assertRaisesRegex(ProfError, "no dsm events"):
            events.load([str(empty)])
        with self.assertRaisesRegex(ProfError, "No such file"):
            events.load(["/none"])


class Lines(unittest.TestCase):
    TAIL = "node=3 region=1 page=2 right=read state=IS"

    def test_formats(self):
        for line in (f"  qemu-1-77    [001] ..... 12.000001: dsm_fault_start: {self.TAIL}",
                     f"  CPU 0/KVM-77 (-----) [001] d..1. 12.000001: dsm_fault_start: {self.TAIL}",
                     f"  qemu-77    [001]    12.000001000: dsm_fault_start:      {self.TAIL}",
                     f"qemu 77 [001] 12.000001:  dsm:dsm_fault_start: {self.TAIL}"):
            e = events.parse_line(line)
            self.assertIsNotNone(e, line)
            self.assertEqual((e.ns, e.name, e.node, e.where, e.f["state"]),
                             (12000001000, "fault_start", 3, (1, 2), "IS"))

    def test_others(self):
        for line in ("# tracer", "", "x-1 [0] 1.000000: sched_switch: a=b",
                     "x-1 [0] 1.000000: dsm_step: node=x"):
            self.assertIsNone(events.parse_line(line))


if __name__ == "__main__":
    unittest.main()
