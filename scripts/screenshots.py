"""Write an SVG of every tab of the live view, as the fixed demonstration shows it.

Usage: python scripts/screenshots.py FOLDER
"""

from __future__ import annotations

import re
import sys
from html import escape
from itertools import groupby
from pathlib import Path

import pyte
from wcwidth import wcwidth

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "ui"))

from ptys import Pty  # noqa: E402 -- its folder is no package

LAST = "Pipeline"  # behind it stand tables of no tab of their own
COLUMNS, ROWS = 100, 30
CELL, LINE, SIZE = 8, 18, 13.3  # pixels: a cell's width, a line's height, the font
FONT = "ui-monospace,Menlo,Consolas,monospace"
FOREGROUND, BACKGROUND = "#d8dee9", "#1c2128"
COLOURS = {
    "default": FOREGROUND,
    "black": "#3b4252",
    "red": "#ff6b6b",
    "green": "#8fce7e",
    "brown": "#e5c07b",
    "blue": "#6cb0f6",
    "magenta": "#c792ea",
    "cyan": "#66d0d6",
    "white": "#e5e9f0",
    "brightblack": "#7b8794",
}


def colour(name: str, usual: str) -> str:
    """Return a colour that SVG knows for one of the emulator's."""
    if name == "default":
        return usual
    return COLOURS.get(name, f"#{name}" if re.fullmatch("[0-9a-f]{6}", name) else usual)


def look(cell: pyte.screens.Char) -> tuple[str, str, bool]:
    """Return foreground, background and weight."""
    pair = colour(cell.fg, FOREGROUND), colour(cell.bg, BACKGROUND)
    return (*(reversed(pair) if cell.reverse else pair), cell.bold)


def svg(screen: pyte.Screen, title: str) -> str:
    """Return a screen as SVG: runs of one look, a rectangle and a text each."""
    wide, high = screen.columns * CELL + 16, screen.lines * LINE + 16
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" width="{wide}">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{wide}" height="{high}" rx="6" fill="{BACKGROUND}"/>',
        f'<g font-family="{FONT}" font-size="{SIZE}" xml:space="preserve">',
    ]
    for row in range(screen.lines):
        cells = [(column, screen.buffer[row][column]) for column in range(screen.columns)]
        y = 8 + row * LINE
        for (front, back, bold), run in groupby(cells, lambda pair: look(pair[1])):
            some = list(run)
            x, text = 8 + some[0][0] * CELL, "".join(cell.data for _, cell in some)
            if back != BACKGROUND:
                box = f'width="{len(some) * CELL}" height="{LINE}" fill="{back}"'
                parts.append(f'<rect x="{x}" y="{y}" {box}/>')
            if text.strip():
                kept = text.rstrip()
                cut = sum(max(0, wcwidth(character)) for character in kept) * CELL
                weight = ' font-weight="bold"' if bold else ""
                place = f'x="{x}" y="{y + 13}" fill="{front}" textLength="{cut}"{weight}'
                parts.append(f"<text {place}>{escape(kept)}</text>")
    return "\n".join([*parts, "</g>", "</svg>", ""])


def main(folder: Path) -> None:
    """Go through the tabs and write a file for each."""
    folder.mkdir(parents=True, exist_ok=True)
    with Pty("--demo=static", "--theme=dark", columns=COLUMNS, rows=ROWS) as pty:
        # The first seconds say what a start costs, and not what a view does.
        pty.wait(lambda lines: re.search(r"running 0:0[6-9]", lines[0]) is not None)
        names = re.findall(r"(\d) ([A-Z]\w+)", pty.lines[2])
        for key, name in names[: [name for _, name in names].index(LAST) + 1]:
            pty.child.send(key)
            before = pty.lines[1]
            pty.wait(lambda lines, before=before: lines[1] != before)
            after = pty.lines[1]
            pty.wait(lambda lines, after=after: lines[1] != after)  # drawn in full by now
            path = folder / f"{name.lower()}.svg"
            path.write_text(svg(pty.screen, f"ior tui --demo=static, {name}"), "utf-8")
            sys.stdout.write(f"{path}\n")
        pty.child.send("q")
        pty.leave()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
