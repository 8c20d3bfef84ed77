"""Options about how a live view looks at a run: what it retains, what it shows, how often."""

from __future__ import annotations

import os
import re
from argparse import ArgumentParser, BooleanOptionalAction, Namespace
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from ior.errors import UsageError
from ior.findings import choice
from ior.host import config
from ior.host.config import BrokenConfig, HiddenConfig
from ior.units import format_size, parse_size

if TYPE_CHECKING:
    from ior.pipeline.spec import PipelineSpec

FILE = "view.toml"  # in the config directory
MIB = 256  # of a `stream` that says nothing else
ROW_BYTES = 180  # of a call that is kept: its columns, and some for names that others share
WEIGHTS = ("calls", "latency", "gap", "bytes", "errors")
THEMES = ("dark", "light", "16", "none")
REFRESH_MS, REFRESH_MS_DEFAULT = range(20, 60_001), 250
_SPAN = f"{REFRESH_MS[0]} to {REFRESH_MS[-1]} ms"
_LIKINGS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "theme": (
        lambda value: value in THEMES,
        ", ".join(f'"{name}"' for name in THEMES),
    ),
    "refresh_ms": (
        lambda value: type(value) is int and value in REFRESH_MS,
        f"a whole number, {_SPAN}",
    ),
    "mouse": (lambda value: isinstance(value, bool), "true or false"),
}
"""The keys of the file: which values are good, and how that is said."""


def add_view(parser: ArgumentParser) -> None:
    """Add the options."""
    group = parser.add_argument_group("the view")
    group.add_argument(
        "--retain",
        action="append",
        metavar="ROWS|SIZE",
        help="keep so many of the last calls, or as many as have room, such as 64MiB; given twice, "
        f"both hold; a number alone may take {ROW_BYTES} B a call (default: 2000000 and 256MiB)",
    )
    group.add_argument(
        "--refresh",
        type=int,
        metavar="MS",
        help=f"take a picture at most this often (default: every {REFRESH_MS_DEFAULT} ms)",
    )
    group.add_argument(
        "--stack",
        metavar="A,B",
        help="frames of the flamegraph from the root on, such as comm,path,syscall",
    )
    group.add_argument("--weight", choices=WEIGHTS, help="what the flamegraph's widths mean")
    group.add_argument(
        "--theme",
        choices=THEMES,
        help="colours for such a background, the terminal's own 16, or none; by default what fits "
        "the terminal",
    )
    group.add_argument(
        "--mouse",
        action=BooleanOptionalAction,
        help="take the mouse, or leave it to the terminal (default: take it)",
    )
    group.description = f"~/.config/ior/{FILE} may hold defaults of --theme, --refresh and --mouse."


def check(args: Namespace) -> None:
    """Raise UsageError for a value that is no good."""
    if args.refresh is not None and args.refresh not in REFRESH_MS:
        raise UsageError(f"--refresh {args.refresh}: take {_SPAN}")
    retained(args.retain or ())


def fill(args: Namespace) -> tuple[str, ...]:
    """Set what the command line leaves open to what the person likes, or else to the default.

    Return what is to be warned of: a file that is not ours to read says nothing. Raises
    BrokenConfig for one that says something else.
    """
    folder, warnings = config.folder(), tuple[str, ...]()
    try:
        liked = {} if folder is None else likings(folder / FILE)
    except HiddenConfig as error:
        liked, warnings = {}, (f"defaults of the view are not known: {error}",)
    args.theme = args.theme or liked.get("theme")
    if args.refresh is None:
        args.refresh = liked.get("refresh_ms", REFRESH_MS_DEFAULT)
    if args.mouse is None:
        args.mouse = liked.get("mouse", True)
    return warnings


def likings(path: Path) -> dict[str, Any]:
    """Return what a file says of `theme`, `refresh_ms` and `mouse`, nothing where there is none.

    Raises BrokenConfig, with the place and what may stand there.
    """
    found = config.read(path)
    for key, value in found.items():
        if key not in _LIKINGS:
            raise BrokenConfig(f"{path}: unknown key '{key}'; {choice(key, _LIKINGS)}")
        is_good, takes = _LIKINGS[key]
        if not is_good(value):
            raise BrokenConfig(f"{path}: '{key}' is {value!r}; it takes {takes}")
    return found


def applied(spec: PipelineSpec, args: Namespace) -> PipelineSpec:
    """Return the pipeline with what the options mean set in its stages.

    `args` may be of a command without them. Raises UsageError where there is no stage that
    they are about.
    """
    if getattr(args, "retain", None):
        spec = _retaining(spec, retained(args.retain))
    if getattr(args, "stack", None) is not None:
        stack = [part for part in re.split(r"[\s,;>›]+", args.stack) if part]
        spec = _set(spec, "--stack", "flamegraph", {"stack": stack})
    if getattr(args, "weight", None) is not None:
        spec = _set(spec, "--weight", "flamegraph", {"weight": args.weight})
    return spec


def retained(values: list[str] | tuple[()]) -> dict[str, int]:
    """Return the keys of `stream` that `--retain` means. Raises UsageError."""
    keys: dict[str, int] = {}
    for value in values:
        if re.fullmatch(r"[0-9]+(_[0-9]+)*", value):
            keys["rows"] = int(value)
            if not keys["rows"]:
                raise UsageError("--retain: at least one call is to be kept")
            continue
        if short := re.fullmatch(r"([0-9]+)([kMGT])", value):
            calls = int(short[1]) * parse_size(f"1{short[2]}B")
            raise UsageError(
                f"--retain {value}: calls or bytes? {calls:_} keeps so many calls, {value}B or "
                f"{value.upper()}iB what has room"
            )
        try:
            keys["mib"] = max(1, -(-parse_size(value) >> 20))
        except ValueError as error:
            raise UsageError(
                f"--retain: {error}; write a number of calls, such as 500000, or a size"
            ) from None
    if "mib" in keys:
        keys.setdefault("rows", 0)
    needed = keys.get("mib", _needed(keys)) << 20
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if needed > memory:
        raise UsageError(
            f"--retain {' '.join(values)}: that takes {format_size(needed)}, and this host has "
            f"{format_size(memory)} of memory"
        )
    return keys


def _needed(keys: dict[str, int]) -> int:
    """Return the MiB that a number of calls takes."""
    return -(-keys.get("rows", 0) * ROW_BYTES >> 20)


def _retaining(spec: PipelineSpec, keys: dict[str, int]) -> PipelineSpec:
    """Set what the streams keep; a number of calls alone gets the memory that it takes."""
    spec, needed = _set(spec, "--retain", "stream", keys), _needed(keys)
    small = {
        name: replace(node, keys=node.keys | {"mib": needed})
        for name, node in spec.nodes.items()
        if node.type == "stream" and "mib" not in keys and node.keys.get("mib", MIB) < needed
    }
    return replace(spec, nodes={**spec.nodes, **small})


def _set(spec: PipelineSpec, option: str, type_: str, keys: dict[str, Any]) -> PipelineSpec:
    nodes = {name: node for name, node in spec.nodes.items() if node.type == type_}
    if not nodes:
        raise UsageError(f"{option}: {spec.label} has no stage of type '{type_}'")
    changed = {name: replace(node, keys=node.keys | keys) for name, node in nodes.items()}
    return replace(spec, nodes={**spec.nodes, **changed})
