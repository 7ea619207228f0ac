# SPDX-License-Identifier: GPL-2.0
"""
One TSC: what gvm status says of the servers' counters while a guest looks whether time goes back.
Emulated servers have the counter of one host, so that the truth is known: they do not drift.
"""
import re
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from vms import Agents, check  # noqa: E402

CLOCK = re.compile(r"server (\d+): TSC ([+-]\d+) ticks, error at most ([\d.]+) us, "
                   r"rate ([+-]\d+) to ([+-]\d+) ppb, (\d+) corrections, (\d+) jumps")
SECONDS = 30
ROUNDS = 400  # of the guest's tests, so that it runs for so long


def test_clock(c):
    seen = []
    with Agents(c) as a:
        vm = a.kvmlet("clock", [0, 1], "--only", "tsc,timer", "--rounds", str(ROUNDS))
        vm.wait_for("ok 1 ap_up", 120)
        begin = time.monotonic()
        end = begin + SECONDS
        while time.monotonic() < end and not vm.job.done.is_set():
            r = a.gvm("status", timeout=20)
            m = CLOCK.search(r.out)
            if m:
                seen.append([float(x) for x in m.groups()[1:]])
            time.sleep(1)
        took = time.monotonic() - begin
        check(c, vm, 300)
        a.nothing_left()
    assert len(seen) >= 5, seen
    assert took > SECONDS / 2, f"the guest ended after {took:.0f} s: it needs more rounds"
    last = seen[-1]
    print(f"# {len(seen)} looks: error at most {seen[0][1]:.0f} us at first, {last[1]:.0f} at last; "
          f"rate {last[2]:.0f} to {last[3]:.0f} ppb; {last[4]:.0f} corrections")
    for _, error, low, high, _, jumps in seen:
        assert error > 0
        assert low <= 0 <= high, f"the rate is 0, and not from {low} to {high} ppb"
        assert not jumps
    # What so many us in so many s leave open of the rate, if it is less than is open at first anyhow.
    if 2 * max(x[1] for x in seen) / took < 100:
        assert last[3] - last[2] < seen[0][3] - seen[0][2], "nothing was learnt of the rate"
