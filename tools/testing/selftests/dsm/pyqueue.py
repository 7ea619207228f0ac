#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Python's own mmap and multiprocessing.shared_memory between nodes, unmodified."""
import ctypes
import mmap
import os
import random
import struct
import subprocess
import sys
import time
import zlib
from multiprocessing import resource_tracker, shared_memory

NODE = int(os.environ["DSM_NODE"])
NODES = int(os.environ["DSM_NODES"])
MNT = os.environ["DSM_MNT"]
LOCAL = os.environ.get("DSM_LOCAL")
SLOTS, SLOT = 64, 1024
TIMEOUT_S = 40 * int(os.environ.get("DSM_PATIENCE", 1))


def meet(name: str) -> None:
    if not LOCAL:
        subprocess.run(["dsm-barrier", "-t", "60", f"pyqueue-{name}"], check=True)
        return
    open(f"{LOCAL}/py-{name}-{NODE}", "w", encoding="ascii").close()
    end = time.monotonic() + 60
    while not all(os.path.exists(f"{LOCAL}/py-{name}-{n}") for n in range(NODES)):
        if time.monotonic() > end:
            raise TimeoutError(name)
        time.sleep(0.002)


class Queue:
    """One writer, one reader; x86 keeps their stores in order, and so must dsmfs."""

    def __init__(self, buf, at: int) -> None:
        self.buf, self.at = buf, at
        self.nr = 0

    def _word(self, off: int) -> int:
        return struct.unpack_from("<Q", self.buf, self.at + off)[0]

    def _set(self, off: int, v: int) -> None:
        # struct.pack_into may store byte by byte; one aligned store does not.
        ctypes.c_uint64.from_buffer(self.buf, self.at + off).value = v

    def _wait(self, ready) -> None:
        end = time.monotonic() + TIMEOUT_S
        while not ready():
            if time.monotonic() > end:
                raise TimeoutError(f"stuck at {self.nr}")
            time.sleep(0.0002)

    def put(self, data: bytes) -> None:
        self._wait(lambda: self.nr - self._word(64) < SLOTS)
        at = self.at + 4096 + self.nr % SLOTS * SLOT
        struct.pack_into(f"<II{len(data)}s", self.buf, at, len(data), zlib.crc32(data), data)
        self.nr += 1
        self._set(0, self.nr)

    def get(self) -> bytes:
        self._wait(lambda: self._word(0) > self.nr)
        at = self.at + 4096 + self.nr % SLOTS * SLOT
        size, crc = struct.unpack_from("<II", self.buf, at)
        if size > SLOT - 8:
            raise ValueError(f"record {self.nr}: size {size}")
        data = bytes(self.buf[at + 8:at + 8 + size])
        if zlib.crc32(data) != crc:
            raise ValueError(f"record {self.nr}: checksum")
        self.nr += 1
        self._set(64, self.nr)
        return data


SIZE = 4096 + SLOTS * SLOT


def exchange(buf, count: int) -> None:
    """Node n sends to n + 1; everyone sends and receives, in turns of its choosing."""
    to, frm = Queue(buf, NODE * SIZE), Queue(buf, (NODE - 1) % NODES * SIZE)
    mine, theirs = random.Random(NODE), random.Random((NODE - 1) % NODES)
    for _ in range(count):
        to.put(mine.randbytes(mine.randrange(1, SLOT - 8)))
        want = theirs.randbytes(theirs.randrange(1, SLOT - 8))
        got = frm.get()
        if got != want:
            raise ValueError(f"record {frm.nr - 1} is not what was sent")


def with_mmap() -> None:
    path = f"{MNT}/pyqueue"
    if NODE == 0:
        with open(path, "wb") as f:
            f.truncate(NODES * SIZE)
    meet("file")
    with open(path, "r+b") as f:
        exchange(mmap.mmap(f.fileno(), NODES * SIZE), 300)
    meet("file-done")
    if NODE == 0:
        os.unlink(path)


def with_shared_memory() -> None:
    # POSIX shared memory is a file in /dev/shm: put dsmfs there, for us only.
    libc = ctypes.CDLL(None, use_errno=True)
    os.makedirs("/dev/shm", exist_ok=True)
    if libc.unshare(0x20000) or libc.mount(b"none", b"/", None, 0x4000 | 0x40000, None) or \
       libc.mount(MNT.encode(), b"/dev/shm", None, 0x1000, None):
        raise OSError(ctypes.get_errno(), "bind mount")
    # Only its creator may unlink it; 3.11's tracker would do so on every node.
    resource_tracker.register = lambda *_: None
    resource_tracker.unregister = lambda *_: None
    if NODE == 0:
        shm = shared_memory.SharedMemory("pyshm", create=True, size=NODES * SIZE)
    meet("shm")
    if NODE:
        shm = shared_memory.SharedMemory("pyshm")
    exchange(shm.buf, 300)
    meet("shm-done")
    if NODE == 0:
        shm.unlink()


def main() -> int:
    failed = 0
    tests = (with_mmap, with_shared_memory)
    print(f"TAP version 13\n1..{len(tests)}")
    for i, test in enumerate(tests, 1):
        try:
            test()
            print(f"ok {i} {test.__name__}", flush=True)
        except Exception as e:  # pylint: disable=broad-except
            print(f"not ok {i} {test.__name__}: {e!r}", flush=True)
            failed = 1
    sys.stdout.flush()
    # exported buffers keep the mappings; nothing of value is lost
    os._exit(failed)


if __name__ == "__main__":
    main()
