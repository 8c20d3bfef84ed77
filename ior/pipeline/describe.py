"""What a node class says about itself: its keys, ports and columns, from the Structs.

`ior stages` and `ior schema` show it; nothing is written down twice.
"""

from __future__ import annotations

import inspect
import re
from typing import Any, Literal, NamedTuple

import msgspec
from msgspec import inspect as types

from ior.calls import Schema
from ior.pipeline.abc import Node, Sink, Source, Stage
from ior.pipeline.checking import columns

ARRIVES = "what arrives"
Role = Literal["source", "stage", "sink"]


class Key(NamedTuple):
    """One key of a table in the TOML. `default` is TOML, None where there is none to write."""

    name: str
    type: str
    required: bool
    default: str | None
    doc: str


def role(cls: type[Node]) -> Role:
    """Return what a node is."""
    if issubclass(cls, Source):
        return "source"
    return "sink" if issubclass(cls, Sink) else "stage"


def summary(cls: type[Node]) -> str:
    """Return the first line of a class's docstring, without its full stop."""
    return _doc(cls).partition("\n")[0].rstrip(".")


def takes(cls: type[Node]) -> Schema | None:
    """Return the rows that a node takes, None for one that takes none or any."""
    return cls.takes if issubclass(cls, (Stage, Sink)) else None


def ports(cls: type[Node]) -> dict[str, Schema]:
    """Return what a node gives, by port; `what arrives` has the columns that are added to it."""
    return {
        port: given if isinstance(given, Schema) else Schema(ARRIVES, tuple(given))
        for port, given in columns.declared(cls).items()
    }


def keys(struct: type[msgspec.Struct]) -> list[Key]:
    """Return the keys of a config's class, in its order."""
    described = types.type_info(struct)
    assert isinstance(described, types.StructType)
    return [
        Key(
            field.encode_name,
            spelled(field.type),
            field.required,
            None if field.required else _written(default(field)),
            key_doc(struct, field.encode_name),
        )
        for field in described.fields
    ]


def default(field: types.Field | msgspec.structs.FieldInfo) -> Any:
    """Return the value of a key that is not written."""
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return None if field.default is msgspec.NODEFAULT else field.default


def key_doc(struct: type[msgspec.Struct], key: str) -> str:
    """Return the sentences of a config's docstring that name `key`."""
    text = " ".join(_doc(struct).split())
    sentences = re.split(r"(?<=\.) (?=[A-Z`])", text)
    return " ".join(s for s in sentences if re.search(f"`{key}\\b", s))


def _doc(cls: type) -> str:
    return inspect.cleandoc(cls.__doc__ or "")


def _written(value: Any) -> str | None:
    """Return a value as TOML; None stands for a key that is left out."""
    if value is None:
        return None
    if isinstance(value, msgspec.Struct):
        value = msgspec.to_builtins(value)
    if isinstance(value, dict):
        pairs = (f"{key} = {_written(item)}" for key, item in value.items() if item is not None)
        inner = ", ".join(pairs)
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(str(_written(item)) for item in value)}]"
    return msgspec.json.encode(value).decode()  # JSON's strings, numbers and truths are TOML's


def spelled(kind: types.Type) -> str:
    """Return a type as the pages say it: `text`, `int >= 1`, `"a" | "b"`, `list of text`."""
    if isinstance(kind, types.Metadata):
        return spelled(kind.type)
    if isinstance(kind, types.UnionType):
        parts = [spelled(k) for k in kind.types if not isinstance(k, types.NoneType)]
        return " or ".join(dict.fromkeys(parts))
    if isinstance(kind, types.LiteralType):
        return " | ".join(str(_written(value)) for value in kind.values)
    if isinstance(kind, types.EnumType):
        return " | ".join(str(_written(member.value)) for member in kind.cls)
    if isinstance(kind, types.CollectionType):
        inner = spelled(kind.item_type)
        return f"list of {inner}"
    if isinstance(kind, types.DictType):
        return f"table of {spelled(kind.value_type)}"
    if isinstance(kind, types.StructType):
        inner = ", ".join(field.encode_name for field in kind.fields)
        return f"{{ {inner} }}"
    return _SIMPLE.get(type(kind), "any value") + _bounds(kind)


_SIMPLE: dict[type[types.Type], str] = {
    types.StrType: "text",
    types.IntType: "int",
    types.FloatType: "number",
    types.BoolType: "true | false",
}


def _bounds(kind: types.Type) -> str:
    signs = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
    said = [
        f"{sign} {bound}"
        for name, sign in signs.items()
        if (bound := getattr(kind, name, None)) is not None
    ]
    return f" {', '.join(said)}" if said else ""
