"""The global variables of a BPF object by name, before and after it is loaded.

clang puts globals into .rodata, .data and .bss, each of which is one map; the object's BTF
says where in it a variable lies. Before the load they are edited in libbpf's memory; after
it .data and .bss are mapped, so that reading or changing one is a load or a store and no
system call.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ior.sources.bpf.btf import Variable

SECTIONS = (".rodata", ".data", ".bss")
"""What the names of the sections of variables begin with."""

Memory = npt.NDArray[np.uint8]


class Variables:
    """Variables by name: `variables["x"] = 1`, `variables["x"]`.

    Integers (enums, pointers, bool) are read as int and written as int or bytes; everything
    else is read and written as bytes, where fewer bytes than the variable has are followed
    by zeros.
    """

    def __init__(self, places: Mapping[str, Variable], memory: Mapping[str, Memory]) -> None:
        self._memory = dict(memory)
        self._places = {name: v for name, v in places.items() if v.section in self._memory}

    def close(self) -> None:
        """Let go of the memory; every later use is a KeyError."""
        self._memory.clear()
        self._places.clear()

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def place(self, name: str) -> Variable:
        """Return section, offset and size of a variable.

        Raises:
            KeyError: there is none of this name; a `static` one has none.
        """
        try:
            return self._places[name]
        except KeyError:
            known = ", ".join(sorted(self._places)) or "none"
            raise KeyError(f"no global variable '{name}'; there are: {known}") from None

    def _bytes(self, name: str) -> tuple[Variable, Memory]:
        place = self.place(name)
        memory = self._memory[place.section]
        return place, memory[place.offset : place.offset + place.size]

    def __getitem__(self, name: str) -> int | bytes:
        place, memory = self._bytes(name)
        if not place.scalar:
            return memory.tobytes()
        if place.size > 8:
            return int.from_bytes(memory.tobytes(), sys.byteorder, signed=place.signed)
        return int(memory.view(f"{'i' if place.signed else 'u'}{place.size}")[0])

    def __setitem__(self, name: str, value: int | bytes | bytearray | memoryview) -> None:
        place, memory = self._bytes(name)
        if not memory.flags.writeable:
            raise TypeError(f"'{name}' is in {place.section}: it can only be set before the load")
        if isinstance(value, (int, np.integer)):
            if not place.scalar:
                raise TypeError(f"'{name}' is not an integer: it takes {place.size} bytes")
            self._store(place, memory, int(value))
            return
        data = bytes(value)
        if len(data) > place.size:
            raise ValueError(f"'{name}' has {place.size} bytes, not {len(data)}")
        memory[:] = np.frombuffer(data.ljust(place.size, b"\0"), dtype=np.uint8)

    @staticmethod
    def _store(place: Variable, memory: Memory, value: int) -> None:
        try:
            data = value.to_bytes(place.size, sys.byteorder, signed=value < 0 or place.signed)
        except OverflowError:
            kind = "signed" if place.signed else "unsigned"
            raise ValueError(
                f"'{place.name}' has {place.size} bytes ({kind}): {value} does not fit"
            ) from None
        if value < 0 and not place.signed:
            raise ValueError(f"'{place.name}' is unsigned: {value} does not fit")
        if place.size in (1, 2, 4, 8):  # one store: the running program never sees half of it
            unit = np.dtype(f"u{place.size}")
            memory.view(unit)[0] = np.frombuffer(data, dtype=unit)[0]
        else:
            memory[:] = np.frombuffer(data, dtype=np.uint8)


class LiveVariables(Variables):
    """The variables of a loaded object: what is written is what the programs read next.

    Those of .rodata are read-only: the verifier has built them into the programs.
    """

    def array(self, name: str, dtype: npt.DTypeLike = np.uint8) -> npt.NDArray[Any]:
        """Return a live view of a variable as a one-dimensional array of `dtype`.

        The view stays valid after the object is closed, but nobody else looks at it then.

        Raises:
            KeyError: no such variable.
            ValueError: its size is not a multiple of the dtype's.
        """
        place, memory = self._bytes(name)
        wanted = np.dtype(dtype)
        if place.size % wanted.itemsize:
            raise ValueError(
                f"'{name}' has {place.size} bytes, no whole number of {wanted} ({wanted.itemsize})"
            )
        return memory.view(wanted)
