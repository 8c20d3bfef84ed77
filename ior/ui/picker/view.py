"""The lines of the picker, each exactly as wide as the terminal."""

from __future__ import annotations

from ior.host.listing import Candidate
from ior.text import fit, width
from ior.ui.keybar import words
from ior.ui.keys import Action
from ior.ui.picker.choice import FOOT_ROWS, HEAD_ROWS, KEYS, Picker
from ior.ui.widgets import Line, exactly, spread
from ior.units import format_count

MIN_COLUMNS, MIN_ROWS = 40, 8
_ID, _COMM = 8, 16  # cells; a command's name has at most 15 bytes
_HINT = "type a pid, a command or a part of a command line"
_HINT_OF_THREADS = "type a tid or a command"


def lines(picker: Picker) -> list[Line]:
    """Return all lines of the screen."""
    if picker.columns < MIN_COLUMNS or picker.rows < MIN_ROWS:
        said = [f"ior needs {MIN_COLUMNS}x{MIN_ROWS}", "Ctrl-C quits"]
        said += [""] * (picker.rows - len(said))
        return [exactly([("", text)], picker.columns) for text in said[: picker.rows]]
    body = [_row(picker, picker.top + i) for i in range(picker.rows - HEAD_ROWS - FOOT_ROWS)]
    return [_title(picker), _filter(picker), _heading(picker), *body, _note(picker), _bar(picker)]


def _title(picker: Picker) -> Line:
    style = "class:title"
    found = len(picker.found or ())
    one, many = ("process", "processes") if picker.of is None else ("thread", "threads")
    count = f" {format_count(found)} {one if found == 1 else many} "
    asked = "whom to trace?" if picker.of is None else f"which thread of process {picker.of}?"
    return spread([(style, f" ior  {asked}")], [(style, count)], picker.columns, style)


def _filter(picker: Picker) -> Line:
    typed: Line = [("class:message", _HINT if picker.of is None else _HINT_OF_THREADS)]
    if picker.needle:
        matching = f"  {format_count(len(picker.shown))} match"
        typed = [("class:value", picker.needle), ("reverse", " "), ("class:label", matching)]
    return exactly([("class:label", " filter "), *typed], picker.columns)


def _heading(picker: Picker) -> Line:
    """Name the columns; those of the rows stand under them."""
    number = "pid" if picker.of is None else "tid"
    return _cells(picker, (number, "thr", "command", "command line"), "class:heading")


def _row(picker: Picker, row: int) -> Line:
    if picker.found is None:
        said = "reading /proc ..." if row == 0 else ""
        return exactly([("", f" {said}")], picker.columns)
    if row >= len(picker.shown):
        said = "nothing matches" if row == 0 else ""
        return exactly([("", f" {said}")], picker.columns)
    one = picker.shown[row]
    style = "class:cursor" if row == picker.cursor else ""
    if one is None:
        everybody = "every process" if picker.of is None else f"all threads of {picker.of}"
        return exactly([(style, f" {'':{_ID}}  {everybody}")], picker.columns, style)
    return _cells(picker, _texts(one), style)


def _texts(one: Candidate) -> tuple[str, str, str, str]:
    return str(one.id), format_count(one.threads), one.comm, one.command


def _cells(picker: Picker, texts: tuple[str, str, str, str], style: str) -> Line:
    number, threads, comm, command = texts
    if picker.of is not None:
        return exactly([(style, f" {number:>{_ID}}  {fit(comm, 32)}")], picker.columns, style)
    left = f" {number:>{_ID}} {threads:>5}  {fit(comm, _COMM)}  "
    return exactly([(style, left), (style, command)], picker.columns, style)


def _note(picker: Picker) -> Line:
    style, said = (
        ("class:bad", picker.message) if picker.message else ("class:message", picker.note)
    )
    return exactly([(style, said)], picker.columns)


def _bar(picker: Picker) -> Line:
    """Name the keys, as many as have room; the way out always has."""
    out = [line for line in KEYS if line.action is Action.QUIT]
    ends = words(out, picker.columns)
    room = picker.columns - sum(width(text) for _, text in ends)
    return spread(words((line for line in KEYS if line not in out), room), ends, picker.columns)
