# SPDX-License-Identifier: GPL-2.0
"""The gate lets nothing through that a naive one would."""
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from memos import dmesg, tap  # noqa: E402

ALLOWED = [("t", "needs_*")]


class Gate(unittest.TestCase):
    def judge(self, text: str) -> tap.Verdict:
        return tap.judge(text, "t", ALLOWED)

    def test_green(self) -> None:
        v = self.judge("TAP version 13\n1..2\n# RUN a\nok 1 a\n    not ok 1 sub\nok 2 - b\n")
        self.assertEqual((v.passed, v.problems), (2, []))

    def test_red(self) -> None:
        for text in ("", "ok 1 a\n", "1..1\n", "1..2\nok 1 a\n", "1..1\nok 1 a\nok 2 b\n",
                     "1..1\nnot ok 1 a\n", "1..1\nnot ok 1 a # TODO later\n",
                     "1..1\nok 1 a # SKIP no reason\n", "1..0\n", "1..0 # SKIP no\n",
                     "1..1\nok 1 a\nBail out!\n", "1..1\n1..1\nok 1 a\n", "1..2\nok 1 a\nok 1 a\n"):
            with self.subTest(text=text):
                self.assertFalse(self.judge(text).ok)

    def test_allowed_skip(self) -> None:
        v = self.judge("1..1\nok 1 needs_kvm # SKIP no kvm\n")
        self.assertTrue(v.ok and v.all_skipped)

    def test_log(self) -> None:
        for line in ("WARNING: CPU: 0 PID: 1 at mm/x.c:1", "BUG: KASAN: use-after-free in f",
                     "INFO: task a:1 blocked for more than 60 seconds.",
                     "WARNING: possible circular locking dependency detected",
                     "Oops: 0000 [#1] PREEMPT SMP", "Kernel panic - not syncing: x"):
            self.assertEqual(dmesg.complaints(f"[ 1.0] ok\n[ 1.1] {line}\n"), [f"[ 1.1] {line}"])
        self.assertEqual(dmesg.complaints("[ 1.0] debug: BUGGY\n"), [])


if __name__ == "__main__":
    unittest.main()
