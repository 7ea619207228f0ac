# SPDX-License-Identifier: GPL-2.0
"""
From an IPI to a vCPU on another server until its answer is there: stubs as mailboxes of the patched
kernel, with and without eventfds, and as the program that a stock one needs. In turn, in one boot;
kvmlet's tests rtt_*, which fail if an answer does not come. Times are printed, not judged: they are
the emulation's and the host's load. What is judged are instructions: tools/testing/gvm/ipicost.py.
"""
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from vms import Agents, check, notified, round_trips  # noqa: E402

KINDS = ("program", "mailbox", "eventfd")
TURNS = 3
ROUNDS = 100


def _turn(c, label, i, kind, owners):
    """One VM. Return: {(what the CPUs do): [trips, p50, p90, p99]} of CPU 1."""
    name = f"rtt{label}{i}"
    with Agents(c, env={"GVM_STUB": kind}) as a:
        sent = notified(c)
        o = check(c, a.kvmlet(name, owners, "--only", "rtt_halted,rtt_spinning",
                              "--rounds", str(ROUNDS)), 300)
        sent = notified(c) - sent
        a.nothing_left()
    assert (sent > ROUNDS) == (label == "eventfd"), f"{name}: {sent} interrupts took a lane"
    text = o.console.text()
    assert f"stubs: {kind}" in text, f"{name}: stubs are of another kind:\n{text[-500:]}"
    return round_trips(text)


def test_rtt(c):
    got = {}
    for i in range(TURNS):
        for label, kind, owners in (*((k, k, [0, 1]) for k in KINDS), ("local", "mailbox", [0, 0])):
            for mode, numbers in _turn(c, label, i, kind, owners).items():
                got.setdefault((mode, label), []).append(numbers)
    for mode in ("halted", "spinning"):
        p50 = {}
        for label in (*KINDS, "local"):
            rows = got[mode, label]
            med = [statistics.median(r[k] for r in rows) / 1000 for k in (1, 2, 3)]
            p50[label] = med[0]
            print(f"# {mode:8} {label:8} {len(rows)} x {rows[0][0]} trips, medians of p50 p90 p99 in us: "
                  + " ".join(f"{x:8.0f}" for x in med)
                  + f"; p50 of each: {[r[1] // 1000 for r in rows]}")
        print(f"# {mode:8} program / mailbox, p50: {p50['program'] / p50['mailbox']:.2f}, "
              f"program / eventfd: {p50['program'] / p50['eventfd']:.2f}")
