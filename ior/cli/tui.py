"""`ior tui`: trace and look at the results while they grow."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ior.cli import options, presets, viewing
from ior.cli.abc import Subcommand
from ior.errors import NoSuchTarget, UsageError
from ior.host import procs
from ior.host.charset import heed_locale
from ior.host.command import Command, resolve
from ior.host.memory import keep_freed_memory

if TYPE_CHECKING:
    from ior.pipeline.spec import PipelineSpec
    from ior.ui.options import Left
    from ior.ui.picker.choice import Retarget, Target


class Tui(Subcommand):
    """Look at the calls live, in the terminal.

    FILE is a pipeline or a capture, which its content says; a capture needs no root.
    Without one the pipeline is the preset `tui`. Where nothing says whom to trace, you choose
    from a list of processes and threads. A COMMAND reads nothing, has no terminal, and what it
    writes is shown by the key O: the screen is the view's. When you quit, it and what it has
    started are asked to end (SIGTERM).
    """

    takes_command = True

    def configure(self, parser: ArgumentParser) -> None:
        """Add the options."""
        parser.usage = "ior tui [FILE] [options] [-- COMMAND ...]"
        parser.add_argument("pipeline", nargs="?", default=None, metavar="FILE")
        options.add_target(parser)
        parser.add_argument("--all", action="store_true", help="every process of the host")
        parser.add_argument(
            "--demo",
            nargs="?",
            const="moving",
            choices=("moving", "static"),
            help="show made-up calls, whose mix changes or not; needs no root",
        )
        parser.add_argument("--ledger", metavar="FILE", help="write the books of the run, as JSON")
        parser.add_argument(
            "--read-only", action="store_true", help="write no recordings and no exports"
        )
        viewing.add_view(parser)
        options.add_selection(parser)
        options.add_changes(parser)

    def run(self, args: Namespace) -> int:
        """Check everything, then show the view until it is left."""
        from ior.cli.prepare import prepare  # noqa: PLC0415 - not for --help

        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise UsageError("ior tui needs a terminal; ior run writes to files and pipes")
        heed_locale()
        take_capture(args)
        check(args)
        args.warnings = viewing.fill(args)
        if args.demo == "static":
            hold_still(args)
        if wants_target(args):
            prepare(args.pipeline or "tui", args)  # what is wrong is said before one chooses
            return self._chosen(args, None)
        left = self._show(args)
        return left.code if left.target is None else self._chosen(args, left.target)

    def _chosen(self, args: Namespace, target: Target | None) -> int:
        """Show one run after the other, each with the target that was chosen."""
        from ior.ui.picker.screen import choose  # noqa: PLC0415 - not for --help
        from ior.ui.style import theme  # noqa: PLC0415 - not for --help

        message = ""
        while True:
            look = theme(args.theme, os.environ)
            target = target or choose(message, look, mouse=args.mouse)
            if target is None:
                return 0
            try:
                left = self._show(aimed(args, target))
            except NoSuchTarget as error:
                message, target = str(error), None
                continue
            target = left.target
            if target is None:
                return left.code

    def _show(self, args: Namespace) -> Left:
        """Show the view of one run."""
        from ior.cli import overrides  # noqa: PLC0415 - not for --help
        from ior.cli.prepare import prepare  # noqa: PLC0415 - not for --help
        from ior.ui.app import run_tui  # noqa: PLC0415 - not for --help
        from ior.ui.options import ViewOptions  # noqa: PLC0415 - not for --help
        from ior.ui.style import theme  # noqa: PLC0415 - not for --help

        spec, graph = prepare(args.pipeline or "tui", args)
        with contextlib.ExitStack() as stack:
            command, output_fd = None, None
            if args.command is not None:
                command, output_fd = started(args.command, stack)
            keep_freed_memory()
            title = f"demo, {args.demo}" if args.demo else overrides.whom(spec, command)
            title = title if args.replay is None else f"capture {args.replay}"
            if where := options.conditions(args):
                title += f" where {' and '.join(where)}"
            ledger = None if args.ledger is None else Path(args.ledger)
            left = run_tui(
                spec,
                command=command,
                title=title,
                refresh_ms=args.refresh,
                ledger_path=ledger,
                options=ViewOptions(
                    retarget=retarget(spec, command),
                    output_fd=output_fd,
                    read_only=args.read_only,
                    theme=theme(args.theme, os.environ),
                    mouse=args.mouse,
                    warnings=(
                        *args.warnings,
                        *(f"{one.where}: {one.message}" for one in graph.warnings),
                    ),
                    command_line=lambda terms: command_line(args, terms),
                ),
            )
            return left._replace(code=left.code or status_of(command))


def started(argv: list[str], stack: contextlib.ExitStack) -> tuple[Command, int]:
    """Start a command that reads nothing; return it, and the end of a pipe with what it writes.

    It has no terminal either, which is the view's.
    """
    null = os.open(os.devnull, os.O_RDONLY)
    read_end, write_end = os.pipe()
    stack.callback(os.close, read_end)
    try:
        command = Command.start(argv, stdin=null, stdout=write_end, stderr=write_end, apart=True)
    finally:
        os.close(null)
        os.close(write_end)
    return stack.enter_context(command), read_end


def wants_target(args: Namespace) -> bool:
    """Return whether somebody has to choose whom to trace: nothing else says it.

    Raises what reading the pipeline raises.
    """
    given = (args.pid, args.tid, args.command, args.replay, args.demo)
    if args.all or any(one is not None for one in given):
        return False
    from ior.cli.prepare import read  # noqa: PLC0415 - not for --help

    spec = read(args.pipeline or "tui")
    traces = [node for node in spec.nodes.values() if node.type == "bpf" and node.enabled]
    return len(traces) == 1 and not {"pid", "tid"} & traces[0].keys.keys()


def aimed(args: Namespace, target: Target) -> Namespace:
    """Return the options with the target that was chosen."""
    everybody = target.pid is None and target.tid is None
    chosen = {**vars(args), "pid": target.pid, "tid": target.tid, "all": everybody}
    chosen["command"] = None
    if everybody:
        chosen["follow_forks"] = False
    return Namespace(**chosen)


def retarget(spec: PipelineSpec, command: Command | None) -> Retarget | None:
    """Return from where another target can be chosen; None where nothing is traced."""
    from ior.ui.picker.choice import Retarget  # noqa: PLC0415 - not for --help

    traces = [node for node in spec.nodes.values() if node.type == "bpf" and node.enabled]
    if len(traces) != 1:
        return None
    if command is not None:
        return Retarget(command.pid)
    pid, tid = traces[0].keys.get("pid"), traces[0].keys.get("tid")
    thread = None if tid is None else procs.read(tid)
    return Retarget(pid if thread is None else thread.pid)


def take_capture(args: Namespace) -> None:
    """Read FILE as `--replay` does if its content says that it is a capture.

    Raises InputNotFound if there is neither a file nor a preset of the name, and UsageError
    for two captures.
    """
    path = None if args.pipeline is None else presets.locate(args.pipeline)
    if path is None or not is_capture(path):
        return
    if args.replay is not None:
        raise UsageError(f"{args.pipeline} is a capture: it does not go together with --replay")
    args.pipeline, args.replay = None, args.pipeline


def is_capture(path: Path) -> bool:
    """Return whether a file begins as captures do; one that cannot be read does not."""
    from ior.recording import MAGIC  # noqa: PLC0415 - not for --help

    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False  # whoever reads it as a pipeline says why


def command_line(args: Namespace, terms: Sequence[str]) -> str:
    """Return the `ior run` that traces what this view does, through further terms of a filter.

    It is empty for a demonstration.
    """
    if args.demo:
        return ""
    words = ["ior", "run", *([args.pipeline] if args.pipeline else [])]
    for name in ("pid", "tid", "pairing", "replay"):
        value = getattr(args, name)
        words += [] if value is None else [f"--{name}", str(value)]
    words += ["--follow-forks"] * args.follow_forks
    for name in options.SELECTION:
        for option in (name, f"no_{name}"):
            for value in getattr(args, option) or ():
                words += [f"--{option.replace('_', '-')}", value]
    for value in args.sample or ():
        words += ["--sample", value]
    words += ["--no-push-down"] * args.no_push_down
    for value in (*options.conditions(args), *terms):
        words += ["--where", value]
    for value in args.set:
        words += ["--set", value]
    return shlex.join([*words, *(["--", *args.command] if args.command else [])])


def hold_still(args: Namespace) -> None:
    """Let the made-up calls always be of the same mix, unless `--set` says otherwise."""
    from ior.cli import overrides  # noqa: PLC0415 - not for --help
    from ior.cli.prepare import read  # noqa: PLC0415 - not for --help

    spec = read(args.pipeline or "tui")
    known = overrides.SOURCE in spec.nodes
    source = overrides.SOURCE if known else overrides.bpf_source(spec)
    args.set = [f"{source}.profile=static", *args.set]


def status_of(command: Command | None) -> int:
    """Return the command's own status; 0 for one that was ended because the view was left."""
    if command is None or not command.released:
        return 0
    status = command.end()
    command.check()
    return 0 if status in (None, 128 + signal.SIGTERM) else status


def check(args: Namespace) -> None:
    """Raise UsageError where options contradict each other, and for a command that is missing."""
    options.check_target(args)
    viewing.check(args)
    if args.command is not None:
        resolve(args.command[0])
    targets = [args.pid is not None, args.tid is not None, args.command is not None]
    if args.all and any(targets):
        raise UsageError("--all does not go together with --pid, --tid and a command")
    if args.all and args.replay is not None:
        raise UsageError("--all traces every process: it does not go together with a capture")
    if args.demo and (any(targets) or args.all or args.replay is not None):
        raise UsageError("--demo shows made-up calls: it takes no target, command or capture")
