#!/usr/bin/env python3
"""Draws the crates of the workspace and their directions as docs/design/crates.svg.

    docs/design/crates.py            write the picture
    docs/design/crates.py --check    exit with 1 if the committed picture is stale

The input is `cargo metadata`. An arrow leads from a crate to a crate that it uses. An arrow that follows from others is
left out: if a uses b and b uses c, then a -> c is not drawn. Python's standard library is all that this needs.
"""

import json
import os
import subprocess
import sys
from html import escape
from itertools import permutations
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PICTURE = HERE / "crates.svg"
# The tests use every crate; the guest SDK shares no crate with the program.
LEFT_OUT = {"sage-tests", "sage-guest", "sage-guest-macros"}
BOX_WIDTH, BOX_HEIGHT, GAP_X, GAP_Y, MARGIN = 250, 74, 24, 58, 20
LINE_CHARACTERS = 36


def metadata():
    cargo = os.environ.get("CARGO", "cargo")
    command = [cargo, "metadata", "--no-deps", "--format-version", "1", "--offline"]
    return json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)


def crates():
    """Name to (description, crates of this workspace that it uses, dev-dependencies left out)."""
    packages = [package for package in metadata()["packages"] if package["name"] not in LEFT_OUT]
    names = {package["name"] for package in packages}
    found = {}
    for package in sorted(packages, key=lambda package: package["name"]):
        uses = {d["name"] for d in package["dependencies"] if d["kind"] is None and d["name"] in names}
        found[package["name"]] = (package["description"] or "", uses)
    return found


def reachable(found, name, seen=None):
    seen = set() if seen is None else seen
    for used in found[name][1]:
        if used not in seen:
            seen.add(used)
            reachable(found, used, seen)
    return seen


def direct(found):
    """The arrows that do not follow from others."""
    for name, (_, uses) in sorted(found.items()):
        for used in sorted(uses):
            if not any(used in reachable(found, other) for other in uses if other != used):
                yield name, used


def layers(found):
    """Each crate one row above the highest crate that it uses."""
    depth = {}

    def of(name):
        if name not in depth:
            depth[name] = 1 + max((of(used) for used in found[name][1]), default=-1)
        return depth[name]

    for name in found:
        of(name)
    rows = [[] for _ in range(max(depth.values()) + 1)]
    for name in sorted(found):
        rows[depth[name]].append(name)
    return rows


def wrapped(text):
    lines, line = [], ""
    for word in text.split():
        if line and len(line) + 1 + len(word) > LINE_CHARACTERS:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}".strip()
    lines.append(line)
    if len(lines) > 3:
        lines = lines[:2] + [lines[2] + " …"]
    return lines


def laid_out(found):
    """Rows of nodes, top to bottom, and the arrows as chains of nodes, one a row.

    An arrow that passes rows gets a narrow node in each of them, so that it passes beside the boxes. Each row takes the
    order with the fewest crossings and the shortest arrows to the rows beside it, some times over.
    """
    rows = list(reversed(layers(found)))
    depth = {name: i for i, row in enumerate(rows) for name in row}
    chains = []
    for name, used in direct(found):
        chain = [name]
        for i in range(depth[name] + 1, depth[used]):
            chain.append((name, used, i))
            rows[i].append(chain[-1])
        chains.append(chain + [used])
    beside = {}
    for chain in chains:
        for above, below in zip(chain, chain[1:]):
            beside.setdefault(above, []).append(below)
            beside.setdefault(below, []).append(above)
    for _ in range(8):
        for i, row in enumerate(rows):
            near = rows[max(i - 1, 0) : i] + rows[i + 1 : i + 2]
            row[:] = min(permutations(sorted(row, key=str)), key=lambda order: cost(order, near, beside))
    return rows, chains


def cost(order, near, beside):
    """Crossings between a row in this order and the rows beside it, then the length of the arrows."""
    crossings, length = 0, 0
    x = {node: at + wide(node) / 2 - row_width(order) / 2 for node, at in placed(order, row_width(order))}
    for row in near:
        y = {node: at + wide(node) / 2 - row_width(row) / 2 for node, at in placed(row, row_width(row))}
        arrows = [(x[node], y[other]) for node in order for other in beside[node] if other in y]
        crossings += sum((a - c) * (b - d) < 0 for a, b in arrows for c, d in arrows)
        length += sum(abs(a - b) for a, b in arrows)
    return crossings, length


def wide(node):
    return BOX_WIDTH if isinstance(node, str) else 12


def row_width(row):
    return sum(wide(node) for node in row) + (len(row) - 1) * GAP_X


def placed(row, width):
    """The nodes of a row with their left edges, the row in the middle of the width."""
    x = (width - row_width(row)) // 2
    for node in row:
        yield node, x
        x += wide(node) + GAP_X


def draw(found):
    rows, chains = laid_out(found)
    width = 2 * MARGIN + max(row_width(row) for row in rows)
    height = 2 * MARGIN + len(rows) * BOX_HEIGHT + (len(rows) - 1) * GAP_Y
    place = {}
    for i, row in enumerate(rows):
        for node, x in placed(row, width):
            place[node] = (x, MARGIN + i * (BOX_HEIGHT + GAP_Y))
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        ' font-family="sans-serif">',
        "<title>The crates of sage-host: an arrow leads to a crate that is used</title>",
        "<!-- Written by docs/design/crates.py from cargo metadata. Do not edit. -->",
        '<defs><marker id="end" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        '<path d="M0 0 8 4 0 8z" fill="#57606a"/></marker></defs>',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    ends = {}
    for chain in chains:
        ends.setdefault(("from", chain[0]), []).append(chain[1])
        ends.setdefault(("to", chain[-1]), []).append(chain[-2])

    def port(side, name, other):
        """Arrows of one box begin and end apart from each other, in the order of the nodes at their other end."""
        others = sorted(ends[side, name], key=lambda node: place[node][0])
        return place[name][0] + BOX_WIDTH * (others.index(other) + 1) // (len(others) + 1)

    for chain in chains:
        x, y = port("from", chain[0], chain[1]), place[chain[0]][1] + BOX_HEIGHT
        path = f"M{x} {y}"
        for node in chain[1:]:
            last = node == chain[-1]
            x2 = port("to", node, chain[-2]) if last else place[node][0] + wide(node) // 2
            y2 = place[node][1]
            path += f" C{x} {y + GAP_Y // 2} {x2} {y2 - GAP_Y // 2} {x2} {y2 - 1 if last else y2}"
            if not last:
                y2 += BOX_HEIGHT
                path += f" L{x2} {y2}"
            x, y = x2, y2
        out.append(f'<path d="{path}" fill="none" stroke="#57606a" stroke-width="1.4" marker-end="url(#end)"/>')
    for name, (x, y) in sorted((name, at) for name, at in place.items() if isinstance(name, str)):
        out.append(
            f'<rect x="{x}" y="{y}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="8" fill="#f6f8fa" stroke="#0969da"/>'
        )
        out.append(f'<text x="{x + 12}" y="{y + 20}" font-size="14" font-weight="bold" fill="#1f2328">{escape(name)}</text>')
        for k, line in enumerate(wrapped(found[name][0])):
            out.append(f'<text x="{x + 12}" y="{y + 37 + 14 * k}" font-size="11.5" fill="#57606a">{escape(line)}</text>')
    out.append("</svg>")
    return "\n".join(out) + "\n"


def main():
    picture = draw(crates())
    if "--check" in sys.argv[1:]:
        if not PICTURE.exists() or PICTURE.read_text(encoding="utf-8") != picture:
            print(f"{PICTURE.relative_to(ROOT)} is stale: run docs/design/crates.py and commit it", file=sys.stderr)
            return 1
        print(f"{PICTURE.relative_to(ROOT)} shows the crates as they are")
        return 0
    PICTURE.write_text(picture, encoding="utf-8")
    print(f"wrote {PICTURE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
