#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""
What does the patch series cost a fault that has nothing to do with it?

Boots an unpatched and a patched kernel, one after the other, on an emulated machine
that counts instructions (-icount), so that a figure is a number of instructions and
the host's load changes nothing. Prints both and their ratio; fails above --limit.
"""
import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "qemu"))

from memos import BUILD, ClusterError, initramfs, kernel, spawn  # noqa: E402
from memos.cluster import TCG_CPU  # noqa: E402

OUT = BUILD / "faultcost"


def build() -> Path:
    OUT.mkdir(parents=True, exist_ok=True)
    init = OUT / "init"
    spawn.build_tools()
    subprocess.run(["gcc", "-O2", "-g", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE", "-static",
                    "-o", init, HERE / "init.c"], check=True)
    return init


def measure(variant: str, init: Path, timeout: float) -> dict[str, list[int]]:
    """name: [count, p50, p90, p99], instructions."""
    k = kernel.get(variant)
    initrd = initramfs.build(k, init, [], "faultcost")
    argv = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off", "-cpu", TCG_CPU,
            "-smp", "1", "-m", "512", "-kernel", str(k.image), "-initrd", str(initrd),
            "-append", "console=ttyS0 quiet panic=-1 nokaslr", "-serial", "stdio"]
    log = OUT / f"{variant}.log"
    with open(log, "wb") as f:
        qemu = spawn.spawn(argv, stdin=subprocess.DEVNULL, stdout=f, stderr=subprocess.STDOUT)
        try:
            qemu.wait(timeout)
        except subprocess.TimeoutExpired as e:
            raise ClusterError(f"{variant}: no end after {timeout:.0f} s; log: {log}") from e
        finally:
            spawn.stop(qemu)
    rows = [line.split()[1:] for line in log.read_text(errors="replace").splitlines()
            if line.startswith("faultcost: ")]
    if not rows or rows[-1] != ["end"]:
        raise ClusterError(f"{variant}: did not get to the end; log: {log}")
    return {name: [int(x) for x in rest] for name, *rest in rows[:-1]}


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--kernels", nargs=2, default=["qemu", "qemu-patched"])
    p.add_argument("--limit", type=float, default=1.01, help="of the ratio of the medians")
    p.add_argument("--timeout", type=float, default=600)
    args = p.parse_args()
    try:
        init = build()
        without, with_ = (measure(k, init, args.timeout) for k in args.kernels)
    except (ClusterError, subprocess.CalledProcessError) as e:
        print(f"error: {e}", file=sys.stderr)
        return 1
    failed = 0
    print(f"instructions a fault, p50 (p90, p99); {args.kernels[0]}, {args.kernels[1]}, ratio")
    for name, (count, p50, p90, p99) in without.items():
        q50, q90, q99 = with_[name][1:]
        ratio = q50 / p50
        ok = ratio <= args.limit
        failed += not ok
        print(f"{'ok' if ok else 'not ok'} {name:18} {p50:6} ({p90:6}, {p99:6})  "
              f"{q50:6} ({q90:6}, {q99:6})  "
              f"{ratio:.3f}  of {count}")
    print(f"{len(without) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
