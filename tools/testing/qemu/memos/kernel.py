# SPDX-License-Identifier: GPL-2.0
"""Which kernel: stock (Debian's package), deb (ours) or a variant of scripts/kernel-build.sh."""
import subprocess
from dataclasses import dataclass
from pathlib import Path

from . import BUILD, TOP, ClusterError


@dataclass(frozen=True)
class Kernel:
    variant: str
    release: str
    image: Path
    modules: Path  # …/lib/modules/<release>

    @property
    def dsm_ko(self) -> Path:
        return BUILD / f"modules-{self.variant}" / "dsm.ko"


def _script(*argv: str) -> Path:
    p = subprocess.run([TOP / "scripts" / argv[0], *argv[1:]], stdout=subprocess.PIPE,
                       text=True, check=False)
    if p.returncode:
        raise ClusterError(f"scripts/{' '.join(argv)} failed")
    return Path(p.stdout.strip())


def get(variant: str) -> Kernel:
    if variant in ("stock", "deb"):
        if variant == "stock":
            root = _script("kernel-stock.sh")
            release = root.name.removeprefix("stock-")
        else:
            root = BUILD / "deb/root"
            release = _script("kdir.sh", "deb").name.removeprefix("linux-headers-")
        return Kernel(variant, release, root / "boot" / f"vmlinuz-{release}",
                      root / "lib/modules" / release)
    root = _script("kernel-build.sh", variant)
    release = (root / "include/config/kernel.release").read_text().strip()
    return Kernel(variant, release, root / "arch/x86/boot/bzImage",
                  root / "install/lib/modules" / release)
