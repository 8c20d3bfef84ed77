"""Choosing under load, on the real kernel: what the view gets from then on, and the books."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import anyio
import pytest
from ptys import Pty

from ior.cli import presets
from ior.expr import compile_filter
from ior.host.command import Command
from ior.pipeline.clock import SystemClock
from ior.pipeline.graph import build
from ior.pipeline.ledger import Ledger
from ior.pipeline.run import Run
from ior.pipeline.spec import parse
from ior.recorded import Decoder
from ior.recording import BLOCK, MAGIC, check, payload_length
from ior.stages.flamegraph import FlameSnapshot
from ior.stages.history import HistorySnapshot
from ior.stages.stats import StatsSnapshot
from ior.stages.stream import StreamSnapshot
from ior.ui.nodes import looked_at
from ior.ui.recorder import Recorder
from ior.ui.selecting import Selector, gated

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(120)]

OPENS = ("sh", "-c", "while :; do : < /etc/passwd; done")
UNHURRIED = ("sh", "-c", "while :; do : < /etc/passwd; sleep 0.01; done")
DD = ("dd", "if=/dev/zero", "of=/dev/null", "bs=1")


class View:
    """The preset `tui` on a command without an end, as the view runs it."""

    def __init__(self, keys: str = "") -> None:
        text = presets.text("tui").replace('families = ["FS"]', 'families = ["FS"]\n' + keys)
        spec = parse(text, directory=Path.cwd(), label="tui")
        self._spec, self._gates = gated(spec, looked_at(spec))

    def run(self, act: Callable[[View], Awaitable[None]]) -> Ledger:
        """Do something while it runs; return the books."""

        async def beside() -> None:
            await self._run.started.wait()
            await act(self)
            self._run.stop()

        async def both() -> Ledger:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(beside)
                return await self._run.run()
            raise AssertionError

        with Command.start(DD) as command:
            graph = build(self._spec)
            self._run = Run(graph, command=command)
            self.selector = Selector(self._run, graph, self._gates, SystemClock())
            try:
                ledger = anyio.run(both)
            finally:
                command.end()
        assert ledger.closed, ledger.open_because
        return ledger

    async def until(self, syscall: str, more: int) -> None:
        """Wait until every view has so many more calls of a syscall."""
        had = self.shown(syscall)
        with anyio.fail_after(30):
            while min(b - a for a, b in zip(had, self.shown(syscall), strict=True)) < more:  # noqa: ASYNC110 - the run is as it is
                await anyio.sleep(0.01)

    def recorder(self) -> Recorder:
        """Return what records this view."""
        return Recorder(self._run, self._spec)

    @property
    def filtered_in_kernel(self) -> int:
        """How many calls the kernel has left out so far."""
        return self._run.ledger().kernel["filtered_in_kernel"]

    def shown(self, syscall: str) -> tuple[int, ...]:
        """What is shown of a syscall: in tables, in flames, by the second, and the latest row."""
        stats, flame = self._run.snapshot("stats"), self._run.snapshot("flame")
        history, stream = self._run.snapshot("history"), self._run.snapshot("stream")
        assert isinstance(stats, StatsSnapshot)
        assert isinstance(flame, FlameSnapshot)
        assert isinstance(history, HistorySnapshot)
        assert isinstance(stream, StreamSnapshot)
        table = {row[0]: row[1] for row in stats.by["syscall"].rows}
        frames = zip(flame.name, flame.self_weight["calls"].tolist(), strict=True)
        seconds = [second.groups for second in history.seconds]
        return (
            table.get(syscall, 0),
            sum(calls for name, calls in frames if name == syscall),
            sum(
                calls
                for groups in seconds
                for name, calls in zip(groups.keys.text("syscall"), groups["calls"], strict=True)
                if name == syscall
            ),
            max(
                (
                    row
                    for batch in stream.batches[-3:]
                    for row, name in zip(batch["seq"].tolist(), batch.text("syscall"), strict=True)
                    if name == syscall
                ),
                default=0,
            ),
        )


def test_no_view_shows_what_was_switched_off_not_even_what_was_in_the_ring() -> None:
    then: list[tuple[int, ...]] = []

    async def act(view: View) -> None:
        await view.until("read", 1000)
        time.sleep(0.1)  # noqa: ASYNC251 - nobody is to read: the ring fills
        off = view.selector.switches.toggled(frozenset({"read"}))
        assert view.selector.choose(None, off)[1] == []
        then.append(view.shown("read"))
        await view.selector.settle(off)
        await view.until("write", 50_000)
        then.append(view.shown("read"))
        on = off.toggled(frozenset({"read"}))
        view.selector.choose(None, on)
        await view.selector.settle(on)
        await view.until("read", 1000)

    ledger = View().run(act)
    assert then[0][:3] == then[1][:3]
    assert then[1][3] <= then[0][3]
    assert ledger.stages["kernel"].filtered + ledger.stages["view"].filtered > 0


def test_a_family_that_was_not_traced_is_switched_on() -> None:
    async def act(view: View) -> None:
        assert "read" in view.selector.switches.off
        on = view.selector.switches.toggled(frozenset({"read"}))
        assert on.words() == "on read"
        view.selector.choose(None, on)
        await view.selector.settle(on)
        await view.until("read", 1000)

    View('exclude = { syscalls = ["read"] }').run(act)


def test_in_the_terminal(tmp_path: Path) -> None:
    books = tmp_path / "books.json"

    def reads(lines: list[str]) -> list[str]:
        return [line.split()[-2] for line in lines if line.startswith(" [ ] read ")]

    with Pty("--ledger", str(books), "--", *DD) as pty:
        pty.see("│dd")
        pty.child.send("o/^read$\r ")
        off = reads(pty.wait(lambda lines: bool(reads(lines))))
        pty.child.send("o3")
        for _ in range(3):
            lines = pty.wait(lambda lines: any(line.startswith("read ") for line in lines))
            row = next(line for line in lines if line.startswith("read "))
            assert row.split()[1] == off[0]
            pty.child.send("r")  # nothing: only the screen is drawn again
        assert any("off read" in line for line in lines)
        pty.child.send("q")
        assert pty.leave() == (0, "")
    ledger = json.loads(books.read_bytes())
    assert ledger["closed"] is True


def test_a_filter_is_applied_in_the_kernel_from_now_on_and_taken_off_again() -> None:
    then: list[tuple[int, ...]] = []
    kernel: list[str] = []

    async def act(view: View) -> None:
        await view.until("read", 1000)
        switches = view.selector.switches
        for text in ('syscall == "write"', 'syscall == "write" and path ~ "null"'):
            where = compile_filter(text)
            period, refused = view.selector.choose(where, switches)
            assert refused == []
            kernel.append(period.kernel)
            then.append(view.shown("read"))
            await view.until("write", 50_000)
            then.append(view.shown("read"))
        period, _ = view.selector.choose(None, switches)
        kernel.append(period.kernel)
        await view.until("read", 1000)

    ledger = View().run(act)
    assert len({row[:3] for row in then}) == 1
    assert kernel == ["all of it", "syscall == write", ""]
    assert ledger.kernel["filtered_in_kernel"] > 50_000


def test_the_kernel_applies_filters_also_while_there_is_a_recording(tmp_path: Path) -> None:
    kernel: list[str] = []
    growth: list[int] = []

    async def chosen(view: View, text: str, syscall: str) -> None:
        period, refused = view.selector.choose(compile_filter(text), view.selector.switches)
        assert refused == []
        kernel.append(period.kernel)
        await filtering(view, syscall)

    async def filtering(view: View, syscall: str) -> None:
        await view.until(syscall, 1000)  # nothing that began before is on its way
        before = view.filtered_in_kernel
        await view.until(syscall, 10_000)
        growth.append(view.filtered_in_kernel - before)

    async def act(view: View) -> None:
        await view.until("read", 1000)
        await chosen(view, 'syscall == "write"', "write")
        recorder = view.recorder()
        await recorder.start(str(tmp_path / "x.ior"))
        await filtering(view, "write")
        await chosen(view, 'syscall == "read"', "read")
        await recorder.stop()
        await filtering(view, "read")
        await chosen(view, 'syscall == "write"', "write")

    ledger = View().run(act)
    assert kernel == ["all of it"] * 3
    assert min(growth) > 5_000
    assert ledger.stages["recording@1"].consumed > 10_000


def test_a_recording_goes_on_over_changes_of_the_filter(tmp_path: Path) -> None:
    path = tmp_path / "x.ior"
    with Pty("--", *UNHURRIED) as pty:  # so that no machine is behind
        pty.see("│sh")
        pty.child.send("f")
        pty.see("filter: ")
        pty.child.send('syscall == "openat"\r')
        pty.see("in the kernel: all of it")
        pty.child.send("R")
        pty.see("recording to: ")
        pty.child.send(f"\x15{path}\r")
        pty.see("recording (R)")
        pty.child.send("\x7f")
        pty.see('only syscall == "openat"')
        time.sleep(0.5)  # what comes then is recorded
        pty.child.send("f")
        pty.see("filter: ")
        pty.child.send('syscall == "close"\r')
        pty.see("nothing else comes")
        time.sleep(0.5)
        pty.child.send("R")
        pty.see("recorded: ")
        pty.child.send("q")
        assert pty.leave() == (0, "")
    rows = list(recorded(path))
    epochs = [epoch for epoch, _ in rows]
    assert epochs == sorted(epochs)
    assert len(set(epochs)) > 1
    names = [name for _, name in rows]
    assert set(names[:20]) == {"openat"}
    assert set(names[-20:]) == {"close"}
    assert len(set(names)) > 2


def recorded(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the rows of a recording: epoch and syscall."""
    with path.open("rb") as file:
        file.seek(len(MAGIC))
        decoder = None
        while header := file.read(BLOCK.size):
            block = check(header, file.read(payload_length(header)))
            if decoder is None:
                decoder = Decoder(block)
            elif (batch := decoder.block(block)) is not None:
                yield from zip(batch["filter_epoch"].tolist(), batch.text("syscall"), strict=True)
