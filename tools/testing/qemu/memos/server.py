# SPDX-License-Identifier: GPL-2.0
"""A cluster that outlives a command line: a server process and its clients."""
import argparse
import base64
import json
import os
import select
import shlex
import socket
import subprocess
import sys
import termios
import threading
import time
import tty
from pathlib import Path

from . import BUILD, QEMU_DIR, ClusterError, node
from .cluster import Cluster


def _dir(name: str) -> Path:
    if not name or "/" in name or name.startswith("."):
        raise ClusterError(f"bad cluster name '{name}'")
    return BUILD / "cluster" / name


def _socket(name: str) -> str:
    return f"\0memos-cluster:{os.getuid()}:{_dir(name)}"[:107]


# -- the process that owns the servers

class _Server:
    def __init__(self, cluster: Cluster, ttl: float) -> None:
        self.c = cluster
        self.deadline = time.monotonic() + ttl
        self.stop = threading.Event()

    def handle(self, conn: socket.socket) -> None:
        out = conn.makefile("w")
        lock = threading.Lock()

        def say(**reply) -> None:
            with lock:
                try:
                    out.write(json.dumps(reply) + "\n")
                    out.flush()
                except OSError:
                    pass  # the client is gone; its command goes on until its timeout

        try:
            request = json.loads(conn.makefile("r").readline() or "{}")
            say(done=self.do(request, say))
        except (ClusterError, KeyError, ValueError, IndexError) as e:
            say(error=str(e))
        conn.close()

    def do(self, r: dict, say) -> object:
        c, op = self.c, r["op"]
        if op == "exec":
            return self.exec(r, say)
        if op == "status":
            return {"kernel": c.kernel.release, "accel": c.accel, "net": c.net,
                    "ttl": round(self.deadline - time.monotonic()),
                    "nodes": [{"node": n.index, "addr": n.addr, "pid": n.pid, "alive": n.alive,
                               "log": str(n.console)} for n in c.nodes]}
        if op == "link":
            c[r["node"]].link(r["up"])
        elif op == "cut":
            c.cut([r["a"]], [r["b"]])
        elif op == "heal":
            c.heal()
        elif op == "kill":
            c[r["node"]].kill()
        elif op == "restart":
            c.restart(r["node"])
        elif op == "dsm":
            (lambda: c.dsm_up(r["args"]) if r["what"] == "up" else c.dsm_down())()
        elif op == "down":
            self.stop.set()
        else:
            raise ClusterError(f"unknown request {op}")
        return 0

    def exec(self, r: dict, say) -> int:
        env = {"DSM_NODES": str(self.c.nr_nodes), "DSM_MNT": "/dev/dsm"}

        def output(kind: int, data: bytes) -> None:
            say(fd=1 if kind == node.STDOUT else 2, data=base64.b64encode(data).decode())

        chosen = self.c.nodes if r["node"] == "all" else [self.c[int(r["node"])]]
        jobs = [n.spawn(r["argv"], env | {"DSM_NODE": str(n.index)}, output) for n in chosen]
        deadline = time.monotonic() + r["timeout"]
        worst = 0
        for j in jobs:
            result = j.wait(max(0.0, deadline - time.monotonic()))
            if result.timed_out:
                say(note=f"node {j.node.index}: no end after {r['timeout']:.0f} s")
                worst = 124
            elif result.status is None:
                say(note=f"node {j.node.index}: {result.death}")
                worst = 125
            elif not worst:
                worst = result.status if result.status >= 0 else 128 - result.status
        return worst

    def loop(self, listener: socket.socket) -> None:
        listener.settimeout(0.5)
        while not self.stop.is_set() and time.monotonic() < self.deadline:
            try:
                conn, _ = listener.accept()
            except TimeoutError:
                continue
            threading.Thread(target=self.handle, args=(conn,), daemon=True).start()


def serve(config: dict) -> int:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(_socket(config["name"]))
    except OSError:
        raise ClusterError(f"cluster {config['name']} is already up") from None
    listener.listen(16)
    keys = ("nodes", "variant", "name", "cpus", "mem", "net", "append", "numa")
    with Cluster(**{k: config[k] for k in keys}) as c:
        if config["dsm"]:
            c.dsm_up()
        print("ready", flush=True)
        _Server(c, config["ttl"]).loop(listener)
    return 0


# -- its clients

def _request(name: str, wait_s: float = 150, **request) -> object:
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.settimeout(wait_s)
    try:
        s.connect(_socket(name))
    except OSError:
        raise ClusterError(f"no cluster '{name}' is up") from None
    s.sendall(json.dumps(request).encode() + b"\n")
    for line in s.makefile("r"):
        reply = json.loads(line)
        if "data" in reply:
            os.write(reply["fd"], base64.b64decode(reply["data"]))
        elif "note" in reply:
            print(reply["note"], file=sys.stderr)
        elif "error" in reply:
            raise ClusterError(reply["error"])
        else:
            return reply["done"]
    raise ClusterError(f"cluster '{name}' went away")


def _up(a: argparse.Namespace) -> int:
    config = {"nodes": a.nodes, "variant": a.kernel, "name": a.name, "cpus": a.cpus, "mem": a.mem,
              "net": a.net, "append": a.append, "numa": a.numa, "ttl": a.ttl, "dsm": a.dsm}
    (BUILD / "cluster").mkdir(parents=True, exist_ok=True)
    log = BUILD / "cluster" / f"{_dir(a.name).name}.log"
    start = time.monotonic()
    with open(log, "w", encoding="utf-8") as err:
        p = subprocess.Popen([sys.executable, QEMU_DIR / "cluster.py", "_serve", "--name", a.name,
                              json.dumps(config)], stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=err, text=True, start_new_session=True)
    try:
        if p.stdout.readline() != "ready\n":
            raise ClusterError(log.read_text().strip() or "did not start")
    except BaseException:
        p.terminate()
        raise
    print(f"cluster {a.name}: {a.nodes} servers up in {time.monotonic() - start:.1f} s")
    return 0


def _console(name: str, index: int) -> int:
    """The shell starts on demand; the kernel's messages come over the same line."""
    shell = "exec setsid -c sh -i </dev/ttyS0 >/dev/ttyS0 2>&1"
    threading.Thread(target=_request, args=(name, 86400), daemon=True, kwargs={
        "op": "exec", "node": index, "argv": ["sh", "-c", shell], "timeout": 86400}).start()
    fd = os.open(_dir(name), os.O_PATH)
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.connect(f"/proc/self/fd/{fd}/node{index}.serial")
    saved = termios.tcgetattr(0)
    tty.setraw(0)
    try:
        while True:
            for f in select.select([0, s], [], [])[0]:
                data = os.read(0, 4096) if f == 0 else s.recv(4096)
                if not data or (f == 0 and b"\x1d" in data):
                    return 0
                if f == 0:
                    s.sendall(data)
                else:
                    os.write(1, data)
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, saved)


def command(a: argparse.Namespace) -> int:
    if a.verb == "up":
        return _up(a)
    if a.verb == "_serve":
        return serve(json.loads(a.config))
    if a.verb == "console":
        return _console(a.name, a.node)
    if a.verb == "logs":
        print("\n".join(str(p) for p in sorted(_dir(a.name).glob("node*.console"))))
        return 0
    if a.verb == "exec":
        argv = a.argv[1:] if a.argv[:1] == ["--"] else a.argv
        if not argv:
            raise ClusterError("exec NODE -- COMMAND…")
        return _request(a.name, a.timeout + 30, op="exec", node=a.node, argv=argv,
                        timeout=a.timeout)
    if a.verb == "status":
        s = _request(a.name, op="status")
        print(f"kernel {s['kernel']}, {s['accel']}, net {s['net']}, ends in {s['ttl']} s")
        for n in s["nodes"]:
            print(f"node {n['node']} {n['addr']} pid {n['pid']} "
                  f"{'up' if n['alive'] else 'dead'} log {shlex.quote(n['log'])}")
        return 0
    rest = {k: v for k, v in vars(a).items() if k in ("node", "a", "b", "what")}
    if a.verb == "link":
        rest["up"] = a.state == "up"
    if a.verb == "dsm":
        rest["args"] = " ".join(a.args)
    _request(a.name, op=a.verb, **rest)
    if a.verb == "down":
        _wait_gone(a.name)
    return 0


def _wait_gone(name: str) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            s.connect(_socket(name))
        except OSError:
            return
        finally:
            s.close()
        time.sleep(0.05)
    raise ClusterError(f"cluster '{name}' does not end")
