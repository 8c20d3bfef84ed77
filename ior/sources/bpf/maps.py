"""A loaded map: keys and values as bytes or integers, per-CPU values as numpy arrays.

Works on a map's descriptor alone, through the system call wrappers of libbpf. A value that
is an integer in C may be given as a Python int; what comes back is bytes, because only the
caller knows what they mean.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
from ctypes import create_string_buffer
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from ior.sources.bpf.lib import check, libbpf, possible_cpus

Data = int | bytes | bytearray | memoryview
"""A key or a value: bytes of the full size, or an integer that fits."""


class MapType(IntEnum):
    """`BPF_MAP_TYPE_*`, those that ior meets."""

    HASH = 1
    ARRAY = 2
    PERCPU_HASH = 5
    PERCPU_ARRAY = 6
    LRU_HASH = 9
    LRU_PERCPU_HASH = 10
    RINGBUF = 27
    TASK_STORAGE = 29


_PER_CPU = frozenset({MapType.PERCPU_HASH, MapType.PERCPU_ARRAY, MapType.LRU_PERCPU_HASH})


class Flag(IntEnum):
    """What `Map.set` demands of the key: nothing, that it is new, that it exists."""

    ANY = 0
    NOEXIST = 1
    EXIST = 2


def encode(value: Data, size: int, what: str) -> bytes:
    """Return `value` as exactly `size` bytes in the machine's order.

    Raises:
        ValueError: it has another size, or the integer does not fit.
    """
    if isinstance(value, (int, np.integer)):
        try:
            return int(value).to_bytes(size, sys.byteorder, signed=value < 0)
        except OverflowError:
            raise ValueError(f"{what}: {value} does not fit into {size} bytes") from None
    data = bytes(value)
    if len(data) != size:
        raise ValueError(f"{what}: {len(data)} bytes where {size} are needed")
    return data


@dataclass(eq=False)
class Map:
    """A map in the kernel. `fd` belongs to the object that loaded it, -1 once that is closed."""

    fd: int
    name: str
    type: int
    key_size: int
    value_size: int
    max_entries: int

    @property
    def per_cpu(self) -> bool:
        """Whether a value is one per CPU."""
        return self.type in _PER_CPU

    @property
    def _slot(self) -> int:
        """Bytes of a value as the kernel copies it: per CPU rounded up to 8."""
        return (self.value_size + 7) // 8 * 8

    def _key(self, key: Data) -> bytes:
        return encode(key, self.key_size, f"key of map '{self.name}'")

    def _lookup(self, key: Data, size: int) -> bytes | None:
        buffer = create_string_buffer(size)
        status = libbpf().bpf_map_lookup_elem(self.fd, self._key(key), buffer)
        if status == -errno.ENOENT:
            return None
        check("bpf_map_lookup_elem", status, f"map '{self.name}'")
        return buffer.raw

    def get(self, key: Data) -> bytes | None:
        """Return the value of `key` as bytes, None when the map does not have it.

        For task storage the key is a pidfd.

        Raises:
            TypeError: the map is per CPU: use `get_per_cpu`.
            BpfError: the kernel refuses, e.g. a map type without lookup.
        """
        if self.per_cpu:
            raise TypeError(f"map '{self.name}' has a value per CPU: use get_per_cpu()")
        return self._lookup(key, self.value_size)

    def get_int(self, key: Data, *, signed: bool = False) -> int | None:
        """Return the value of `key` as one integer of the value's size, None when missing."""
        value = self.get(key)
        return None if value is None else int.from_bytes(value, sys.byteorder, signed=signed)

    def get_per_cpu(self, key: Data, dtype: npt.DTypeLike = np.uint8) -> npt.NDArray[Any] | None:
        """Return the value of `key` on every possible CPU, None when the map does not have it.

        The array has shape (CPUs, value_size // itemsize); sum over axis 0 for a total.
        """
        if not self.per_cpu:
            raise TypeError(f"map '{self.name}' has one value for all CPUs: use get()")
        cpus = possible_cpus()
        raw = self._lookup(key, cpus * self._slot)
        if raw is None:
            return None
        rows = np.frombuffer(bytearray(raw), dtype=np.uint8).reshape(cpus, self._slot)
        return np.ascontiguousarray(rows[:, : self.value_size]).view(dtype)

    def set(self, key: Data, value: Data | npt.NDArray[Any], flag: Flag = Flag.ANY) -> None:
        """Set the value of `key`; for a per-CPU map the same value on every CPU.

        A per-CPU map also takes an array of one row per possible CPU. For task storage the
        key is a pidfd.

        Raises:
            BpfError: EEXIST, ENOENT (see `Flag`), E2BIG (an array index out of range, a full
                hash), ENOENT or ESRCH for task storage (the task is gone).
        """
        what = f"value of map '{self.name}'"
        if not self.per_cpu:
            data = value.tobytes() if isinstance(value, np.ndarray) else value
            raw = encode(data, self.value_size, what)
        elif isinstance(value, np.ndarray):
            raw = self._rows(value)
        else:
            one = encode(value, self.value_size, what)
            raw = one.ljust(self._slot, b"\0") * possible_cpus()
        status = libbpf().bpf_map_update_elem(self.fd, self._key(key), raw, int(flag))
        check("bpf_map_update_elem", status, f"map '{self.name}'")

    def _rows(self, value: npt.NDArray[Any]) -> bytes:
        rows = np.ascontiguousarray(value).view(np.uint8).reshape(len(value), -1)
        if rows.shape != (possible_cpus(), self.value_size):
            raise ValueError(
                f"value of map '{self.name}': {rows.shape[0]} rows of {rows.shape[1]} bytes "
                f"where {possible_cpus()} of {self.value_size} are needed"
            )
        padded = np.zeros((len(rows), self._slot), dtype=np.uint8)
        padded[:, : self.value_size] = rows
        return padded.tobytes()

    def delete(self, key: Data) -> bool:
        """Delete `key`; return whether the map had it."""
        status = libbpf().bpf_map_delete_elem(self.fd, self._key(key))
        if status == -errno.ENOENT:
            return False
        check("bpf_map_delete_elem", status, f"map '{self.name}'")
        return True

    def keys(self) -> Iterator[bytes]:
        """Give the keys, each as bytes.

        The map may change meanwhile. When the key given last is deleted the kernel starts
        over from the first, so delete only after the loop.
        """
        previous: bytes | None = None
        buffer = create_string_buffer(self.key_size)
        while True:
            status = libbpf().bpf_map_get_next_key(self.fd, previous, buffer)
            if status == -errno.ENOENT:
                return
            check("bpf_map_get_next_key", status, f"map '{self.name}'")
            previous = buffer.raw
            yield previous

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Give the keys with their values, without those deleted meanwhile."""
        for key in self.keys():
            value = self.get(key)
            if value is not None:
                yield key, value
