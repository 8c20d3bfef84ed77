"""What a file of Python defines, as its text says it: none of it is run."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

_KINDS = {"Source", "Stage", "Sink"}
_METHODS = {"read", "process"}  # those without which a node does nothing


def names(body: Sequence[ast.stmt]) -> Iterator[str]:
    """Yield the names that statements define at the top of a module, `*` for unknown ones."""
    for statement in body:
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield statement.name
        elif isinstance(statement, (ast.Import, ast.ImportFrom)):
            yield from (alias.asname or alias.name for alias in statement.names)
        else:
            yield from (n.id for n in ast.walk(statement) if isinstance(n, ast.Name))
            yield from names(_parts(statement))


def stages(body: Sequence[ast.stmt]) -> list[str]:
    """Return the names of what may be a stage: functions that take something, and some classes.

    A class is one that derives from one of ior's three or from one above it that does, or that
    has a method of theirs. What is imported, and what begins with `_`, is none.
    """
    found: list[str] = []
    for statement in body:
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
            if statement.args.posonlyargs or statement.args.args:
                found.append(statement.name)
        elif isinstance(statement, ast.ClassDef):
            methods = {getattr(one, "name", "") for one in statement.body}
            if _KINDS.union(found) & set(map(_last, statement.bases)) or methods & _METHODS:
                found.append(statement.name)
        else:
            found += stages(_parts(statement))
    return [name for name in found if not name.startswith("_")]


def _last(base: ast.expr) -> str:
    """Return the last part of a name such as `abc.Stage`, of a generic one without its types."""
    while isinstance(base, ast.Subscript):
        base = base.value
    return base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", "")


def _parts(statement: ast.stmt) -> list[ast.stmt]:
    return [node for node in ast.iter_child_nodes(statement) if isinstance(node, ast.stmt)]
