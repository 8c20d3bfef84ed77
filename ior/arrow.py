"""Rows as Arrow, for whoever wants to take them elsewhere. Needs the extra `files`.

pyarrow is imported when it is used: no pipeline without it pays for it, or must have it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from ior.errors import MissingExtra

if TYPE_CHECKING:
    import pyarrow

Array = npt.NDArray[Any]


class Described(Protocol):
    """What is to be known of a column: `ior.Column` is one."""

    @property
    def name(self) -> str: ...  # noqa: D102 - a field

    @property
    def kind(self) -> str: ...  # noqa: D102 - a field

    @property
    def doc(self) -> str: ...  # noqa: D102 - a field

    @property
    def empty(self) -> int | None: ...  # noqa: D102 - a field


class _Field(NamedTuple):
    column: Described
    values: Array
    decode: Callable[[int], str] | None


def load() -> Any:
    """Return pyarrow. Raises MissingExtra where it is not installed."""
    try:
        import pyarrow  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingExtra("Arrow needs pyarrow: pip install 'ior[files]'") from error
    return pyarrow


def record_batch(
    schema: str, fields: Iterable[tuple[Described, Array, Callable[[int], str] | None]]
) -> pyarrow.RecordBatch:
    """Return columns as a record batch.

    A column with a decoder becomes dictionary<int32, utf8>, `args` a list of five; all
    others keep their type. Field metadata holds `kind` and `doc`, the schema's `schema`.
    """
    pa = load()
    arrays, columns = [], []
    for column, values, decode in map(_Field._make, fields):
        array = _array(pa, column, values, decode)
        about = {"kind": column.kind, "doc": column.doc}
        arrays.append(array)
        columns.append(pa.field(column.name, array.type, metadata=about))
    return pa.RecordBatch.from_arrays(
        arrays, schema=pa.schema(columns, metadata={"schema": schema})
    )


def _array(pa: Any, column: Described, values: Array, decode: Callable[[int], str] | None) -> Any:
    empty = None if column.empty is None else values == column.empty
    if decode is not None:
        distinct, inverse = np.unique(values, return_inverse=True)
        texts = pa.array([decode(value) for value in distinct.tolist()], pa.string())
        codes = pa.array(inverse.astype(np.int32), mask=empty)
        return pa.DictionaryArray.from_arrays(codes, texts)
    if values.ndim > 1:
        flat = pa.array(np.ascontiguousarray(values).reshape(-1))
        return pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
    return pa.array(values, mask=empty)
