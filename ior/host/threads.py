"""How many threads this process has beside those that ior starts."""

from __future__ import annotations

import os

_BLAS = "OPENBLAS_NUM_THREADS"


def import_numpy_alone() -> None:
    """Import numpy without the threads of its linear algebra, one per CPU, which ior never uses.

    They would spin for a while at the start, beside what is traced. A program calls this
    before anything has imported numpy. A traced command does not inherit the setting.
    """
    if _BLAS in os.environ:
        return
    os.environ[_BLAS] = "1"
    try:
        import numpy  # noqa: F401, PLC0415 -- for its effect, at this moment
    finally:
        del os.environ[_BLAS]
