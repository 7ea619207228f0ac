# SPDX-License-Identifier: GPL-2.0
"""Whatever ends first, all of the VM ends in time, says why, and leaves nothing behind."""
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from vms import Agents, check, stacks  # noqa: E402

# pkill -f and pgrep -f behind "exec": else they find the shell that starts them.
TIMEOUT_MS = 3000
WITHIN_S = 15
FAULT_MS = 3000


def _running(a, name):
    """A VM in the middle of something that goes on for long."""
    vm = a.kvmlet(name, [0, 1], "--only", "mix", "--rounds", "100000", "--timeout", "3600",
                  gvm=["--timeout-ms", str(TIMEOUT_MS)])
    vm.wait_for("ok 1 ap_up", 120)
    time.sleep(1)
    return vm


def _must_end(c, vm, say=""):
    start = time.monotonic()
    if not vm.job.done.wait(WITHIN_S):
        (c.logs / f"{vm.name}.stacks").write_text(stacks(c))
        raise AssertionError(f"the VM does not end in {WITHIN_S} s: {vm.console.text()[-1000:]}")
    o = vm.end(0)
    assert o.result.status, f"{vm.name}: ends with status {o.result.status}"
    assert say in o.console.text(), f"{vm.name} ends without '{say}': {o.console.text()[-1000:]}"
    return time.monotonic() - start


def _again(a, c):
    """The servers can run the next VM."""
    check(c, a.kvmlet("next", [0, 1], "--only", "ap_up,ipi_fixed,msi"), 120)
    a.nothing_left()


def test_vmm_killed(c):
    with Agents(c) as a:
        vm = _running(a, "vmmkill")
        c[0].sh("exec pkill -9 -x kvmlet", check=True)
        _must_end(c, vm, "ended by signal 9")
        a.nothing_left()
        _again(a, c)


def test_launcher_killed(c):
    with Agents(c) as a:
        vm = _running(a, "launchkill")
        c[0].sh("exec pkill -9 -f 'gvm run'", check=True)
        _must_end(c, vm)
        time.sleep(3)
        for i, what in ((0, "-x kvmlet"), (1, "-f 'gvm _member'")):
            r = c[i].sh(f"exec pgrep {what}")
            assert r.status == 1, f"outlives its launcher on server {i}: {what}: {r.out}{r.err}"
        c[0].sh("rm -f /dev/dsm/*; rm -rf /run/gvm")
        _again(a, c)


def test_stop(c):
    """The one that runs, and not what a launcher that is gone has left its name to."""
    with Agents(c) as a:
        vm = _running(a, "stopped")
        r = a.gvm("run", "--raw", "--vcpus", "0", "--name", "stopped", "--servers", "10.77.0.1", "--",
                  "true")
        assert not r.ok and "runs already" in r.err, f"a second VM of one name: {r.err}"
        other = c[0].spawn(["sleep", "600"])
        c[0].sh("mkdir -p /run/gvm/stale; pgrep -xn sleep >/run/gvm/stale/pid", check=True)
        r = a.gvm("stop", "stale")
        assert not r.ok and "does not run here" in r.err, r.err
        c[0].sh("rm -r /run/gvm/stale", check=True)
        assert not other.done.is_set(), "gvm stop ends a process that is no VMM"
        other.kill(9)
        r = a.gvm("stop", "stopped", timeout=30)
        assert r.ok, r.err
        _must_end(c, vm, "ended by signal 15")
        a.nothing_left()
        _again(a, c)


def test_member_killed(c):
    with Agents(c) as a:
        vm = _running(a, "memkill")
        c[1].sh("exec pkill -9 -f 'gvm _member'", check=True)
        _must_end(c, vm, "member 1")
        a.nothing_left()
        _again(a, c)


def test_agent_killed(c):
    """Its members go with it."""
    with Agents(c) as a:
        vm = _running(a, "agentkill")
        c[1].sh("exec pkill -9 -o -f 'gvm serve'", check=True)
        _must_end(c, vm, "member 1")
        a.nothing_left()
        a.serve(1)
        _again(a, c)


def test_no_agent(c):
    with Agents(c) as a:
        c[1].sh("exec pkill -9 -o -f 'gvm serve'", check=True)
        vm = a.kvmlet("noagent", [0, 1], "--only", "ap_up")
        _must_end(c, vm, "server 1")
        a.nothing_left()


def test_wire_cut(c):
    """No sign of it but silence."""
    with Agents(c, f"dead_ms=2000 fault_timeout_ms={FAULT_MS}") as a:
        vm = _running(a, "wirecut")
        c.cut([0], [1])
        took = _must_end(c, vm, "member 1")
        assert took * 1000 < TIMEOUT_MS + 8000, f"took {took:.1f} s"
        end = time.monotonic() + WITHIN_S
        while c[1].sh("exec pgrep -f 'gvm _member'").out:
            assert time.monotonic() < end, "the other side stays"
            time.sleep(0.2)
        c.heal()
        # KVM's async page faults are not killable: a wait of dsm.ko, then dsmfs is free.
        end = time.monotonic() + FAULT_MS / 1000 + WITHIN_S
        while any(n.sh("grep -l async_pf_execute /proc/[0-9]*/stack").out for n in c.nodes):
            assert time.monotonic() < end, "a page fault of the dead VM stays"
            time.sleep(0.2)


def test_server_killed(c):
    with Agents(c, "dead_ms=2000") as a:
        vm = _running(a, "srvkill")
        c[1].kill()
        _must_end(c, vm, "member 1")
