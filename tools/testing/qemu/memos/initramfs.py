# SPDX-License-Identifier: GPL-2.0
"""A newc cpio with PID 1 and the modules it takes to reach the real root."""
import hashlib
import lzma
from pathlib import Path
from typing import Sequence

from . import BUILD
from .kernel import Kernel

WANTED = ("virtio_pci virtio_console virtio_rng virtio_net 9pnet_virtio 9p overlay configfs "
          "crc32_pclmul crc32_generic ib_umad ib_uverbs rdma_cm rdma_ucm rdma_rxe").split()


def _module_name(path: str) -> str:
    return path.rsplit("/", 1)[-1].split(".ko")[0].replace("-", "_")


def load_order(modules: Path, wanted: Sequence[str]) -> list[Path]:
    """The wanted and what they depend on, dependencies first; built-in ones need nothing."""
    deps = {}
    for line in (modules / "modules.dep").read_text().splitlines():
        path, _, rest = line.partition(":")
        deps[_module_name(path)] = (path, rest.split())
    builtin = {_module_name(p) for p in (modules / "modules.builtin").read_text().split()}
    order: list[str] = []
    for name in wanted:
        if name in builtin or name not in deps:
            continue
        path, needs = deps[name]
        order += [p for p in [*reversed(needs), path] if p not in order]
    return [modules / p for p in order]


def _entry(name: str, mode: int, data: bytes, ino: int) -> bytes:
    raw = name.encode() + b"\0"
    fields = (ino, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(raw), 0)
    head = b"070701" + b"".join(b"%08X" % f for f in fields) + raw
    head += b"\0" * (-len(head) % 4)
    return head + data + b"\0" * (-len(data) % 4)


def build(kernel: Kernel, init: Path = BUILD / "qemu/init", wanted: Sequence[str] = WANTED,
          name: str = "initramfs") -> Path:
    """/init, /modules/*.ko, and /modules/list of their paths in the order to load them."""
    program = init.read_bytes()
    what = f"{kernel.image} {wanted}".encode() + Path(__file__).read_bytes()
    key = hashlib.sha256(program + what).hexdigest()[:12]
    out = BUILD / "qemu" / f"{name}-{kernel.release}-{key}.cpio"
    if out.exists():
        return out
    files: list[tuple[str, int, bytes]] = [(d, 0o40755, b"") for d in ("dev", "modules")]
    files.append(("init", 0o100755, program))
    names = []
    for path in load_order(kernel.modules, wanted):
        data = path.read_bytes()
        if path.suffix == ".xz":
            data = lzma.decompress(data)
        names.append(f"/modules/{_module_name(path.name)}.ko")
        files.append((names[-1][1:], 0o100644, data))
    files.append(("modules/list", 0o100644, "\n".join(names).encode() + b"\n"))
    files.append(("TRAILER!!!", 0, b""))
    tmp = out.with_suffix(".tmp")
    tmp.write_bytes(b"".join(_entry(n, m, d, i + 1) for i, (n, m, d) in enumerate(files)))
    tmp.rename(out)
    return out
