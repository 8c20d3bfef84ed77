"""Options that `ior run` and `ior tui` share: what to trace, and changes to the pipeline."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace

from ior.errors import UsageError
from ior.host import cgroups
from ior.text import escape
from ior.units import parse_duration, parse_seconds

SELECTION = ("families", "kinds", "syscalls")  # each is an option, and `--no-` of it another


def add_target(parser: ArgumentParser) -> None:
    """Add the options that say whom to trace."""
    group = parser.add_argument_group("whom to trace")
    one = group.add_mutually_exclusive_group()
    one.add_argument("--pid", type=int, metavar="N", help="this process, all its threads")
    one.add_argument("--tid", type=int, metavar="N", help="this thread")
    group.add_argument(
        "-f",
        "--follow-forks",
        action="store_true",
        help="its descendants too (implied by a command)",
    )


def add_selection(parser: ArgumentParser) -> None:
    """Add the options that say which calls to trace."""
    group = parser.add_argument_group("what to trace (without: what the pipeline says)")
    group.add_argument(
        "--families",
        action="append",
        metavar="A,B",
        help="syscalls of these families, such as FS,Network",
    )
    group.add_argument(
        "--kinds", action="append", metavar="A,B", help="syscalls of these kinds, such as fd,open"
    )
    group.add_argument(
        "--syscalls",
        action="append",
        metavar="A,B",
        help="these syscalls, by name or /regex/; families, kinds and syscalls add up",
    )
    for name in SELECTION:
        group.add_argument(
            f"--no-{name}",
            action="append",
            metavar="A,B",
            help=f"leave these {name} out; adds to what the pipeline leaves out",
        )
    group.add_argument(
        "--sample",
        action="append",
        metavar="NAME=N",
        help="record one in N calls of this syscall, family or 'default'; 0 only counts them",
    )
    group.add_argument("--comm", action="append", metavar="NAME", help="of commands of this name")
    group.add_argument(
        "--cgroup",
        action="append",
        metavar="PATH",
        help="of tasks in this control group or below it: a service, a container",
    )
    group.add_argument(
        "--min-latency", metavar="TIME", help="calls that took at least this long, such as 1ms"
    )
    group.add_argument("--errors", action="store_true", help="calls that failed")
    group.add_argument(
        "--where",
        action="append",
        metavar="EXPR",
        help="only calls for which this holds, such as 'latency >= 1ms and path ~ \"log\"'",
    )


def add_changes(parser: ArgumentParser) -> None:
    """Add the options that change the pipeline otherwise."""
    group = parser.add_argument_group("changes to the pipeline")
    group.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="STAGE.KEY=VALUE",
        help="set a key of a stage; may be given many times",
    )
    group.add_argument(
        "--pairing",
        choices=("kernel", "user"),
        help="who joins the two halves of a call (default: the kernel)",
    )
    group.add_argument(
        "--no-push-down",
        action="store_true",
        help="filter behind `pair` only, not in the kernel: gaps count from every call",
    )
    group.add_argument(
        "--replay", metavar="CAPTURE", help="read a capture instead of tracing; needs no root"
    )


def words(values: list[str] | None) -> list[str]:
    """Split repeated, comma-separated values; commas between slashes belong to a regex.

    Raises UsageError for an empty word or a regex without its closing slash.
    """
    found: list[str] = []
    for value in values or ():
        rest = value
        while True:
            if rest.startswith("/"):
                end = rest.find("/,", 1)
                word, rest = (rest, "") if end < 0 else (rest[: end + 1], rest[end + 2 :])
                more = end >= 0
                if len(word) < 2 or not word.endswith("/"):
                    raise UsageError(f"the pattern {word} lacks its closing slash")
            else:
                word, comma, rest = rest.partition(",")
                more = bool(comma)
            if not word.strip():
                raise UsageError(f"an empty word in the list '{value}'")
            found.append(word.strip())
            if not more:
                break
    return found


def conditions(args: Namespace) -> list[str]:
    """Return the filters that the options stand for. Raises UsageError."""
    found: list[str] = []
    if args.comm:
        found.append(f"comm in [{', '.join(map(_quoted, args.comm))}]")
    if args.cgroup:
        # A capture's groups are those of another time, if not of another host.
        known = cgroups.path_of if args.replay is None else cgroups.spelled
        paths = map(known, args.cgroup)
        found.append(" or ".join(f"cgroup under {_quoted(path)}" for path in paths))
    if args.min_latency is not None:
        try:
            found.append(f"latency >= {parse_duration(args.min_latency)}ns")
        except ValueError as error:
            raise UsageError(f"--min-latency: {error}") from None
    if args.errors:
        found.append("is_error")
    return [*found, *(args.where or ())]


def _quoted(given: str) -> str:
    """Return a word of the command line as a filter writes it."""
    return '"' + escape(os.fsencode(given)).replace('"', '\\"') + '"'


def seconds(text: str) -> float:
    """Return the seconds that `--duration` means. Raises UsageError."""
    try:
        return parse_seconds(text)
    except ValueError as error:
        raise UsageError(f"--duration: {error}") from None


def check_target(args: Namespace) -> None:
    """Raise UsageError where the options about the target contradict each other."""
    targets = [f"--{name}" for name in ("pid", "tid") if getattr(args, name) is not None]
    if args.command is not None:
        targets.append("a command")
    if len(targets) > 1:
        raise UsageError(f"{' and '.join(targets)} do not go together")
    if args.replay is not None:
        live = [*targets, *("--follow-forks" for _ in range(args.follow_forks))]
        live += [f"--{name}" for name in SELECTION if getattr(args, name)]
        live += [f"--no-{name}" for name in SELECTION if getattr(args, f"no_{name}")]
        live += ["--sample"] * bool(args.sample)
        live += ["--pairing"] * (args.pairing is not None)
        live += ["--no-push-down"] * args.no_push_down
        if live:
            raise UsageError(
                f"--replay and {live[0]} do not go together: "
                "what a capture holds is chosen with --where"
            )
