# SPDX-License-Identifier: GPL-2.0
"""Record the dsm events of this node, for as long as a command runs."""
import shutil
import subprocess
import time
from pathlib import Path

from . import ProfError

TRACEFS = (Path("/sys/kernel/tracing"), Path("/sys/kernel/debug/tracing"))


def _instance() -> Path:
    for top in TRACEFS:
        if (top / "instances").is_dir():
            return top / "instances" / "dsm-prof"
    raise ProfError("no tracefs: mount -t tracefs none /sys/kernel/tracing, as root")


def _set(path: Path, value: str) -> None:
    try:
        path.write_text(value)
    except OSError as e:
        raise ProfError(f"{path}: {e.strerror}; is dsm.ko loaded?") from e


def record(output: str, command: list[str], seconds: float, buffer_kb: int) -> int:
    """In a trace instance of its own, which goes in the end."""
    where = _instance()
    try:
        where.mkdir(exist_ok=True)
    except OSError as e:
        raise ProfError(f"{where}: {e.strerror}; are you root?") from e
    code = 0
    try:
        _set(where / "buffer_size_kb", str(buffer_kb))
        _set(where / "trace_clock", "mono")
        _set(where / "events/dsm/enable", "1")
        try:
            if command:
                code = subprocess.run(command, check=False).returncode
            else:
                time.sleep(seconds)
        except OSError as e:
            raise ProfError(f"{command[0]}: {e.strerror}") from e
        except KeyboardInterrupt:
            pass
        _set(where / "events/dsm/enable", "0")
        with (where / "trace").open() as src, open(output, "w") as dst:
            shutil.copyfileobj(src, dst)
    finally:
        where.rmdir()
    return code
