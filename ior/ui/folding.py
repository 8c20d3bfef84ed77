"""Fold a long message into lines, as the model must know how many and the view which."""

from __future__ import annotations

import textwrap

from ior.text import fit, sanitise


def fold(message: str, columns: int, most: int) -> list[str]:
    """Return a message as at most `most` harmless lines, the last cut if there were more."""
    lines = [sanitise(line) for line in message.splitlines()]
    folded = [part for line in lines for part in textwrap.wrap(line, max(columns, 1)) or [""]]
    if len(folded) > most:
        folded = [*folded[: most - 1], fit(" ".join(folded[most - 1 :]), columns)]
    return folded
