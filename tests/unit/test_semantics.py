"""Every behaviour that docs/semantics.md promises is named by tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def promised() -> list[str]:
    page = (ROOT / "docs/semantics.md").read_text("utf-8")
    lines = re.findall(r"^\* .*", page, re.MULTILINE)
    found = re.findall(r"^\* `([a-z-]+)`: ", page, re.MULTILINE)
    assert len(found) == len(lines)
    return found


def named() -> list[tuple[str, list[str]]]:
    lines = (ROOT / "tests/semantics.tsv").read_text("ascii").splitlines()[1:]
    pairs = (line.split("\t") for line in lines)
    return [(behaviour, tests.split()) for behaviour, tests in pairs]


def test_every_behaviour_has_a_line_of_tests() -> None:
    assert promised() == [behaviour for behaviour, _ in named()]
    assert len(set(promised())) == len(promised())
    assert all(tests for _, tests in named())


def functions(path: Path) -> set[str]:
    """Return the names of a file's functions, none if there is no such file."""
    tree = ast.parse(path.read_text("utf-8") if path.exists() else "")
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(tree) if isinstance(node, kinds)}


def test_every_test_that_is_named_exists() -> None:
    tests = [test.split("::") for _, tests in named() for test in tests]
    assert [(path, name) for path, name in tests if name not in functions(ROOT / path)] == []
