"""Which span of time the tabs show: everything, or the last seconds, now or further back."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

SPANS_S = (0, 10, 60, 300)  # 0: everything
_SECOND_NS = 1_000_000_000


class Window(msgspec.Struct, frozen=True):
    """A span of `span_s` seconds (0: everything) up to the second of `end_ns`.

    `end_ns` is None for a window that goes on with the run: then it ends with the latest call.
    """

    span_s: int = 0
    end_ns: int | None = None

    def longer(self) -> Window:
        """Return the window of the next span; after the longest, everything."""
        span_s = SPANS_S[(SPANS_S.index(self.span_s) + 1) % len(SPANS_S)]
        return replace(self, span_s=span_s) if span_s else Window()

    def earlier(self, latest_ns: int) -> Window:
        """Return the window before; `latest_ns` is when the latest call ended."""
        span_s = self.span_s or SPANS_S[1]
        end_ns = latest_ns if self.end_ns is None else self.end_ns
        return Window(span_s, end_ns - span_s * _SECOND_NS)

    def later(self, latest_ns: int) -> Window:
        """Return the window after, which may be the one that goes on."""
        if self.end_ns is None:
            return self
        end_ns = self.end_ns + self.span_s * _SECOND_NS
        return Window(self.span_s, end_ns if end_ns < latest_ns else None)

    def bounds_ns(self, latest_ns: int) -> tuple[int, int]:
        """Return its first moment and the one after its last, as whole seconds of the clock."""
        end_ns = latest_ns if self.end_ns is None else self.end_ns
        end_ns = (end_ns // _SECOND_NS + 1) * _SECOND_NS
        return (end_ns - self.span_s * _SECOND_NS, end_ns) if self.span_s else (0, end_ns)
