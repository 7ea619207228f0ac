# SPDX-License-Identifier: GPL-2.0
"""insmod with nonsense: refused, with a line that says why, and nothing left."""
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from dsmhost import *  # noqa: E402,F403 pylint: disable=wildcard-import,unused-wildcard-import

A, B = "10.77.0.1", "10.77.0.2"


def many(n):
    """Addresses of n servers; with server 0's own one first."""
    return ",".join([A] + [f"10.178.{100 + i // 100}.{100 + i % 100}" for i in range(1, n)])


def many6(n):
    """The longest that there are."""
    return ",".join(f"fd00:1111:2222:3333:4444:5555:{i:04x}:7777" for i in range(0x1000, 0x1000 + n))


BAD = (  # parameters, a word of the log; the node is server 0
    ("", "missing"),
    ("node=0", "missing"),
    (f"peers={A},{B}", "missing"),
    ("node=0 peers=", "missing"),
    (f"node=2 peers={A},{B}", "node=2"),
    (f"node=-7 peers={A},{B}", "node=-7"),
    (f"node=x peers={A},{B}", "node"),
    (f"node=0 peers={A},{A}", "twice"),
    (f"node=0 peers={A},nonsense", "nonsense"),
    (f"node=0 peers={A},", "''"),
    (f"node=0 peers={A},{B}:port", "port"),
    (f"node=0 peers={A},10.77.0.256", "256"),
    ("node=0 peers=" + "9" * 600, "neither"),
    (f"node=0 peers={many(257)}", "more than 256 addresses"),
    (f"node=0 peers={many6(257)}", "more than 256 addresses"),
    ("node=0 peers=" + "9" * 13000, "more than 12287 characters"),
    ("loop=17", "at most"),
    ("loop=4294967296", "loop"),
    (f"loop=2 node=0 peers={A},{B}", "does not go"),
    (f"node=0 peers={A},{B} hold_us=1000001", "hold_us"),
    (f"node=0 peers={A},{B} hold_us=x", "hold_us"),
    (f"node=0 peers={A},{B} fault_timeout_ms=0", "fault_timeout_ms"),
    (f"node=0 peers={A},{B} dead_ms=-1", "dead_ms"),
)


def test_bad_parameters(c):
    wrong = []
    for args, word in BAD:
        log(c[0])
        quoted = " ".join(f"'{x}'" for x in args.split())
        r = insmod(c, 0, quoted, timeout=30)
        text = log(c[0])
        name = args[:60]
        if r.timed_out:
            wrong.append(f"{name}: hangs {stacks(c[0])}")
        elif r.ok:
            wrong.append(f"{name}: accepted")
            c[0].exec("rmmod", "dsm")
        elif not any(word in x for x in text.splitlines()):
            wrong.append(f"{name}: '{word}' is not in the log: {text}")
        clean(c[0])
    assert not wrong, "\n".join(wrong)


def test_address_of_another(c):
    """RDMA devices may come later, so it loads; but it says what it has not found."""
    for args in (f"node=1 peers={A},{B}", "node=0 peers=192.0.2.1,192.0.2.2"):
        log(c[0])
        r = insmod(c, 0, args)
        assert r.ok, r.err
        assert any("no RDMA device" in x for x in log(c[0]).splitlines()), args
        c[0].exec("rmmod", "dsm", check=True)
    clean(c[0])


def test_as_many_as_there_may_be(c):
    """256 servers, and with the longest addresses."""
    for node, addrs in ((255, many(256)), (0, many6(256))):
        r = insmod(c, 0, f"node={node} peers={addrs}")
        assert r.ok, f"{r.err} {log(c[0])}"
        out = c[0].sh("cd /sys/fs/dsm/peers && grep . */address", check=True).out
        have = {int(n): a for n, a in re.findall(r"(\d+)/address:(.*)", out)}
        total = read(c[0], "/sys/fs/dsm/cluster/nr_nodes")
        shown = read(c[0], "/sys/module/dsm/parameters/peers")
        c[0].exec("rmmod", "dsm", timeout=60, check=True)
        assert have == {i: a for i, a in enumerate(addrs.split(",")) if i != node}, have
        # A sysfs file is a page long.
        assert total == "256" and shown == addrs[:4094]
    clean(c[0])


def test_unknown_parameters_do_not_matter(c):
    """The kernel loads a module with an unknown parameter, and says so."""
    r = insmod(c, 0, f"node=0 peers={A},{B} no_such=1")
    assert r.ok, r.err
    assert "no_such" in log(c[0])
    c[0].exec("rmmod", "dsm", check=True)
    clean(c[0])


def test_knobs_from_parameters(c):
    fresh(c, "hold_us=777 prefetch_pages=5")
    for n in c.nodes:
        assert read(n, "/sys/fs/dsm/knobs/hold_us") == "777"
        assert read(n, "/sys/fs/dsm/knobs/prefetch_pages") == "5"
    c.dsm_down()


NOISE = """
import os
for d, _, names in os.walk('/sys/fs/dsm'):
    for path in (os.path.join(d, n) for n in names):
        mode = os.stat(path).st_mode
        for v in (b'', b'x', b'-1', b'9' * 20, b'1 2', b'0x', b'7' * 3000, bytes(64)):
            # Write-only files are requests, to leave for one: not ours to make.
            if mode & 0o600 == 0o600:
                try:
                    fd = os.open(path, os.O_WRONLY)
                    os.write(fd, v)
                except OSError:
                    pass
                finally:
                    os.close(fd)
        if mode & 0o400:
            try:
                open(path, 'rb').read()
            except OSError as e:
                print(path, e)
"""


def test_sysfs_refuses_nonsense(c):
    """Write noise to everything writable, read everything, while there is traffic."""
    fresh(c)
    jobs = [traffic(c, i, 60, pages=16) for i in range(2)]
    before = {k: read(c[0], f"/sys/fs/dsm/knobs/{k}")
              for k in c[0].exec("ls", "/sys/fs/dsm/knobs", check=True).out.split()}
    assert len(before) > 5
    r = c[0].exec("python3", "-c", NOISE, timeout=60)
    assert r.ok and not r.out, f"{r.status} {r.out}{r.err}"
    after = {k: read(c[0], f"/sys/fs/dsm/knobs/{k}") for k in before}
    assert after == before, {k: (before[k], after[k]) for k in before if before[k] != after[k]}
    for x in ("", "x", "-1", "2"):
        c[0].sh(f"printf '%s' '{x}' >/sys/fs/dsm/cluster/leave")
    for j in jobs:
        stop(j)
    c.dsm_down()


def test_mount_options(c):
    fresh(c)
    r = c[0].sh("mkdir -p /tmp/m; mount -t dsmfs -o no_such_option none /tmp/m")
    assert not r.ok
    r = c[0].sh("mount -t dsmfs no-such-cluster /tmp/m", timeout=60)
    if r.ok:  # the source may be ignored, but then it is the same file system
        c[0].sh("echo same >/dev/dsm/x; cat /tmp/m/x && umount /tmp/m", check=True)
    c[0].sh("mount -t dsmfs none /tmp/m", check=True)
    c[0].sh("echo twice >/tmp/m/y", check=True)
    assert read(c[1], "/dev/dsm/y") == "twice"
    c[0].sh("umount /tmp/m", check=True)
    c[0].sh("mount -o remount,ro /dev/dsm && ! touch /dev/dsm/z && mount -o remount,rw /dev/dsm",
            check=True)
    c.dsm_down()
