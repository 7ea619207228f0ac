#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""
Do the kernel's own mm kselftests end alike without and with the patch series?

Runs the programs of tests.list in two emulated servers at once, one with an unpatched and
one with a patched kernel, and compares result by result, and what the kernel logs. A
difference fails, and so do a time-out and a dead server. What fails or is skipped on both
alike is listed.
"""
import argparse
import shlex
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "qemu"))

from memos import BUILD, TOP, ClusterError, dmesg  # noqa: E402
from memos.cluster import Cluster  # noqa: E402
from memos.runner import settle  # noqa: E402
from results import FAIL, OK, SKIP, Results, read, same_words  # noqa: E402

OUT = BUILD / "mm-selftests"
DIR = "/tmp/mm"
# Programs in a directory that nobody can reach; the same addresses in every run, as a heap
# begins up to 1 GiB behind its program, and uffd-unit-tests maps just there; huge pages; swap on a disk of memory that is
# not swapped itself; gup_test's debugfs file.
SETUP = f"""
set -e
mkdir -p {DIR} /run/swap
cp {OUT}/bin/* {DIR}
insmod {OUT}/gup_test-$DSM_KERNEL/gup_test.ko
echo 0 >/proc/sys/kernel/randomize_va_space
echo 128 >/proc/sys/vm/nr_hugepages
mount -t ramfs none /run/swap
truncate -s 256M /run/swap/disk
losetup /dev/loop0 /run/swap/disk
mkswap /dev/loop0 >/dev/null
swapon /dev/loop0
"""
AS = {"root": [], "nobody": ["setpriv", "--reuid=65534", "--clear-groups"]}


@dataclass(frozen=True)
class Test:
    timeout: float
    user: str
    command: str

    @property
    def argv(self) -> list[str]:
        words = shlex.split(self.command)
        return ["sh", "-c", f"cd {DIR} && exec " + shlex.join([*AS[self.user], "./" + words[0],
                                                               *words[1:]])]


@dataclass
class Outcome:
    """problem: why it did not end by itself."""
    results: Results
    log: list[str] = field(default_factory=list)
    problem: str = ""

    def __str__(self) -> str:
        if self.problem:
            return self.problem
        return "/".join(str(self.results.count(r)) for r in (OK, FAIL, SKIP))


def tests(names: list[str]) -> list[Test]:
    found = []
    for line in (HERE / "tests.list").read_text().splitlines():
        words = line.split("#")[0].split(None, 2)
        if words and (not names or words[2].split()[0] in names):
            found.append(Test(float(words[0]), words[1], " ".join(words[2].split())))
    return found


def build(variants: list[str]) -> None:
    def make(*args: str) -> None:
        subprocess.run(["make", "-s", "--no-print-directory", "-C", *args], check=True,
                       stdout=sys.stderr)

    make(str(HERE), "-j2", f"OUTPUT={OUT}")
    for v in variants:
        kdir = subprocess.run([TOP / "scripts/kdir.sh", v], check=True, text=True,
                              stdout=subprocess.PIPE).stdout.strip()
        make(str(HERE / "module"), f"OUTPUT={OUT}/gup_test-{v}", f"KDIR={kdir}")


def one(c: Cluster, t: Test, log: Path) -> Outcome:
    n = c[0]
    seen = n.console.stat().st_size
    begin = time.monotonic()
    r = n.exec(*t.argv, timeout=t.timeout)
    took = time.monotonic() - begin
    log.write_text(f"{t.command}: status {r.status}, {took:.0f} s\n{r.out}\n--- stderr\n{r.err}")
    if r.timed_out or r.status is None:
        why = f"no end after {t.timeout:.0f} s" if n.alive else n.death()
        return Outcome(Results(), problem=why)
    lost = settle(c, f"end of {t.command}")
    text = dmesg.read_from(n.console, seen)
    with open(log, "a", encoding="utf-8") as f:
        f.write(f"--- kernel log\n{text}")
    # Output and errors are two streams here, so one is read after the other.
    return Outcome(read(r.out + "\n" + r.err, r.status),
                   sorted(same_words(x) for x in dmesg.complaints(text)),
                   "; ".join(lost))


def run(variant: str, todo: list[Test], cpus: int, mem: str) -> list[Outcome]:
    """All tests in one server; a new one after a problem."""
    logs = OUT / "logs" / variant
    logs.mkdir(parents=True, exist_ok=True)
    done: list[Outcome] = []
    while len(done) < len(todo):
        with Cluster(1, variant, name=f"mm-{variant}", cpus=cpus, mem=mem) as c:
            c[0].sh(SETUP, env={"DSM_KERNEL": variant}, check=True)
            for t in todo[len(done):]:
                name = f"{len(done):02}-" + t.command.replace(" ", "_").replace("/", "_")
                done.append(one(c, t, logs / name))
                print(f"{variant}: {t.command}: {done[-1]}", file=sys.stderr, flush=True)
                if done[-1].problem:
                    break
    return done


def compare(t: Test, a: Outcome, b: Outcome) -> tuple[int, list[str], list[str]]:
    """How many pass on both, what is alike and no pass, what differs."""
    problems = [f"{t.command}: {o.problem}" for o in (a, b) if o.problem]
    if problems:
        return 0, [], problems
    passed, alike, differs = 0, [], []
    for case in {**a.results, **b.results}:
        x, y = (o.results.get(case, "no result") for o in (a, b))
        if x != y:
            differs.append(f"{t.command}: {case}: {x}, then {y}")
        elif x == OK:
            passed += 1
        else:
            alike.append(f"{t.command}: {case}: {x}")
    if a.log != b.log:
        differs.append(f"{t.command}: kernel logs: {a.log}, then {b.log}")
    else:
        alike += [f"{t.command}: kernel log: {x}" for x in a.log]
    return passed, alike, differs


def report(todo: list[Test], without: list[Outcome], with_: list[Outcome]) -> int:
    passed, alike, differs = 0, [], []
    for t, a, b in zip(todo, without, with_):
        p, same, other = compare(t, a, b)
        passed, alike, differs = passed + p, alike + same, differs + other
        print(f"{'not ok' if other else 'ok'} {t.command:32} {a!s:>12} {b!s:>12}")
    for head, lines in (("alike on both, and no pass", alike), ("DIFFERENT", differs)):
        print(f"{head}: {len(lines)}", *(f"  {x}" for x in lines), sep="\n")
    if not todo or not passed:
        differs.append("nothing passed")
    print(f"{passed} passed, {len(differs)} failed, {len(alike)} skipped")
    return 1 if differs else 0


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--kernels", nargs=2, default=["qemu", "qemu-patched"])
    p.add_argument("--cpus", type=int, default=1)
    p.add_argument("--mem", default="3G")
    p.add_argument("tests", nargs="*", help="programs; all of tests.list if none is named")
    args = p.parse_args()
    todo = tests(args.tests)
    try:
        build(args.kernels)
        with ThreadPoolExecutor(2) as pool:
            without, with_ = pool.map(lambda k: run(k, todo, args.cpus, args.mem), args.kernels)
    except (ClusterError, subprocess.CalledProcessError) as e:
        print(f"error: {e}", file=sys.stderr)
        return 1
    print(f"passed/failed/skipped; {args.kernels[0]}, {args.kernels[1]}")
    return report(todo, without, with_)


if __name__ == "__main__":
    sys.exit(main())
