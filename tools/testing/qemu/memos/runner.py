# SPDX-License-Identifier: GPL-2.0
"""Run tests on clusters; what is not positively reported as passed has failed."""
import importlib.util
import shutil
import signal
import time
import traceback
from pathlib import Path
from typing import Optional
from unittest import SkipTest

from . import BUILD, ClusterError, dmesg, kmemleak, tap
from .cluster import Cluster, prune
from .manifest import Test
from .pace import pace

KEEP = 10  # logs of failures, of each test


class TestTimeout(Exception):
    """A host-driven test took longer than its manifest line allows."""


def _on_servers(c: Cluster, t: Test, outputs: dict[str, str]) -> list[str]:
    """Start the program on all servers at once; judge each server's TAP."""
    program = str(t.program())
    jobs = []
    for n in c.nodes:
        env = {"DSM_NODE": str(n.index), "DSM_NODES": str(c.nr_nodes), "DSM_MNT": "/dev/dsm",
               "DSM_KERNEL": c.kernel.variant, **pace.env()}
        argv = ["python3", program] if program.endswith(".py") else [program]
        jobs.append(n.spawn(argv, env))
    timeout = t.timeout * pace.patience
    deadline = time.monotonic() + timeout
    problems = []
    for j in jobs:
        who = f"node {j.node.index}"
        while not j.done.wait(0.2) and time.monotonic() < deadline and j.node.alive:
            pass
        r = j.wait(0)
        outputs[f"node{j.node.index}"] = r.out + (f"\n--- stderr\n{r.err}" if r.err else "")
        if r.timed_out and j.node.alive:
            problems.append(f"{who}: no end after {timeout:.0f} s")
        elif r.status is None:
            problems.append(f"{who}: {r.death}")
        else:
            if r.status:
                problems.append(f"{who}: exit status {r.status}")
            v = tap.judge(r.out, t.name, tap.read_skips(t.root / "skips.allow"))
            problems += [f"{who}: {p}" for p in v.problems]
            if v.skipped:
                outputs[f"skips{j.node.index}"] = "all" if v.all_skipped else ", ".join(v.skipped)
    return problems


def _on_host(c: Cluster, t: Test, outputs: dict[str, str]) -> list[str]:
    """Run every test_*(cluster) of a Python file, in order; turn them into TAP."""
    spec = importlib.util.spec_from_file_location(f"host_{t.name}", t.program())
    module = importlib.util.module_from_spec(spec)
    lines: list[str] = []

    timeout = t.timeout * pace.patience

    def expired(*_args) -> None:
        raise TestTimeout(f"no end after {timeout:.0f} s")

    old = signal.signal(signal.SIGALRM, expired)
    signal.setitimer(signal.ITIMER_REAL, timeout)
    try:
        spec.loader.exec_module(module)
        cases = [f for name, f in vars(module).items() if name.startswith("test_") and callable(f)]
        lines.append(f"1..{len(cases)}")
        for i, case in enumerate(cases, 1):
            try:
                case(c)
                lines.append(f"ok {i} {case.__name__}")
            except SkipTest as e:
                lines.append(f"ok {i} {case.__name__} # SKIP {e}")
            except TestTimeout:
                raise
            except Exception as e:  # pylint: disable=broad-except
                lines += [f"not ok {i} {case.__name__}: {e!r}",
                          *("# " + x for x in traceback.format_exc().splitlines())]
    except TestTimeout:
        lines += ["Bail out! " + traceback.format_exc().splitlines()[-1],
                  *("# " + x for x in traceback.format_exc().splitlines())]
    except Exception:  # pylint: disable=broad-except
        lines += ["Bail out! the test cannot be loaded",
                  *("# " + x for x in traceback.format_exc().splitlines())]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
    outputs["host"] = "\n".join(lines)
    v = tap.judge(outputs["host"], t.name, tap.read_skips(t.root / "skips.allow"))
    if v.skipped:
        outputs["skips"] = "all" if v.all_skipped else ", ".join(v.skipped)
    return v.problems


def settle(c: Cluster, mark: str) -> list[str]:
    """Every server answers and its log is on our disk up to a mark."""
    problems = []
    for n in c.nodes:
        try:
            n.kmsg(mark)
            n.exec("true", timeout=20, check=True)
            deadline = time.monotonic() + 5 * pace.patience
            while f"memos: {mark}" not in dmesg.read_from(n.console, 0):
                if time.monotonic() > deadline:
                    raise ClusterError(f"node {n.index}: log lost its mark")
                time.sleep(0.02)
        except ClusterError as e:
            problems.append(str(e))
    return problems


def _keep(log: Path, name: str) -> Path:
    """Of a failure: the next run of the test writes to the same place."""
    failures = log.parent / "failed"
    kept = failures / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    try:
        shutil.copytree(log, kept, dirs_exist_ok=True)
    except OSError as e:  # shutil.Error is one
        print(f"     {kept}: {e}")
        return log
    prune(failures.glob(f"{name}-*"), KEEP)
    return kept


class Run:
    """One run over many tests; keeps a cluster between tests that suit it."""

    def __init__(self, variant: str, cpus: int = 1, mem: str = "1G", dsm_args: str = "") -> None:
        self.variant, self.cpus, self.mem, self.dsm_args = variant, cpus, mem, dsm_args
        self.cluster: Optional[Cluster] = None
        self._seen: dict[int, int] = {}  # how much of each node's log was judged
        self.passed = self.failed = self.skipped = 0

    def close(self) -> None:
        if self.cluster:
            self.cluster.down()
            self.cluster = None

    def _get(self, nodes: int, numa: int) -> Cluster:
        c = self.cluster
        if c and ((c.nr_nodes, c.numa) != (nodes, numa) or not all(n.alive for n in c.nodes)):
            self.close()
        if not self.cluster:
            self.cluster = Cluster(nodes, self.variant, cpus=self.cpus, mem=self.mem,
                                   numa=numa)
            self._seen.clear()
            self.cluster.up()
        return self.cluster

    def _one(self, t: Test, outputs: dict[str, str]) -> list[str]:
        c = self._get(t.nodes, t.numa)
        problems = []
        try:
            if t.kind == "nodes":
                c.dsm_up(self.dsm_args)
            problems += (_on_host if t.kind == "host" else _on_servers)(c, t, outputs)
        except ClusterError as e:
            problems.append(str(e))
        intact = all(n.alive for n in c.nodes) and c.net == "switch"
        if intact:
            try:
                c.heal()
                if t.kind != "bare":
                    c.dsm_down()
            except ClusterError as e:
                problems.append(f"reset: {e}")
                intact = False
        if intact and self.variant != "stock":
            problems += kmemleak.scan(c.nodes, outputs)
        if intact:
            lost = settle(c, f"end of {t.name}")
            problems += lost
            intact = not lost
        problems += [f"node {n.index}: dead" for n in c.nodes if not n.alive and not n.killed]
        for n in c.nodes:
            text, self._seen[n.index] = dmesg.read_lines(n.console, self._seen.get(n.index, 0))
            outputs[n.console.name] = text
            problems += [f"node {n.index}: log: {x}" for x in dmesg.complaints(text)[:5]]
        for f in sorted(c.logs.iterdir()):
            outputs[f.name] = f.read_text(errors="replace")
            f.unlink()
        if problems or not intact:
            self.close()
        return problems

    def test(self, t: Test) -> None:
        start = time.monotonic()
        outputs: dict[str, str] = {}
        try:
            problems = self._one(t, outputs)
        except ClusterError as e:
            problems = [str(e)]
            for n in self.cluster.nodes if self.cluster else []:
                if n.console.exists():
                    outputs[n.console.name] = n.console.read_text(errors="replace")
            self.close()
        log = BUILD / "logs" / t.name
        shutil.rmtree(log, ignore_errors=True)
        log.mkdir(parents=True)
        for name, text in outputs.items():
            (log / name).write_text(text)
        (log / "problems").write_text("".join(p + "\n" for p in problems))
        skips = [v for k, v in outputs.items() if k.startswith("skips")]
        if problems:
            self.failed += 1
            word = "FAIL"
        elif "all" in skips:
            self.skipped += 1
            word = "SKIP"
        else:
            self.passed += 1
            word = "PASS"
        print(f"{word} {t.name} ({t.nodes} nodes, {self.variant}, "
              f"{time.monotonic() - start:.1f} s)", flush=True)
        for p in problems[:20]:
            print(f"     {p}")
        if problems:
            log = _keep(log, f"{t.name}-{self.variant}-{t.nodes}")
            print(f"     logs: {log}", flush=True)
        for s in skips:
            if s != "all":
                print(f"     skipped cases: {s}")

    def tests(self, tests: list[Test]) -> bool:
        """Return: whether all is well. No test at all is not."""
        try:
            for t in sorted(tests, key=lambda t: (t.nodes, t.numa)):
                self.test(t)
        finally:
            self.close()
        if not tests:
            print("no tests")
            self.failed += 1
        print(f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped", flush=True)
        return not self.failed
