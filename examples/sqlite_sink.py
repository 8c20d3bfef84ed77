"""A sink: counts calls by command and syscall in an SQLite database.

Its methods are plain and may block: they run in a thread of their own, all in the same, as
a connection of sqlite3 wants it.
"""

from __future__ import annotations

import sqlite3
from collections import Counter

from ior import Batch, Config, Context, Sink


class SqliteConfig(Config, frozen=True, kw_only=True):
    """Keys: the database, relative to the pipeline."""

    path: str


class Sqlite(Sink):
    """Adds to the table `calls`, one transaction a batch."""

    Config = SqliteConfig
    config: SqliteConfig
    needs = ("comm", "syscall")
    database: sqlite3.Connection | None = None

    def start(self, ctx: Context) -> None:
        """Open the database."""
        self.database = sqlite3.connect(ctx.directory / self.config.path)
        self.database.execute(
            "CREATE TABLE IF NOT EXISTS calls (comm, syscall, count, PRIMARY KEY (comm, syscall))"
        )

    def process(self, batch: Batch) -> None:
        """Add the counts of one batch."""
        assert self.database is not None
        counts = Counter(zip(batch.text("comm"), batch.text("syscall"), strict=True))
        with self.database:
            self.database.executemany(
                "INSERT INTO calls VALUES (?, ?, ?)"
                " ON CONFLICT DO UPDATE SET count = count + excluded.count",
                [(*key, count) for key, count in counts.items()],
            )

    def close(self) -> None:
        """Close the database, once."""
        database, self.database = self.database, None
        if database is not None:
            database.close()
