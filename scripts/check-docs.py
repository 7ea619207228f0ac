#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""
Are the documents what they say?
  check-docs.py [FILE...]   without FILE: every .rst and .md that git knows
Prints what is malformed (docutils), what a toctree names and is not there or is there and not
named, every "make TARGET" that the Makefile does not have and every link to no file; 1 if anything
is.
"""
import re
import subprocess
import sys
from pathlib import Path

import docutils.core
import docutils.nodes
from docutils.parsers.rst import Directive, directives

TOP = Path(__file__).resolve().parent.parent
WARNING, NEVER = 2, 5


class Toctree(Directive):
    """Sphinx has it, docutils not: here its entries are compared with the folder's files."""
    has_content = True
    option_spec = {"maxdepth": directives.nonnegative_int}

    def run(self) -> list[docutils.nodes.Node]:
        index = Path(self.state.document.current_source)
        named = {e.strip() for e in self.content if e.strip()}
        there = {f.stem for f in index.parent.glob("*.rst")} - {index.stem}
        return [self.state.document.reporter.warning(text, line=self.lineno) for text in
                [f"toctree names {n}.rst, which is not there" for n in sorted(named - there)] +
                [f"toctree does not name {n}.rst" for n in sorted(there - named)]]


def malformed(f: Path) -> int:
    """Prints what docutils warns of; returns how often it did."""
    doc = docutils.core.publish_doctree(
        f.read_text(), source_path=str(f),
        settings_overrides={"report_level": WARNING, "halt_level": NEVER,
                            "warning_stream": sys.stdout})
    return len([m for m in doc.findall(docutils.nodes.system_message) if m["level"] >= WARNING])


def leads_nowhere(f: Path, targets: set[str]) -> int:
    text = f.read_text()
    made = set(re.findall(r"`make ([a-z-]+)", text)) - targets
    linked = {to for to in re.findall(r"\]\(([^):#]+)\)", text) if not (f.parent / to).exists()}
    for what in sorted({f"make {t}" for t in made} | linked):
        print(f"{f}: there is no {what}")
    return len(made | linked)


def main() -> int:
    files = [Path(f) for f in sys.argv[1:]] or [TOP / f for f in subprocess.check_output(
        ["git", "-C", str(TOP), "ls-files", "*.rst", "*.md"], text=True).split()]
    rules = re.findall(r"^([a-z][a-z -]*):", (TOP / "Makefile").read_text(), re.M)
    targets = {t for rule in rules for t in rule.split()}
    directives.register_directive("toctree", Toctree)
    wrong = sum(leads_nowhere(f, targets) for f in files)
    wrong += sum(malformed(f) for f in files if f.suffix == ".rst")
    print(f"check-docs: {len(files)} files, {wrong} errors")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
