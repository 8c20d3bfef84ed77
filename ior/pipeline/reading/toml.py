"""The text of a TOML file as values, or where it stops being TOML and what to do about it."""

from __future__ import annotations

import re
import tomllib
from typing import Any

from ior.errors import SpecError
from ior.findings import Code, Finding


def read(text: str, label: str) -> dict[str, Any]:
    """Return what a text says. Raises SpecError with one finding, at its place in `label`."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SpecError.found([_not_toml(error, text, label)]) from error
    except RecursionError:
        help_ = "a pipeline has a few levels of tables and lists"
        message = "tables and lists are nested too deeply to be read"
        raise SpecError.found([Finding(label, 1, 1, Code.SYNTAX, "", message, help_)]) from None


def place_first(message: str) -> str:
    """Put the place of a TOML error in front of its message."""
    match = re.fullmatch(r"(.*) \(at (.*)\)", message, re.DOTALL)
    return f"{match[2]}: {match[1]}" if match else message


def _not_toml(error: tomllib.TOMLDecodeError, text: str, label: str) -> Finding:
    message = place_first(str(error)).partition(": ")[2] or str(error)
    match = re.search(r"line (\d+), column (\d+)", str(error))
    if match is not None:
        line, column = int(match[1]), int(match[2])
    else:  # at the end of the document
        line, column = text.count("\n") + 1, len(text) - (text.rfind("\n") + 1) + 1
    said = message[:1].lower() + message[1:]
    names = re.compile(r"\(('[^']*'(?:, ?'[^']*')*),?\)")
    said = names.sub(lambda m: f"[{m[1].replace(chr(39), '').replace(', ', '.')}]", said)
    return Finding(label, line, column, Code.SYNTAX, "", said, _remedy(text, line, said))


def _remedy(text: str, number: int, said: str) -> str:
    """Return what is most likely wrong with a line that is no TOML."""
    if "twice" in said or "overwrite" in said:
        return "a table and a key are written once; give the second another name, or join them"
    lines = text.splitlines()
    line = lines[number - 1].strip() if number <= len(lines) else ""
    if line.startswith("[") and line.count("[") != line.count("]"):
        return f"close the bracket: {line.split()[0]}{']' * (line.count('[') - line.count(']'))}"
    match = re.fullmatch(r"([\w.-]+)\s*=\s*([^\s\"'\[{].*)", line)
    if match:
        return f'text stands in quotes: {match[1]} = "{match[2]}"'
    match = re.fullmatch(r"([\w.-]+)\s*:\s*(.+)", line)
    if match:
        return f"a key and its value are joined by '=': {match[1]} = {match[2]}"
    return "a line is a table, [stage.NAME], or KEY = VALUE with text in quotes"
