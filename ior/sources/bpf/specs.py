"""What an open, not yet loaded BPF object consists of: maps and programs that can be edited."""

from __future__ import annotations

from ior.sources.bpf.lib import check, libbpf, text


class Handle:
    """A `struct bpf_object *` that knows when it is gone."""

    def __init__(self, pointer: int) -> None:
        self._pointer: int | None = pointer

    @property
    def pointer(self) -> int:
        """The pointer; ValueError when the object is closed."""
        if self._pointer is None:
            raise ValueError("this BPF object is closed")
        return self._pointer

    @property
    def closed(self) -> bool:
        """Whether it is gone, or has another owner."""
        return self._pointer is None

    def take(self) -> int:
        """Return the pointer and be closed: the taker owns it now."""
        pointer, self._pointer = self.pointer, None
        return pointer


class MapSpec:
    """A map that is not made yet."""

    def __init__(self, handle: Handle, pointer: int) -> None:
        self._handle, self._pointer = handle, pointer
        self.name = text(libbpf().bpf_map__name(pointer))
        self.type = int(libbpf().bpf_map__type(pointer))
        self.key_size = int(libbpf().bpf_map__key_size(pointer))
        self.value_size = int(libbpf().bpf_map__value_size(pointer))

    def _open(self) -> int:
        _ = self._handle.pointer  # raises when the memory behind it is gone
        return self._pointer

    @property
    def max_entries(self) -> int:
        """How many entries the map will have, for a ring buffer its bytes.

        libbpf rounds a ring buffer up to a power of two of pages; reading gives the result.
        """
        return int(libbpf().bpf_map__max_entries(self._open()))

    @max_entries.setter
    def max_entries(self, entries: int) -> None:
        status = libbpf().bpf_map__set_max_entries(self._open(), entries)
        check("bpf_map__set_max_entries", status, f"map '{self.name}'")


class ProgramSpec:
    """A program that is not loaded yet."""

    def __init__(self, handle: Handle, pointer: int) -> None:
        self._handle, self._pointer = handle, pointer
        self.name = text(libbpf().bpf_program__name(pointer))
        self.section = text(libbpf().bpf_program__section_name(pointer))

    def _open(self) -> int:
        _ = self._handle.pointer
        return self._pointer

    @property
    def autoload(self) -> bool:
        """Whether `load` loads it."""
        return bool(libbpf().bpf_program__autoload(self._open()))

    @autoload.setter
    def autoload(self, wanted: bool) -> None:
        status = libbpf().bpf_program__set_autoload(self._open(), wanted)
        check("bpf_program__set_autoload", status, f"program '{self.name}'")

    @property
    def autoattach(self) -> bool:
        """Whether `Object.attach()` without names attaches it."""
        return bool(libbpf().bpf_program__autoattach(self._open()))

    @autoattach.setter
    def autoattach(self, wanted: bool) -> None:
        libbpf().bpf_program__set_autoattach(self._open(), wanted)
