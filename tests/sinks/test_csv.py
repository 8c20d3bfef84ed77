from __future__ import annotations

import csv
import io
import os
import select
from itertools import repeat

import anyio
import anyio.lowlevel
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ior.calls import CALLS, RAW, Batch, Column
from ior.errors import OutputError, SpecError
from ior.names import Names
from ior.pipeline.run import Run
from ior.sinks.csv import CellWriter, Csv, CsvConfig
from ior.testing import ListSource, calls, graph, halves
from ior.text import escape, unescape

pytestmark = pytest.mark.anyio

HOSTILE = [
    b"plain",
    b'comma, quote " and\nnewline',
    b"\r",
    b"\x1b[31mred\x07",
    b"invalid \xff\xfe utf-8",
    b"back\\slash \\x41",
    "bidi \u202e and line \u2028".encode(),
    b"=1+1",
    b" lead and trail ",
    b"nul \0 byte",
    b"",
]


async def write(sink: Csv, ctx, batches: list[Batch]) -> None:
    await sink.start(ctx)
    for batch in batches:
        await sink.process(batch)
    await sink.drain()
    await sink.close()


def read(path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


async def test_every_column_in_order_with_empty_cells_where_there_is_nothing(
    node_context, tmp_path
):
    batch = calls(
        syscall=["openat", "read", "exit_group"],
        comm="ls",
        pid=7,
        file=["/etc/passwd", "", ""],
        ret=[-2, 4096, 0],
        latency_ns=[1500, 10, -1],
        gap_ns=[-1, 5, 0],
    )
    await write(Csv(CsvConfig(path="o.csv")), node_context(), [batch])
    rows = read(tmp_path / "o.csv")
    assert list(rows[0]) == [c.name for c in CALLS.columns if c.kind not in RAW]
    opened, got, left = rows
    assert (opened["syscall"], opened["errno"], opened["is_error"]) == ("openat", "2", "true")
    assert (opened["ret"], opened["bytes"], opened["gap_ns"]) == ("-2", "0", "")
    assert (opened["file"], opened["family"]) == ("/etc/passwd", "FS")
    assert (got["errno"], got["is_error"], got["file"], got["bytes"]) == ("", "false", "", "4096")
    assert (left["latency_ns"], left["gap_ns"]) == ("", "0")
    assert [row["time_ns"] for row in rows] == [str(t) for t in batch["time_ns"].tolist()]


async def test_hostile_names_read_back_exactly(node_context, tmp_path):
    batch = calls(file=[escape(name) for name in HOSTILE], comm="=cmd|x")
    await write(Csv(CsvConfig(path="o.csv")), node_context(), [batch])
    rows = read(tmp_path / "o.csv")
    assert [unescape(row["file"]) for row in rows] == HOSTILE
    assert {row["comm"] for row in rows} == {"=cmd|x"}


@given(names=st.lists(st.binary(max_size=12), min_size=1, max_size=8), data=st.data())
def test_any_bytes_read_back_and_cutting_changes_nothing(names, data):
    batch = calls(file=[escape(name) for name in names])
    whole = CellWriter().lines(batch, CALLS.names)
    parsed = list(csv.reader(io.StringIO(whole.decode(), newline="")))
    at = CALLS.names.index("file")
    assert [unescape(row[at]) for row in parsed] == names
    cut = data.draw(st.integers(1, len(names)))
    writer = CellWriter()
    halves_of_it = (np.arange(cut), np.arange(cut, len(names)))
    parts = [writer.lines(batch.select(rows), CALLS.names) for rows in halves_of_it if len(rows)]
    assert b"".join(parts) == whole


async def test_columns_are_chosen_and_ordered_and_the_header_can_be_left_out(
    node_context, tmp_path
):
    batch = calls(ret=[1, 2], args=np.arange(10).reshape(2, 5))
    config = CsvConfig(path="o.csv", columns=["ret", "syscall", "args"], header=False)
    await write(Csv(config), node_context(), [batch])
    assert (tmp_path / "o.csv").read_text() == "1,read,0 1 2 3 4\n2,read,5 6 7 8 9\n"


async def test_times_of_the_wall_clock(node_context, tmp_path):
    batch = halves(flags=[1, 3])
    config = CsvConfig(path="o.csv", columns=["enter_ns", "exit_ns"], time="wall")
    await write(Csv(config), node_context(), [batch])
    offset = batch.origin.wall_offset_ns
    rows = read(tmp_path / "o.csv")
    assert rows[0] == {"enter_ns": str(int(batch["enter_ns"][0]) + offset), "exit_ns": ""}
    assert rows[1]["exit_ns"] == str(int(batch["exit_ns"][1]) + offset)


async def test_a_column_of_ones_own_and_a_batch_that_lacks_it(node_context, tmp_path):
    batch = calls(ret=[1, 2])
    extra = Column("score", "f8", "int", "a score")
    added = batch.with_columns({extra: np.array([0.5, 1.5])})
    await write(Csv(CsvConfig(path="o.csv")), node_context(), [added, batch])
    assert [row["score"] for row in read(tmp_path / "o.csv")] == ["0.5", "1.5", "", ""]


async def test_new_names_objects_are_not_mixed_up(node_context, tmp_path):
    batches = []
    for word in ("first", "second", "first"):
        names = Names()
        batches.append(calls(file=[word, "both"], names=names))
    await write(Csv(CsvConfig(path="o.csv", columns=["file"])), node_context(), batches)
    words = [row["file"] for row in read(tmp_path / "o.csv")]
    assert words == ["first", "both", "second", "both", "first", "both"]


async def test_a_run_without_rows_leaves_a_header(node_context, tmp_path):
    await write(Csv(CsvConfig(path="o.csv")), node_context(), [])
    assert (tmp_path / "o.csv").read_text().startswith("seq,time_ns,gap_ns,")
    assert read(tmp_path / "o.csv") == []


async def test_wrong_columns_are_refused(node_context):
    with pytest.raises(SpecError, match="twice"):
        Csv(CsvConfig(columns=["ret", "ret"]))
    with pytest.raises(SpecError, match="empty"):
        Csv(CsvConfig(columns=[]))
    sink = Csv(CsvConfig(path="o.csv", columns=["nosuch"]))
    await sink.start(node_context())
    with pytest.raises(SpecError, match=r"no column 'nosuch'.*latency_ns"):
        await sink.process(calls())
    await sink.close()


async def test_an_output_that_cannot_be_created_is_refused_at_the_start(node_context):
    with pytest.raises(OutputError, match=r"nosuch/o\.csv"):
        await Csv(CsvConfig(path="nosuch/o.csv")).start(node_context())


async def test_a_failed_run_leaves_the_rows_beside_and_says_so(node_context, tmp_path):
    warnings: list[str] = []
    sink = Csv(CsvConfig(path="o.csv", columns=["ret"]))
    await sink.start(node_context(warnings=warnings))
    await sink.process(calls(ret=5))
    await sink.close()
    await sink.close()
    assert (tmp_path / "o.csv.partial").read_text() == "ret\n5\n"
    assert len(warnings) == 1
    assert "o.csv.partial" in warnings[0]


async def test_rows_reach_a_pipe_with_their_batch(node_context):
    reader, writer = os.pipe()
    sink = Csv(CsvConfig(path=f"/dev/fd/{writer}", columns=["ret"]))
    await sink.start(node_context())
    await sink.process(calls(ret=5))
    assert select.select([reader], [], [], 0)[0]
    assert os.read(reader, 100) == b"ret\n5\n"
    await sink.close()
    os.close(writer)
    os.close(reader)


async def test_a_reader_that_leaves_asks_for_the_end_and_rows_are_swallowed(node_context):
    reader, writer = os.pipe()
    sink, ctx = Csv(CsvConfig(path=f"/dev/fd/{writer}")), node_context()
    await sink.start(ctx)
    os.close(writer)
    await sink.tick(0)
    assert ctx.stops == []
    os.close(reader)
    for _ in range(3):
        await sink.process(calls())
    await sink.drain()
    await sink.close()
    assert ctx.stops == [1]
    assert ctx.books.filtered == 3 * len(calls())


async def test_a_reader_that_leaves_is_noticed_without_rows(node_context):
    reader, writer = os.pipe()
    sink, ctx = Csv(CsvConfig(path=f"/dev/fd/{writer}")), node_context()
    await sink.start(ctx)
    os.close(writer)
    os.close(reader)
    await sink.tick(0)
    assert ctx.stops == [1]
    await sink.close()


async def test_no_control_byte_reaches_a_terminal(node_context):
    controller, terminal = os.openpty()
    sink = Csv(CsvConfig(path=os.ttyname(terminal), columns=["file", "comm"]))
    await sink.start(node_context())
    await sink.process(calls(file=[escape(name) for name in HOSTILE], comm="\x9b31m"))
    await sink.drain()
    seen = os.read(controller, 100_000).decode()
    lines = seen.split("\r\n")
    assert len(lines) == len(HOSTILE) + 2
    shown = "".join(lines)
    assert not [c for c in shown if ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or c in "\u202e\u2028"]
    assert "red" in shown
    await sink.close()
    os.close(controller)
    os.close(terminal)


async def test_a_terminal_shows_the_name_of_an_error(node_context):
    controller, terminal = os.openpty()
    sink = Csv(CsvConfig(path=os.ttyname(terminal), columns=["ret", "errno"]))
    await sink.start(node_context())
    await sink.process(calls(ret=[-2, 1]))
    await sink.drain()
    assert os.read(controller, 1000) == b"ret,errno\r\n-2,ENOENT\r\n1,\r\n"
    await sink.close()
    os.close(controller)
    os.close(terminal)


async def test_in_a_run_the_books_close(tmp_path):
    nodes = {"in": ListSource([calls(rows=100), calls(rows=7)]), "out": Csv(CsvConfig(path="o"))}
    ledger = await Run(graph(nodes, {"out": "in"}, directory=tmp_path)).run()
    assert ledger.stages["out"].consumed == 107
    assert not ledger.open_because
    assert len(read(tmp_path / "o")) == 107


async def test_a_run_ends_well_when_its_reader_leaves(tmp_path):
    reader, writer = os.pipe()
    nodes = {
        "in": ListSource(calls(rows=10) for _ in repeat(None)),
        "out": Csv(CsvConfig(path=f"/dev/fd/{writer}", columns=["ret"])),
    }
    run = Run(graph(nodes, {"out": "in"}, directory=tmp_path))
    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:

            async def head() -> None:
                await run.started.wait()
                os.close(writer)
                assert (await anyio.to_thread.run_sync(os.read, reader, 6)) == b"ret\n0\n"
                os.close(reader)

            group.start_soon(head)
            ledger = await run.run()
    books = ledger.stages["out"]
    assert books.consumed + books.filtered == ledger.stages["in"].out["out"]
    assert books.consumed > 0
    assert not ledger.open_because


async def test_a_reader_that_is_slow_holds_up_nothing_else(tmp_path):
    reader, writer = os.pipe()
    nodes = {
        "in": ListSource([calls(rows=10_000) for _ in range(4)]),
        "slow": Csv(CsvConfig(path=f"/dev/fd/{writer}")),
        "fast": Csv(CsvConfig(path="fast", columns=["ret"])),
    }
    run = Run(graph(nodes, {"slow": "in", "fast": "in"}, directory=tmp_path))
    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            group.start_soon(run.run)
            await run.started.wait()
            os.close(writer)
            while run.ledger().stages["fast"].consumed < 40_000:
                await anyio.lowlevel.checkpoint()
            assert run.ledger().stages["slow"].consumed == 0
            os.close(reader)
    books = run.ledger().stages["slow"]
    assert books.filtered > 0, "what nobody read was booked as delivered"
    assert books.filtered + books.consumed == 40_000
