"""From a TOML table to a struct, saying everything that does not fit, key by key.

msgspec stops at the first thing that is wrong; so each key is converted by itself, and the
whole only when all fit. Its sentences are put in the words of TOML.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, get_args, get_origin

import msgspec

from ior.errors import SpecError
from ior.findings import Code, Path, Problem, choice

_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
    "datetime": "a date and time",
    "date": "a date",
    "time": "a time",
}
_PATH = re.compile(r"[^.\[\]]+|\[[^\]]*\]")


def convert(table: Mapping[str, Any], struct: type[Any], also: Iterable[str] = ()) -> Any:
    """Return `table` as `struct`; `also` are further keys to propose for a mistyped one.

    Raises SpecError with a problem for each key that is unknown, missing or does not fit. A
    SpecError that the struct itself raises is raised as it is.
    """
    problems = list(problems_of(table, struct, tuple(also)))
    if not problems:
        try:
            return msgspec.convert(dict(table), struct)
        except msgspec.ValidationError as error:  # of the struct as a whole
            if isinstance(error.__cause__, SpecError):
                raise error.__cause__ from None
            problems = [Problem(Code.REFUSED, _sentence(str(error).partition(" - at ")[0]))]
    raise SpecError.of(problems)


def problems_of(
    table: Mapping[str, Any], struct: type[Any], also: tuple[str, ...] = ()
) -> Iterator[Problem]:
    """Yield what keeps `table` from being a `struct`."""
    fields = {field.encode_name: field for field in msgspec.structs.fields(struct)}
    for key, value in table.items():
        if key not in fields:
            help_ = choice(key, [*fields, *also])
            yield Problem(Code.UNKNOWN_KEY, f"unknown key '{key}'", help_, (key,), at_key=True)
            continue
        for problem in _misfits(value, fields[key].type, key):
            yield problem._replace(keys=(key, *problem.keys))
    for key, field in fields.items():
        if field.required and key not in table:
            help_ = f"write {key} = {example(field.type)}"
            yield Problem(Code.MISSING_KEY, f"the key '{key}' is missing", help_, (key,))


def _misfits(value: Any, type_: Any, name: str) -> Iterator[Problem]:
    """Yield what keeps the value of the key `name` from being of a type."""
    if isinstance(value, float) and not math.isfinite(value):
        yield Problem(Code.WRONG_TYPE, "must be a finite number", f"write {name} = 1")
        return
    if isinstance(value, str) and "\0" in value:
        yield Problem(Code.WRONG_TYPE, "must be text without NUL", f"it is {_shown(value)}")
        return
    inner = _struct_in(type_)
    if inner is not None and isinstance(value, dict):
        yield from problems_of(value, inner)
        return
    if get_origin(type_) is list and isinstance(value, list) and _struct_in(get_args(type_)[0]):
        for number, item in enumerate(value):
            for problem in _misfits(item, get_args(type_)[0], name):
                yield problem._replace(keys=(number, *problem.keys))
        return
    try:
        msgspec.convert(value, type_)
    except msgspec.ValidationError as error:
        yield _problem(error, value, type_, name)


def example(type_: Any) -> str:
    """Return what a value of a type looks like in TOML."""
    for kind in _alternatives([msgspec.inspect.type_info(type_)]):
        if isinstance(kind, msgspec.inspect.LiteralType):
            return repr(kind.values[0]).replace("'", '"')
        if isinstance(kind, (msgspec.inspect.IntType, msgspec.inspect.FloatType)):
            return "1"
        if isinstance(kind, msgspec.inspect.BoolType):
            return "true"
        if isinstance(kind, (msgspec.inspect.ListType, msgspec.inspect.VarTupleType)):
            return '["..."]'
        if isinstance(kind, (msgspec.inspect.DictType, msgspec.inspect.StructType)):
            return "{ ... }"
    return '"..."'


def _struct_in(type_: Any) -> type[Any] | None:
    """Return the struct that a table of `type_` becomes, also in a union with other types."""
    kinds = [type_, *get_args(type_)]
    found = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, msgspec.Struct)]
    return found[0] if len(found) == 1 else None


def _problem(error: msgspec.ValidationError, value: Any, type_: Any, key: str) -> Problem:
    said, _, path = str(error).partition(" - at `$")
    keys: Path = ()
    here = [msgspec.inspect.type_info(type_)]
    for part in _PATH.findall(path.removesuffix("`")):
        # msgspec writes [...] for any value of a table: find the one that does not fit.
        here = _below(here, part)
        step = _step(value, part, here)
        if step is None:
            break
        value, keys = value[step], (*keys, step)
    choices = [
        value
        for kind in _alternatives(here)
        if isinstance(kind, msgspec.inspect.LiteralType)
        for value in kind.values
    ]
    if said.startswith("Invalid enum value"):
        help_ = choice(str(value), map(str, choices))
        return Problem(Code.NO_CHOICE, f"{_shown(value)} is no choice for '{key}'", help_, keys)
    help_ = f"it is {_shown(value)}"
    if not keys:
        help_ += f"; write {key} = {example(type_)}"
    return Problem(Code.WRONG_TYPE, _sentence(said), help_, keys)


def _step(value: Any, part: str, kinds: list[msgspec.inspect.Type]) -> str | int | None:
    """Return the key or number of the item of `value` that `part` of a path means."""
    if part != "[...]":
        return int(part[1:-1]) if part[0] == "[" else part
    wrong = (key for key, inner in value.items() if not any(_fits(inner, kind) for kind in kinds))
    return next(wrong, None)


def _fits(value: Any, kind: msgspec.inspect.Type) -> bool:
    if isinstance(kind, msgspec.inspect.CollectionType):
        return isinstance(value, list)
    names = {str: "StrType", bool: "BoolType", int: "IntType", float: "FloatType", dict: "DictType"}
    return type(kind).__name__ == names.get(type(value))


def _below(here: list[msgspec.inspect.Type], part: str) -> list[msgspec.inspect.Type]:
    below: list[msgspec.inspect.Type] = []
    for kind in _alternatives(here):
        if isinstance(kind, msgspec.inspect.StructType):
            below += [field.type for field in kind.fields if field.encode_name == part]
        elif isinstance(kind, msgspec.inspect.DictType):
            below.append(kind.value_type)
        elif isinstance(kind, msgspec.inspect.CollectionType):
            below.append(kind.item_type)
    return below


def _alternatives(kinds: Iterable[msgspec.inspect.Type]) -> list[msgspec.inspect.Type]:
    """Take unions and metadata apart."""
    flat: list[msgspec.inspect.Type] = []
    for kind in kinds:
        if isinstance(kind, msgspec.inspect.UnionType):
            flat += _alternatives(kind.types)
        elif isinstance(kind, msgspec.inspect.Metadata):
            flat += _alternatives([kind.type])
        else:
            flat.append(kind)
    return flat


def _sentence(said: str) -> str:
    """Put a sentence of msgspec in the words of TOML."""
    match = re.fullmatch(r"Expected `([^`]*)`(.*)", said)
    if match is None:
        return said[:1].lower() + said[1:]
    types = [_WORDS.get(word, word) for word in match[1].split(" | ") if word != "null"]
    return f"must be {' or '.join(types)}{match[2].partition(', got ')[0]}"


def _shown(value: Any) -> str:
    """Return a value as TOML would write it, cut where it is long."""
    if isinstance(value, bool):
        text = str(value).lower()
    elif isinstance(value, dict):
        return "a table"
    elif isinstance(value, list):
        return "a list"
    else:
        text = repr(value) if isinstance(value, (int, float, str)) else str(value)
    return text if len(text) <= 40 else f"{text[:39]}…"
