#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Break the core in many ways: the explorer or the simulator must notice each."""
import glob
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from mutations import MUTATIONS

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.abspath(os.path.join(HERE, "..", "..", ".."))
CORE = os.path.join(TOP, "modules", "dsm", "core")
OUT = os.path.join(TOP, "build", "mutate")
TOOLS = ("exhaust", "sim")
FLAGS = ["-O1", "-w", "-std=gnu11", "-I", os.path.join(HERE, "..", "core", "include")]
# The membership has an explorer and a simulator of its own.
MEMBER = {"exhaust-member": ("explore.c", ["-DMW_NODES=4", "-DMW_QUEUE=16"]),
          "sim-member": ("sim.c", ["-DMW_NODES=32", "-DMW_QUEUE=200"])}
MEMBER_CONFIGS = ["m2-form", "m3-crash", "m3-late", "m3-late-low", "m3-late-low-crash",
                  "m3-leave", "m3-leave-master", "m3-leave-slow", "m3-crash-leave",
                  "m3-form-lose", "m3-form-restart", "m3-restart", "m3-partition",
                  "m3-form", "m4-partition"]
REGRESS = os.path.join(HERE, "..", "regress", "member")
CONFIGS = ["2n-faults", "3n-hold", "3n-evict", "3n-discard", "2n-2p",
           "3n-handoff-evict"]
MAX_STATES = "1500000"


def cc(src, obj, *dirs, flags=()):
    os.makedirs(os.path.dirname(obj), exist_ok=True)
    inc = [x for d in dirs for x in ("-I", d)]
    subprocess.run(["cc", *FLAGS, *flags, *inc, "-c", "-o", obj, src], check=True)
    return obj


def objs_of_core():
    text = open(os.path.join(CORE, "Makefile.core")).read()
    names = " ".join(re.findall(r"dsm-core-objs [:+]= (.*)", text)).split()
    return [n[:-2] for n in names if os.path.exists(os.path.join(CORE, n[:-2] + ".c"))]


def build_base(pool):
    jobs = [pool.submit(cc, os.path.join(CORE, n + ".c"), f"{OUT}/base/core/{n}.o", CORE)
            for n in objs_of_core()]
    for tool in TOOLS:
        src = os.path.join(HERE, "..", tool)
        jobs += [pool.submit(cc, c, f"{OUT}/base/{tool}/{os.path.basename(c)}.o", CORE, src)
                 for c in glob.glob(os.path.join(src, "*.c"))]
    src = os.path.join(HERE, "..", "member")
    for tool, (main_c, flags) in MEMBER.items():
        jobs += [pool.submit(cc, os.path.join(src, c), f"{OUT}/base/{tool}/{c}.o",
                             CORE, src, flags=flags)
                 for c in ("world.c", "check.c", main_c)]
    for job in jobs:
        job.result()


def link(tool, where, mutant):
    core = [f"{OUT}/base/core/{n}.o" for n in objs_of_core()
            if mutant is None or n != os.path.basename(mutant)[:-2]]
    exe = f"{where}/dsm-{tool}"
    subprocess.run(["cc", "-o", exe, *([mutant] if mutant else []), *core,
                    *sorted(glob.glob(f"{OUT}/base/{tool}/*.o"))], check=True)
    return exe


def run(cmd, limit):
    try:
        return subprocess.run(cmd, capture_output=True, text=True, timeout=limit,
                              errors="replace").stdout
    except subprocess.TimeoutExpired as e:
        return (e.stdout or b"").decode(errors="replace")


def explore(exe, configs=CONFIGS):
    for config in configs:
        out = run([exe, "--max=" + MAX_STATES, config], 90)
        hit = re.search(r"VIOLATED: (.*) after (\d+) states", out)
        if hit and "more states" not in hit.group(1):
            return f"{config}: {hit.group(1)}, {hit.group(2)} states"
    return None


def simulate(exe, args=("--seed", "1", "--count", "200")):
    out = run([exe, *args, "--quiet"], 90)
    hit = re.search(r"^seed (\d+): nodes.*?: ([^;]*);", out, re.M)
    return f"seed {hit.group(1)}: {hit.group(2)}" if hit else None


def judge_member(where, obj):
    """The explorer is asked only if no seed notices: it takes longer."""
    exe = link("sim-member", where, obj)
    lines = [line.split("#")[0].split() for line in open(REGRESS)]
    for args in [a for a in lines if a] + [("--seed", "1", "--count", "300")]:
        what = simulate(exe, args)
        if what:
            return what, None
    return None, explore(link("exhaust-member", where, obj), MEMBER_CONFIGS)


def judge(mutation):
    name, file, old, new = mutation
    where = f"{OUT}/{name}"
    text = open(os.path.join(CORE, file)).read()
    if text.count(old) != 1:
        return name, False, f"does not apply: {text.count(old)} places in {file}"
    os.makedirs(where, exist_ok=True)
    path = os.path.join(where, file)
    with open(path, "w") as f:
        f.write(text.replace(old, new))
    obj = cc(path, path[:-2] + ".o", CORE)
    if file.startswith("member") or file == "view.c":
        sim, explorer = judge_member(where, obj)
    else:
        sim = simulate(link("sim", where, obj))
        explorer = explore(link("exhaust", where, obj))
    what = "; ".join(x for x in (explorer and "exhaust " + explorer,
                                 sim and "sim " + sim) if x)
    return name, bool(what), what or "SURVIVED"


def main():
    wanted = sys.argv[1:]
    passed = failed = 0
    with ThreadPoolExecutor(2) as pool:
        build_base(pool)
        os.makedirs(f"{OUT}/none", exist_ok=True)
        if simulate(link("sim", f"{OUT}/none", None)):
            print("the core itself fails: mutants would prove nothing")
            failed += 1
        chosen = [m for m in MUTATIONS if not wanted or m[0] in wanted]
        for name, caught, what in pool.map(judge, chosen):
            print(f"{'caught ' if caught else 'MISSED '} {name:28} {what}", flush=True)
            passed += caught
            failed += not caught
    print(f"mutate: {passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


sys.exit(main())
