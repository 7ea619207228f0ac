# SPDX-License-Identifier: GPL-2.0
"""Which of kmemleak's reports are ours."""
import sys
import unittest
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from memos import kmemleak  # noqa: E402

HEAD = """unreferenced object 0xffff888104c3a000 (size 96):
  comm "%s", pid 311, jiffies 4294694441
  hex dump (first 32 bytes):
    6b 6b 6b 6b 6b 6b 6b 6b 6b 6b 6b 6b 6b 6b 6b 6b  kkkkkkkkkkkkkkkk
  backtrace (crc 5f0b1c8e):
    [<ffffffff81562b0d>] __kmalloc_cache_noprof+0x27d/0x330
"""
OTHERS = HEAD % "kworker/0:1" + "    [<ffffffff818f3c5e>] acpi_ds_create+0x2e/0xa0\n"
LOADED = HEAD % "insmod" + "    [<ffffffffa0034c5e>] dsm_region_create+0x2e/0xa0 [dsm]\n"
GONE = HEAD % "cp" + "    [<ffffffffa0034c5e>] 0xffffffffa0034c5e\n"
NAKED = HEAD % "cp" + "    0xffffffffa0034c5e\n    do_syscall_64+0x6b/0x110\n"


def node(out: str, ok: bool = True) -> SimpleNamespace:
    result = SimpleNamespace(out=out, err="", ok=ok)
    n = SimpleNamespace(index=1)
    n.spawn = lambda argv: SimpleNamespace(node=n, wait=lambda timeout: result)
    return n


class Kmemleak(unittest.TestCase):
    def test_reports(self) -> None:
        self.assertEqual(kmemleak.reports(""), [])
        self.assertEqual(kmemleak.reports(OTHERS + LOADED), [OTHERS, LOADED])

    def test_of_dsm(self) -> None:
        self.assertEqual(kmemleak.of_dsm(OTHERS), [])
        for ours in (LOADED, GONE, NAKED):
            self.assertEqual(kmemleak.of_dsm(OTHERS + ours + OTHERS), [ours])

    def test_red_and_kept(self) -> None:
        outputs: dict[str, str] = {}
        self.assertEqual(kmemleak.scan([node("")], outputs), [])
        self.assertEqual(outputs, {})
        self.assertEqual(kmemleak.scan([node(OTHERS)], outputs), [])
        self.assertEqual(len(kmemleak.scan([node(LOADED)], outputs)), 1)
        self.assertEqual(outputs["kmemleak1"], LOADED)
        self.assertEqual(len(kmemleak.scan([node("", ok=False)], outputs)), 1)


if __name__ == "__main__":
    unittest.main()
