"""What `type` and `use` mean: from a name in the TOML to a node class.

Built-in types are `module:Class` strings and imported when a pipeline asks for them, so that
a graph without a capture never pays for one. `use` names a user's own stage: a file beside
the TOML or an importable module, and in it a class or a function from batch to batch. An
installed package may give types too, by entry points; only one that is named is imported.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.metadata
import importlib.util
import inspect
import os
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

from ior.errors import SpecError
from ior.pipeline import trust
from ior.pipeline.abc import Isolation, Node, Sink, Source, Stage
from ior.pipeline.forms import stage_of

BUILTIN = {
    "bpf": "ior.sources.bpf.source:BpfSource",
    "synthetic": "ior.sources.synthetic:Synthetic",
    "replay": "ior.sources.replay:Replay",
    "pair": "ior.stages.pair:Pair",
    "filter": "ior.stages.filter:Filter",
    "stats": "ior.stages.stats:Stats",
    "flamegraph": "ior.stages.flamegraph:Flamegraph",
    "stream": "ior.stages.stream:Stream",
    "csv": "ior.sinks.csv:Csv",
    "folded": "ior.sinks.folded:Folded",
    "report": "ior.sinks.report:Report",
    "capture": "ior.sinks.capture:Capture",
}
"""The types that `type` may name, with where they live."""

GROUP = "ior.stages"
"""The entry points by which an installed package gives types of its own."""


def unknown(what: str, word: str, choices: Iterable[str]) -> str:
    """Return the sentence for a word that is none of `choices`, with the nearest or all of them."""
    choices = list(choices)
    near = difflib.get_close_matches(word, choices, 3, 0.6)
    if near:
        return f"unknown {what} '{word}'; did you mean {' or '.join(repr(c) for c in near)}?"
    if choices:
        return f"unknown {what} '{word}'; the choices are {', '.join(choices)}"
    return f"unknown {what} '{word}'; there is none"


def resolve(type_: str | None, use: str | None, directory: Path) -> type[Node]:
    """Return the node class that `type` or `use` (exactly one of them) names.

    `use` is `FILE.py:NAME`, relative to `directory`, or `package.module:NAME`. Raises
    SpecError, with a message that does not name the stage, when there is no such thing.
    """
    if type_ is not None and use is not None:
        raise SpecError("'type' and 'use' exclude each other; give one of them")
    if use is not None:
        return _node_class(use, _used(use, directory))
    if type_ is None:
        raise SpecError("'type' is missing (or 'use', for a stage of your own)")
    if type_ not in BUILTIN:
        found = installed()
        if type_ in found:
            return _node_class(type_, _named(found[type_], f"type = '{type_}'", directory))
        raise SpecError(unknown("type", type_, (*BUILTIN, *found)))
    module, name = BUILTIN[type_].split(":")
    try:
        return _node_class(type_, getattr(importlib.import_module(module), name))
    except ImportError as error:
        raise SpecError(f"type '{type_}' cannot be imported: {error}") from error


def installed() -> dict[str, str]:
    """Return the types of installed packages, `module:Name` by type; none is imported.

    They are entry points of the group `ior.stages`. A built-in type cannot be replaced.
    """
    found = importlib.metadata.entry_points(group=GROUP)
    return {one.name: one.value for one in found if one.name not in BUILTIN}


def default_isolation(type_: str | None, use: str | None) -> Isolation:
    """Return where plain methods run if the pipeline does not say: a user's own may block."""
    return "inline" if use is None and type_ in BUILTIN else "thread"


def _used(use: str, directory: Path) -> object:
    return _named(use, f"use = '{use}'", directory)


def _named(place_and_name: str, what: str, directory: Path) -> object:
    """Return what `FILE.py:NAME` or `module:NAME` names; messages begin with `what`."""
    place, colon, name = place_and_name.rpartition(":")
    if not (colon and place and name):
        raise SpecError(f"{what} must be 'FILE.py:NAME' or 'package.module:NAME'")
    if place.endswith(".py") or "/" in place:
        path = directory / place
        if not path.is_file():
            raise SpecError(f"{what}: there is no file {path.resolve()}")
        trust.check(path)
        module = _load(path.resolve(), what)
    else:
        module = _import(place, what)
    if not hasattr(module, name):
        public = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
        raise SpecError(f"{what}: {unknown('name', name, public)}")
    found: object = getattr(module, name)
    return found


def _import(module: str, what: str) -> ModuleType:
    """Import a module of a package that is installed or on PYTHONPATH; each part is looked at.

    The current directory is not searched unless it is named there.
    """
    searched = sys.path
    named = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    here = str(Path.cwd())
    sys.path = [p for p in searched if p and (p != here or p in named)]
    try:
        parts = module.split(".")
        for i in range(1, len(parts) + 1):
            name = ".".join(parts[:i])
            found = importlib.util.find_spec(name) if name not in sys.modules else None
            if found is not None and found.origin not in (None, "built-in", "frozen"):
                trust.check(Path(str(found.origin)))
            importlib.import_module(name)
    except SpecError as error:
        raise SpecError(f"{what}: {error}") from error
    except (Exception, SystemExit) as error:
        raise SpecError(f"{what}: {_where(error, None)}") from error
    finally:
        sys.path = searched
    return sys.modules[module]


def _load(path: Path, what: str) -> ModuleType:
    """Import a file once per content: two stages of one file share its module."""
    digest = hashlib.sha256(str(path).encode() + b"\0" + path.read_bytes()).hexdigest()[:16]
    name = f"ior_use_{path.stem}_{digest}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise SpecError(f"{what}: {path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # annotations in the file are resolved by this name
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise SpecError(f"{what}: {_where(error, path)}") from error
    return module


def _where(error: BaseException, path: Path | None) -> str:
    """Say what an import raised and where: the last frame in `path`, else the last of all."""
    said = f"{type(error).__name__}: {error}"
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}: SyntaxError: {error.msg}"
    stack = traceback.extract_tb(error.__traceback__)
    ours = (__file__, importlib.__file__)
    frames = [f for f in stack if not f.filename.startswith("<frozen") and f.filename not in ours]
    mine = [f for f in frames if path is not None and f.filename == str(path)]
    chosen = mine[-1] if mine else frames[-1] if path is None and frames else None
    if chosen is None:
        return said
    return f"{chosen.filename}:{chosen.lineno}: {said}"


def _node_class(word: str, found: object) -> type[Node]:
    if inspect.isclass(found):
        if not issubclass(found, (Source, Stage, Sink)):
            raise SpecError(f"'{word}' is no Source, Stage or Sink of ior.pipeline.abc")
        if inspect.isabstract(found):
            lacking = ", ".join(sorted(found.__abstractmethods__))
            raise SpecError(f"'{word}' lacks the method {lacking}")
        return found
    if inspect.isfunction(found) or callable(found):
        return stage_of(found)
    raise SpecError(f"'{word}' is neither a function nor a class")
