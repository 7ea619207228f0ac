# SPDX-License-Identifier: GPL-2.0
"""1 + 1 = 2: a guest that uses more memory than any of its servers may keep."""
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from vms import Agents, check  # noqa: E402

LIMIT_MB = 8
RESIDENT = "/sys/fs/dsm/cluster/nr_resident_pages"
PAGES_PER_MB = 256
ROUNDS = 96  # of kvmlet's fill: 32 pages each, all there are
USED_MB = ROUNDS * 32 / PAGES_PER_MB


def test_sum(c):
    """A server keeps a quarter more at most: then a fault waits for an eviction."""
    peak = [0] * c.nr_nodes
    together = 0
    with Agents(c, f"memory_limit_mb={LIMIT_MB}") as a:
        vm = a.kvmlet("sum", [0, 1], "--only", "fill", "--rounds", str(ROUNDS),
                      "--timeout", "120")
        while not vm.job.done.is_set():
            now = [int(n.sh(f"cat {RESIDENT}", check=True).out) for n in c.nodes]
            peak = [max(x) for x in zip(peak, now)]
            together = max(together, sum(now))
            time.sleep(0.3)
        check(c, vm, 300)
        a.nothing_left()
    peak_mb = [p / PAGES_PER_MB for p in peak]
    print(f"# the guest used {USED_MB:.0f} MiB; at most, servers kept "
          f"{', '.join(f'{p:.1f}' for p in peak_mb)} MiB, together {together / PAGES_PER_MB:.1f}")
    assert max(peak_mb) < USED_MB - 1, "one server would have been enough"
    assert together / PAGES_PER_MB > LIMIT_MB * 1.25, "they never held more than one may"
    assert max(peak_mb) <= LIMIT_MB * 1.25 + 0.5
