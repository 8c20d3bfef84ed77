"""A stage that is a function: adds the file's extension, and how deep it lies, as columns.

What it adds can be used by every stage behind it, in `where`, `by`, `stack` and `columns`:
see `own_stages.toml`.
"""

from __future__ import annotations

from ior import Batch, Column, stage

EXTENSION = Column("extension", "u4", "text", "what follows the last dot of the file's name", 0)
DEPTH = Column("depth", "i4", "int", "how many directories the file lies below the root")


def extension(path: str) -> str:
    """Return the extension of a path, "" without one."""
    name = path.rpartition("/")[2]
    return name.rpartition(".")[2] if "." in name[1:] else ""


@stage(needs=["file"], gives=[EXTENSION, DEPTH])
def extensions(batch: Batch) -> Batch:
    """Add both columns; `extension` runs once for each distinct name."""
    depth = [path.count("/") for path in batch.text("file")]
    return batch.with_columns({EXTENSION: batch.map_text("file", extension), DEPTH: depth})
