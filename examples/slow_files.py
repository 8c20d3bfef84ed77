"""A stage of one's own with a result: which files keep programs waiting.

It ends the graph: it takes calls and answers `snapshot`, so that the report and the UI show
its table without more code. See `pipeline.toml` beside it.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ior import Batch, Config, Field, Stage, Table

FIELDS = (Field("file", "text"), Field("slow calls", "count"), Field("worst", "duration"))
OTHER = "(other)"  # the row of all files for which there is no room


class SlowFilesConfig(Config, frozen=True, kw_only=True):
    """Keys: what counts as slow, and how many files are kept apart."""

    threshold_us: int = 1000
    max_files: int = 10_000


class SlowFilesSnapshot:
    """What the stage answers when it is looked at; it does not change any more."""

    def __init__(self, files: dict[str, tuple[int, int]]) -> None:
        self.rows = sorted(((f, *n) for f, n in files.items()), key=lambda row: -row[2])

    def tables(self) -> tuple[Table, ...]:
        """Return the files, the worst first."""
        return (Table("Slow files", FIELDS, tuple(self.rows)),)


class SlowFiles(Stage):
    """Counts the slow calls of each file and keeps the longest."""

    Config = SlowFilesConfig
    config: SlowFilesConfig
    gives: ClassVar = {}  # no port: this is the end of the graph

    def __init__(self, config: SlowFilesConfig) -> None:
        """Start with nothing seen."""
        super().__init__(config)
        self.files: dict[str, tuple[int, int]] = {}

    def process(self, batch: Batch) -> None:
        """Take one batch: numpy for the calls, Python for each distinct file only."""
        slow = batch.select(batch["latency_ns"] >= 1000 * self.config.threshold_us)
        codes, inverse, counts = np.unique(slow["file"], return_inverse=True, return_counts=True)
        worst = np.zeros(len(codes), np.int64)
        np.maximum.at(worst, inverse, slow["latency_ns"])
        files = batch.names.texts(codes.tolist())
        for file, count, longest in zip(files, counts.tolist(), worst.tolist(), strict=True):
            full = file not in self.files and len(self.files) >= self.config.max_files
            key = OTHER if full else file
            calls, before = self.files.get(key, (0, 0))
            self.files[key] = calls + count, max(longest, before)

    def snapshot(self) -> SlowFilesSnapshot:
        """Return the table as it stands."""
        return SlowFilesSnapshot(self.files)
