"""The public face of the library: which names there are, and that they cost nothing early."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import ior

ROOT = Path(__file__).parents[2]

NAMES = sorted(
    {
        *("Batch", "CALLS", "Column", "FileState", "Flag", "HALVES", "Names", "Origin", "Schema"),
        *("Config", "Context", "Sink", "Source", "Stage", "compile_filter", "stage"),
        *("Field", "Snapshot", "Table"),
        *("Ledger", "Run", "build", "load", "parse"),
        *("FilterError", "IorError", "SpecError"),
    }
)


def test_the_public_names() -> None:
    assert sorted(ior.PUBLIC) == NAMES
    assert [name for name in dir(ior) if not name.startswith("__")] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_each_is_what_its_module_has(name: str) -> None:
    found = getattr(ior, name)
    assert found is getattr(sys.modules[ior.PUBLIC[name]], name)
    assert found.__doc__


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'ior' has no attribute 'nothing'"):
        _ = ior.nothing


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse((ROOT / "ior" / "__init__.py").read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.name: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname == alias.name
    }
    assert seen == ior.PUBLIC


def test_importing_ior_loads_nothing() -> None:
    program = "import sys, ior; print([m for m in sys.modules if m.startswith(('ior.', 'numpy'))])"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_the_version_is_the_packages() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == ior.__version__
