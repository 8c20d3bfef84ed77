"""The process of the command line has no threads that nobody asked for."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import os, sys
from ior.cli.main import main
main(["stages", "pair"])
assert "numpy" in sys.modules
print(len(os.listdir("/proc/self/task")), "OPENBLAS_NUM_THREADS" in os.environ)
"""


def test_numpy_brings_no_threads_and_nothing_is_left_in_the_environment() -> None:
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "1 False"
