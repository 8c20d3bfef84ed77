"""What a run found, as text at its end: the tables of the stages in `of`, and the books.

It is the first thing that most people see of ior: `strace -c` with the files and processes
beside the syscalls, and the statement of what was lost, which is nothing or a number.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from ior.pipeline.abc import Config
from ior.pipeline.ledger import Ledger
from ior.pipeline.pace import Slowest
from ior.sinks.tables import render, wrap
from ior.sinks.writer import WriterSink
from ior.snapshots import SUMS, Table
from ior.units import format_count

_WIDTH = 80  # where no terminal says otherwise
_MAX_WIDTH = 120  # longer lines are no longer read as rows
_MAX_EDGES = 8  # named one by one in the ledger


class ReportConfig(Config, frozen=True, kw_only=True):
    """Keys of `report`.

    `path` is `stderr`, `-` for stdout, or a file; `top` the rows of a table, `width` the
    cells of a line (0: the terminal's), `ledger` whether the books are shown.
    """

    path: str = "stderr"
    top: Annotated[int, msgspec.Meta(ge=1)] = 10
    ledger: bool = True
    width: Annotated[int, msgspec.Meta(ge=0)] = 0


class Report(WriterSink):
    """Writes the tables of every snapshot in `of` and the ledger when the run ends.

    Text of traced programs is made safe in files too: a report is for people.
    """

    Config = ReportConfig
    config: ReportConfig
    looks = True

    def __init__(self, config: ReportConfig) -> None:
        super().__init__(config)
        if config.path == "stderr":
            self.writes = ()

    def path(self) -> str:
        """Return the path to write to."""
        return "/dev/stderr" if self.config.path == "stderr" else self.config.path

    async def drain(self) -> None:
        """Write the report."""
        tables = {name: list(self.ctx.snapshot(name).tables()) for name in self.ctx.of}
        ledger, slow = self.ctx.ledger(), self.ctx.slowest()
        terminal = self.output.columns() if self.output is not None else None
        columns = self.config.width or min(terminal or _WIDTH, _MAX_WIDTH)
        await self.put(lambda: self._text(tables, ledger, slow, columns).encode("utf-8", "replace"))
        await self.finish()

    def _text(
        self, tables: dict[str, list[Table]], ledger: Ledger, slow: Slowest | None, columns: int
    ) -> str:
        labelled = {name: _labelled(name, some, ledger) for name, some in tables.items()}
        blocks = render(_titled(labelled), columns=columns, top=self.config.top)
        if self.config.ledger:
            lines = ledger_lines(ledger, columns)
            pace = [] if slow is None else wrap("slowest", [str(slow)], columns)
            blocks.append([*lines, *pace])
        else:
            blocks.append(_losses(ledger, columns))
        return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _titled(tables: dict[str, list[Table]]) -> list[Table]:
    """Return all tables; where two nodes use one title, each has its node's name before it."""
    titles = [table.title for some in tables.values() for table in some]
    return [
        msgspec.structs.replace(table, title=f"{name}: {table.title}")
        if titles.count(table.title) > 1
        else table
        for name, some in tables.items()
        for table in some
    ]


def _labelled(name: str, tables: list[Table], ledger: Ledger) -> list[Table]:
    """Return a node's tables; sums of all its calls say where they are not those of all calls."""
    words = " of recorded calls" if ledger.kernel.get("counted_only") else ""
    words += ", at least" if _lacks_some(name, ledger) else ""
    return [
        msgspec.structs.replace(table, title=table.title + words)
        if table.title == SUMS and words
        else table
        for table in tables
    ]


def _lacks_some(name: str, ledger: Ledger) -> bool:
    """Return whether something was lost on the way to a node."""
    if ledger.kernel.get("lost") or ledger.kernel.get("skipped"):
        return True
    before, new = set[str](), {name}
    while new:
        before |= new
        edges = [(key, edge) for key, edge in ledger.edges.items() if key.split("->")[1] in new]
        if any(edge.dropped for _, edge in edges):
            return True
        new = {key.split("->")[0].rpartition(".")[0] for key, _ in edges} - before
    return any(ledger.stages[one].failed for one in before & ledger.stages.keys())


def ledger_lines(ledger: Ledger, columns: int) -> list[str]:
    """Return the books in a few lines: what came, what was lost where, and whether it adds up."""
    kernel = ledger.kernel
    lines = []
    if any(kernel.values()):
        shown = [("attempted", "attempted"), ("read", "read"), ("lost", "lost")]
        shown += [(key, word) for key, word in _ASIDE.items() if kernel.get(key)]
        parts = [f"{format_count(kernel.get(key, 0))} {word}" for key, word in shown]
        lines += wrap("records", parts, columns)
    joined = sum(books.joined for books in ledger.stages.values())
    calls = [format_count(ledger.calls)]
    if joined:
        calls.append(f"{format_count(joined)} halves and restarts joined")
    if unmatched := sum(books.out.get("unmatched", 0) for books in ledger.stages.values()):
        calls.append(f"{format_count(unmatched)} unmatched")
    lines += wrap("calls", calls, columns)
    for word, verb in (("filtered", "by"), ("failed", "in"), ("held", "in")):
        parts = [
            f"{format_count(getattr(books, word))} {verb} {name}"
            for name, books in ledger.stages.items()
            if getattr(books, word)
        ]
        if parts:
            lines += wrap(word, parts, columns)
    lines += _losses(ledger, columns)
    verdict = ["closed"] if ledger.closed else ["NOT CLOSED", *ledger.open_because]
    return lines + wrap("books", verdict, columns)


_ASIDE = {
    "in_flight": "in flight",
    "skipped": "probe runs skipped",
    "names_lost": "names lost",
    "compat": "32-bit",
    "filtered_in_kernel": "calls filtered in the kernel",
    "counted_only": "calls counted in the kernel only",
    "deselected": "calls under way when the selection changed",
}


def _losses(ledger: Ledger, columns: int) -> list[str]:
    """Return the lines that say what was lost and where; none without a loss."""
    parts = []
    lost, attempted = ledger.kernel.get("lost", 0), ledger.kernel.get("attempted", 0)
    if lost:
        share = f" ({_percent(lost, attempted)})" if attempted else ""
        parts.append(f"{format_count(lost)} records in the kernel's ring{share}")
        parts.append("a larger ring_size keeps them")
    dropping = {name: edge.dropped for name, edge in ledger.edges.items() if edge.dropped}
    worst = sorted(dropping.items(), key=lambda item: -item[1])
    parts += [f"{format_count(dropped)} rows on {name}" for name, dropped in worst[:_MAX_EDGES]]
    if len(worst) > _MAX_EDGES:
        parts.append(f"and on {len(worst) - _MAX_EDGES} other edges")
    return wrap("LOST", parts, columns) if parts else []


def _percent(part: int, whole: int) -> str:
    """Return a share that says neither nothing for a little nor all for almost all."""
    percent = 100 * part / whole
    if percent < 0.1:
        return "under 0.1 %"
    return f"{percent if part == whole else min(percent, 99.9):.1f} %"
