# SPDX-License-Identifier: GPL-2.0
"""Disks of a guest that have Debian on them."""
import subprocess
from pathlib import Path

from memos.kernel import Kernel

from . import OUT, TOP, ClusterError, guest

WORK = TOP / "tools/testing/gvm/work"
# In /opt of the guest; what runs is /opt/work.
FILES = {
    "login": {"work": WORK / "unit.sh"},
    "work": {"work": WORK / "unit.sh", "work.sh": WORK / "work.sh", "cpus.sh": WORK / "cpus.sh",
             "nas": OUT / "nas"},
}


def debian(name: str, files: dict[str, Path]) -> Path:
    """A copy of the image of scripts/debian-image.sh with these files in /opt, by their names."""
    p = subprocess.run([TOP / "scripts/debian-image.sh"], stdout=subprocess.PIPE, text=True,
                       check=False)
    if p.returncode:
        raise ClusterError("scripts/debian-image.sh failed")
    disk = OUT / f"{name}.img"
    OUT.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "--sparse=always", p.stdout.strip(), disk], check=True)
    commands = "".join(["cd /opt\n", *(f"write {path} {to}\n" for to, path in files.items())])
    p = subprocess.run(["debugfs", "-w", "-f", "-", disk], input=commands, text=True, check=False,
                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    # debugfs always ends with 0.
    bad = [x for x in p.stderr.splitlines() if not x.startswith("debugfs ")]
    if p.returncode or bad:
        raise ClusterError(f"debugfs {disk}: {'; '.join(bad)}")
    return disk


def linux(kernel: Kernel, what: str, **kw) -> guest.Linux:
    """Debian with its own init: FILES has what it does once it has come to its prompt."""
    guest.build_programs()
    return guest.Linux(kernel, [], disk=debian(what, FILES[what]),
                       append="loglevel=5 systemd.wants=guest-work.service", **kw)
