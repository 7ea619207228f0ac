#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Run the fixed seeds and those of regress/ through the simulator."""
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
REGRESS = os.path.join(HERE, "..", "regress")


def regress(name):
    for line in open(os.path.join(REGRESS, name)):
        args = line.split("#")[0].split()
        if args:
            yield args


def main():
    out = sys.argv[1]
    sim, san = os.path.join(out, "dsm-sim"), os.path.join(out, "dsm-sim-san")
    runs = [[sim, "--seed", "1", "--count", "1000"],
            [sim, "--seed", "5000", "--count", "24", "--nodes", "64"],
            [sim, "--seed", "6000", "--count", "8", "--nodes", "256"],
            [sim, "--seed", "7000", "--count", "60", "--twice"],
            [san, "--seed", "8000", "--count", "60"]]
    runs += [[sim] + args for args in regress("seeds")]
    member = os.path.join(out, "..", "member", "dsm-sim-member")
    runs += [[member, "--seed", "1", "--count", "1200"],
             [member, "--seed", "5000", "--count", "40", "--nodes", "32"],
             [member, "--seed", "7000", "--count", "40", "--twice"],
             [member + "-san", "--seed", "8000", "--count", "40"]]
    runs += [[member] + args for args in regress("member")]
    passed = failed = 0
    for run in runs:
        p = subprocess.run(run + ["--quiet", "--shrink"], capture_output=True,
                           text=True, timeout=120)
        last = p.stdout.strip().splitlines()[-1] if p.stdout.strip() else ""
        words = last.split()
        good = words[:1] in (["sim:"], ["sim-member:"]) and words[2:3] == ["passed,"]
        print(" ".join(run[1:]), "->", last)
        if p.returncode or not good:
            print(p.stdout[-4000:], p.stderr[-4000:])
            failed += max(1, int(words[3]) if good else 1)
        passed += int(words[1]) if good else 0
    # One seed in two processes: the same bytes, whatever the addresses.
    texts = {subprocess.run([sim, "--seed", "7001", "--trace"], check=False,
                            capture_output=True).stdout for _ in range(2)}
    if len(texts) == 1 and min(map(len, texts)) > 1000:
        passed += 1
    else:
        failed += 1
        print("seed 7001: two runs differ")
    print(f"sim-check: {passed} passed, {failed} failed")
    return 1 if failed or passed < 200 else 0


sys.exit(main())
