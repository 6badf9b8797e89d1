#!/usr/bin/env python3
"""Runs a command of sage-host in a terminal of its own and draws the terminal as an SVG.

    docs/picture/record.py --program target/release/sage-host
        runs `sage-host run examples/flights/pipeline.toml` and writes docs/picture/flights.svg

    docs/picture/record.py --program PROGRAM --output FILE.svg -- run PIPELINE.toml --explain
        the same for other arguments

The picture shows every line that the program wrote, as it wrote it. Python's standard library is all that this needs.
"""

import argparse
import fcntl
import os
import pty
import re
import struct
import sys
import termios
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
COLUMNS, ROWS = 88, 60
CHARACTER, LINE, MARGIN, HEAD = 8.0, 18, 16, 34
FOREGROUND, BACKGROUND, FRAME = "#e6edf3", "#0d1117", "#30363d"
COLOURS = ["#6e7681", "#ff7b72", "#3fb950", "#d29922", "#79c0ff", "#d2a8ff", "#56d4dd", "#e6edf3"]
ESCAPE = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])")


def run(program, arguments):
    """Everything that the program wrote to its terminal, and its exit code."""
    process, terminal = pty.fork()
    if process == 0:
        size = struct.pack("HHHH", ROWS, COLUMNS, 0, 0)
        fcntl.ioctl(0, termios.TIOCSWINSZ, size)
        os.chdir(ROOT)
        os.environ["TERM"] = "xterm-256color"
        os.execv(program, ["sage-host", *arguments])
    written = b""
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # the other end of the terminal is closed
            break
        if not piece:
            break
        written += piece
    _, status = os.waitpid(process, 0)
    return written.decode("utf-8"), os.waitstatus_to_exitcode(status)


class Screen:
    """As much of a terminal as the program uses: colours, carriage returns, cursor up, and erased lines."""

    def __init__(self):
        self.lines, self.row, self.column, self.style = [[]], 0, 0, ("", False)

    def feed(self, text):
        at = 0
        while at < len(text):
            sequence = ESCAPE.match(text, at)
            if sequence:
                self.control(sequence.group(1), sequence.group(2))
                at = sequence.end()
            else:
                self.put(text[at])
                at += 1

    def put(self, character):
        if character == "\n":
            self.row += 1
            while len(self.lines) <= self.row:
                self.lines.append([])
        elif character == "\r":
            self.column = 0
        else:
            line = self.lines[self.row]
            line.extend([(" ", ("", False))] * (self.column + 1 - len(line)))
            line[self.column] = (character, self.style)
            self.column += 1

    def control(self, numbers, letter):
        values = [int(number) for number in numbers.split(";") if number.isdigit()]
        if letter == "m":
            for value in values or [0]:
                colour, bold = self.style
                if value == 0:
                    self.style = ("", False)
                elif value == 1:
                    self.style = (colour, True)
                elif 30 <= value <= 37 or 90 <= value <= 97:
                    self.style = (COLOURS[value % 10], bold)
                elif value == 39:
                    self.style = ("", bold)
        elif letter == "K":
            line = self.lines[self.row]
            self.lines[self.row] = [] if values[:1] == [2] else line[: self.column]
        elif letter == "A":
            self.row = max(self.row - (values[0] if values else 1), 0)
        elif letter == "G":
            self.column = max((values[0] if values else 1) - 1, 0)
        elif letter == "J":
            del self.lines[self.row + 1 :]
            self.lines[self.row] = self.lines[self.row][: self.column]


def spans(line):
    """Words of one style together, with the column that they begin at. Two spaces part them, so that columns stay
    columns in every font."""
    runs = []
    for column, (character, style) in enumerate(line):
        if runs and runs[-1][2] == style:
            runs[-1][1] += character
        else:
            runs.append([column, character, style])
    for column, text, style in runs:
        for part in re.finditer(r"\S+(?: \S+)*", text):
            yield column + part.start(), part.group(), style


def draw(command, screen):
    prompt = [("$", ("#3fb950", True))] + [(c, ("", True)) for c in " " + command]
    lines = [prompt] + screen.lines
    while lines and not lines[-1]:
        lines.pop()
    width = int(2 * MARGIN + CHARACTER * max(len(line) for line in lines))
    height = HEAD + LINE * len(lines) + MARGIN
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">',
        f"<title>{escape(command)}</title>",
        "<!-- Written by docs/picture/record.py from a run. Do not edit. -->",
        f'<rect x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="8" fill="{BACKGROUND}" stroke="{FRAME}"/>',
    ]
    for i, colour in enumerate(["#ff5f57", "#febc2e", "#28c840"]):
        out.append(f'<circle cx="{MARGIN + 4 + 18 * i}" cy="16" r="5.5" fill="{colour}"/>')
    out.append(f'<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, DejaVu Sans Mono, monospace" font-size="13" fill="{FOREGROUND}">')
    for i, line in enumerate(lines):
        for column, text, (colour, bold) in spans(line):
            length = CHARACTER * len(text)
            style = (f' fill="{colour}"' if colour else "") + (' font-weight="bold"' if bold else "")
            out.append(
                f'<text x="{MARGIN + CHARACTER * column:g}" y="{HEAD + LINE * i + 13}" textLength="{length:g}"'
                f' lengthAdjust="spacingAndGlyphs"{style}>{escape(text)}</text>'
            )
    out += ["</g>", "</svg>"]
    return "\n".join(out) + "\n"


def main():
    parser = argparse.ArgumentParser(description="Draws a run of sage-host as an SVG.")
    parser.add_argument("--program", required=True, help="the program to run")
    parser.add_argument("--output", default=str(ROOT / "docs/picture/flights.svg"), help="the picture")
    parser.add_argument("arguments", nargs="*", help="arguments of sage-host")
    options = parser.parse_args()
    arguments = options.arguments or ["run", "examples/flights/pipeline.toml"]
    written, code = run(os.path.abspath(options.program), arguments)
    if code != 0:
        print(f"{written}\nsage-host ended with exit code {code}: no picture", file=sys.stderr)
        return 1
    screen = Screen()
    screen.feed(written)
    Path(options.output).write_text(draw("sage-host " + " ".join(arguments), screen), encoding="utf-8")
    print(f"wrote {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
