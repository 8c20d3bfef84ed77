"""A source: reads calls back from a CSV file, so that no tracing and no root is needed.

It gives `calls` at once, without a stage `pair`. Its columns are those of the file that
matter here; the builders of `ior.testing` fill in the others.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from itertools import islice
from typing import Any, TextIO

from ior import CALLS, Batch, Config, Context, Names, Source
from ior.testing import calls

NUMBERS = ("time_ns", "latency_ns", "pid", "ret")
TEXTS = ("comm", "syscall", "file")


class CsvSourceConfig(Config, frozen=True, kw_only=True):
    """Keys: the file, relative to the pipeline, and how many rows make a batch."""

    path: str
    rows: int = 4096


class CsvSource(Source):
    """Gives the rows of a file; plain methods may block."""

    Config = CsvSourceConfig
    config: CsvSourceConfig
    gives = CALLS
    file: TextIO | None = None
    stopped = False
    given = 0

    def start(self, ctx: Context) -> None:
        """Open the file."""
        self.file = (ctx.directory / self.config.path).open(newline="", encoding="utf-8")
        self.rows = csv.DictReader(self.file)
        self.names = Names()

    def read(self) -> Batch | None:
        """Return the next rows, None at the end."""
        some = [] if self.stopped else list(islice(self.rows, self.config.rows))
        if not some:
            return None
        columns: dict[str, Any] = {name: [int(row[name] or -1) for row in some] for name in NUMBERS}
        columns |= {name: [row[name] for row in some] for name in TEXTS}
        first, self.given = self.given, self.given + len(some)
        return calls(names=self.names, seq=range(first, self.given), **columns)

    def stop(self) -> None:
        """Leave the rest of the file unread."""
        self.stopped = True

    def books(self) -> Mapping[str, int]:
        """Say how many rows were read, for the ledger."""
        return {"attempted": self.given, "read": self.given, "lost": 0}

    def close(self) -> None:
        """Close the file, once."""
        file, self.file = self.file, None
        if file is not None:
            file.close()
