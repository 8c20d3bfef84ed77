"""When pictures of a run are taken: often while rows come, once a second while nothing moves.

A picture asks every node that is looked at, and the kernel; whether anything has moved is known
from the books alone. What changes without a row, such as the ages of calls in flight and what
only the kernel counts, is at most a second old.
"""

from __future__ import annotations

from ior.ui.events import Picture

EAGER_S = 0.05  # between looks while the first second has not shown a call
BEHIND, BEHIND_S = 65_536, 1.0  # records that wait in the kernel, and the rest while more do
SHARE = 4  # a picture that took t is followed by at least SHARE times t without one
_SECOND = 1_000_000_000


class Shutter:
    """Says when the next picture is due.

    `refresh_s` is between looks at whether anything has moved, `rest_s` until the next.
    """

    def __init__(self, refresh_s: float) -> None:
        self._refresh_s = self.rest_s = refresh_s
        self._seen: tuple[int, int] | None = None

    def is_due(self, rows: int, now_ns: int) -> bool:
        """Return whether a picture would be another: `rows` that moved grew, or the second."""
        seen = rows, now_ns // _SECOND
        if seen == self._seen:
            return False
        self._seen = seen
        return True

    def took(self, picture: Picture, elapsed_ns: int, cost_s: float) -> None:
        """Rest after a picture that took `cost_s`, `elapsed_ns` after the start.

        That is less until the first call was seen, more where records wait in the kernel.
        """
        kernel = picture.ledger.kernel
        waiting = kernel.get("attempted", 0) - kernel.get("lost", 0) - kernel.get("read", 0)
        rest_s = self._refresh_s
        if waiting > BEHIND:
            rest_s = max(rest_s, BEHIND_S)
        elif not picture.ledger.calls and elapsed_ns < _SECOND:
            rest_s = min(rest_s, EAGER_S)
        self.rest_s = max(rest_s, SHARE * cost_s)
