"""Trace small C programs through the real kernel and `pair`, in this process.

A program's truth is what it prints and what its source says; `trace` gives the rows that ior
made of it. Programs are compiled once per session.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import numpy as np

from ior.calls import MAX_CALLS, Batch
from ior.host.command import Command
from ior.pipeline.abc import Config, Sink
from ior.pipeline.ledger import Ledger
from ior.pipeline.run import Run
from ior.pipeline.settings import Batching, Settings
from ior.sources.bpf.config import probe_reads
from ior.sources.bpf.source import BpfSource
from ior.stages.pair import Pair
from ior.syscalls import table
from ior.testing import graph

MODES = ("kernel", "user")
# How kernel memory is read (`probe_reads` in bpf/core.h): both ways unless $IOR_PROBE_READS tells.
READS = (probe_reads(),) if os.environ.get("IOR_PROBE_READS") else (False, True)
KINDS = [(mode, probe_reads) for mode in MODES for probe_reads in READS]
MARK = "/ior-mark"  # access(2) of it divides a trace: what the loader does is before the first

HEADER = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/openat2.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
static void mark(void) { syscall(SYS_access, "/ior-mark", 0); }
static void must(int ok, const char *what) {
	if (!ok) { fprintf(stderr, "%s: %s\n", what, strerror(errno)); _exit(99); }
}
"""

WAITING = r"""
/* Wait until what /proc says of a process has a text in it. */
static void until(pid_t pid, const char *name, const char *text) {
	char path[64], said[1024];
	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	do {
		usleep(1000);
		FILE *file = fopen(path, "r");
		must(file != NULL, path);
		said[0] = '\n';
		said[1 + fread(said + 1, 1, sizeof(said) - 2, file)] = 0;
		fclose(file);
	} while (!strstr(said, text));
}
static void until_in(pid_t pid, int nr) {
	char text[16];
	snprintf(text, sizeof(text), "\n%d ", nr);
	until(pid, "syscall", text);
}
"""
"""C functions that wait until a process is where /proc says that it is."""

_FOLDER = tempfile.TemporaryDirectory(prefix="ior-programs-")


def compiled(source: str) -> str:
    """Return the path of a program: `HEADER` and `source`, which has a `main`.

    Compiled once; $IOR_TEST_PROGRAMS is where those are that were compiled elsewhere, for a
    machine without a compiler.
    """
    text = HEADER + source
    name = hashlib.sha256(text.encode()).hexdigest()[:16]
    program = Path(os.environ.get("IOR_TEST_PROGRAMS", _FOLDER.name)) / name
    if not program.exists():
        program.parent.mkdir(exist_ok=True)
        os.chmod(program.parent, 0o755)
        command = ["gcc", "-O1", "-w", "-pthread", "-o", str(program), "-x", "c", "-"]
        subprocess.run(command, input=text.encode(), check=True)
    return str(program)


class Collect(Sink):
    """Keeps every batch that arrives, or of each the rows of some syscalls."""

    Config = Config

    def __init__(self, only: Collection[str] = ()) -> None:
        super().__init__(Config())
        self.batches: list[Batch] = []
        self._only = [table().by_name[name].nr for name in only]

    def process(self, batch: Batch) -> None:
        if self._only:
            batch = batch.select(np.isin(batch["syscall"], self._only))
        self.batches.append(batch)

    def rows(self) -> list[dict[str, Any]]:
        return [row for batch in self.batches for row in batch.rows()]


@dataclass
class Traced:
    """What a trace gave."""

    rows: list[dict[str, Any]]
    unmatched: list[dict[str, Any]]
    ledger: Ledger
    status: int | None = None
    stdout: bytes = b""
    warnings: list[str] = field(default_factory=list)

    @property
    def causes(self) -> Counter[str]:
        return Counter(row["cause"] for row in self.unmatched)

    def facts(self) -> dict[str, str]:
        """Return the `key value` lines that the program printed."""
        lines = (line.partition(" ") for line in self.stdout.decode().splitlines())
        return {key: value for key, _, value in lines}

    def after(self, mark: int = 1) -> list[dict[str, Any]]:
        """Return the rows behind the `mark`-th mark, up to the next."""
        parts: list[list[dict[str, Any]]] = [[]]
        for row in self.rows:
            if row["syscall"] == "access" and row["file"] == MARK:
                parts.append([])
            else:
                parts[-1].append(row)
        return parts[mark]

    def of(self, *syscalls: str, **columns: Any) -> list[dict[str, Any]]:
        """Return the rows of these syscalls whose columns have these values."""
        return [
            row
            for row in self.rows
            if (not syscalls or row["syscall"] in syscalls)
            and all(row[name] == value for name, value in columns.items())
        ]


def trace(
    argv: Sequence[str] | None = None,
    *,
    cwd: Path | str | None = None,
    on_start: Callable[[Run], None] | None = None,
    pair: Mapping[str, Any] | None = None,
    max_calls: int = MAX_CALLS,
    only: Collection[str] = (),
    **keys: Any,
) -> Traced:
    """Trace a command, or what `keys` of the source say, to its end.

    A batch has at most `max_calls` rows; those of the syscalls `only`, if given, are kept.
    `on_start` is called in the event loop when everything is attached. The books must close.
    """
    source = BpfSource(BpfSource.Config(**keys))
    rows, unmatched = Collect(only), Collect()
    nodes = {
        "kernel": source,
        "pair": Pair(Pair.Config(**(pair or {}))),
        "rows": rows,
        "unmatched": unmatched,
    }
    inputs = {"pair": "kernel", "rows": "pair", "unmatched": "pair.unmatched"}
    settings = Settings(batch=Batching(max_calls=max_calls))
    graph_ = graph(nodes, inputs, settings=settings)
    warnings: list[str] = []
    with contextlib.ExitStack() as stack:
        output = stack.enter_context(tempfile.TemporaryFile())
        command = None
        if argv is not None:
            stack.enter_context(contextlib.chdir(cwd or os.getcwd()))
            command = stack.enter_context(Command.start(list(argv), stdout=output.fileno()))
        run = Run(graph_, command=command, on_warning=lambda _, text: warnings.append(text))
        ledger = anyio.run(_run, run, on_start)
        status = None if command is None else command.wait(10)
        output.seek(0)
        printed = output.read()
    assert ledger.closed, ledger.open_because
    return Traced(rows.rows(), unmatched.rows(), ledger, status, printed, warnings)


async def _run(run: Run, on_start: Callable[[Run], None] | None) -> Ledger:
    if on_start is None:
        return await run.run()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_when_started, run, on_start)
        return await run.run()
    raise AssertionError


async def _when_started(run: Run, on_start: Callable[[Run], None]) -> None:
    await run.started.wait()
    on_start(run)


def program(source: str, *arguments: str, **options: Any) -> Traced:
    """Compile and trace a program; it must end with status 0."""
    traced = trace([compiled(source), *map(str, arguments)], **options)
    assert traced.status == 0, traced.stdout
    return traced


def python(text: str) -> list[str]:
    """Return the command line of a python that runs `text`, without site packages."""
    return [sys.executable, "-I", "-S", "-c", text]
