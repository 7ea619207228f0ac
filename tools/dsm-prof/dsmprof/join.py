# SPDX-License-Identifier: GPL-2.0
"""Transactions: what (requester, tid) did on all nodes, cut into segments."""
from dataclasses import dataclass, field
from typing import Optional

from .events import Event

# In order of time. A segment that a transaction has no part of is not there.
SEGMENTS = (
    ("request", "request to home"),
    ("home", "home: queue and decide"),
    ("forward", "home to owner or sharers"),
    ("owner", "owner: hold, unmap, wait for users"),
    ("grant", "grant to requester"),
    ("acks", "collect the other replies"),
    ("wake", "wake the fault, map the page"),
)
WANTS = {"READ": "read", "WRITE": "write"}
WAITING = ("IS", "IX", "SX")
GRANTED = ("S", "E")


@dataclass
class Transaction:
    requester: int
    tid: int
    where: tuple[int, int]              # region, page
    what: str                           # read, write, upgrade
    start: int                          # ns
    end: Optional[int] = None           # right is there
    woken: Optional[int] = None         # fault returned
    home: Optional[int] = None
    holder: Optional[int] = None        # who sent the grant
    data: str = ""                      # page, zero, or nothing
    fault: bool = False                 # a thread waited for it; else it was fetched ahead
    t: dict = field(default_factory=dict)

    @property
    def ns(self) -> int:
        return (self.woken or self.end) - self.start

    @property
    def kind(self) -> str:
        """read or write or upgrade, and where the grant came from."""
        if not self.fault:
            return "fetched ahead"
        if self.data == "zero":
            return f"{self.what}, zero page"
        if self.holder is None or self.holder == self.home:
            return f"{self.what}, from home"
        return f"{self.what}, from owner"

    def segments(self) -> dict[str, int]:
        """Nanoseconds by segment; they add up to ns, an unknown cut goes to the next."""
        cuts = (("request", self.t.get("home_recv")), ("home", self.t.get("home_send")),
                ("forward", self.t.get("owner_recv")), ("owner", self.t.get("owner_send")),
                ("grant", self.t.get("grant_recv")), ("acks", self.end), ("wake", self.woken))
        out, last = {}, self.start
        for name, ns in cuts:
            if ns is None:
                continue
            ns = max(ns, last)
            out[name] = out.get(name, 0) + ns - last
            last = ns
        return out


def _begin(e: Event) -> Optional[Transaction]:
    f = e.f
    if (f.get("kind") != "page" or f["event"] not in WANTS or f.get("verdict") != "OK" or
            f["new"] not in WAITING or f["old"] == f["new"]):
        return None
    what = "upgrade" if f["new"] == "SX" else WANTS[f["event"]]
    return Transaction(e.node, f["tid"], e.where, what, e.ns)


def _message(t: Transaction, e: Event) -> None:
    f, kind, sent = e.f, e.f["type"], e.name == "msg_send"
    if kind in ("GETS", "GETX"):
        if not sent:
            t.home = e.node
            t.t["home_recv"] = e.ns         # the last one: a leaving home passes it on
    elif kind in ("INV", "FWDS"):
        t.home = f["home"]
        if sent:
            t.t.setdefault("home_send", e.ns)
        else:
            t.t.setdefault("demands", {})[e.node] = e.ns
    elif kind == "GRANT":
        if sent:
            _granted(t, e)
        else:
            t.t["grant_recv"] = e.ns
            t.holder = f["from"] if t.holder is None else t.holder


def _granted(t: Transaction, e: Event) -> None:
    flags = e.f["flags"].split("|")
    t.holder, t.home = e.node, e.f["home"]
    t.data = "page" if "PAGE" in flags else "zero" if "ZERO" in flags else ""
    if e.node == t.home:
        t.t.setdefault("home_send", e.ns)
    else:
        t.t["owner_recv"] = t.t.get("demands", {}).get(e.node)
        t.t["owner_send"] = e.ns


def transactions(events: list[Event]) -> list[Transaction]:
    """Those that were seen from begin to end, in order of their begin."""
    open_: dict[tuple[int, int], Transaction] = {}
    faults: dict[tuple, int] = {}              # (node, region, page): threads that wait
    waiting: dict[tuple, Transaction] = {}     # granted, fault not returned
    done = []
    for e in events:
        if e.name == "step":
            t = _begin(e)
            if t:
                open_[t.requester, t.tid] = t
                continue
            t = open_.get((e.node, e.f["tid"]))
            if (t and e.where == t.where and e.f["old"] in WAITING and e.f["new"] in GRANTED and
                    e.f["event"] in ("GRANT", "ACK", "GETS", "GETX")):
                t.end = e.ns
                t.fault = faults.get((e.node, *t.where), 0) > 0
                if t.fault:
                    waiting[(e.node, *t.where)] = t
                done.append(open_.pop((e.node, t.tid)))
        elif e.name in ("msg_send", "msg_recv"):
            t = open_.get((e.f["requester"], e.f["tid"]))
            if t and e.where == t.where:
                _message(t, e)
        elif e.name == "fault_start":
            faults[(e.node, *e.where)] = faults.get((e.node, *e.where), 0) + 1
        elif e.name == "fault_end":
            faults[(e.node, *e.where)] = max(0, faults.get((e.node, *e.where), 0) - 1)
            t = waiting.pop((e.node, *e.where), None)
            if t and not e.f["err"]:
                t.woken = e.ns
    return sorted(done, key=lambda t: t.start)
