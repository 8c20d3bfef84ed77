"""The ways of tracing that are compared: each attaches, stays while `dd` runs, detaches."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

from ior.sources.bpf.loader import ObjectSpec

HERE = Path(__file__).parent
SETTLE_S = 0.15  # ior drains its rings every few milliseconds
BPFTRACE = (
    "tracepoint:raw_syscalls:sys_enter { @s[tid] = nsecs }"
    " tracepoint:raw_syscalls:sys_exit /@s[tid]/"
    " { @h = hist(nsecs - @s[tid]); delete(@s[tid]) }"
    ' interval:ms:100 { printf("tick\\n") }'
)


class Costs(NamedTuple):
    """What one stay cost the tracer, where the tracer can say it."""

    calls: int
    lost: int
    cpu_us: float  # per call
    ring_bytes: float  # per call
    attach_s: float
    detach_s: float


class Stay:
    """One stay of a tracer; `costs` is known after it has detached."""

    costs: Costs | None = None


class Variant(NamedTuple):
    """A way of tracing; `tracing` attaches on entry and detaches on exit."""

    name: str
    tracing: Callable[[], AbstractContextManager[Stay]]
    emits: bool = True  # whether `dd`'s calls reach the tracer's user space


def tracers_cpus() -> str:
    """Return the CPUs for tracers: all but the last, where `dd` runs."""
    return f"0-{max((os.cpu_count() or 1) - 2, 0)}"


def load_cpu() -> str:
    """Return the CPU for `dd`."""
    return str((os.cpu_count() or 1) - 1)


@contextmanager
def untraced() -> Iterator[Stay]:
    yield Stay()


def compiled(source: Path, directory: Path) -> Path:
    """Compile a BPF program with clang; return the object."""
    target = directory / source.with_suffix(".o").name
    machine = os.uname().machine
    include = f"-I/usr/include/{machine}-linux-gnu"
    command = [
        "clang",
        "-g",
        "-O2",
        "-target",
        "bpf",
        include,
        "-c",
        str(source),
        "-o",
        str(target),
    ]
    subprocess.run(command, check=True)
    return target


def empty(directory: Path) -> Variant:
    """Return the pair of programs that do nothing."""
    target = compiled(HERE / "empty.bpf.c", directory)

    @contextmanager
    def tracing() -> Iterator[Stay]:
        with ObjectSpec(target) as spec, spec.load() as loaded:
            loaded.attach()
            yield Stay()

    return Variant("empty tp_btf pair", tracing)


def _hear(stream: IO[str], process: subprocess.Popen[str]) -> dict[str, Any]:
    line = stream.readline()
    if not line:
        raise SystemExit(f"the benchmark's worker ended with {process.wait()}: see above")
    facts: dict[str, Any] = json.loads(line)
    return facts


def ior(
    name: str, settings: Sequence[str], *, where: str | None = None, emits: bool = True
) -> Variant:
    """Return ior with the benchmark's pipeline, changed by `settings`, with a filter `where`."""
    arguments = [part for setting in settings for part in ("--set", setting)]
    arguments += [] if where is None else ["--where", where]
    command = ["taskset", "-c", tracers_cpus(), sys.executable, "-m", "bench.worker", *arguments]

    @contextmanager
    def tracing() -> Iterator[Stay]:
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with subprocess.Popen(command, text=True, cwd=HERE.parent, **pipes) as worker:
            assert worker.stdin is not None
            assert worker.stdout is not None
            begin = _hear(worker.stdout, worker)
            stay = Stay()
            yield stay
            time.sleep(SETTLE_S)
            print("mark", file=worker.stdin, flush=True)
            end = _hear(worker.stdout, worker)
            print("stop", file=worker.stdin, flush=True)
            final = _hear(worker.stdout, worker)
        if not final["closed"]:
            raise SystemExit(f"{name}: the books do not balance: {final['open_because']}")
        calls = end["calls"] - begin["calls"]
        stay.costs = Costs(
            calls=calls,
            lost=final["lost"],
            cpu_us=1e6 * (end["cpu_s"] - begin["cpu_s"]) / max(calls, 1),
            ring_bytes=(end["ring_bytes"] - begin["ring_bytes"]) / max(calls, 1),
            attach_s=final["attach_s"],
            detach_s=final["detach_s"],
        )

    return Variant(name, tracing, emits)


def bpftrace() -> Variant:
    """Return bpftrace with a script that pairs and makes a histogram.

    It looks for its tracepoints in tracefs, which is mounted for it alone.
    """
    if shutil.which("bpftrace") is None:
        raise SystemExit("bpftrace is missing; `make bench` installs it")
    mounted = "mountpoint -q /sys/kernel/tracing || mount -t tracefs tracefs /sys/kernel/tracing"
    run = f'{mounted}; exec taskset -c {tracers_cpus()} bpftrace -e "$0"'
    command = ["unshare", "--mount", "sh", "-c", run, BPFTRACE]

    @contextmanager
    def tracing() -> Iterator[Stay]:
        with (
            tempfile.TemporaryFile("w+") as said,
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, text=True) as process,
        ):
            assert process.stdout is not None
            for line in process.stdout:
                if line == "tick\n":
                    break
            else:
                said.seek(0)
                raise SystemExit(f"bpftrace does not start:\n{said.read()}")
            time.sleep(SETTLE_S)  # the other probes are attached within milliseconds
            yield Stay()
            process.terminate()
            process.stdout.read()

    return Variant("bpftrace, paired", tracing)
