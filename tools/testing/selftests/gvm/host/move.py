# SPDX-License-Identifier: GPL-2.0
"""gvm move: a running vCPU goes to another server and back, under load."""
import re
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from vms import Agents, check  # noqa: E402

PAUSE = re.compile(r"paused for (\d+) us")


def _under(c, name, owners, tests, rounds, journeys, wanted):
    """kvmlet's tests, with vCPUs that move: a journey is a vCPU and servers to go round."""
    with Agents(c) as a:
        vm = a.kvmlet(name, owners, "--only", tests, "--rounds", str(rounds))
        vm.wait_for("ok 1 ap_up", 120)
        pauses, refused, n = [], [], 0
        while not vm.job.done.is_set():
            for vcpu, servers in journeys:
                r = a.move(name, vcpu, servers[n % len(servers)])
                if r.ok:
                    pauses.append(int(PAUSE.search(r.out)[1]) if PAUSE.search(r.out) else -1)
                else:
                    refused.append(r.err.strip())
            n += 1
        check(c, vm, 600)
        a.nothing_left()
        known = sorted(p for p in pauses if p >= 0)
        print(f"# {name}: {len(pauses)} moves, {len(refused)} refused; pause in us: median, longest",
              [known[len(known) // 2], known[-1]] if known else "unknown")
        print("".join(f"#   {x}\n" for x in sorted(set(refused))), end="")
        (c.logs / f"{name}.moves").write_text(f"{pauses}\n" + "\n".join(refused) + "\n")
        assert len(known) >= wanted, f"only {len(known)} moves of {wanted}: {refused[-3:]}"


def test_interrupts(c):
    """Nothing lost, nothing twice: kvmlet counts each one."""
    last = c.nr_nodes - 1
    round_trip = [0, 1] if last == 1 else [1, 0, 2]
    _under(c, "moveirq", [0, last], "ipi_fixed,ipi_all,ipi_masked,nmi,msi,irqfd,level,echo,doorbell_set", 6,
           [(1, round_trip)], 10)


def test_init(c):
    """INIT and SIPI of a CPU that moves."""
    _under(c, "moveinit", [0, 1], "again", 400, [(1, [0, 1])], 5)


def test_work(c):
    """Memory, time, I/O, kicks, state."""
    _under(c, "movework", [0, 1, 0], "pio,mmio,storm,atomics,timer,tsc,kick,regs,slot,mix", 6,
           [(1, [0, 1]), (2, [1, 0])], 10)


def test_timer(c):
    """A timer that has just run out, or has long: it interrupts once."""
    _under(c, "movetimer", [0, 1, 0], "timer", 200, [(1, [0, 1]), (2, [1, 0])], 10)


def test_errors(c):
    """Each is said, and the vCPU is where it was."""
    with Agents(c) as a:
        assert "does not run here" in a.move("nobody", 1, 1).err
        vm = a.kvmlet("moveerr", [0, 1], "--only", "mix", "--rounds", "100000", "--timeout", "3600")
        vm.wait_for("ok 1 ap_up", 120)
        time.sleep(1)
        for vcpu, server, text in ((0, 1, "first vCPU stays"), (1, 9, "no such server"),
                                   (1, "192.0.2.1", "no such server"), (1, "x", "no such server"),
                                   (7, 0, "no such vCPU"), (99, 0, "number below"),
                                   (1, 1, "there already")):
            r = a.move("moveerr", vcpu, server)
            assert not r.ok and text in r.err, f"move {vcpu} {server}: {r.out}{r.err}"
        r = a.move("moveerr", 1, c[0].addr)
        assert r.ok and "server 0" in r.out, f"{r.out}{r.err}"
        c[0].sh("pkill -9 -x kvmlet", check=True)
        vm.end(15)
        a.nothing_left()
