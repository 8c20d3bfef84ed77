"""Numbers as people know them: `O_RDWR|O_CREAT`, `AF_INET6`, `SIGTERM`, `0644`.

Files hold numbers, screens show names; this is where a number gets its name. The names are
those of `ior/data/constants.tsv`, which `scripts/constants.py` writes from the kernel's
headers; which of them a value has, says the column `names` of `ior/data/kinds.tsv`.
"""

from __future__ import annotations

import functools
from importlib import resources
from typing import Final, NamedTuple

from ior import kinds
from ior.calls import CALLS, Batch
from ior.units import format_duration, format_size

COLUMNS: Final = kinds.COLUMNS | {"fd_flags"}
"""The columns that `texts` decodes."""

_OCTAL: Final = ("mode", "IPC", "SHM")  # permissions stand beside the names, if there are any
_F_SETFD: Final = 2
_DECIMAL: Final = 1000  # from here on unknown numbers are easier to look up in hexadecimal


class Constant(NamedTuple):
    """One name: a value has it where `value & mask == number`."""

    name: str
    mask: int
    number: int


@functools.cache
def constants(arch: str) -> dict[str, tuple[Constant, ...]]:
    """Return every group of names, for one architecture, in the order in which they are tried."""
    text = resources.files("ior").joinpath("data/constants.tsv").read_text("ascii")
    header, *lines = text.splitlines()
    place = header.lstrip("# ").split("\t").index(arch)
    groups: dict[str, list[Constant]] = {}
    for line in lines:
        group, name, mask, *_ = cells = line.split("\t")
        number = int(cells[place], 0)
        masks = {"bits": number, "exact": -1}
        bits = masks[mask] if mask in masks else int(mask)
        if mask != "bits" or number:  # no bits: this architecture has no such flag
            groups.setdefault(group, []).append(Constant(name, bits, number))
    return {group: tuple(found) for group, found in groups.items()}


@functools.lru_cache(1 << 14)
def named(group: str, value: int, arch: str) -> str:
    """Return a value by its names: `O_RDWR|O_CREAT`; what has none stays a number.

    `group` is a group of `constants`, or `mode` for octal permissions.
    """
    known = constants(arch).get(group, ())
    parts, left, exact = [], value, all(constant.mask == -1 for constant in known)
    for name, mask, number in known:
        if mask == -1:
            if value == number:
                return name
        elif left & mask == number:
            parts.append(name)
            left &= ~mask
    if left or not parts:
        octal = group in _OCTAL and left
        plain = str(left) if (exact and left < _DECIMAL) or not left else f"{left:#x}"
        parts.append(f"0{left:o}" if octal else plain)
    return "|".join(parts)


def texts(batch: Batch, column: str) -> list[str]:
    """Return a column of arguments as people read it, one string a row; "" where it is empty.

    Raises KeyError for a column that is not one of `COLUMNS`.
    """
    if column not in COLUMNS:
        raise KeyError(f"no column '{column}' of arguments")
    described, arch = batch.column(column), batch.origin.arch
    values = batch[column].tolist()
    empty = described.empty if column != "address_space_bytes" else 0
    if described.kind == "duration":
        waits = {empty: "", kinds.INFINITE_NS: "infinite"}
        return [waits[v] if v in waits else format_duration(v) for v in values]
    if described.kind == "size":
        return ["" if v == empty else format_size(v) for v in values]
    if column == "fd_flags":
        return [named("O", v, arch) if v else "" for v in values]
    how = kinds.arguments(arch, column)
    groups = [how[nr].names if nr in how else "-" for nr in batch["syscall"].tolist()]
    if column == "call_flags" and "op" in batch.schema.names:
        sets_fd = [op == _F_SETFD for op in batch["op"].tolist()]
        fcntl = [nr in how and how[nr].syscall == "fcntl" for nr in batch["syscall"].tolist()]
        groups = ["FD" if f and s else g for g, f, s in zip(groups, fcntl, sets_fd, strict=True)]
    return [
        "" if v == empty else str(v) if group == "-" else named(group, v, arch)
        for v, group in zip(values, groups, strict=True)
    ]


def is_ours(batch: Batch, column: str) -> bool:
    """Return whether `texts` decodes a column: not one that a stage made of the same name."""
    return column in COLUMNS and any(
        mine in CALLS.columns for mine in batch.schema.columns if mine.name == column
    )


def summaries(batch: Batch) -> list[str]:
    """Return what each call asked for, as `name=value` with blanks between; "" for nothing."""
    ours = [c.name for c in CALLS.columns if c.name in kinds.COLUMNS]
    shown = [name for name in ours if is_ours(batch, name)]
    columns = [(name.removesuffix("_ns"), texts(batch, name)) for name in shown]
    return [
        " ".join(f"{name}={values[i].replace(' ', '')}" for name, values in columns if values[i])
        for i in range(len(batch))
    ]
