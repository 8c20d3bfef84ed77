"""The compiled filter against a plain interpreter that walks an expression row by row."""

import errno
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ior import syscalls
from ior.calls import CALLS, Batch
from ior.expr import compile_filter, masks
from ior.expr.tree import Tree
from ior.names import FileState, Names
from ior.testing import calls
from ior.text import escape, unescape

TABLE = syscalls.table("x86_64")
RAW = [b"", b"/", b"/a", b"/a/b", b"/a/b/c", b"/ab", b"A/b", b"dd", b"\xff", b"xff", b"a\\b", b"\n"]
NUMBERS = {
    "fd": [-1, 0, 3, 2**31 - 1],
    "pid": [0, 1, 300, 2**32 - 1],
    "ret": [-(2**63), -2, 0, 5, 2**63 - 1],
    "seq": [0, 7, 2**64 - 1],
    "latency": [-1, 0, 1, 999_999, 1_000_000],
    "bytes": [0, 1, 4096],
    "errno": [0, errno.ENOENT, errno.EAGAIN, 4095],
}
FAR = [-(2**64), -1, 2**31, 2**32, 2**63, 2**64, 2**70]
COLUMN = {"latency": "latency_ns"}
EMPTY = {"latency": -1, "errno": 0}
FILES = ("file", "old_file", "asked")
CALLED = ["read", "write", "fstat", "stat", "openat", "socket", "futex"]


@dataclass
class Node:
    """One node of an expression, with the way to write it and the way to decide it."""

    text: str
    op: str = ""
    name: str = ""
    values: list[Any] = field(default_factory=list)
    terms: "list[Node]" = field(default_factory=list)


def literal(raw: bytes) -> str:
    return '"' + escape(raw).replace('"', r"\"").replace("\n", r"\n") + '"'


def in_list(words: list[str]) -> str:
    return f"[{', '.join(words)}]"


@st.composite
def numeric(draw: st.DrawFn) -> Node:
    name = draw(st.sampled_from(sorted(NUMBERS)))
    value = st.sampled_from(NUMBERS[name] + FAR)
    op = draw(st.sampled_from(["==", "!=", "<", "<=", ">", ">=", "in", "not in"]))
    if op.endswith("in"):
        values = draw(st.lists(value, max_size=9))
        return Node(f"{name} {op} {in_list([str(v) for v in values])}", op, name, values)
    number = draw(value)
    return Node(f"{name} {op} {number}", op, name, [number])


@st.composite
def textual(draw: st.DrawFn) -> Node:
    name = draw(st.sampled_from(["comm", "path", *FILES]))
    ops = ["==", "!=", "~", "!~", "^~", "$~", "in", "not in", "under", "directly under"]
    op = draw(st.sampled_from(ops))
    if op.endswith("in"):
        values = draw(st.lists(st.sampled_from(RAW), max_size=4))
        return Node(f"{name} {op} {in_list([literal(v) for v in values])}", op, name, values)
    choices = [b"/", b"/a", b"/a/", b"/a/b"] if "under" in op else [*RAW, b"b", b"A", b"/b"]
    value = draw(st.sampled_from(choices))
    return Node(f"{name} {op} {literal(value)}", op, name, [value])


@st.composite
def named(draw: st.DrawFn) -> Node:
    name = draw(st.sampled_from(["syscall", "family", "file_state"]))
    words = {
        "syscall": [*CALLED, "newfstat"],
        "family": list(TABLE.families),
        "file_state": [s.name.lower() for s in FileState if s],
    }[name]
    op = draw(st.sampled_from(["==", "!=", "in", "not in", "~", "!~", "^~", "$~"]))
    if op.endswith("in"):
        values = draw(st.lists(st.sampled_from(words), max_size=3))
        return Node(f"{name} {op} {in_list(values)}", op, name, values)
    parts = ["stat", "e", "F", "d", "newf", "un"]
    value = draw(st.sampled_from(parts if "~" in op else words))
    return Node(f"{name} {op} {value}", op, name, [value])


def bare(draw: tuple[str, list[int]]) -> Node:
    return Node(draw[0], "flag", "is_error", draw[1])


FLAGS = st.sampled_from(
    [
        ("is_error", [1]),
        ("is_error == true", [1]),
        ("is_error != true", [0]),
        ("is_error == false", [0]),
    ]
).map(bare)
CONSTANTS = st.sampled_from([Node("true", "const", values=[1]), Node("false", "const", values=[0])])


def combined(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    def join(op: str) -> st.SearchStrategy[Node]:
        return st.lists(inner, min_size=2, max_size=3).map(
            lambda terms: Node(f"({f' {op} '.join(t.text for t in terms)})", op, terms=terms)
        )

    inverse = inner.map(lambda term: Node(f"not ({term.text})", "not", terms=[term]))
    return join("and") | join("or") | inverse


EXPRESSIONS = st.recursive(
    numeric() | textual() | named() | FLAGS | CONSTANTS, combined, max_leaves=8
)


def number_holds(op: str, cell: int, values: list[int]) -> bool:
    if op in ("in", "not in"):
        return (cell in values) == (op == "in")
    value = values[0]
    order = (cell > value) - (cell < value)
    wanted = {"==": [0], "!=": [-1, 1], "<": [-1], "<=": [-1, 0], ">": [1], ">=": [0, 1]}
    return order in wanted[op]


def parent(path: bytes) -> bytes:
    return path.rpartition(b"/")[0] or b"/"


def text_holds(op: str, cell: bytes, values: list[bytes]) -> bool:
    """Decide one positive operator on the bytes of one cell that is not empty."""
    value = values[0] if values else b""
    if op in ("==", "in"):
        return cell in values
    if op == "~":
        return value in (cell.lower() if value == value.lower() else cell)
    if op == "^~":
        return cell.startswith(value)
    if op == "$~":
        return cell.endswith(value)
    directory = value.rstrip(b"/") or b"/"
    if op == "directly under":
        return cell != b"/" and cell.startswith(b"/") and parent(cell) == directory
    while cell.startswith(b"/"):
        if cell == directory:
            return True
        if cell == b"/":
            return False
        cell = parent(cell)
    return False


POSITIVE = {"!=": "==", "!~": "~", "not in": "in"}


def texts_hold(op: str, cells: list[bytes], values: list[bytes]) -> bool:
    """Decide an operator on all texts of one cell, of which none is empty."""
    positive = POSITIVE.get(op, op)
    found = any(text_holds(positive, cell, values) for cell in cells)
    return found == (positive == op)


def cell_texts(row: dict[str, Any], name: str) -> list[bytes]:
    if name == "syscall":
        call = TABLE.by_nr[row[name]]
        return [call.name.encode(), call.tracepoint.encode()]
    if name == "family":
        return [TABLE.families[row[name]].encode()]
    if name == "file_state":
        return [FileState(row[name]).name.lower().encode()] if row[name] else []
    return [unescape(row[name])] if row[name] else []


def holds(node: Node, row: dict[str, Any]) -> bool:
    if node.op == "const":
        return bool(node.values[0])
    if node.op == "flag":
        return bool(row[node.name]) == bool(node.values[0])
    if node.op in ("and", "or"):
        return (all if node.op == "and" else any)([holds(term, row) for term in node.terms])
    if node.op == "not":
        return not holds(node.terms[0], row)
    if node.name in NUMBERS:
        cell = row[COLUMN.get(node.name, node.name)]
        return cell != EMPTY.get(node.name) and number_holds(node.op, cell, node.values)
    values = [v if isinstance(v, bytes) else v.encode() for v in node.values]
    if node.name == "path":
        cells = [text for name in FILES for text in cell_texts(row, name)]
        return texts_hold(node.op, cells, values)
    if node.op in ("==", "!=", "in", "not in"):
        values = [b"fstat" if v == b"newfstat" and node.name == "syscall" else v for v in values]
    cells = cell_texts(row, node.name)
    return bool(cells) and texts_hold(node.op, cells, values)


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    rows = draw(st.integers(1, 6))

    def column(values: list[Any]) -> list[Any]:
        return draw(st.lists(st.sampled_from(values), min_size=rows, max_size=rows))

    names = Names()
    columns: dict[str, Any] = {
        COLUMN.get(name, name): np.array(column(values), object) for name, values in NUMBERS.items()
    }
    for name in ("comm", *FILES):
        columns[name] = [
            names.intern(escape(raw), draw(st.sampled_from([0, 0, 2]))) for raw in column(RAW)
        ]
    columns["syscall"] = column(CALLED)
    columns["file_state"] = column([int(state) for state in FileState])
    columns["is_error"] = column([False, True])
    return calls(names=names, **columns)


def raw_rows(batch: Batch) -> list[dict[str, Any]]:
    rows = []
    for i in range(len(batch)):
        row = {name: batch[name][i].tolist() for name in CALLS.names if name != "args"}
        for name in ("comm", *FILES):
            row[name] = batch.names.text(row[name])
        rows.append(row)
    return rows


@given(EXPRESSIONS, st.lists(batches(), min_size=1, max_size=3))
def test_the_compiled_filter_agrees_with_the_interpreter(node: Node, many: list[Batch]) -> None:
    keep = compile_filter(node.text)
    for batch in many:
        assert keep(batch).tolist() == [holds(node, row) for row in raw_rows(batch)]


@given(EXPRESSIONS, batches())
def test_not_is_the_opposite_and_the_mask_touches_no_column(node: Node, batch: Batch) -> None:
    before = {name: batch[name].copy() for name in CALLS.names}
    mask = compile_filter(node.text)(batch)
    assert compile_filter(f"not ({node.text})")(batch).tolist() == (~mask).tolist()
    assert all(np.array_equal(batch[name], before[name]) for name in CALLS.names)


@given(EXPRESSIONS, batches())
def test_the_neutral_terms_can_be_written_as_json_and_say_the_same(
    node: Node, batch: Batch
) -> None:
    keep = compile_filter(node.text)
    written = msgspec.json.encode(keep.tree)
    assert msgspec.json.decode(written, type=Tree) == keep.tree  # type: ignore[arg-type]
    assert evaluate(msgspec.json.decode(written), batch) == keep(batch).tolist()


def evaluate(term: dict[str, Any], batch: Batch) -> list[bool]:
    """Evaluate terms as a later reader would: from their documented meaning alone."""
    kind = term["type"]
    if kind == "Const":
        return [term["value"]] * len(batch)
    if kind == "Not":
        return [not held for held in evaluate(term["term"], batch)]
    if kind in ("And", "Or"):
        parts = [evaluate(part, batch) for part in term["terms"]]
        return [(all if kind == "And" else any)(held) for held in zip(*parts, strict=True)]
    empty = batch.column(term["column"]).empty
    cells = batch[term["column"]].tolist()
    if kind == "Number":
        return [c != empty and number_holds(term["op"], c, term["values"]) for c in cells]
    rows = raw_rows(batch)
    values = [unescape(v) for v in term["values"]]
    texts = [cell_texts(row, term["column"]) for row in rows]
    if term["column"] == "errno":
        texts = [[errno.errorcode.get(c, str(c)).encode()] if c else [] for c in cells]
    return [bool(held) and texts_hold(term["op"], held, values) for held in texts]


@given(st.binary(max_size=6), st.binary(max_size=3))
def test_a_pattern_matches_characters_of_the_name(name: bytes, part: bytes) -> None:
    held = masks.text_test("~", [escape(part)])(escape(name))
    decoded, wanted = (raw.decode("utf-8", "surrogateescape") for raw in (name, part))
    if wanted == wanted.lower():
        decoded = decoded.lower()
    assert held == (bool(name) and wanted in decoded)
