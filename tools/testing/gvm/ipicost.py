#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""
What an IPI to a vCPU of another server costs until its handler runs there: with stubs as the program
of a stock kernel, as mailboxes of a patched one, and as those with eventfds that dsm.ko connects.

Instructions on the way, counted by QEMU's -icount, so that load changes nothing: on the sender's
server from the IPI accepted by its KVM (kvm_apic_accept_irq) until the packet leaves
(net_dev_xmit), on the other one from its arrival (netif_receive_skb) until the vCPU enters the guest
(kvm_entry). Soft-RoCE is in both parts, the wire in neither; an entry into the guest counts as one.
Two servers of one CPU each, both vCPUs halted (kvmlet's test rtt_halted); trips there and back.
"""
import argparse
import re
import statistics
import sys
from typing import Iterator

from gvmtest import ClusterError
from gvmtest.gvm import Agents
from memos.cluster import Cluster
from memos.node import Node

KINDS = ("program", "mailbox", "eventfd")
TRIPS = 2000  # kvmlet's most
BATCH = 64  # what comes before is not counted: lanes are made
DATA = 80  # bytes of a packet with data; acknowledgements are shorter
TRACE = "/sys/kernel/tracing"
EVENTS = {"kvm/kvm_apic_accept_irq": "apicid != {own}", "kvm/kvm_entry": "vcpu_id == {own}",
          "net/net_dev_xmit": f"len >= {DATA}", "net/netif_receive_skb": f"len >= {DATA}"}
LINE = re.compile(r"\s(\d+): (kvm_apic_accept_irq|kvm_entry|net_dev_xmit|netif_receive_skb): ")


def trace_on(n: Node, own: int) -> None:
    """As few events as will do: they cost as well."""
    on = "; ".join(f"echo '{f.format(own=own)}' >events/{e}/filter; echo 1 >events/{e}/enable"
                   for e, f in EVENTS.items())
    n.sh(f"mountpoint -q {TRACE} || mount -t tracefs none {TRACE}; cd {TRACE}; echo 0 >tracing_on; "
         f"echo >trace; echo x86-tsc >trace_clock; echo 8192 >buffer_size_kb; {on}; "
         "echo 1 >tracing_on; echo 0 >/sys/module/kvm/parameters/halt_poll_ns", check=True)


def events(n: Node) -> Iterator[tuple[int, str]]:
    """When, and what."""
    n.sh(f"echo 0 >{TRACE}/tracing_on", check=True)
    for line in n.sh(f"cat {TRACE}/trace", timeout=300, check=True).out.splitlines():
        m = LINE.search(line)
        if m:
            yield int(m[1]), m[2]


def parts(n: Node) -> tuple[list[int], list[int]]:
    """Of each IPI sent and each that came: instructions on this server."""
    sent, got = [], []
    accepted = arrived = 0
    for at, what in events(n):
        if what == "kvm_apic_accept_irq":
            accepted = at
        elif what == "net_dev_xmit" and accepted:
            sent.append(at - accepted)
            accepted = 0
        elif what == "netif_receive_skb":
            arrived = at
        elif what == "kvm_entry" and arrived:
            got.append(at - arrived)
            arrived = 0
    return sent[BATCH:], got[BATCH:]


def measure(c: Cluster, kind: str, turn: int, timeout: float) -> list[tuple[list[int], list[int]]]:
    """Return: both servers' parts()."""
    name = f"{kind}{turn}"
    with Agents(c, env={"GVM_STUB": kind}) as a:
        for n in c.nodes:
            trace_on(n, n.index)
        o = a.kvmlet(name, [0, 1], "--only", "rtt_halted", "--rounds", str(TRIPS // 10))
        o.finish(timeout).check()
        if f"stubs: {kind}" not in o.console.text():
            raise ClusterError(f"{name}: stubs are of another kind; log: {o.console.path}")
        return [parts(n) for n in c.nodes]


def percentiles(x: list[int]) -> list[int]:
    x = sorted(x)
    return [x[len(x) * p // 100] for p in (50, 90, 99)]


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--kernel", default="qemu-patched")
    p.add_argument("--turns", type=int, default=3)
    p.add_argument("--timeout", type=float, default=600)
    a = p.parse_args()
    sent: dict[str, list[int]] = {k: [] for k in KINDS}
    got: dict[str, list[int]] = {k: [] for k in KINDS}
    turns: dict[str, list[int]] = {k: [] for k in KINDS}
    with Cluster(2, a.kernel, count_instructions=True) as c:
        for turn in range(a.turns):
            for kind in KINDS:
                both = measure(c, kind, turn, a.timeout)
                s, g = ([x for part in both for x in part[i]] for i in (0, 1))
                if min(len(s), len(g)) < TRIPS:
                    raise ClusterError(f"{kind}: {len(s)} IPIs sent, {len(g)} came of {2 * TRIPS}")
                turns[kind].append(int(statistics.median(s) + statistics.median(g)))
                sent[kind] += s
                got[kind] += g
    print("instructions of an IPI one way, sender's server and the other's: count, p50 p90 p99")
    cost = {}
    for kind in KINDS:
        s, g = percentiles(sent[kind]), percentiles(got[kind])
        cost[kind] = s[0] + g[0]
        print(f"{kind:8} sent {len(sent[kind])}: {s}, came {len(got[kind])}: {g}, "
              f"sum of p50 {cost[kind]}, each turn {turns[kind]}; "
              f"program / this {cost['program'] / cost[kind]:.2f}")
    return 0 if cost["eventfd"] < cost["mailbox"] < cost["program"] else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ClusterError as e:
        sys.exit(f"ipicost: {e}")
