"""What `type` and `use` mean: from a name in the TOML to a node class.

Built-in types are `module:Class` strings and imported when a pipeline asks for them, so that
a graph without a capture never pays for one. `use` names a user's own stage: a file beside
the TOML or an importable module, and in it a class or a function from batch to batch. An
installed package may give types too, by entry points; only one that is named is imported.
"""

from __future__ import annotations

import ast
import difflib
import hashlib
import importlib
import importlib.metadata
import importlib.util
import inspect
import os
import sys
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType

from ior.errors import SpecError
from ior.findings import Code, choice
from ior.pipeline import defined
from ior.pipeline.abc import Isolation, Node, Sink, Source, Stage
from ior.pipeline.checking import trust
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
    "history": "ior.stages.history:History",
    "csv": "ior.sinks.csv:Csv",
    "folded": "ior.sinks.folded:Folded",
    "report": "ior.sinks.report:Report",
    "capture": "ior.sinks.capture:Capture",
}
"""The types that `type` may name, with where they live."""

GROUP = "ior.stages"
"""The entry points by which an installed package gives types of its own."""

_PACKAGE = "install the package into the Python that runs ior"


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
        message = "'type' and 'use' exclude each other"
        raise SpecError(message, code=Code.TYPE_OR_USE, hint="give one of them", keys=("use",))
    if use is not None:
        return _node_class(use, _named(use, directory))
    if type_ is None:
        message = "'type' is missing (or 'use', for a stage of your own)"
        hint = f"the types are {', '.join((*BUILTIN, *installed()))}"
        raise SpecError(message, code=Code.TYPE_OR_USE, hint=hint)
    if type_ not in BUILTIN:
        found = installed()
        if type_ in found:
            return _node_class(type_, _named(found[type_], directory))
        hint = choice(type_, (*BUILTIN, *found))
        message = f"unknown type '{type_}'"
        raise SpecError(message, code=Code.UNKNOWN_TYPE, hint=hint, keys=("type",))
    module, name = BUILTIN[type_].split(":")
    try:
        return _node_class(type_, getattr(importlib.import_module(module), name))
    except ImportError as error:
        message = f"type '{type_}' cannot be imported: {error}"
        raise SpecError(message, code=Code.IMPORT_FAILED, keys=("type",)) from error


def installed() -> dict[str, str]:
    """Return the types of installed packages, `module:Name` by type; none is imported.

    They are entry points of the group `ior.stages`. A built-in type cannot be replaced.
    """
    found = importlib.metadata.entry_points(group=GROUP)
    return {one.name: one.value for one in found if one.name not in BUILTIN}


def default_isolation(type_: str | None, use: str | None) -> Isolation:
    """Return where plain methods run if the pipeline does not say: a user's own may block."""
    return "inline" if use is None and type_ in BUILTIN else "thread"


def is_own(type_: str | None, use: str | None) -> bool:
    """Return whether a stage is not ior's own: its code runs when it is imported."""
    return use is not None or (type_ is not None and type_ not in BUILTIN)


def look(type_: str | None, use: str | None, directory: Path) -> None:
    """Look at what `type` or `use` names without running any of it. Raises SpecError.

    That is: the type is installed; the file is there, is Python, and defines the name; the
    package is there.
    """
    if use is None or type_ is not None:
        if type_ not in installed():
            resolve(type_, use, directory)
        return
    place, name = split(use)
    if not is_file(place):
        package = place.partition(".")[0]
        if package not in sys.modules and importlib.util.find_spec(package) is None:
            raise _refuse(Code.NOT_FOUND, f"there is no package '{package}'", _PACKAGE)
        return
    path = directory / place
    text = _read(path)
    try:
        tree = ast.parse(text, str(path))
    except (SyntaxError, ValueError) as error:
        raise _failed(error, path) from error
    names = set(defined.names(tree.body))
    if name not in names and "*" not in names:
        help_ = choice(name, defined.stages(tree.body))
        raise _refuse(Code.NOT_FOUND, f"'{place}' has no '{name}'", help_)


def split(use: str) -> tuple[str, str]:
    """Return the place and the name in `use`. Raises SpecError."""
    place, colon, name = use.rpartition(":")
    if not (colon and place and name):
        help_ = "write './file.py:NAME' or 'package.module:NAME'"
        raise _refuse(Code.NOT_FOUND, f"'{use}' names no stage", help_)
    return place, name


def is_file(place: str) -> bool:
    """Return whether the place in `use` is a file, not a module."""
    return place.endswith(".py") or "/" in place


def _named(place_and_name: str, directory: Path) -> object:
    """Return what `FILE.py:NAME` or `module:NAME` names."""
    place, name = split(place_and_name)
    module = _load(directory / place) if is_file(place) else _import(place)
    if not hasattr(module, name):
        help_ = choice(name, _stages(module))
        raise _refuse(Code.NOT_FOUND, f"'{place}' has no '{name}'", help_)
    found: object = getattr(module, name)
    return found


def _stages(module: ModuleType) -> Iterator[str]:
    """Yield the names of the stages of a module, or of its package, not of those it imports."""
    for name, found in vars(module).items():
        home = str(getattr(found, "__module__", None) or "")
        if name.startswith("_") or home.partition(".")[0] != module.__name__.partition(".")[0]:
            continue
        try:
            _node_class(name, found)
        except SpecError:
            continue
        yield name


def _import(module: str) -> ModuleType:
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
    except SpecError:
        raise
    except (Exception, SystemExit) as error:
        raise _failed(error, None) from error
    finally:
        sys.path = searched
    return sys.modules[module]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        help_ = "a path in 'use' starts at the pipeline's directory"
        said = f"there is no file '{path}'" if not path.exists() else f"'{path}': {error.strerror}"
        raise _refuse(Code.NOT_FOUND, said, help_) from None


def _load(path: Path) -> ModuleType:
    """Import a file once per content: two stages of one file share its module."""
    text, real = _read(path), path.resolve()
    trust.check(path)
    digest = hashlib.sha256(str(real).encode() + b"\0" + text).hexdigest()[:16]
    name = f"ior_use_{real.stem}_{digest}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, real)
    if spec is None or spec.loader is None:
        raise _refuse(Code.NOT_FOUND, f"'{path}' is not a Python file", "its name ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # annotations in the file are resolved by this name
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise _failed(error, path) from error
    return module


def _refuse(code: Code, message: str, help_: str) -> SpecError:
    return SpecError(message, code=code, hint=help_, keys=("use",))


def _failed(error: BaseException, path: Path | None) -> SpecError:
    """Say what an import raised and where: the last frame in `path`, else the last of all."""
    said = " ".join(f"{type(error).__name__}: {error}".split())
    real = None if path is None else str(path.resolve())
    place = ""
    if isinstance(error, SyntaxError) and error.filename:
        said = f"SyntaxError: {error.msg}"
        place = f"{error.filename}:{error.lineno}: "
    else:
        stack = traceback.extract_tb(error.__traceback__)
        ours = (__file__, importlib.__file__)
        frames = [
            f for f in stack if not f.filename.startswith("<frozen") and f.filename not in ours
        ]
        mine = [f for f in frames if f.filename == real]
        chosen = mine[-1] if mine else frames[-1] if path is None and frames else None
        if chosen is not None:
            place = f"{chosen.filename}:{chosen.lineno}: "
    if real is not None and place.startswith(f"{real}:"):
        place = f"{path}{place.removeprefix(real)}"
    help_ = "the code of the stage fails when it is imported; correct it there"
    if isinstance(error, ModuleNotFoundError):
        help_ = _PACKAGE
    return _refuse(Code.IMPORT_FAILED, f"cannot be imported: {place}{said}", help_)


def _node_class(word: str, found: object) -> type[Node]:
    if inspect.isclass(found):
        if not issubclass(found, (Source, Stage, Sink)):
            help_ = "a stage is a function, or a class that derives from one of ior's three"
            message = f"'{word}' is no Source, Stage or Sink"
            raise _refuse(Code.NOT_A_STAGE, message, help_)
        if inspect.isabstract(found):
            lacking = ", ".join(sorted(found.__abstractmethods__))
            help_ = "a class has all methods of what it derives from"
            message = f"'{word}' lacks the method {lacking}"
            raise _refuse(Code.NOT_A_STAGE, message, help_)
        return found
    if inspect.isfunction(found) or callable(found):
        return stage_of(found)
    help_ = "a stage is a function from batch to batch, or a class"
    raise _refuse(Code.NOT_A_STAGE, f"'{word}' is neither a function nor a class", help_)
