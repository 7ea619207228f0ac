# SPDX-License-Identifier: GPL-2.0
"""One Linux over the servers, under unmodified QEMU: it boots, has their CPUs and nodes, powers off."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from vms import boot  # noqa: E402


def test_boot(c):
    # All CPUs take part in the boot, if there are not so many that it takes minutes.
    o = boot(c, "boot", ["cpus", "tsc", "numa"], 900, late=c.nr_nodes > 2)
    print(f"# its PID 1 ran after {o.init_s:.0f} s, off after {o.took_s:.0f} s")
