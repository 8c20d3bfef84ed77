"""BTF as far as the binding needs it: where globals lie, how a struct is laid out.

Reads the format of Documentation/bpf/btf.rst from the bytes that libbpf gives out, in which
it has already filled the offsets of variables that clang leaves zero. Meant for the BTF of
an object: the kernel's own, with its hundred thousand types, would take a second.
"""

from __future__ import annotations

import functools
import struct
import sys
from enum import IntEnum
from typing import Final, NamedTuple

MAGIC: Final = 0xEB9F


class Kind(IntEnum):
    """`BTF_KIND_*`."""

    VOID = 0
    INT = 1
    PTR = 2
    ARRAY = 3
    STRUCT = 4
    UNION = 5
    ENUM = 6
    FWD = 7
    TYPEDEF = 8
    VOLATILE = 9
    CONST = 10
    RESTRICT = 11
    FUNC = 12
    FUNC_PROTO = 13
    VAR = 14
    DATASEC = 15
    FLOAT = 16
    DECL_TAG = 17
    TYPE_TAG = 18
    ENUM64 = 19


_ONCE = {Kind.INT: 4, Kind.ARRAY: 12, Kind.VAR: 4, Kind.DECL_TAG: 4}
_PER_MEMBER = {
    Kind.STRUCT: 12,
    Kind.UNION: 12,
    Kind.ENUM: 8,
    Kind.FUNC_PROTO: 8,
    Kind.DATASEC: 12,
    Kind.ENUM64: 12,
}
_ALIASES = frozenset({Kind.TYPEDEF, Kind.VOLATILE, Kind.CONST, Kind.RESTRICT, Kind.TYPE_TAG})
_LINKAGE_GLOBAL = 1
_INT_SIGNED = 1


class Type(NamedTuple):
    """One type: `size` is also what the format calls `type` for kinds that refer to another."""

    name: str
    kind: Kind
    members: int
    bitfields: bool
    size: int
    extra: int  # offset of what follows the type


class Variable(NamedTuple):
    """A global variable: its place in its section, and whether it is one integer."""

    name: str
    section: str
    offset: int
    size: int
    scalar: bool
    signed: bool


class Member(NamedTuple):
    """A member of a struct: name, offset and size in bytes."""

    name: str
    offset: int
    size: int


class Btf:
    """The types in `raw`, a BTF blob in the machine's byte order."""

    def __init__(self, raw: bytes) -> None:
        magic, _, _, header, types, type_bytes, strings, string_bytes = struct.unpack_from(
            "HBBIIIII", raw
        )
        if magic != MAGIC:
            raise ValueError(f"not BTF of a {sys.byteorder}-endian machine: it begins {magic:#x}")
        self._raw = raw
        self._strings = raw[header + strings : header + strings + string_bytes]
        self._types = [Type("void", Kind.VOID, 0, False, 0, 0)]
        place, end = header + types, header + types + type_bytes
        while place < end:
            name, info, size = struct.unpack_from("III", raw, place)
            kind, members = Kind(info >> 24 & 0x1F), info & 0xFFFF
            place += 12
            self._types.append(Type(self._text(name), kind, members, bool(info >> 31), size, place))
            place += _ONCE.get(kind, 0) + _PER_MEMBER.get(kind, 0) * members

    def _text(self, offset: int) -> str:
        return self._strings[offset : self._strings.index(0, offset)].decode()

    def _resolve(self, number: int) -> Type:
        """Return the type behind typedefs and qualifiers."""
        found = self._types[number]
        while found.kind in _ALIASES:
            found = self._types[found.size]
        return found

    def size_of(self, number: int) -> int:
        """Return the size in bytes of the type with this number."""
        found = self._resolve(number)
        if found.kind is Kind.PTR:
            return 8
        if found.kind is Kind.ARRAY:
            element, _, count = struct.unpack_from("III", self._raw, found.extra)
            return self.size_of(element) * int(count)
        return found.size

    @functools.cached_property
    def variables(self) -> dict[str, Variable]:
        """The global variables by name; static ones have no known place and are left out."""
        found = {}
        for section in self._types:
            if section.kind is not Kind.DATASEC:
                continue
            for index in range(section.members):
                number, offset, size = struct.unpack_from(
                    "III", self._raw, section.extra + 12 * index
                )
                variable = self._types[number]
                if variable.kind is not Kind.VAR:
                    continue
                (linkage,) = struct.unpack_from("I", self._raw, variable.extra)
                if linkage == _LINKAGE_GLOBAL:
                    scalar, signed = self._integer(variable.size)
                    found[variable.name] = Variable(
                        variable.name, section.name, offset, size, scalar, signed
                    )
        return found

    def _integer(self, number: int) -> tuple[bool, bool]:
        """Return whether a type is an integer (or enum, pointer), and whether it has a sign."""
        found = self._resolve(number)
        if found.kind is Kind.INT:
            (encoding,) = struct.unpack_from("I", self._raw, found.extra)
            return True, bool(encoding >> 24 & _INT_SIGNED)
        if found.kind in (Kind.ENUM, Kind.ENUM64):
            return True, found.bitfields  # for enums this bit says: signed
        return found.kind is Kind.PTR, False

    def struct(self, name: str) -> list[Member]:
        """Return the members of a struct or union, in order.

        clang describes only types that something global needs: `const struct x *unused;`
        at file level is the usual way to keep one.

        Raises:
            KeyError: no such struct, or it has bit fields, which have no byte offset.
        """
        for found in self._types:
            if found.name == name and found.kind in (Kind.STRUCT, Kind.UNION):
                break
        else:
            raise KeyError(f"no struct {name} in the BTF; a global must refer to it")
        members = []
        for index in range(found.members):
            text, number, bits = struct.unpack_from("III", self._raw, found.extra + 12 * index)
            if found.bitfields:
                if bits >> 24:
                    raise KeyError(f"struct {name} has the bit field {self._text(text)}")
                bits &= 0xFFFFFF
            members.append(Member(self._text(text), bits // 8, self.size_of(number)))
        return members

    def struct_size(self, name: str) -> int:
        """Return the size in bytes of a struct or union.

        Raises:
            KeyError: there is none of this name.
        """
        for found in self._types:
            if found.name == name and found.kind in (Kind.STRUCT, Kind.UNION):
                return found.size
        raise KeyError(f"no struct {name} in the BTF; a global must refer to it")
