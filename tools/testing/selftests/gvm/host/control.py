# SPDX-License-Identifier: GPL-2.0
"""Without gvm: what these guests do under plain KVM of one server."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from vms import BACKTRACES, KVMLET, guest, run  # noqa: E402


def _kvmlet(c, name, *options):
    run.kvm_up(c)
    guest.build_programs()
    run.run(c, [KVMLET, *options], name, 300).check()


def test_kvmlet_2_cpus(c):
    _kvmlet(c, "plain2", "--cpus", "2")


def test_kvmlet_3_cpus(c):
    _kvmlet(c, "plain3", "--cpus", "3", "--mem-file", "/tmp/kvmlet-mem")


def test_kvmlet_on_dsmfs(c):
    c.dsm_up()
    _kvmlet(c, "plaindsm", "--cpus", "2", "--mem-file", "/dev/dsm/kvmlet-mem")
    c.dsm_down()


def test_linux(c):
    run.kvm_up(c)
    run.new_disk(c)
    g = guest.Linux(c.kernel, guest.TESTS)
    run.run(c, g.plain(), "linux", 300, ignore=BACKTRACES).check()


def test_linux_on_dsmfs(c):
    c.dsm_up()
    run.kvm_up(c)
    run.new_disk(c)
    g = guest.Linux(c.kernel, guest.TESTS)
    run.run(c, g.plain("/dev/dsm/ram"), "linuxdsm", 300, ignore=BACKTRACES).check()
    c.dsm_down()
