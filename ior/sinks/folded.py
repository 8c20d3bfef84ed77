r"""A flamegraph as folded stacks: `frame;frame;frame N`, the form that flamegraph tools read.

Frames are in text-column form; a semicolon, a control or a line separator in one is written
as `\xHH` byte by byte, so that `ior.text.unescape` gives the exact bytes of each frame back.
On a terminal frames are made safe to look at as well.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, runtime_checkable

from ior.errors import SpecError
from ior.pipeline.abc import Config, Context
from ior.sinks.writer import WriterSink
from ior.text import sanitise

_BREAKING = re.compile("[;\x00-\x1f\x7f-\x9f\u2028\u2029]")


@runtime_checkable
class Foldable(Protocol):
    """A snapshot that can be written as folded stacks."""

    def folded(self, weight: str | None = None) -> Iterator[tuple[tuple[str, ...], int]]:
        """Yield each stack, outermost frame first, with its own weight."""


class FoldedConfig(Config, frozen=True, kw_only=True):
    """Keys of `folded`.

    `path` is the file to write, `-` for stdout. `weight` is a weight other than the
    flamegraph's own.
    """

    path: str = "-"
    weight: str | None = None


class Folded(WriterSink):
    """Writes the stacks of the one flamegraph in `of` when the run ends.

    Stacks without weight are left out; the numbers sum to the flamegraph's total.
    """

    Config = FoldedConfig
    config: FoldedConfig
    looks = True
    tick_s = 1.0

    async def start(self, ctx: Context) -> None:
        """Open the output. Raises SpecError if `of` names more than one stage."""
        if len(ctx.of) != 1:
            raise SpecError("'of' must name one flamegraph: a folded file holds one")
        await super().start(ctx)
        self._checked = False

    async def tick(self, now_ns: int) -> None:  # noqa: ARG002 - the contract's signature
        """Refuse what cannot be written once all have started, not after hours of tracing."""
        if not self._checked:
            self._checked = True
            next(self._stacks(self._flamegraph()), None)

    async def drain(self) -> None:
        """Write all stacks. Raises SpecError if `of` names no flamegraph, or the weight none."""
        snapshot = self._flamegraph()
        terminal = self.output is not None and self.output.is_terminal
        await self.put(lambda: _lines(self._stacks(snapshot), sanitise if terminal else str))
        await self.finish()

    def _flamegraph(self) -> Foldable:
        snapshot = self.ctx.snapshot(self.ctx.of[0])
        if not isinstance(snapshot, Foldable):
            raise SpecError(f"'of' names '{self.ctx.of[0]}', which is no flamegraph")
        return snapshot

    def _stacks(self, snapshot: Foldable) -> Iterator[tuple[tuple[str, ...], int]]:
        try:
            yield from snapshot.folded(self.config.weight)
        except KeyError as error:
            raise SpecError(f"'{self.ctx.of[0]}' has no weight '{self.config.weight}'") from error


def _lines(stacks: Iterable[tuple[tuple[str, ...], int]], safe: Callable[[str], str]) -> bytes:
    written: dict[str, str] = {}  # frames repeat in many stacks

    def frame(text: str) -> str:
        known = written.get(text)
        if known is None:
            known = written[text] = safe(escape_frame(text))
        return known

    lines = (f"{';'.join(map(frame, stack))} {weight}\n" for stack, weight in stacks if weight)
    return "".join(lines).encode("utf-8", "backslashreplace")


def escape_frame(text: str) -> str:
    """Return a frame without semicolons and line breaks; `ior.text.unescape` reads it."""
    return _BREAKING.sub(_spell, text)


def _spell(match: re.Match[str]) -> str:
    return "".join(f"\\x{byte:02x}" for byte in match[0].encode())
