"""Where the live view begins: what it needs, and what is left of it."""

from __future__ import annotations

import gc
import sys
from pathlib import Path

import anyio
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import Input, create_input
from prompt_toolkit.output import Output, create_output

from ior.errors import UsageError
from ior.host.command import Command
from ior.host.output import check_writable
from ior.pipeline.running.statement import write_statement
from ior.pipeline.spec import PipelineSpec
from ior.ui.messages import diverted
from ior.ui.options import Left, ViewOptions
from ior.ui.session import Session


def run_tui(
    spec: PipelineSpec,
    *,
    command: Command | None = None,
    title: str = "",
    refresh_ms: int = 250,
    ledger_path: Path | None = None,
    options: ViewOptions | None = None,
    input: Input | None = None,  # noqa: A002 (prompt_toolkit's own name for it)
    output: Output | None = None,
) -> Left:
    """Run a pipeline under the live view until the user leaves.

    The code is 0, or that of the error when the graph failed (1 for a failed stage). When
    the graph ends by itself, as when `command` has ended, the last picture stays until `q`.
    Leaving earlier stops the run and sends a command that still runs SIGTERM, as strace does
    with one that it started. The command must have been started with its streams away from
    the terminal. `ledger_path` gets the books as JSON at the end.

    Raises SpecError for a pipeline that does not check, UsageError without a terminal or
    without anything to look at, OutputError if the ledger's file cannot be written.
    """
    if ledger_path is not None:
        check_writable(str(ledger_path))
    if (input is None and not sys.stdin.isatty()) or (output is None and not sys.stdout.isatty()):
        raise UsageError("ior tui needs a terminal; ior run does without")
    keyboard, terminal = input or create_input(), output or create_output()
    session = Session(
        spec,
        command=command,
        title=title,
        refresh_s=refresh_ms / 1000,
        options=options or ViewOptions(),
    )
    try:
        gc.freeze()  # what is loaded now stays: a full collection would stop for 50 ms to see so
        with diverted(session.say), create_app_session(input=keyboard, output=terminal):
            anyio.run(session.live, keyboard, terminal)
    finally:
        if ledger_path is not None:
            write_statement(session.run, str(ledger_path))
    return Left(session.code(), session.target)
