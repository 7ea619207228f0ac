# SPDX-License-Identifier: GPL-2.0
"""A VM over the servers of a cluster: agents, gvm run."""
import re
import time
from typing import Optional, Sequence

from memos.cluster import Cluster
from memos.node import Result

from . import GVM, OUT, ClusterError, guest, run

KVMLET = str(OUT / "kvmlet")
READY = "agent listens"
_RTT = re.compile(r"rtt CPU 1 (\w+): (\d+) trips, p50 (\d+) p90 (\d+) p99 (\d+) ns")


def round_trips(text: str) -> dict[str, list[int]]:
    """
    What kvmlet's tests rtt_* say of an IPI to CPU 1 and its answer.
    Return: {what both CPUs do: [trips, p50, p90, p99 in ns]}
    """
    return {m[1]: [int(x) for x in m.groups()[1:]] for m in _RTT.finditer(text)}


class Agents:
    """Context: dsmfs mounted, KVM there, gvm serve on every server. Logs: agent<n>.guest."""

    def __init__(self, c: Cluster, dsm_args: str = "",
                 env: Optional[dict[str, str]] = None) -> None:
        if not GVM.exists():
            raise ClusterError(f"{GVM} is missing: run 'make tools'")
        guest.build_programs()
        self.c = c
        self.env = env  # of agents, their members, and VMMs
        self.running: list[run.Running] = []
        run.kvm_up(c)
        c.dsm_down()
        c.dsm_up(f"turn_us=200000 write_ahead_pages=16 {dsm_args}".strip())
        run.new_disk(c)

    def __enter__(self) -> "Agents":
        try:
            for n in self.c.nodes:
                self.serve(n.index)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_exc) -> None:
        self.stop()

    def serve(self, i: int) -> None:
        r = run.start(self.c, [str(GVM), "serve"], f"agent{i}", i, self.env)
        self.running.append(r)
        r.wait_for(READY, 20)

    def stop(self) -> None:
        """Ends agents, their members, and VMMs that were left."""
        for n in self.c.nodes:
            if n.alive:
                n.sh("pkill -9 -x qemu-system-x86; pkill -9 -x kvmlet; pkill -9 -x gvm; true")
        for r in self.running:
            r.end(10)
        self.running.clear()
        end = time.monotonic() + 10
        for n in self.c.nodes:
            while n.alive and n.sh("pgrep -x 'gvm|kvmlet|qemu-system-x86'; true",
                                    check=True).out.strip():
                if time.monotonic() > end:
                    raise AssertionError(f"node {n.index}: survives SIGKILL:\n" + stacks(self.c))
                time.sleep(0.2)

    def servers(self, n: int) -> str:
        return ",".join(self.c[i].addr for i in range(n))

    def launch(self, name: str, options: Sequence[str], argv: Sequence[str],
            members: int = 0) -> run.Running:
        """gvm run over the first so many servers (0: all)."""
        head = [str(GVM), "run", "--name", name,
                "--servers", self.servers(members or self.c.nr_nodes), *options]
        return run.start(self.c, [*head, "--", *argv], name, env=self.env)

    def gvm(self, *args: str, timeout: float = 60) -> Result:
        """One of gvm's other commands, on the first server, where VMs are started."""
        return self.c[0].exec(str(GVM), *args, timeout=timeout)

    def move(self, name: str, vcpu: int, server: int | str) -> Result:
        return self.gvm("move", name, str(vcpu), str(server))

    def kvmlet(self, name: str, owners: Sequence[int], *options: str, ram: str = "file",
               gvm: Sequence[str] = ()) -> run.Running:
        """The test VMM, with as many vCPUs as owners. ram: file (on dsmfs) or private."""
        argv = [KVMLET, "--cpus", str(len(owners)), *options]
        if ram == "file":
            argv += ["--mem-file", f"/dev/dsm/{name}.mem"]
        vcpus = ",".join(map(str, owners))
        return self.launch(name, ["--raw", "--vcpus", vcpus, *gvm], argv, max(owners) + 1)

    def linux(self, name: str, g: guest.Linux, gvm: Sequence[str] = ()) -> run.Running:
        """A Linux guest under QEMU; its vCPUs and RAM are spread over all servers evenly."""
        g.nodes = n = self.c.nr_nodes
        mib = int(g.mem.rstrip("M")) // n
        return self.launch(name, ["--cpus", str(g.cpus // n), "--mem", f"{mib}M", *gvm], g.argv())

    def nothing_left(self) -> None:
        """No member, no VMM, no file of a VM."""
        left = ""
        for _ in range(50):
            left = ""
            for n in self.c.nodes:
                if n.alive:
                    left += n.sh("ls /dev/dsm; ls /run/gvm 2>/dev/null; "
                                 "pgrep -af 'gvm _member|^qemu-|kvmlet' | grep -v pgrep; true",
                                 check=True).out
            if not left:
                return
            time.sleep(0.2)
        raise AssertionError(f"left behind: {left}")


def stacks(c: Cluster) -> str:
    """Kernel stacks of all threads that matter, and open D states."""
    script = ("for p in $(pgrep -x 'gvm|kvmlet|qemu-system-x86'); do for t in /proc/$p/task/*; do "
              "echo \"== $t $(cat $t/comm) $(awk '/State/{print $2}' $t/status)\"; "
              "cat $t/stack; done; done")
    return "\n".join(f"node {n.index}:\n{n.sh(script, timeout=20).out}" for n in c.nodes if n.alive)
