# SPDX-License-Identifier: GPL-2.0
"""Start processes that die with us, and decide how to run guests."""
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import BUILD, QEMU_DIR, ClusterError

# The kernel sends the parent-death signal when the starting *thread* ends, so
# one thread, which lives as long as the process, starts everything.
_spawner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawner")


def build_tools() -> None:
    p = subprocess.run(["make", "-s", "-C", QEMU_DIR, f"OUTPUT={BUILD / 'qemu'}"], check=False,
                       stdout=sys.stderr)
    if p.returncode:
        raise ClusterError("cannot build tools/testing/qemu")


def spawn(argv: list[str], **kw) -> subprocess.Popen:
    cmd = [str(BUILD / "qemu/tether"), str(os.getpid()), *argv]
    # A session of its own: Ctrl-C reaches the driver only, which then cleans up.
    return _spawner.submit(subprocess.Popen, cmd, start_new_session=True, **kw).result()


def stop(proc: subprocess.Popen) -> None:
    if proc.poll() is None:
        proc.kill()
    try:
        proc.wait(timeout=10)
    except subprocess.TimeoutExpired as e:
        raise ClusterError(f"pid {proc.pid} survives SIGKILL") from e


def _kvm_boots(image: Path, initrd: Path) -> bool:
    argv = ["qemu-system-x86_64", "-accel", "kvm", "-cpu", "host", "-m", "512", "-nodefaults",
            "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio", "-kernel",
            str(image), "-initrd", str(initrd), "-append",
            "console=ttyS0 quiet panic=-1 MEMOS_PROBE=1"]
    with tempfile.TemporaryFile() as out:
        proc = spawn(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
        try:
            proc.wait(timeout=15)
        except subprocess.TimeoutExpired:
            pass
        stop(proc)
        out.seek(0)
        return b"memos-probe: ok" in out.read()


def accel(image: Path, initrd: Path) -> str:
    """KVM only where it boots this kernel; /dev/kvm may exist and run nothing."""
    forced = os.environ.get("ACCEL")
    if forced:
        return forced
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    cache = BUILD / "qemu" / f"accel-{boot_id}"
    if not cache.exists():
        usable = os.access("/dev/kvm", os.R_OK | os.W_OK) and _kvm_boots(image, initrd)
        cache.write_text("kvm" if usable else "tcg")
    return cache.read_text()
