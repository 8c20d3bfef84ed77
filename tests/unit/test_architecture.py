"""The cut of the code: imports run one way, parts stay small, help stays light."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAYERS = (  # each may import from its own and from those before it
    {"vocabulary"},
    {"expr", "host"},
    {"pipeline"},
    {"stages", "sources", "sinks", "testing"},
    {"ui"},
    {"cli"},
)
LEVEL = {package: level for level, packages in enumerate(LAYERS) for package in packages}
# The lazy table of public names, and the program: they stand above everything.
TOP = {"ior", "ior.__main__"}
HEAVY = ("numpy", "pyarrow", "prompt_toolkit", "lark")
MAX_MODULE, MAX_FUNCTION = 400, 60


def modules() -> dict[str, Path]:
    found = {}
    for path in sorted((ROOT / "ior").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


@functools.cache
def tree(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


def package(module: str) -> str:
    """Return the part that a module belongs to: `ior.calls` is vocabulary."""
    parts = module.split(".")
    is_part = len(parts) > 2 or (len(parts) == 2 and MODULES[module].name == "__init__.py")
    return parts[1] if is_part else "vocabulary"


def imported(module: str) -> Iterator[str]:
    """Yield the modules of ior that a module imports, wherever in its text."""
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}:{node.lineno}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from filter(None, map(known, names))


def known(name: str) -> str:
    """Return the module of ior that a dotted name lies in, "" if in none."""
    while name and name not in MODULES:
        name = name.rpartition(".")[0]
    return name


@pytest.mark.parametrize("module", sorted(MODULES.keys() - TOP))
def test_imports_run_one_way(module: str) -> None:
    own = package(module)
    assert own in LEVEL, f"{own} belongs to no layer"
    wrong = {
        name for name in imported(module) if name != "ior" and LEVEL[package(name)] > LEVEL[own]
    }
    assert wrong == set()


@pytest.mark.parametrize("module", sorted(MODULES.keys() - TOP))
def test_parts_of_one_layer_do_not_know_each_other(module: str) -> None:
    own = package(module)
    peers = LAYERS[LEVEL[own]] - {own} - {"testing"}
    wrong = {name for name in imported(module) if package(name) in peers}
    assert own == "testing" or wrong == set()


def test_modules_import_in_no_circle() -> None:
    done: set[str] = set()

    def visit(module: str, way: tuple[str, ...]) -> None:
        assert module not in way, " -> ".join((*way, module))
        if module not in done:
            for name in set(imported(module)) - {module, "ior"}:
                visit(name, (*way, module))
            done.add(module)

    for module in MODULES:
        visit(module, ())
    assert done == set(MODULES)


@pytest.mark.parametrize("module", sorted(MODULES))
def test_modules_are_small(module: str) -> None:
    lines = MODULES[module].read_text(encoding="utf-8").count("\n")
    assert lines <= MAX_MODULE


@pytest.mark.parametrize("module", sorted(MODULES))
def test_functions_are_small(module: str) -> None:
    long = {
        node.name: node.end_lineno - node.lineno + 1
        for node in ast.walk(tree(module))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > MAX_FUNCTION
    }
    assert long == {}


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    program = (
        "import sys\n"
        "from ior.cli.main import main\n"
        f"sys.argv = ['ior', *{arguments!r}]\n"
        "try:\n"
        "    code = main()\n"
        "except SystemExit as end:\n"
        "    code = end.code\n"
        f"heavy = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "print('HEAVY', heavy, code or 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "usage" in done.stdout.lower()
    assert done.stdout.splitlines()[-1] == "HEAVY [] 0"


def test_every_ruff_exception_has_its_reason() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    ignored = re.search(r"^ignore = \[\n(.*?)^\]", text, re.DOTALL | re.MULTILINE)
    in_files = re.search(r"per-file-ignores\]\n(.*?)\n\n", text, re.DOTALL)
    assert ignored is not None
    assert in_files is not None
    lines = [*ignored[1].splitlines(), *in_files[1].splitlines()]
    assert len(lines) > 5
    assert [line for line in lines if not re.search(r"# .{6,}", line)] == []


def test_every_exception_in_place_has_its_reason() -> None:
    """`# noqa: X` and `# type: ignore[x]` are followed by why."""
    exception = re.compile(r"# ?(noqa|type: ?ignore)\b(.*)")
    reason = re.compile(r"(: ?[A-Z]+\d+(, ?[A-Z]+\d+)*|\[[\w, -]+\])\W+\w.{5,}")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in MODULES.values()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if (match := exception.search(line)) and not reason.match(match[2])
    ]
    assert found == []


def test_no_two_modules_of_the_tests_have_one_name() -> None:
    """They are imported by name, without packages: the second would be the first."""
    paths = [path for path in (ROOT / "tests").rglob("*.py") if path.name != "conftest.py"]
    names = [path.name for path in paths]
    assert sorted(names) == sorted(set(names))
