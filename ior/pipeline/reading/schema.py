"""The JSON Schema of a pipeline.toml, made of the Structs that read it.

Draft 7, which is what editors of TOML understand. A stage is one of the built-in types with
that type's keys, or has `use` and any keys.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import msgspec

from ior.pipeline import describe, registry
from ior.pipeline.reading.trials import Expect, Fault, Feed, Trial
from ior.pipeline.settings import Settings
from ior.pipeline.spec import Reserved

DRAFT = "http://json-schema.org/draft-07/schema#"
_NAME = r"^[A-Za-z0-9_-]+$"

Json = dict[str, Any]


def json_schema() -> Json:
    """Return the schema as JSON values."""
    made = _Definitions()
    trial = made.add(Trial)
    for part in (Feed, Fault, Expect):
        made.add(part)
    shared = made.properties(Reserved)
    stages = []
    for name in registry.BUILTIN:
        cls = registry.resolve(name, None, Path())
        made.all[f"stage.{name}"] = _stage(name, describe.summary(cls), made, shared, cls.Config)
        stages.append({"$ref": f"#/definitions/stage.{name}"})
    made.all["stage.own"] = {
        "description": "A stage of your own: ./file.py:NAME or package.module:NAME",
        "type": "object",
        "properties": {key: value for key, value in shared.items() if key != "type"},
        "required": ["use"],
        "not": {"required": ["type"]},
    }
    stages.append({"$ref": "#/definitions/stage.own"})
    return {
        "$schema": DRAFT,
        "title": "ior pipeline",
        "type": "object",
        "properties": {
            "version": {"const": 1, "description": "The version of the format"},
            "pipeline": {
                "description": "What concerns the run as a whole",
                "type": "object",
                "properties": made.properties(Settings),
                "additionalProperties": False,
            },
            "stage": {
                "description": "The stages by name: [stage.NAME]",
                "type": "object",
                "propertyNames": {"pattern": _NAME},
                "additionalProperties": {"oneOf": stages},
                "minProperties": 1,
            },
            "test": {
                "description": "The tests that ior test runs: [[test]]",
                "type": "array",
                "items": {"$ref": f"#/definitions/{trial}"},
            },
        },
        "required": ["version", "stage"],
        "additionalProperties": False,
        "definitions": made.all,
    }


def _stage(
    name: str, summary: str, made: _Definitions, shared: Json, config: type[msgspec.Struct]
) -> Json:
    own = made.properties(config)
    fixed = {"type": {"const": name, "description": summary}}
    rest = {key: value for key, value in shared.items() if key not in ("type", "use")}
    required = [key.name for key in describe.keys(config) if key.required]
    return {
        "description": summary,
        "type": "object",
        "properties": fixed | own | rest,
        "required": ["type", *required],
        "additionalProperties": False,
    }


class _Definitions:
    """Schemas of Structs; those inside others are kept in `all`."""

    def __init__(self) -> None:
        self.all: Json = {}

    def add(self, struct: type[msgspec.Struct]) -> str:
        """Add a Struct and the Structs inside it; return the name of its definition."""
        properties = self.properties(struct)
        name = f"{struct.__module__}.{struct.__name__}"
        self.all[name] = {
            "type": "object",
            "properties": properties,
            "required": [key.name for key in describe.keys(struct) if key.required],
            "additionalProperties": False,
        }
        return name

    def properties(self, struct: type[msgspec.Struct]) -> Json:
        """Return the keys of a Struct, each with its sentences of the docstring."""
        (reference,), parts = msgspec.json.schema_components(
            [struct], ref_template=f"#/definitions/{struct.__module__}.{{name}}"
        )
        name = reference["$ref"].rpartition(".")[2]
        own = parts.pop(name)
        self.all |= {f"{struct.__module__}.{key}": _clean(part) for key, part in parts.items()}
        properties: Json = _clean(own).get("properties", {})
        for field in msgspec.structs.fields(struct):
            value = properties[field.encode_name]
            default = msgspec.to_builtins(describe.default(field))
            if not field.required and default is not None:
                value["default"] = default
            if doc := describe.key_doc(struct, field.encode_name):
                value["description"] = doc
        return properties


def _clean(part: Any) -> Any:
    """Take out what TOML does not have (null), and the margins of docstrings."""
    if isinstance(part, list):
        return [_clean(item) for item in part]
    if not isinstance(part, dict):
        return part
    cleaned = {key: _clean(value) for key, value in part.items()}
    if isinstance(text := cleaned.get("description"), str):
        cleaned["description"] = inspect.cleandoc(text)
    if "anyOf" in cleaned:
        choices = [choice for choice in cleaned["anyOf"] if choice != {"type": "null"}]
        if len(choices) == 1:
            del cleaned["anyOf"]
            cleaned |= choices[0]
        else:
            cleaned["anyOf"] = choices
    if cleaned.get("default", 0) is None:
        del cleaned["default"]
    return cleaned
