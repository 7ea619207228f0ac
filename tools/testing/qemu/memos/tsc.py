# SPDX-License-Identifier: GPL-2.0
"""The rate of this host's TSC, which is that of emulated servers."""
import ctypes
import mmap
import platform
import time
from typing import Optional

RDTSC = b"\x0f\x31\x48\xc1\xe2\x20\x48\x09\xd0\xc3"  # rdtsc; shl $32,%rdx; or %rdx,%rax; ret
SECONDS = 0.2


def khz() -> Optional[int]:
    """None where it cannot be told."""
    if platform.machine() != "x86_64":
        return None
    try:
        page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    except OSError:
        return None
    page.write(RDTSC)
    rdtsc = ctypes.CFUNCTYPE(ctypes.c_uint64)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
    at, ticks = time.monotonic_ns(), rdtsc()
    time.sleep(SECONDS)
    passed, ticks = time.monotonic_ns() - at, rdtsc() - ticks
    return round(ticks * 1_000_000 / passed)
