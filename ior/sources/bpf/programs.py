"""A loaded program, the links that make it run, and what the kernel says about it."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ctypes import byref, c_char, c_uint8, c_uint32, c_uint64
from dataclasses import dataclass
from typing import Final

from ior.sources.bpf.lib import check, libbpf, text

_STATS_RUN_TIME: Final = 0  # BPF_STATS_RUN_TIME
_ITERATOR_CHUNK: Final = 65536


class ProgramInfo(ctypes.Structure):
    """`struct bpf_prog_info` of <linux/bpf.h> up to `verified_insns` (Linux 5.16).

    The kernel fills what it knows and leaves the rest zero.
    """

    _fields_ = (
        ("type", c_uint32),
        ("id", c_uint32),
        ("tag", c_uint8 * 8),
        ("jited_prog_len", c_uint32),
        ("xlated_prog_len", c_uint32),
        ("jited_prog_insns", c_uint64),
        ("xlated_prog_insns", c_uint64),
        ("load_time", c_uint64),
        ("created_by_uid", c_uint32),
        ("nr_map_ids", c_uint32),
        ("map_ids", c_uint64),
        ("name", c_char * 16),
        ("ifindex", c_uint32),
        ("gpl_compatible", c_uint32, 1),
        ("netns_dev", c_uint64),
        ("netns_ino", c_uint64),
        ("nr_jited_ksyms", c_uint32),
        ("nr_jited_func_lens", c_uint32),
        ("jited_ksyms", c_uint64),
        ("jited_func_lens", c_uint64),
        ("btf_id", c_uint32),
        ("func_info_rec_size", c_uint32),
        ("func_info", c_uint64),
        ("nr_func_info", c_uint32),
        ("nr_line_info", c_uint32),
        ("line_info", c_uint64),
        ("jited_line_info", c_uint64),
        ("nr_jited_line_info", c_uint32),
        ("line_info_rec_size", c_uint32),
        ("jited_line_info_rec_size", c_uint32),
        ("nr_prog_tags", c_uint32),
        ("prog_tags", c_uint64),
        ("run_time_ns", c_uint64),
        ("run_cnt", c_uint64),
        ("recursion_misses", c_uint64),
        ("verified_insns", c_uint32),
        ("attach_btf_obj_id", c_uint32),
        ("attach_btf_id", c_uint32),
        ("_pad", c_uint32),
    )


def program_info(fd: int) -> ProgramInfo:
    """Return what the kernel says about the program behind a descriptor.

    Raises:
        BpfError: EBADF and the like.
    """
    info = ProgramInfo()
    size = c_uint32(ctypes.sizeof(info))
    check("bpf_obj_get_info_by_fd", libbpf().bpf_obj_get_info_by_fd(fd, byref(info), byref(size)))
    return info


def _ids(call: str) -> Iterator[int]:
    following: Callable[..., int] = getattr(libbpf(), call)
    number = c_uint32(0)
    while True:
        status = following(number, byref(number))
        if status == -errno.ENOENT:
            return
        check(call, status)
        yield number.value


def loaded_programs() -> dict[int, str]:
    """Return every program loaded on this host, of whatever process: name by id.

    Raises:
        BpfError: EPERM without CAP_SYS_ADMIN.
    """
    found = {}
    for number in _ids("bpf_prog_get_next_id"):
        fd = libbpf().bpf_prog_get_fd_by_id(number)
        if fd == -errno.ENOENT:  # unloaded meanwhile
            continue
        check("bpf_prog_get_fd_by_id", fd)
        try:
            found[number] = text(program_info(fd).name)
        finally:
            os.close(fd)
    return found


def loaded_maps() -> list[int]:
    """Return the id of every map on this host. Needs CAP_SYS_ADMIN."""
    return list(_ids("bpf_map_get_next_id"))


def attached_links() -> list[int]:
    """Return the id of every link on this host. Needs CAP_SYS_ADMIN."""
    return list(_ids("bpf_link_get_next_id"))


@contextmanager
def run_statistics() -> Iterator[None]:
    """Have the kernel count runs and run times of all programs meanwhile.

    Costs every run of every program two clock reads. Needs CAP_SYS_ADMIN.
    """
    fd = check("bpf_enable_stats", libbpf().bpf_enable_stats(_STATS_RUN_TIME))
    try:
        yield
    finally:
        os.close(fd)


@dataclass(eq=False)
class Program:
    """A program in the kernel. `fd` belongs to the object that loaded it, -1 once closed."""

    fd: int
    name: str
    section: str
    type: int
    autoattach: bool
    pointer: int | None

    @property
    def iterator(self) -> bool:
        """Whether it is an iterator, which runs when it is read and not by an event."""
        return self.section.startswith(("iter/", "iter.s/"))

    def info(self) -> ProgramInfo:
        """Return what the kernel says about it."""
        return program_info(self.fd)

    def recursion_misses(self) -> int:
        """Return how often it did not run because it was running on that CPU already."""
        return int(self.info().recursion_misses)

    @property
    def run_count(self) -> int:
        """How often it ran while statistics were on (see `run_statistics`)."""
        return int(self.info().run_cnt)

    def attach(self) -> Link:
        """Attach it by what its section says, and return the link, which the caller closes.

        Raises:
            BpfError: the kernel refuses, or the section does not say to what.
        """
        if self.pointer is None:
            raise ValueError(f"program '{self.name}' is closed, or was not loaded")
        pointer = libbpf().bpf_program__attach(self.pointer)
        return Link(
            self.name,
            check("bpf_program__attach", pointer, f"program '{self.name}' ({self.section})"),
        )

    def read_iterator(self) -> bytes:
        """Run an iterator program to its end and return what it wrote."""
        with self.attach() as link:
            fd = check("bpf_iter_create", libbpf().bpf_iter_create(link.fd), self.name)
            written = bytearray()
            try:
                while True:
                    try:
                        chunk = os.read(fd, _ITERATOR_CHUNK)
                    except BlockingIOError:  # many objects in a row wrote nothing: go on
                        continue
                    if not chunk:
                        return bytes(written)
                    written += chunk
            finally:
                os.close(fd)


class Link:
    """An attachment. It is a descriptor and never pinned: it ends with the process."""

    def __init__(self, program: str, pointer: int) -> None:
        self.program = program
        self._pointer: int | None = pointer

    @property
    def fd(self) -> int:
        """The link's descriptor, -1 once closed."""
        return -1 if self._pointer is None else int(libbpf().bpf_link__fd(self._pointer))

    def close(self) -> None:
        """Detach; may be called again."""
        if self._pointer is not None:
            pointer, self._pointer = self._pointer, None
            check("bpf_link__destroy", libbpf().bpf_link__destroy(pointer), self.program)

    def __repr__(self) -> str:
        state = "closed" if self._pointer is None else f"fd {self.fd}"
        return f"<Link of {self.program}, {state}>"

    def __enter__(self) -> Link:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
