"""Write the table of docs/fidelity.md: of every syscall, what its row says.

It follows from the tables by which ior traces: `ior/data/kinds.tsv` and the arguments that
the programs name (`ior.sources.bpf.selection`). `--check` says whether the page is up to date.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from ior import kinds, syscalls
from ior.sources.bpf import selection

PAGE = Path(__file__).parents[1] / "docs/fidelity.md"
HEAD = "| syscall | family | files | columns of its own | bytes |\n|---|---|---|---|---|\n"
FILES = (
    ("fd", "descriptor"),
    ("fd2", "from descriptor"),
    ("path", "path"),
    ("path2", "from path"),
)


def files(how: np.void) -> str:
    """Return which files a row of this syscall names."""
    found = [name for key, name in FILES if how[key] >= 0]
    if how["how"] & selection.RETURNS_FD:
        found.insert(0, "new descriptor")
    if how["address_how"] & selection.PAIR:
        found.append("two new descriptors")
    if how["address_how"] & selection.GIVEN:
        found.append("asked address")
    if how["address_how"] & selection.TAKEN:
        found.append("from address")
    if how["how"] & selection.RETURNS_CWD:
        found.insert(0, "directory")
    return ", ".join(found)


def table() -> str:
    """Return the table, one line a syscall of x86-64, by family and name."""
    described = selection.descriptions("x86_64")
    lines = []
    for call in syscalls.table("x86_64").by_nr.values():
        columns = [row.column for row in kinds.table() if row.syscall == call.tracepoint]
        own = ", ".join(f"`{column}`" for column in columns)
        moved = "" if call.byte_class == "-" else call.byte_class
        cells = (f"`{call.name}`", call.family, files(described[call.nr]), own, moved)
        lines.append((call.family, call.name, f"| {' | '.join(cells)} |\n"))
    return HEAD + "".join(line for *_, line in sorted(lines))


def main() -> int:
    """Put the table into the page or, with `--check`, compare; return the exit code."""
    page = PAGE.read_text("utf-8")
    before = page.partition("| syscall |")[0]
    if sys.argv[1:] == ["--check"]:
        return page != before + table()
    PAGE.write_text(before + table(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
