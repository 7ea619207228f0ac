# SPDX-License-Identifier: GPL-2.0
"""Results are read whatever way a program prints them, and a difference is seen."""
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import run  # noqa: E402
from results import FAIL, OK, SKIP, Results, read, same_words  # noqa: E402

TEST = run.Test(1, "root", "prog -x")


class Read(unittest.TestCase):
    def test_tap(self) -> None:
        got = read("1..4\nok 1 a b\nnot ok 2 - c\nok 3 d # SKIP why\nok 4 a b\n", 1)
        self.assertEqual(got, {"a b": OK, "c": FAIL, "d": SKIP, "a b (2)": OK,
                               "exit status": FAIL})

    def test_dots(self) -> None:
        got = read("Testing wp on anon... done\nTesting x on y... skipped [reason: z]\n"
                   "\x1b[32mRun test: full (khugepaged:anon)\x1b[0m\n"
                   "Collapse.... \x1b[32mOK\x1b[0m\n"
                   "Check... \x1b[31mFail\x1b[0m\n", 4)
        self.assertEqual(got, {"wp on anon": OK, "x on y": SKIP, "exit status": SKIP,
                               "full (khugepaged:anon): Collapse": OK,
                               "full (khugepaged:anon): Check": FAIL})

    def test_log_lines_are_told_apart_by_words(self) -> None:
        self.assertEqual(same_words("[    1.5] WARNING: CPU: 0 PID: 71 at mm/gup.c:12 f+0x1/0x2"),
                         same_words("[   99.0] WARNING: CPU: 1 PID: 80 at mm/gup.c:12 f+0x9/0x8"))


class Compare(unittest.TestCase):
    def test_alike(self) -> None:
        a, b = (run.Outcome(Results({"x": OK, "y": FAIL, "z": SKIP}), ["w"]) for _ in range(2))
        passed, alike, differs = run.compare(TEST, a, b)
        self.assertEqual((passed, len(alike), differs), (1, 3, []))

    def test_different(self) -> None:
        base = run.Outcome(Results({"x": OK}), [])
        for other in (run.Outcome(Results({"x": FAIL}), []), run.Outcome(Results({"x": SKIP}), []),
                      run.Outcome(Results({}), []), run.Outcome(Results({"x": OK}), ["BUG"]),
                      run.Outcome(Results({"x": OK, "y": OK}), []),
                      run.Outcome(Results({"x": OK}), [], "no end")):
            self.assertTrue(run.compare(TEST, base, other)[2])
            self.assertTrue(run.compare(TEST, other, base)[2])
        stuck = run.Outcome(Results({}), [], "no end")
        self.assertTrue(run.compare(TEST, stuck, stuck)[2])


if __name__ == "__main__":
    unittest.main()
