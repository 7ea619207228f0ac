# SPDX-License-Identifier: GPL-2.0
"""Command line of dsm-prof."""
import argparse
import sys
from typing import Optional

from . import ProfError, analyse, events, html, join, record, text

DESCRIPTION = """Where the time of remote faults goes.

Record on every server at the same time, then report over all the files:
  alpha# dsm-prof record -o alpha.txt -- ./workload      (or: -s SECONDS)
  beta#  dsm-prof record -o beta.txt -s 10
  $ dsm-prof report --html report.html alpha.txt beta.txt
  $ dsm-prof compare --before a0.txt b0.txt --after a1.txt b1.txt
Traces of trace-cmd ("trace-cmd report") and perf ("perf script") do as well."""


def arguments(argv: Optional[list[str]]) -> argparse.Namespace:
    p = argparse.ArgumentParser(prog="dsm-prof", description=DESCRIPTION,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    sub = p.add_subparsers(dest="verb", required=True)
    r = sub.add_parser("record", help="trace this server")
    r.add_argument("-o", "--output", required=True)
    r.add_argument("-s", "--seconds", type=float, default=10)
    r.add_argument("-b", "--buffer-kb", type=int, default=16384, help="for each CPU")
    r.add_argument("command", nargs=argparse.REMAINDER)
    r = sub.add_parser("report", help="latencies, hot pages, false sharing")
    r.add_argument("trace", nargs="+", help="one file a server")
    c = sub.add_parser("compare", help="two runs")
    c.add_argument("--before", nargs="+", required=True, metavar="TRACE")
    c.add_argument("--after", nargs="+", required=True, metavar="TRACE")
    for x in (r, c):
        x.add_argument("--html", metavar="FILE", help="write a report with pictures, too")
        x.add_argument("--most", type=int, default=10, metavar="N", help="hot pages to list")
    return p.parse_args(argv)


def analysed(title: str, paths: list[str]) -> analyse.Report:
    seen, offsets, lost = events.load(paths)
    return analyse.report(title, seen, join.transactions(seen), offsets, lost)


def run(args: argparse.Namespace) -> int:
    if args.verb == "record":
        command = args.command[1:] if args.command[:1] == ["--"] else args.command
        return record.record(args.output, command, args.seconds, args.buffer_kb)
    if args.verb == "report":
        before, after = None, analysed("report", args.trace)
        sys.stdout.write(text.render(after, args.most))
    else:
        before, after = analysed("before", args.before), analysed("after", args.after)
        sys.stdout.write(text.render_compare(before, after))
    if args.html:
        try:
            with open(args.html, "w", encoding="utf-8") as f:
                f.write(html.render(after, before, max(args.most, 20)))
        except OSError as e:
            raise ProfError(f"{args.html}: {e.strerror}") from e
    return 0


def main(argv: Optional[list[str]] = None) -> int:
    try:
        return run(arguments(argv))
    except ProfError as e:
        print(f"dsm-prof: {e}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
