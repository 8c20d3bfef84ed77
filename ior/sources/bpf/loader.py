"""Load a BPF object in two phases: a spec that can be edited, an object that can be used.

    with ObjectSpec(Path("probe.bpf.o")) as spec:
        spec.globals["threshold_ns"] = 1_000_000
        spec.maps["events"].max_entries = 1 << 20
        spec.programs["expensive"].autoload = False
        with spec.load() as loaded:
            loaded.attach()
            ...

The type says which phase one is in: what a spec has can only be changed, what an `Object`
has can only be used and closed. Nothing is pinned, so nothing outlives the process.
"""

from __future__ import annotations

import ctypes
import mmap
import warnings
from collections.abc import Iterator
from ctypes import byref, c_bool, c_char_p, c_size_t, c_uint32, c_void_p
from pathlib import Path
from types import MappingProxyType
from typing import Final, Self

import numpy as np

from ior.sources.bpf.btf import Btf
from ior.sources.bpf.errors import BpfError, failure
from ior.sources.bpf.lib import check, libbpf, text, warnings_of_libbpf
from ior.sources.bpf.maps import Map
from ior.sources.bpf.programs import Link, Program
from ior.sources.bpf.specs import Handle, MapSpec, ProgramSpec
from ior.sources.bpf.variables import SECTIONS, LiveVariables, Memory, Variables

# The verifier takes no bigger buffer before Linux 5.17. Reserved, not used: a page is
# touched only when something was rejected.
_LOG_BYTES: Final = (1 << 24) - 1
_MAP_NORESERVE: Final = 0x4000  # <asm-generic/mman.h>; the mmap module has it from 3.13 on


class _OpenOptions(ctypes.Structure):
    """`struct bpf_object_open_opts` as far as libbpf 1.0 has it."""

    _fields_ = (
        ("sz", c_size_t),
        ("object_name", c_char_p),
        ("relaxed_maps", c_bool),
        ("pin_root_path", c_char_p),
        ("_unused", c_uint32),
        ("kconfig", c_char_p),
        ("btf_custom_path", c_char_p),
        ("kernel_log_buf", c_void_p),
        ("kernel_log_size", c_size_t),
        ("kernel_log_level", c_uint32),
    )


def _each(call: str, pointer: int) -> Iterator[int]:
    """Give the programs or maps of an object."""
    following = getattr(libbpf(), call)
    found = following(pointer, None)
    while found:
        yield found
        found = following(pointer, found)


class _Logs:
    """A buffer per program for the verifier's log."""

    def __init__(self, programs: list[int]) -> None:
        self._programs = programs
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_NORESERVE
        self._memory = mmap.mmap(-1, max(len(programs), 1) * (_LOG_BYTES + 1), flags=flags)
        start = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        for index, program in enumerate(programs):
            address = start + index * (_LOG_BYTES + 1)
            status = libbpf().bpf_program__set_log_buf(program, address, _LOG_BYTES)
            check("bpf_program__set_log_buf", status)

    def rejected(self) -> tuple[str, str]:
        """Return the program that has a log, and the log; empty when none has."""
        for index, program in enumerate(self._programs):
            start = index * (_LOG_BYTES + 1)
            if self._memory[start]:
                end = self._memory.find(b"\0", start, start + _LOG_BYTES)
                end = start + _LOG_BYTES if end < 0 else end
                return text(libbpf().bpf_program__name(program)), text(self._memory[start:end])
        return "", ""


class ObjectSpec:
    """A BPF object file that is open and can be edited; `load` makes an `Object` of it, once.

    `source` is the path of an ELF object made by clang, or its bytes. `globals`, `maps` and
    `programs` are by name. Close it, or use `with`: after `load` that does nothing.

    Raises:
        FileNotFoundError: there is no such file.
        UnsupportedHost: there is no libbpf.
        BpfError: libbpf does not take the object; the hint has libbpf's words.
    """

    def __init__(self, source: Path | str | bytes, *, name: str = "") -> None:
        image = source if isinstance(source, bytes) else Path(source).read_bytes()
        if not name:
            name = "object" if isinstance(source, bytes) else Path(source).name.split(".")[0]
        self.name = name
        options = _OpenOptions(sz=ctypes.sizeof(_OpenOptions), object_name=name.encode())
        library = libbpf()
        with warnings_of_libbpf() as told:
            opened = library.bpf_object__open_mem(image, len(image), byref(options))
        pointer = check("bpf_object__open_mem", opened, told[0] if told else "")
        self._handle = Handle(pointer)
        self.btf = self._read_btf(pointer)
        self.maps = MappingProxyType(
            {m.name: m for m in (MapSpec(self._handle, p) for p in self._map_pointers())}
        )
        self.programs = MappingProxyType(
            {p.name: p for p in (ProgramSpec(self._handle, q) for q in self._program_pointers())}
        )
        self.globals = Variables(self.btf.variables, self._initial_values())

    @staticmethod
    def _read_btf(pointer: int) -> Btf:
        library, size = libbpf(), c_uint32()
        btf = check("bpf_object__btf", library.bpf_object__btf(pointer), "compile with -g")
        raw = check("btf__raw_data", library.btf__raw_data(btf, byref(size)))
        return Btf(ctypes.string_at(raw, size.value))

    def _map_pointers(self) -> list[int]:
        return list(_each("bpf_object__next_map", self._handle.pointer))

    def _program_pointers(self) -> list[int]:
        return list(_each("bpf_object__next_program", self._handle.pointer))

    def _sections(self) -> Iterator[tuple[str, int]]:
        """Give the sections of variables with their maps."""
        for section in {variable.section for variable in self.btf.variables.values()}:
            if section.startswith(SECTIONS):
                found = libbpf().bpf_object__find_map_by_name(
                    self._handle.pointer, section.encode()
                )
                if found:
                    yield section, found

    def _initial_values(self) -> dict[str, Memory]:
        """Return libbpf's memory of each section. It must not be looked at after the load."""
        values = {}
        for section, pointer in self._sections():
            size = c_size_t()
            address = libbpf().bpf_map__initial_value(pointer, byref(size))
            if address:
                whole = (ctypes.c_uint8 * size.value).from_address(address)
                values[section] = np.ctypeslib.as_array(whole)
        return values

    def load(self) -> Object:
        """Load the programs and make the maps; the spec is closed then, whatever happens.

        Raises:
            VerifierError: the verifier rejected a program; `verifier_log` says all.
            BpfPermissionError: the kernel does not let this user do it.
            BpfError: anything else, such as a tracepoint that this kernel lacks.
        """
        library, pointer = libbpf(), self._handle.pointer
        logs = _Logs([p for p in self._program_pointers() if library.bpf_program__autoload(p)])
        self.globals.close()
        with warnings_of_libbpf() as told:
            status = library.bpf_object__load(pointer)
        if status < 0:
            program, log = logs.rejected()
            hint = told[0] if told else ""
            error = failure("bpf_object__load", -status, hint, program=program, verifier_log=log)
            self.close()
            raise error
        try:
            loaded = Object(
                self._handle.pointer,
                name=self.name,
                btf=self.btf,
                maps={m.name: m for m in map(_loaded_map, self._map_pointers())},
                programs={p.name: p for p in map(_loaded_program, self._program_pointers())},
                memory={name: _mapped(name, _loaded_map(m)) for name, m in self._sections()},
            )
        except BaseException:
            self.close()
            raise
        self._handle.take()
        return loaded

    def close(self) -> None:
        """Free it; may be called again."""
        if not self._handle.closed:
            self.globals.close()
            libbpf().bpf_object__close(self._handle.take())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        handle: Handle | None = getattr(self, "_handle", None)
        if handle is not None and not handle.closed:
            warnings.warn(f"unclosed {self.name} {self!r}", ResourceWarning, 2, source=self)
            self.close()


def _loaded_map(pointer: int) -> Map:
    library = libbpf()
    return Map(
        fd=int(library.bpf_map__fd(pointer)),
        name=text(library.bpf_map__name(pointer)),
        type=int(library.bpf_map__type(pointer)),
        key_size=int(library.bpf_map__key_size(pointer)),
        value_size=int(library.bpf_map__value_size(pointer)),
        max_entries=int(library.bpf_map__max_entries(pointer)),
    )


def _loaded_program(pointer: int) -> Program:
    library = libbpf()
    loaded = bool(library.bpf_program__autoload(pointer))
    return Program(
        fd=int(library.bpf_program__fd(pointer)) if loaded else -1,
        name=text(library.bpf_program__name(pointer)),
        section=text(library.bpf_program__section_name(pointer)),
        type=int(library.bpf_program__type(pointer)),
        autoattach=bool(library.bpf_program__autoattach(pointer)),
        pointer=pointer if loaded else None,
    )


class Object:
    """A loaded object: use it and close it. Made by `ObjectSpec.load` only.

    `maps` and `programs` are by name (programs that were not loaded have `fd` -1), `globals`
    is a live view of the variables, `btf` describes the object's types.
    """

    def __init__(
        self,
        pointer: int,
        *,
        name: str,
        btf: Btf,
        maps: dict[str, Map],
        programs: dict[str, Program],
        memory: dict[str, Memory],
    ) -> None:
        self.name = name
        self.btf = btf
        self.maps = MappingProxyType(maps)
        self.programs = MappingProxyType(programs)
        self.globals = LiveVariables(btf.variables, memory)
        self._links: list[Link] = []
        self._handle = Handle(pointer)

    @property
    def links(self) -> tuple[Link, ...]:
        """What is attached now, in the order of attaching."""
        return tuple(self._links)

    def attach(self, *names: str) -> tuple[Link, ...]:
        """Attach programs by their sections; without names all that are loaded.

        Iterators and programs without `autoattach` are attached only when named. The object
        holds the links and closes them; they may be closed before. When one fails those
        attached by this call are detached again.

        Raises:
            BpfError: the kernel refuses one.
            KeyError: there is no program of a name.
        """
        wanted = [self.programs[name] for name in names] or [
            p for p in self.programs.values() if p.fd >= 0 and p.autoattach and not p.iterator
        ]
        links: list[Link] = []
        try:
            links.extend(program.attach() for program in wanted)
        except BaseException:
            for link in reversed(links):
                link.close()
            raise
        self._links += links
        return tuple(links)

    def detach(self) -> None:
        """Close every link, the last first; maps and their contents stay."""
        while self._links:
            self._links.pop().close()

    def iterate(self, name: str) -> bytes:
        """Run the iterator program of this name once and return all that it wrote."""
        return self.programs[name].read_iterator()

    def close(self) -> None:
        """Detach, unload and free everything, the last first; may be called again."""
        if self._handle.closed:
            return
        try:
            self.detach()
        finally:
            self.globals.close()
            for program in self.programs.values():
                program.fd, program.pointer = -1, None
            for each in self.maps.values():
                each.fd = -1
            libbpf().bpf_object__close(self._handle.take())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        handle: Handle | None = getattr(self, "_handle", None)
        if handle is not None and not handle.closed:
            warnings.warn(f"unclosed {self.name} {self!r}", ResourceWarning, 2, source=self)
            self.close()


def _mapped(section: str, source: Map) -> Memory:
    """Map a section of variables; only .rodata is read-only."""
    protection = mmap.PROT_READ
    if not section.startswith(".rodata"):
        protection |= mmap.PROT_WRITE
    try:
        memory = mmap.mmap(source.fd, source.value_size, flags=mmap.MAP_SHARED, prot=protection)
    except OSError as error:
        raise BpfError("mmap", error.errno or 0, f"map '{source.name}'") from error
    memory.madvise(mmap.MADV_DONTFORK)  # not for a stage in a process of its own
    return np.frombuffer(memory, dtype=np.uint8)
