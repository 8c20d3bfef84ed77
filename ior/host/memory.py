"""How the C library's allocator treats the memory of batches.

Columns are arrays of some hundred kilobytes that live for milliseconds. By default glibc
gives their memory back to the kernel and takes it again, page fault by page fault: up to
90 ns a call, where using the same memory again costs 6 (`make bench`).
"""

from __future__ import annotations

import ctypes

# <malloc.h>
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3

_MIB = 1 << 20


def keep_freed_memory() -> bool:
    """Tell malloc to keep up to 256 MiB of freed memory for the next batches.

    It holds for the whole process, so a program calls it (the command line does), not a
    library. Returns whether this C library knows how.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    mallopt.argtypes, mallopt.restype = (ctypes.c_int, ctypes.c_int), ctypes.c_int
    # 32 MiB is the most that glibc takes as a threshold.
    kept = mallopt(_M_MMAP_THRESHOLD, 32 * _MIB) and mallopt(_M_TRIM_THRESHOLD, 256 * _MIB)
    return bool(kept)
