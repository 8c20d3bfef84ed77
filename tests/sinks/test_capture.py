from __future__ import annotations

import random
import struct
import tempfile
import zlib
from itertools import pairwise

import anyio
import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ior import recording, tasks
from ior.calls import CALLS, HALVES, MAX_CALLS, Batch, Column, Origin, Schema, concat
from ior.errors import InputNotFound, IorError, SpecError, UsageError
from ior.names import FileState, Names
from ior.pipeline.graph import build
from ior.pipeline.ledger import KERNEL, Ledger, StageBooks
from ior.pipeline.run import Run
from ior.pipeline.settings import Batching
from ior.pipeline.spec import parse
from ior.recording import BLOCK, MAGIC, Encoder
from ior.sinks.capture import Capture, CaptureConfig
from ior.sinks.csv import CellWriter
from ior.sources.replay import Replay, ReplayConfig, batches
from ior.testing import ListSource, calls, context, graph, halves
from ior.text import escape

pytestmark = pytest.mark.anyio


def encoded(batches: list[Batch], *, end: bool = True, kernel: dict[str, int] | None = None):
    encoder = Encoder()
    data = b"".join(encoder.batch(batch) for batch in batches)
    return data + (encoder.end(kernel or {}) if end else b"")


async def replayed(path, warnings: list[str] | None = None) -> list[Batch]:
    source = Replay(ReplayConfig(path=str(path)))
    await source.start(context(warnings=warnings))
    batches = []
    while (batch := await source.read()) is not None:
        batches.append(batch)
    assert source.books()["read"] == sum(map(len, batches))
    await source.close()
    return batches


def assert_equal(one: Batch, other: Batch) -> None:
    assert one.schema == other.schema
    assert one.origin == other.origin
    for column in one.schema.columns:
        mine, its = one[column.name], other[column.name]
        assert mine.dtype == its.dtype
        assert np.array_equal(mine, its)
        if column.kind == "text":
            codes = mine.tolist()
            assert one.names.texts(codes) == other.names.texts(codes)
            assert np.array_equal(one.names.states[mine], other.names.states[its])


def joined(batches: list[Batch], most: int = MAX_CALLS) -> list[Batch]:
    """Return batches as a replay joins them: neighbours of one dictionary and origin."""
    runs: list[list[Batch]] = []
    for batch in batches:
        last = runs[-1] if runs else []
        same = last and (last[0].names is batch.names and last[0].origin == batch.origin)
        if same and sum(map(len, last)) + len(batch) <= most:
            last.append(batch)
        else:
            runs.append([batch])
    return [concat(run) for run in runs]


def sample() -> list[Batch]:
    """Three batches over two dictionaries, with names that come in between."""
    first, second = Names(), Names()
    first.intern("/gone", FileState.DELETED)
    return [
        halves(file=["/etc/passwd", "/gone"], names=first),
        halves(file=["pipe:[1]", escape(b"\xff\n")], names=second),
        halves(file=["/new", "/etc/passwd", ""], names=first, ret=[1, -2, 3]),
    ]


names_and_rows = st.lists(
    st.tuples(
        st.lists(st.tuples(st.binary(max_size=9), st.sampled_from(FileState)), max_size=6),
        st.integers(1, 20),
        st.integers(0, 2),
    ),
    min_size=1,
    max_size=6,
)


@given(plan=names_and_rows, seed=st.integers(0, 2**32 - 1), schema=st.sampled_from((CALLS, HALVES)))
@settings(max_examples=60)
def test_what_is_replayed_is_what_was_captured(plan, seed, schema):
    random = np.random.default_rng(seed)
    dictionaries = [Names(), Names(), Names()]
    batches = []
    for new, rows, which in plan:
        names = dictionaries[which]
        for raw, state in new:
            names.intern(escape(raw), state)
        columns = {}
        for column in schema.columns:
            limits = {"syscall": 512, "state": 5, "family": 3, "bool": 2}
            limits |= dict.fromkeys(("text", "task"), len(names))
            top = limits.get(column.kind, 2 ** (8 * np.dtype(column.dtype).itemsize - 1))
            shape = (rows, 5) if column.kind == "words" else rows
            columns[column.name] = random.integers(0, top, shape).astype(column.dtype)
        batches.append(Batch(schema, columns, names, Origin("arm64", rows % 2)))
    with tempfile.NamedTemporaryFile() as file:
        file.write(encoded(batches))
        file.flush()
        warnings: list[str] = []
        got = anyio.run(replayed, file.name, warnings)
    assert not warnings
    for one, other in zip(joined(batches), got, strict=True):
        assert_equal(one, other)
    for one, other in pairwise(got):
        if one.names is other.names:
            assert len(concat([one, other])) == len(one) + len(other)


@pytest.mark.parametrize("most", [1, 4, 10, MAX_CALLS])
async def test_small_batches_are_joined_where_they_need_not_wait(tmp_path, most):
    names, other = Names(), Names()
    sizes = [1, 2, 3, 1, 7, 12, 1, 1]
    starts = np.cumsum([0, *sizes]).tolist()
    parts = [
        calls(
            names=other if i == 5 else names,
            seq=np.arange(start, start + size),
            file=[f"/{start + k}" for k in range(size)],
            filter_epoch=i // 3,
            time_ns=[7] * size,
        )
        for i, (start, size) in enumerate(zip(starts, sizes, strict=False))
    ]
    (tmp_path / "s").write_bytes(encoded(parts))
    for speed, expected in ((0, joined(parts, most)), (1000, parts)):
        source = Replay(ReplayConfig(path=str(tmp_path / "s"), speed=speed))
        ctx = context()
        ctx.batching = Batching(max_calls=most)
        await source.start(ctx)
        got = [await source.read() for _ in expected]
        assert await source.read() is None
        assert source.books()["read"] == sum(sizes)
        for one, two in zip(expected, got, strict=True):
            assert_equal(one, two)
        await source.close()


def test_rates_are_in_the_first_block(tmp_path):
    path, origin = tmp_path / "rates.ior", Origin("x86_64", 7, ((0, 10), (202, 0)))
    path.write_bytes(encoded([calls(syscall=["read", "close"], origin=origin)]))
    (again,) = batches(str(path))
    assert again.origin == origin
    assert again["sample_rate"].tolist() == [10, 1]
    path.write_bytes(encoded([calls(origin=origin._replace(rates=((512, 1),)))]))
    with pytest.raises(UsageError, match="an impossible rate"):
        list(batches(str(path)))


async def test_a_run_is_captured_and_replayed_with_closed_books(tmp_path):
    nodes = {"in": ListSource(sample()), "out": Capture(CaptureConfig(path="s.ior"))}
    await Run(graph(nodes, {"out": "in"}, directory=tmp_path)).run()
    warnings: list[str] = []
    again = {
        "in": Replay(ReplayConfig(path="s.ior")),
        "out": Capture(CaptureConfig(path="again.ior")),
    }
    run = Run(graph(again, {"out": "in"}, directory=tmp_path))
    ledger = await run.run()
    assert not run.warnings
    assert not ledger.open_because
    assert ledger.kernel["attempted"] == ledger.kernel["read"] == 7
    assert ledger.stages["out"].consumed == 7
    one = await replayed(tmp_path / "s.ior", warnings)
    other = await replayed(tmp_path / "again.ior", warnings)
    assert not warnings
    assert [len(batch) for batch in one] == [2, 2, 3]
    for mine, its in zip(one, other, strict=True):
        assert_equal(mine, its)


async def test_the_schema_is_known_before_the_start(tmp_path):
    (tmp_path / "calls").write_bytes(encoded([calls(rows=3)]))
    (tmp_path / "halves").write_bytes(encoded(sample()))
    assert Replay(ReplayConfig(path=str(tmp_path / "calls"))).gives is CALLS
    assert Replay(ReplayConfig(path=str(tmp_path / "halves"))).gives is HALVES


async def test_columns_of_ones_own_survive(tmp_path):
    extra = {
        Column("score", "f8", "int", "mine"): np.array([0.5, 2.0]),
        Column("tag", "u4", "text", "mine", 0): np.array([1, 2], np.uint32),
        Column("odd", "?", "bool", "mine"): np.array([True, False]),
    }
    names = Names()
    batch = calls(file=["/a", "/b"], names=names).with_columns(extra)
    (tmp_path / "s").write_bytes(encoded([batch]))
    (got,) = await replayed(tmp_path / "s")
    assert_equal(batch, got)
    assert got.text("tag") == [names.text(1), names.text(2)]


async def test_a_batch_larger_than_batches_are_is_split(tmp_path):
    (tmp_path / "s").write_bytes(encoded([calls(rows=MAX_CALLS + 5)]))
    assert [len(batch) for batch in await replayed(tmp_path / "s")] == [MAX_CALLS, 5]


async def test_many_long_names_are_split_over_blocks(tmp_path):
    texts = [f"/{i:05d}/" + "x" * 4000 for i in range(1000)]
    (tmp_path / "s").write_bytes(encoded([calls(file=texts)]))
    (batch,) = await replayed(tmp_path / "s")
    assert batch.text("file") == texts


async def test_a_recording_has_one_schema(tmp_path):
    sink = Capture(CaptureConfig(path="s"))
    await sink.start(context(directory=tmp_path))
    await sink.process(calls())
    with pytest.raises(SpecError, match="use one capture for each"):
        await sink.process(halves())
    await sink.close()


async def test_a_capture_without_rows_can_be_replayed(tmp_path):
    sink = Capture(CaptureConfig(path="s"))
    await sink.start(context(directory=tmp_path))
    await sink.drain()
    await sink.close()
    warnings: list[str] = []
    assert await replayed(tmp_path / "s", warnings) == []
    assert not warnings


async def test_what_was_lost_at_the_recording_is_said_at_the_replay(tmp_path):
    books = Ledger(closed=True, kernel={"lost": 12}, calls=0, stages={"s": StageBooks()}, edges={})
    sink = Capture(CaptureConfig(path="s"))
    await sink.start(context(directory=tmp_path, ledger=books))
    await sink.process(halves())
    await sink.drain()
    warnings: list[str] = []
    await replayed(tmp_path / "s", warnings)
    assert len(warnings) == 1
    assert "12 records" in warnings[0]


async def test_the_books_of_a_replay_have_every_key(tmp_path):
    (tmp_path / "s").write_bytes(encoded(sample()))
    assert set(Replay(ReplayConfig(path=str(tmp_path / "s"))).books()) == set(KERNEL)


def boundaries(data: bytes) -> list[int]:
    """Return the offsets at which blocks begin, and the end."""
    at, found = len(MAGIC), []
    while at < len(data):
        found.append(at)
        at += BLOCK.size + BLOCK.unpack(data[at : at + BLOCK.size])[1]
    return [*found, at]


async def test_a_cut_recording_gives_every_whole_block_and_names_the_place(tmp_path):
    data, path = encoded(sample()), tmp_path / "s"
    starts = boundaries(data)
    for cut in range(starts[1], len(data), 7):
        path.write_bytes(data[:cut])
        warnings: list[str] = []
        rows = sum(map(len, await replayed(path, warnings)))
        ends = pairwise(starts)
        kinds = [data[at : at + 1] for at, end in ends if end <= cut]
        assert rows == {0: 0, 1: 2, 2: 4, 3: 7}[kinds.count(b"B")]
        at = max(start for start in starts if start <= cut)
        assert len(warnings) == 1
        assert f"at byte {at}:" in warnings[0]
        assert f"the {rows} rows" in warnings[0]


async def test_flipped_bytes_end_well_or_in_one_clear_error(tmp_path):
    data, path = encoded(sample()), tmp_path / "s"
    chance = random.Random(1)
    places = [*range(40), *chance.sample(range(len(data)), 200)]
    said = 0
    for place in places:
        damaged = bytearray(data)
        damaged[place] ^= chance.randrange(1, 256)
        path.write_bytes(damaged)
        warnings: list[str] = []
        try:
            await replayed(path, warnings)
            said += len(warnings) == 1
        except IorError as error:
            said += "\n" not in str(error)
    assert said == len(places)


async def test_what_is_no_recording_is_refused_in_a_sentence(tmp_path):
    path = tmp_path / "s"
    for content in (b"", b"seq,time_ns\n1,2\n", MAGIC, MAGIC + b"\0" * 50, MAGIC + b"H"):
        path.write_bytes(content)
        with pytest.raises(UsageError, match="is not a recording that ior can replay"):
            Replay(ReplayConfig(path=str(path)))
    with pytest.raises(UsageError, match="not a regular file"):
        Replay(ReplayConfig(path=str(tmp_path)))
    with pytest.raises(UsageError, match="speed"):
        Replay(ReplayConfig(path=str(path), speed=-1))


async def test_a_missing_recording_is_not_found(tmp_path):
    source = Replay(ReplayConfig(path="nosuch.ior"))
    with pytest.raises(InputNotFound, match=r"nosuch\.ior") as caught:
        await source.start(context(directory=tmp_path))
    assert caught.value.exit_code == 66
    await source.close()


def forged(*blocks: tuple[bytes, bytes], **changes) -> bytes:
    head = {
        "version": recording.VERSION,
        "schema": "calls",
        "columns": list(CALLS.columns),
        "arch": "x86_64",
        "wall_offset_ns": 0,
    }
    first = (b"H", msgspec.json.encode(head | changes))
    return MAGIC + b"".join(recording.block(kind, payload) for kind, payload in (first, *blocks))


@pytest.mark.parametrize(
    "change",
    [
        {"version": 99},
        {"arch": "vax"},
        {"columns": []},
        {"columns": list(CALLS.columns[1:])},
        {"columns": [*CALLS.columns, Column("x", "O", "int", "")]},
        {"columns": [*CALLS.columns, Column("x", "V9999999", "int", "")]},
        {"columns": [*CALLS.columns, Column("x", "f8", "text", "")]},
        {"columns": [*CALLS.columns, Column("x", "u4", "magic", "")]},
        {"columns": [CALLS.columns[0]._replace(dtype="u1"), *CALLS.columns[1:]]},
        {"columns": [*CALLS.columns, CALLS.columns[0]]},
        {"columns": "[" * 100_000},
        {"schema": 7},
    ],
)
def test_a_forged_head_is_refused(tmp_path, change):
    (tmp_path / "s").write_bytes(forged(**change))
    with pytest.raises(UsageError, match="is not a recording"):
        Replay(ReplayConfig(path=str(tmp_path / "s")))


def packed(*fields) -> bytes:
    return zlib.compress(msgspec.msgpack.encode(fields))


def columns_with(**values: bytes) -> list[bytes]:
    wide = {"words": 5}
    return [
        values.get(c.name, bytes(np.dtype(c.dtype).itemsize * wide.get(c.kind, 1)))
        for c in CALLS.columns
    ]


NO_NAMES = (b"N", packed(0, 1, [], b""))


@pytest.mark.parametrize(
    "blocks",
    [
        [(b"B", packed(0, "x86_64", 0, 1, columns_with()))],
        [NO_NAMES, (b"B", packed(0, "x86_64", 0, 2, columns_with()))],
        [NO_NAMES, (b"B", packed(0, "x86_64", 0, 0, []))],
        [NO_NAMES, (b"B", packed(0, "x86_64", 0, 2**40, columns_with()))],
        [NO_NAMES, (b"B", packed(0, "x86_64", 2**63, 1, columns_with()))],
        [NO_NAMES, (b"B", packed(0, "vax", 0, 1, columns_with()))],
        [NO_NAMES, (b"B", packed(0, "x86_64", 0, 1, columns_with(file=struct.pack("<I", 1))))],
        [NO_NAMES, (b"B", packed(0, "x86_64", 0, 1, columns_with(syscall=b"\xff\xff")))],
        [NO_NAMES, (b"B", packed(0, "x86_64", 0, 1, columns_with(family=b"\xff")))],
        [NO_NAMES, (b"B", packed(0, "x86_64", 0, 1, columns_with(file_state=b"\x09")))],
        [(b"N", packed(7, 1, [], b""))],
        [(b"N", packed(0, 5, [b"x"], b"\0"))],
        [NO_NAMES, (b"N", packed(0, 1, [b"x"], b""))],
        [NO_NAMES, (b"N", packed(0, 1, [b"x", b"x"], b"\0\0"))],
        [NO_NAMES, (b"N", packed(0, 1, [b"x"], b"\x63"))],
        [NO_NAMES, (b"N", packed(0, 1, [b"\xff"], b"\0"))],
        [(b"N", b"not compressed")],
        [(b"N", zlib.compress(b"\x93"))],
        [(b"N", zlib.compress(bytes(recording.MAX_PAYLOAD + 1)))],
        [(b"Z", b"")],
        [(b"E", b"{}")],
        [(b"E", b'{"rows":0,"kernel":{}}'), NO_NAMES],
    ],
)
async def test_forged_blocks_end_the_replay_with_a_warning(tmp_path, blocks):
    (tmp_path / "s").write_bytes(forged(*blocks))
    warnings: list[str] = []
    assert await replayed(tmp_path / "s", warnings) == []
    assert len(warnings) == 1
    assert "is damaged at byte" in warnings[0]


async def test_a_forged_block_of_the_right_shape_is_a_batch(tmp_path):
    blocks = [NO_NAMES, (b"B", packed(0, "x86_64", 0, 1, columns_with(is_error=b"\x07")))]
    (tmp_path / "s").write_bytes(forged(*blocks))
    (batch,) = await replayed(tmp_path / "s", [])
    assert batch["is_error"].tolist() == [True]
    assert batch["is_error"].view(np.uint8).tolist() == [1]
    assert CellWriter().lines(batch, CALLS.names)


async def test_what_stands_before_a_forged_block_is_replayed(tmp_path):
    def one(number: int, **values: bytes) -> tuple[bytes, bytes]:
        columns = columns_with(seq=struct.pack("<Q", number), **values)
        return b"B", packed(0, "x86_64", 0, 1, columns)

    blocks = [NO_NAMES, one(0), one(1), one(2, file=struct.pack("<I", 9)), one(3)]
    (tmp_path / "s").write_bytes(forged(*blocks))
    warnings: list[str] = []
    (batch,) = await replayed(tmp_path / "s", warnings)
    assert batch["seq"].tolist() == [0, 1]
    at = len(forged(*blocks[:3]))
    (said,) = warnings
    assert f"at byte {at}: column 'file' holds an unknown text; the 2 rows before that" in said


async def test_a_block_that_claims_to_be_huge_is_not_read(tmp_path):
    data = forged() + BLOCK.pack(b"B", 2**32 - 1, 0)
    (tmp_path / "s").write_bytes(data)
    warnings: list[str] = []
    assert await replayed(tmp_path / "s", warnings) == []
    assert "longer than blocks are" in warnings[0]


class JumpingClock:
    """A clock on which waiting takes no time; `asleep` is set when somebody waits."""

    def __init__(self, *, forever: bool = False) -> None:
        self.now, self.forever, self.asleep = 0, forever, anyio.Event()

    def now_ns(self) -> int:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += round(seconds * 1e9)
        self.asleep.set()
        if self.forever:
            await anyio.sleep_forever()


@pytest.mark.parametrize(("speed", "pace"), [(1.0, 1.0), (2.0, 0.5), (0.0, 0.0)])
async def test_a_replay_takes_its_time(tmp_path, speed, pace):
    batches = [calls(time_ns=10**9 * second) for second in (5, 6, 4, 9)]
    (tmp_path / "s").write_bytes(encoded(batches))
    clock, times = JumpingClock(), []
    source = Replay(ReplayConfig(path=str(tmp_path / "s"), speed=speed))
    await source.start(context(clock=clock))
    while await source.read() is not None:
        times.append(clock.now)
    await source.close()
    assert times == [0, pace * 1e9, pace * 1e9, pace * 4e9]


async def test_stopping_wakes_a_replay_that_waits(tmp_path):
    (tmp_path / "s").write_bytes(encoded([calls(time_ns=1), calls(time_ns=10**15)]))
    clock = JumpingClock(forever=True)
    source = Replay(ReplayConfig(path=str(tmp_path / "s"), speed=1))
    await source.start(context(clock=clock))
    assert len(await source.read()) == 1
    left = []

    async def consume() -> None:
        left.append(await source.read())

    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            group.start_soon(consume)
            await clock.asleep.wait()
            source.stop()
    assert left == [None]
    assert source.books()["read"] == 1
    await source.close()


async def test_a_recording_of_calls_checks_in_a_pipeline_that_takes_calls(tmp_path):
    (tmp_path / "s.ior").write_bytes(encoded([calls(rows=3, file="/x"), calls(rows=4)]))
    text = f"""
        version = 1
        [stage.old]
        type = "replay"
        path = "{tmp_path}/s.ior"
        [stage.stats]
        type = "stats"
        inputs = "old"
        [stage.csv]
        type = "csv"
        inputs = "old"
        path = "rows.csv"
        [stage.report]
        type = "report"
        of = ["stats"]
        path = "report.txt"
    """
    run = Run(build(parse(text, directory=tmp_path, label="test")))
    ledger = await run.run()
    assert ledger.closed
    assert run.snapshot("stats").totals.calls == 7
    assert len((tmp_path / "rows.csv").read_text().splitlines()) == 8
    report = (tmp_path / "report.txt").read_text()
    assert report.splitlines()[1].split()[:2] == ["read", "7"]
    assert "books       closed" in report


def test_a_recording_from_before_a_column_is_replayed(tmp_path) -> None:
    batch = calls(rows=2, file="/a")
    known = tuple(c for c in CALLS.columns if c.name not in ("task", *tasks.COLUMNS))
    older = Batch(
        Schema("calls", known), {c.name: batch[c.name] for c in known}, batch.names, batch.origin
    )
    (tmp_path / "old.ior").write_bytes(encoded([older]))
    warnings: list[str] = []
    (got,) = anyio.run(replayed, str(tmp_path / "old.ior"), warnings)
    assert not warnings
    assert set(got.schema.names) == set(CALLS.names)
    assert got.text("file") == ["/a", "/a"]
    assert got.text("cgroup") == ["", ""]
    assert got["uid"].tolist() == [-1, -1]
