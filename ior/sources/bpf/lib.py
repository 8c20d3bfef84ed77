"""libbpf.so.1 by ctypes: the library, its prototypes, its errors and its messages.

The system's own libbpf is used because it is what distributions patch, and because no
compiler is needed then at run time. This module is the only one that knows how a C
function looks (`PROTOTYPES`) or how it fails (`check`).
"""

from __future__ import annotations

import ctypes
import errno
import functools
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import POINTER, c_bool, c_char_p, c_int, c_size_t, c_uint32, c_uint64, c_void_p
from typing import Any, Final

from ior.errors import UnsupportedHost
from ior.sources.bpf.errors import failure

log = logging.getLogger("ior.libbpf")
log.addHandler(logging.NullHandler())  # silent unless the program configures logging

SONAME: Final = "libbpf.so.1"

PRINT_FN: Final = ctypes.CFUNCTYPE(c_int, c_int, c_char_p, c_void_p)
"""`libbpf_print_fn_t`. Both x86-64 and AAPCS64 pass a `va_list` argument as an address."""

_u32 = c_uint32
_ptr = c_void_p  # every opaque struct, and every buffer

PROTOTYPES: Final[dict[str, tuple[Any, tuple[Any, ...]]]] = {
    "libbpf_version_string": (c_char_p, ()),
    "libbpf_set_print": (_ptr, (PRINT_FN,)),
    "libbpf_num_possible_cpus": (c_int, ()),
    "libbpf_probe_bpf_helper": (c_int, (c_int, c_int, _ptr)),
    "libbpf_probe_bpf_map_type": (c_int, (c_int, _ptr)),
    "bpf_object__open_mem": (_ptr, (_ptr, c_size_t, _ptr)),
    "bpf_object__load": (c_int, (_ptr,)),
    "bpf_object__close": (None, (_ptr,)),
    "bpf_object__btf": (_ptr, (_ptr,)),
    "bpf_object__next_program": (_ptr, (_ptr, _ptr)),
    "bpf_object__next_map": (_ptr, (_ptr, _ptr)),
    "bpf_object__find_map_by_name": (_ptr, (_ptr, c_char_p)),
    "btf__raw_data": (_ptr, (_ptr, POINTER(_u32))),
    "bpf_program__name": (c_char_p, (_ptr,)),
    "bpf_program__section_name": (c_char_p, (_ptr,)),
    "bpf_program__type": (c_int, (_ptr,)),
    "bpf_program__fd": (c_int, (_ptr,)),
    "bpf_program__autoload": (c_bool, (_ptr,)),
    "bpf_program__set_autoload": (c_int, (_ptr, c_bool)),
    "bpf_program__autoattach": (c_bool, (_ptr,)),
    "bpf_program__set_autoattach": (None, (_ptr, c_bool)),
    "bpf_program__set_log_buf": (c_int, (_ptr, _ptr, c_size_t)),
    "bpf_program__attach": (_ptr, (_ptr,)),
    "bpf_link__fd": (c_int, (_ptr,)),
    "bpf_link__destroy": (c_int, (_ptr,)),
    "bpf_map__name": (c_char_p, (_ptr,)),
    "bpf_map__type": (c_int, (_ptr,)),
    "bpf_map__fd": (c_int, (_ptr,)),
    "bpf_map__key_size": (_u32, (_ptr,)),
    "bpf_map__value_size": (_u32, (_ptr,)),
    "bpf_map__max_entries": (_u32, (_ptr,)),
    "bpf_map__set_max_entries": (c_int, (_ptr, _u32)),
    "bpf_map__initial_value": (_ptr, (_ptr, POINTER(c_size_t))),
    "bpf_map_update_elem": (c_int, (c_int, _ptr, _ptr, c_uint64)),
    "bpf_map_lookup_elem": (c_int, (c_int, _ptr, _ptr)),
    "bpf_map_delete_elem": (c_int, (c_int, _ptr)),
    "bpf_map_get_next_key": (c_int, (c_int, _ptr, _ptr)),
    "bpf_iter_create": (c_int, (c_int,)),
    "bpf_enable_stats": (c_int, (c_int,)),
    "bpf_prog_get_next_id": (c_int, (_u32, POINTER(_u32))),
    "bpf_prog_get_fd_by_id": (c_int, (_u32,)),
    "bpf_map_get_next_id": (c_int, (_u32, POINTER(_u32))),
    "bpf_link_get_next_id": (c_int, (_u32, POINTER(_u32))),
    "bpf_obj_get_info_by_fd": (c_int, (c_int, _ptr, POINTER(_u32))),
}
"""C name → (result, arguments): all that is used of libbpf, version 1.0 or newer."""

_LEVELS = {0: logging.WARNING, 1: logging.INFO, 2: logging.DEBUG}  # enum libbpf_print_level
_MESSAGE_BYTES = 16384

_listening = threading.local()


def find_library() -> ctypes.CDLL:
    """Load libbpf: `$IOR_LIBBPF` when it is set, otherwise what the loader has.

    Raises:
        UnsupportedHost: there is none, or it is older than libbpf 1.0.
    """
    if named := os.environ.get("IOR_LIBBPF"):
        try:
            return ctypes.CDLL(named, use_errno=True)
        except OSError as error:
            raise UnsupportedHost(f"$IOR_LIBBPF does not name a usable libbpf: {error}") from error
    try:
        return ctypes.CDLL(SONAME, use_errno=True)
    except OSError as error:
        raise UnsupportedHost(
            f"the library {SONAME} is missing: install the Debian package libbpf1 "
            f"(apt install libbpf1), or set $IOR_LIBBPF to the library's path"
        ) from error


def declare(library: ctypes.CDLL) -> None:
    """Give every function in `PROTOTYPES` its types.

    Raises:
        UnsupportedHost: a function is missing.
    """
    for name, (result, arguments) in PROTOTYPES.items():
        try:
            function = getattr(library, name)
        except AttributeError as error:
            raise UnsupportedHost(
                f"{library._name} has no {name}(): libbpf 1.0 or newer is needed"
            ) from error
        function.restype = result
        function.argtypes = arguments


@functools.cache
def libbpf() -> ctypes.CDLL:
    """Return libbpf with its prototypes declared and its messages sent to `logging`.

    Raises:
        UnsupportedHost: it cannot be found, or it is too old.
    """
    library = find_library()
    declare(library)
    library.libbpf_set_print(_PRINT)
    return library


def version() -> str:
    """Return libbpf's version, such as "v1.1".

    Raises:
        UnsupportedHost: there is no libbpf.
    """
    return text(libbpf().libbpf_version_string())


@functools.cache
def possible_cpus() -> int:
    """Return how many CPUs the kernel may ever have: the rows of a per-CPU value."""
    return check("libbpf_num_possible_cpus", libbpf().libbpf_num_possible_cpus())


def text(value: bytes | None) -> str:
    """Return a C string as text, empty for NULL."""
    return (value or b"").decode(errors="backslashreplace")


def check(call: str, result: int | None, hint: str = "") -> int:
    """Return what a libbpf function returned, or raise what it means.

    `result` is a status, count or descriptor (negative: `-errno`), or a pointer (None for
    NULL: the reason is in errno).

    Raises:
        BpfError: the call failed; `BpfPermissionError` for EPERM.
    """
    if result is None:
        raise failure(call, ctypes.get_errno() or errno.EINVAL, hint)
    if result < 0:
        raise failure(call, -result, hint)
    return result


@contextmanager
def warnings_of_libbpf() -> Iterator[list[str]]:
    """Collect the warnings that libbpf gives this thread, for the hint of an error."""
    previous: list[str] | None = getattr(_listening, "warnings", None)
    collected: list[str] = []
    _listening.warnings = collected
    try:
        yield collected
    finally:
        _listening.warnings = previous


@functools.cache
def _vsnprintf() -> Any:
    function = ctypes.CDLL(None).vsnprintf
    function.restype = c_int
    function.argtypes = (c_char_p, c_size_t, c_char_p, c_void_p)
    return function


def _print(level: int, template: bytes, arguments: int) -> int:
    """Take one message of libbpf (`libbpf_print_fn_t`)."""
    severity = _LEVELS.get(level, logging.DEBUG)
    collected: list[str] | None = getattr(_listening, "warnings", None)
    wanted = collected is not None and severity >= logging.WARNING
    if not wanted and not log.isEnabledFor(severity):
        return 0
    buffer = ctypes.create_string_buffer(_MESSAGE_BYTES)
    length = _vsnprintf()(buffer, _MESSAGE_BYTES, template, arguments)
    message = text(buffer.value).strip().removeprefix("libbpf: ")
    if wanted and collected is not None:
        collected.append(message)
    log.log(severity, "%s", message)
    return int(length)


_PRINT = PRINT_FN(_print)  # libbpf keeps the pointer: it must live as long as the process
