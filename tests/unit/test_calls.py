"""Batches: what selecting, adding columns and reading as text give, for any batch."""

from __future__ import annotations

import errno
import sys
from typing import Any

import numpy as np
import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ior import syscalls
from ior.calls import CALLS, HALVES, NONE_NS, RAW, Batch, Column, Origin, concat
from ior.errors import MissingExtra
from ior.kinds import family_of
from ior.names import FileState, Names
from ior.testing import calls

ORIGIN = Origin("x86_64", 0)
READ, OPENAT, SOCKET = (syscalls.table("x86_64").nr(name) for name in ("read", "openat", "socket"))


def make(rows: int, names: Names | None = None, **columns: Any) -> Batch:
    """A batch of `rows` calls, zeros where no column is given."""
    data: dict[str, Any] = {
        c.name: np.zeros((rows, 5) if c.kind == "words" else rows, c.dtype)
        for c in CALLS.columns
        if c.name != "family"
    }
    data["seq"] = np.arange(rows, dtype=np.uint64)
    for name, values in columns.items():
        data[name] = np.array(values, data[name].dtype)
    return Batch(CALLS, data, names or Names(), ORIGIN)


def plain(batch: Batch) -> list[dict[str, Any]]:
    return [
        {k: v.tolist() if hasattr(v, "tolist") else v for k, v in r.items()} for r in batch.rows()
    ]


@st.composite
def batches(draw: st.DrawFn, min_rows: int = 0) -> Batch:
    rows = draw(st.integers(min_rows, 20))
    names = Names()
    words = st.sampled_from(["", "/etc/passwd", "/tmp/\\xff", "sh"])
    codes = [names.intern(draw(words)) for _ in range(rows)]
    numbers = draw(st.lists(st.sampled_from([READ, OPENAT, SOCKET]), min_size=rows, max_size=rows))
    rets = draw(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=rows, max_size=rows))
    return make(rows, names, file=codes, syscall=numbers, ret=rets)


@st.composite
def batch_and_two_choices(draw: st.DrawFn) -> tuple[Batch, Any, Any]:
    batch = draw(batches(min_rows=1))
    first = draw(choice(len(batch)))
    count = int(first.sum()) if first.dtype == np.bool_ else len(first)
    return batch, first, draw(choice(count))


def choice(rows: int) -> st.SearchStrategy[Any]:
    masks = st.lists(st.booleans(), min_size=rows, max_size=rows).map(lambda m: np.array(m, bool))
    if not rows:
        return masks
    indexes = st.lists(st.integers(0, rows - 1), max_size=rows)
    return masks | indexes.map(lambda i: np.array(i, np.intp))


@given(batch_and_two_choices(), st.booleans())
def test_select_of_select_is_one_select(case: tuple[Batch, Any, Any], look_between: bool) -> None:
    batch, first, second = case
    rows = np.arange(len(batch))[first][second]
    once = batch.select(first)
    if look_between:
        assert once["ret"].tolist() == batch["ret"][first].tolist()
    twice = once.select(second)
    assert len(twice) == len(rows)
    for name in CALLS.names:
        assert twice[name].tolist() == batch[name][rows].tolist()
        assert not twice[name].flags.writeable
    assert plain(twice) == [plain(batch)[i] for i in rows]


def test_mask_that_keeps_all_is_the_batch_itself() -> None:
    batch = make(4)
    assert batch.select(np.ones(4, bool)) is batch
    assert len(batch.select(np.zeros(4, bool))) == 0


@given(batches(min_rows=1))
def test_columns_cannot_be_written_to(batch: Batch) -> None:
    for part in (batch, batch.select(np.arange(len(batch)))):
        for name in CALLS.names:
            with pytest.raises(ValueError, match="read-only"):
                part[name][0] = 0


def test_family_follows_from_the_syscall() -> None:
    batch = make(3, syscall=[READ, SOCKET, OPENAT])
    assert batch.text("family") == ["FS", "Network", "FS"]
    assert batch.select(np.array([1])).text("family") == ["Network"]
    assert family_of("x86_64").shape == (syscalls.NR_LIMIT,)


@pytest.mark.parametrize("arch", ["x86_64", "arm64"])
def test_family_of_agrees_with_the_table(arch: str) -> None:
    table = syscalls.table(arch)
    families = [table.families[i] for i in family_of(arch)]
    assert families == [table.family(nr) for nr in range(syscalls.NR_LIMIT)]


def test_missing_columns_and_uneven_lengths_are_refused() -> None:
    names = Names()
    with pytest.raises(ValueError, match=r"missing.*seq"):
        Batch(CALLS, {"ret": np.zeros(1, np.int64)}, names, ORIGIN)
    columns = {name: make(2)[name] for name in CALLS.names} | {"ret": np.zeros(3, np.int64)}
    with pytest.raises(ValueError, match="lengths"):
        Batch(CALLS, columns, names, ORIGIN)


def test_unknown_column() -> None:
    batch = make(1)
    with pytest.raises(KeyError, match="no column 'nope' in a batch of calls"):
        batch["nope"]
    with pytest.raises(KeyError, match="nope"):
        batch.select(np.array([0]))["nope"]
    with pytest.raises(KeyError, match="nope"):
        batch.column("nope")
    assert batch.column("ret").kind == "int"


@given(batches())
def test_with_columns_adds_and_replaces(batch: Batch) -> None:
    before = plain(batch)
    extra = Column("is_large", "?", "bool", "more than a page")
    ret = batch.column("ret")
    wider = batch.with_columns(
        {extra: np.arange(len(batch)) > 3, ret: np.full(len(batch), 7, np.int64)}
    )
    assert wider.schema.names == (*CALLS.names, "is_large")
    assert wider["is_large"].tolist() == [i > 3 for i in range(len(batch))]
    for old, new in zip(before, wider.rows(), strict=True):
        assert {**old, "ret": 7, "is_large": new["is_large"]} == new
    assert plain(batch) == before


def test_rows_are_decoded_and_empty_cells_are_empty() -> None:
    names = Names()
    path = names.intern("/gone", FileState.DELETED)
    batch = make(
        2,
        names,
        syscall=[OPENAT, READ],
        ret=[-2, 5],
        errno=[errno.ENOENT, 0],
        is_error=[True, False],
        file=[path, 0],
        file_state=[FileState.DELETED, 0],
        latency_ns=[NONE_NS, 12],
        gap_ns=[3, NONE_NS],
    )
    first, second = batch.rows()
    assert list(first) == [name for name in CALLS.names if name != "task"]
    assert (first["syscall"], first["errno"], first["file"]) == ("openat", "ENOENT", "/gone")
    assert (first["file_state"], first["is_error"]) == ("deleted", True)
    assert (first["latency_ns"], first["gap_ns"]) == (None, 3)
    assert (second["syscall"], second["ret"], second["latency_ns"]) == ("read", 5, 12)
    assert (second["errno"], second["file"], second["file_state"]) == ("", "", "")
    assert second["gap_ns"] is None
    assert second["args"] == [0, 0, 0, 0, 0]


@given(batches())
def test_text_has_one_string_a_row(batch: Batch) -> None:
    assert batch.text("file") == [batch.names.text(code) for code in batch["file"].tolist()]
    assert batch.text("ret") == [str(value) for value in batch["ret"].tolist()]
    with pytest.raises(TypeError, match="args"):
        batch.text("args")


@given(batches())
def test_map_text_runs_once_for_each_distinct_name(batch: Batch) -> None:
    seen: list[str] = []

    def upper(text: str) -> str:
        seen.append(text)
        return text.upper()

    codes = batch.map_text("file", upper)
    assert sorted(seen) == sorted(set(batch.text("file")))
    assert batch.names.texts(codes.tolist()) == [text.upper() for text in batch.text("file")]
    assert codes.dtype == np.uint32


@given(batches(), st.data())
def test_concat_of_the_parts_is_the_whole(batch: Batch, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(batch)))
    parts = [batch.select(np.arange(at)), batch.select(np.arange(at, len(batch)))]
    assert plain(concat(parts)) == plain(batch)


def test_concat_refuses_other_names() -> None:
    with pytest.raises(ValueError, match="cannot be joined"):
        concat([make(1), make(1)])


def test_errno_names() -> None:
    assert [syscalls.errno_name(n) for n in (0, 2, 4095)] == ["", "ENOENT", "4095"]


@pytest.mark.parametrize("schema", [CALLS, HALVES])
def test_schemas_are_well_formed(schema: Any) -> None:
    assert len(set(schema.names)) == len(schema.names)
    for column in schema.columns:
        assert np.dtype(column.dtype).name
        assert column.doc
        assert column.kind in {
            *("int", "bool", "time", "duration", "size", "text", "syscall", "family", "errno"),
            *("state", *RAW),
        }


def test_bytes_held_are_those_of_the_columns() -> None:
    batch = make(10)
    held = batch.nbytes()
    assert held >= 10 * 5 * 8
    assert batch.select(np.array([0])).nbytes() == 0


EXTRA = Column("extra", "u4", "text", "text that was added", 0)


def test_added_columns_are_those_of_the_rows_chosen_later() -> None:
    batch = calls(ret=[1, 2, 3], file=["a", "b", ""])
    more = batch.with_columns({EXTRA: ["x", "", "z"]})
    assert more.text("extra") == ["x", "", "z"]
    part = more.select(np.array([2, 0]))
    assert (part.text("extra"), part["ret"].tolist()) == (["z", "x"], [3, 1])
    again = part.with_columns({EXTRA: part.map_text("file", str.upper)})
    assert (again.text("extra"), len(again.schema.columns)) == (["", "A"], len(more.schema.columns))
    assert "extra" not in batch.schema.names
    assert not again["extra"].flags.writeable


@pytest.mark.parametrize(
    ("values", "said"),
    [([1, 2], "has the shape"), ([1, 2, -3], "no u4"), ([1, 2, 1 << 40], "no u4")],
)
def test_a_column_that_does_not_fit_is_refused(values: list[int], said: str) -> None:
    number = Column("number", "u4", "int", "a number")
    with pytest.raises(ValueError, match=said):
        calls(rows=3).with_columns({number: values})


def test_a_function_sees_each_distinct_name_once() -> None:
    seen: list[str] = []

    def upper(text: str) -> str:
        seen.append(text)
        return text.upper()

    names = Names()
    one = calls(names=names, file=["a", "b", "a"])
    two = calls(names=names, file=["b", "c", "a"])
    assert names.texts(one.map_text("file", upper)) == ["A", "B", "A"]
    assert names.texts(two.map_text("file", upper)) == ["B", "C", "A"]
    assert sorted(seen) == ["a", "b", "c"]


def test_rows_as_arrow() -> None:
    batch = calls(ret=[1, -2], file=["/a", ""], latency_ns=[5, -1], syscall=["read", "openat"])
    table = batch.arrow()
    assert isinstance(table, pyarrow.RecordBatch)
    rows = table.to_pylist()
    assert [row["file"] for row in rows] == ["/a", None]
    assert [row["latency_ns"] for row in rows] == [5, None]
    assert [(row["syscall"], row["errno"]) for row in rows] == [
        ("read", None),
        ("openat", "ENOENT"),
    ]
    assert [len(row["args"]) for row in rows] == [5, 5]
    assert table.schema.names == [n for n in batch.schema.names if n != "task"]
    assert table.schema.field("file").metadata[b"kind"] == b"text"


def test_without_pyarrow_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtra, match=r"pip install 'ior\[files\]'"):
        calls(rows=1).arrow()
