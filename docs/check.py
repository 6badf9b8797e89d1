#!/usr/bin/env python3
"""Checks the README and the book in docs/. `make docs` runs it.

    docs/check.py [--program target/release/sage-host] [--components operators/target/wasm32-wasip2/release]

Without a program, the checks that need one are skipped, and the script says so. The checks:

- Every relative link of the Markdown files leads to a file, and its anchor to a heading. A page of the book links to
  pages of the book only: other files would be missing in the HTML.
- Every page below docs/ is in docs/SUMMARY.md, and every page in SUMMARY.md is there.
- The README has at most 150 lines.
- A path of this repository in `code` on a page leads to a file or folder (not in decisions, which keep the past).
- A `toml` block with `[[source]]` is a whole pipeline, and `sage-host validate` accepts it. `toml,no-validate` exempts
  a block. The block may name sample components, and inputs that do not exist.
- The tables of reference/pipeline-toml.md and reference/host-toml.md list the keys of the JSON Schemas in
  host/crates/plan/schema/, and no others. A test of sage-plan compares those schemas with the readers of the files.
- A `console,run` block is run from the root of the repository: each line `$ sage-host …` is a command, the lines below
  it are its output, standard output and error together. A line `…` stands for any lines; `…` within a line stands for
  any text. `$ sage-host … # exit 3` names an exit code other than 0.

Python's standard library is all that this needs. The exit code is 1 if anything is wrong.
"""

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from bisect import bisect_right
from itertools import accumulate
from pathlib import Path
from urllib.parse import unquote

ROOT = Path(__file__).resolve().parent.parent
BOOK = ROOT / "docs"
README_LINES = 150
# Markdown files outside the book, whose links are checked too.
OTHERS = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "examples/README.md", "operators/README.md"]
SCHEMAS = ROOT / "host/crates/plan/schema"
# The heading of each table of keys, and the definition of the schema that it lists.
PIPELINE_TABLES = {
    "`[pipeline]`": "pipeline",
    "`[[source]]`": "source",
    "source.file": "file_source",
    "source.stdin": "stdin",
    "source.generate": "generate",
    "source.generate.times": "times",
    "source.event_time": "event_time",
    "source.watermark": "watermark",
    "source.schema": "field_table",
    "`[[operator]]`": "operator",
    "resources": "resources",
    "limits": "limits",
    "on_error": "dead_letters",
    "capabilities": "capabilities",
    "capabilities.folders": "folder",
    "`[[sink]]`": "sink",
    "sink.file": "file_sink",
    "sink.stdout": "stdout",
    "`[model.NAME]`": "model",
}
HOST_TABLES = {
    "The host itself": None,
    "`[reserve]`": "reserve",
    "`[tenant.NAME]`": "tenant",
    "`[[device]]`": "device",
    "`[model.NAME]`": "model",
}
# Keys of a component, which the page lists once, for operators.
OF_COMPONENTS = {"parallelism", "resources", "limits", "on_error", "retries", "config", "capabilities", "models"}
FENCE = re.compile(r"^(\s*)(```+|~~~+)\s*([^`]*)$")
LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)")
PATH = re.compile(r"^(?:docs|examples|guest-sdk|host|operators|tests|wit|distribution|\.github)/[\w./-]+$")


class Page:
    """A Markdown file: its text outside of code blocks, its headings, and its code blocks."""

    def __init__(self, path):
        self.path = path
        self.name = path.relative_to(ROOT).as_posix()
        self.lines = []  # (number, line) outside of code blocks
        self.blocks = []  # (number, info, lines)
        fence, block = None, None
        for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
            match = FENCE.match(line)
            if fence is None and match:
                fence, block = match.group(2), (number, match.group(3).strip(), [])
            elif fence is not None and line.strip() == fence:
                self.blocks.append(block)
                fence = None
            elif fence is not None:
                block[2].append(line)
            else:
                self.lines.append((number, line))
        self.open_fence = block[0] if fence is not None else None

    def anchors(self):
        seen, found = {}, set()
        for _, line in self.lines:
            heading = re.match(r"^#{1,6}\s+(.*?)\s*#*$", line)
            if heading:
                slug = anchor(heading.group(1))
                count = seen.get(slug, 0)
                seen[slug] = count + 1
                found.add(slug if count == 0 else f"{slug}-{count}")
        return found

    def text(self):
        """The text outside of code blocks and code spans, with the line that each character of it is on."""
        lines = [(number, line) for number, line in self.lines if not line.startswith("    ")]
        text = "\n".join(line for _, line in lines)
        ends = list(accumulate(len(line) + 1 for _, line in lines))
        blank = re.sub(r"`[^`]*`", lambda span: re.sub(r"[^\n]", " ", span.group()), text)
        return blank, lambda at: lines[bisect_right(ends, at)][0]

    def links(self):
        text, line = self.text()
        for match in LINK.finditer(text):
            yield line(match.start()), match.group(1)

    def code_spans(self):
        for number, line in self.lines:
            if not line.startswith("    "):
                for match in re.finditer(r"`([^`]+)`", line):
                    yield number, match.group(1)


def anchor(heading):
    """The anchor that GitHub and mdbook give a heading."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").replace("*", "")
    text = "".join(c for c in text.lower() if c.isalnum() or c in " -_")
    return text.replace(" ", "-")


class Checks:
    def __init__(self, program, components):
        self.program, self.components = program, components
        self.errors, self.done, self.skipped = [], {}, []

    def error(self, page, number, message):
        name = page.name if isinstance(page, Page) else page
        self.errors.append(f"{name}:{number}: {message}")

    def count(self, what, amount=1):
        self.done[what] = self.done.get(what, 0) + amount

    def links(self, pages):
        anchors = {page.path: page.anchors() for page in pages}
        for page in pages:
            in_book = BOOK in page.path.parents
            for number, target in page.links():
                if re.match(r"^[a-z]+:", target):
                    continue
                self.count("links")
                place, _, fragment = target.partition("#")
                path = (page.path.parent / unquote(place)).resolve() if place else page.path
                if not path.exists():
                    self.error(page, number, f"the link {target} leads to no file")
                elif in_book and BOOK not in path.parents:
                    self.error(page, number, f"the link {target} leads out of the book: write the path as `code`")
                elif in_book and path.is_dir():
                    self.error(page, number, f"the link {target} leads to a folder: name a page")
                elif fragment and path.suffix == ".md":
                    known = anchors.get(path) or Page(path).anchors()
                    if fragment not in known:
                        self.error(page, number, f"the link {target} leads to no heading")

    def summary(self, pages):
        summary = Page(BOOK / "SUMMARY.md")
        listed = {(BOOK / target).resolve() for _, target in summary.links()}
        for path in sorted(BOOK.rglob("*.md")):
            if path.name != "SUMMARY.md":
                self.count("pages")
                if path not in listed:
                    self.error(path.relative_to(ROOT).as_posix(), 1, "the page is not in docs/SUMMARY.md")

    def readme(self):
        lines = (ROOT / "README.md").read_text(encoding="utf-8").count("\n")
        if lines > README_LINES:
            self.error("README.md", lines, f"the README has {lines} lines, {README_LINES} are the most")

    def paths(self, pages):
        for page in pages:
            if "/adr/" in page.name or page.name == "CHANGELOG.md":
                continue
            for number, span in page.code_spans():
                if PATH.match(span):
                    self.count("paths")
                    if not (ROOT / span).exists() and "/target/" not in span:
                        self.error(page, number, f"`{span}` is no file or folder of this repository")

    def keys(self, name, schema, tables):
        """Compares the tables of keys of a reference page with a schema, both ways."""
        if not (SCHEMAS / schema).exists():
            self.skipped.append(f"the keys of {name}: there is no {schema}")
            return
        schema = json.loads((SCHEMAS / schema).read_text(encoding="utf-8"))
        heading, listed, first = None, {}, {}
        for number, line in Page(BOOK / name).lines:
            if line.startswith("#"):
                heading = line.lstrip("#").strip()
                listed[heading], first[heading] = set(), number
            key = re.match(r"\| `([a-z0-9_]+)` \|", line)
            if key and heading:
                listed[heading].add(key.group(1))
        page = f"docs/{name}"
        for heading, definition in tables.items():
            wanted = schema if definition is None else schema["definitions"][definition]
            keys = set(wanted["properties"])
            if definition in ("source", "sink"):
                keys -= OF_COMPONENTS - listed.get(heading, set())
            found = listed.get(heading, set())
            self.count("keys", len(found))
            for key in sorted(keys - found):
                self.error(page, first.get(heading, 1), f"the table of {heading} has no row for {key}")
            for key in sorted(found - keys):
                self.error(page, first.get(heading, 1), f"the table of {heading} has a row for {key}, which is no key")

    def pipelines(self, pages):
        found = [
            (page, number, info, lines)
            for page in pages
            for number, info, lines in page.blocks
            if info.split(",")[0].strip() == "toml" and "[[source]]" in lines and "no-validate" not in info
        ]
        if not self.program or not self.components:
            self.skipped.append(f"{len(found)} pipelines: no program or no components are built")
            return
        for page, number, _, lines in found:
            with tempfile.TemporaryDirectory() as folder:
                for component in self.components.glob("*.wasm"):
                    os.symlink(component, Path(folder) / component.name)
                text = re.sub(r'"(?:\.\./)+operators/target/wasm32-wasip2/release/', '"', "\n".join(lines))
                Path(folder, "pipeline.toml").write_text(text, encoding="utf-8")
                command = [self.program, "validate", "pipeline.toml", "--overcommit", "--allow-unenforced"]
                host = Path(folder, "host.toml")
                host.write_text(self.host(page), encoding="utf-8")
                command += ["--host", "host.toml"]
                run = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, env=environment())
                self.count("pipelines")
                if run.returncode != 0:
                    self.error(page, number, f"validate refuses the pipeline:\n{run.stderr.rstrip()}")

    @staticmethod
    def host(page):
        """The host file of a page: its first toml block with [[device]], without which models have no device."""
        for _, info, lines in page.blocks:
            if info.split(",")[0].strip() == "toml" and "[[device]]" in lines and "[[source]]" not in lines:
                return "\n".join(line for line in lines if not line.startswith(("path", "[model.")))
        return ""

    def commands(self, pages):
        blocks = [
            (page, number, lines)
            for page in pages
            for number, info, lines in page.blocks
            if {"console", "run"} <= {part.strip() for part in info.split(",")}
        ]
        if not self.program:
            self.skipped.append(f"{len(blocks)} blocks of commands: no program is built")
            return
        for page, number, lines in blocks:
            command, expected = None, []
            for offset, line in enumerate([*lines, "$ "], number + 1):
                if not line.startswith("$ "):
                    expected.append(line)
                    continue
                if command:
                    self.command(page, *command, expected)
                command, expected = (offset, line[2:]), []

    def command(self, page, number, line, expected):
        line, _, note = line.partition(" # exit ")
        words = shlex.split(line)
        if words[:1] != ["sage-host"]:
            self.error(page, number, f"only commands of sage-host are run, not {line}")
            return
        run = subprocess.run(
            [self.program, *words[1:]],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=120,
            env=environment(),
        )
        self.count("commands")
        wanted = int(note or 0)
        if run.returncode != wanted:
            self.error(page, number, f"{line} ended with exit code {run.returncode}, not {wanted}:\n{run.stdout}")
        elif any(expected) and not matches(expected, run.stdout):
            self.error(page, number, f"{line} gives another output:\n{run.stdout}")


CACHE = tempfile.TemporaryDirectory(prefix="sage-docs-cache-")


def environment():
    """The environment of a command: with a cache of its own, because the user's may be of another version."""
    return {**os.environ, "XDG_CACHE_HOME": CACHE.name}


def matches(expected, output):
    """Whether an output is the expected lines, with … for any text and a line of … for any lines."""
    pattern = ""
    for line in expected:
        if line.strip() == "…":
            pattern += r"(?:[^\n]*\n)*?"
        else:
            pattern += ".*?".join(re.escape(part) for part in line.rstrip().split("…")) + r"[ \t]*\n"
    return re.fullmatch(pattern + r"\n*", output if output.endswith("\n") else output + "\n") is not None


def main():
    parser = argparse.ArgumentParser(description="Checks the README and the book in docs/.")
    parser.add_argument("--program", help="sage-host, built")
    parser.add_argument("--components", help="the folder of the sample components, built")
    options = parser.parse_args()
    program = os.path.abspath(options.program) if options.program and os.path.exists(options.program) else None
    components = Path(options.components).resolve() if options.components else None
    components = components if components and components.is_dir() else None

    pages = [Page(path) for path in sorted(BOOK.rglob("*.md"))]
    pages += [Page(ROOT / name) for name in OTHERS if (ROOT / name).exists()]
    checks = Checks(program, components)
    for page in pages:
        if page.open_fence:
            checks.error(page, page.open_fence, "the code block has no end")
    checks.links(pages)
    checks.summary(pages)
    checks.readme()
    checks.paths(pages)
    checks.keys("reference/pipeline-toml.md", "pipeline.schema.json", PIPELINE_TABLES)
    checks.keys("reference/host-toml.md", "host.schema.json", HOST_TABLES)
    checks.pipelines(pages)
    checks.commands(pages)

    print("docs: " + ", ".join(f"{count} {what}" for what, count in checks.done.items()) + " checked")
    for what in checks.skipped:
        print(f"docs: skipped {what}")
    for error in checks.errors:
        print(error, file=sys.stderr)
    if checks.errors:
        print(f"docs: {len(checks.errors)} complaints", file=sys.stderr)
    return 1 if checks.errors else 0


if __name__ == "__main__":
    sys.exit(main())
