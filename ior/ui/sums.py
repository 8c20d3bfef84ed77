"""The numbers of wholes: sums of what is below, percentiles from the merged histograms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from ior.histogram import Histograms
from ior.snapshots import QUANTILES, Field
from ior.ui.parts import Detailed, Parts

Array = npt.NDArray[Any]

_SHARES = {f"p{q * 100:.0f}": i for i, q in enumerate(QUANTILES)}
_AVERAGES = ("mean", *_SHARES)  # are not made of those of the parts
_FUNCTIONS: dict[str, Any] = {"min": np.fmin, "max": np.fmax}


class Sums(msgspec.Struct, frozen=True, eq=False):
    """Columns by the node of a tree, in the order of `fields`; NaN is an empty cell."""

    fields: tuple[Field, ...]
    columns: Array  # float64, shape (fields, nodes)

    def row(self, node: int) -> tuple[Any, ...]:
        """Return the cells of a node: whole numbers, None for empty ones."""
        cells = self.columns[:, node]
        return tuple(
            None if is_empty else cell if field.kind == "rate" else int(cell)
            for field, cell, is_empty in zip(
                self.fields, cells.tolist(), np.isnan(cells).tolist(), strict=True
            )
        )


def sums_of(parts: Parts, keys: int) -> Sums:
    """Add up what is below every node; the first `keys` fields of the table name its rows."""
    fields, rows = parts.table.fields[keys:], parts.rows()
    names = [field.name for field in fields]
    values = np.array(
        [[np.nan if cell is None else cell for cell in row[keys:]] for row in rows], np.float64
    ).reshape(len(rows), len(fields))
    nodes = len(parts.tree.name)
    own = np.full((len(fields), nodes), np.nan)
    own[:, parts.node] = values.T
    columns = own.copy()
    for i, name in enumerate(names):
        if name not in _AVERAGES:
            columns[i] = _reduced(parts, own[i], _FUNCTIONS.get(name, _plus))
    joins, only = _joins(parts)
    averages = [names.index(name) for name in _AVERAGES]
    for at in averages:
        columns[at, joins] = np.nan
    histograms = _histograms(parts, joins)
    if histograms is not None and len(joins):
        timed = histograms.totals().astype(np.float64)
        timed[timed == 0] = np.nan
        columns[names.index("mean"), joins] = columns[names.index("total"), joins] // timed
        least, greatest = (columns[names.index(name), joins] for name in ("min", "max"))
        quantiles = histograms.quantiles(np.arange(len(joins)), QUANTILES).T
        for name, i in _SHARES.items():
            columns[names.index(name), joins] = np.clip(quantiles[i], least, greatest)
    for level in parts.tree.levels:
        alone = level[only[level] >= 0]
        for at in averages:
            columns[at, alone] = columns[at, only[alone]]
    return Sums(fields, columns)


def _joins(parts: Parts) -> tuple[Array, Array]:
    """Return the nodes of more than one part, and of each other node its only one, or -1."""
    wholes = range(len(parts.kids))
    several = [node for node in wholes if len(parts.kids[node]) + (parts.row[node] >= 0) > 1]
    only = np.full(len(parts.kids), -1, np.intp)
    for node in wholes:
        if len(parts.kids[node]) == 1 and parts.row[node] < 0:
            only[node] = parts.kids[node][0]
    return np.array(several, np.intp), only


def _plus(one: Array, other: Array) -> Array:
    """Add; an empty cell adds nothing."""
    both: Array = np.nan_to_num(one) + np.nan_to_num(other)
    both[np.isnan(one) & np.isnan(other)] = np.nan
    return both


def _reduced(parts: Parts, own: Array, function: Any) -> Array:
    """Return what each node has with all below it."""
    tree, found = parts.tree, own.copy()
    for level in tree.levels:
        order = level[np.argsort(tree.parent[level], kind="stable")]
        above, starts = np.unique(tree.parent[order], return_index=True)
        below = _each(found[order], starts, function)
        found[above] = function(found[above], below)
    return found


def _each(values: Array, starts: Array, function: Any) -> Array:
    """Reduce the runs of `values` that begin at `starts`."""
    if function is not _plus:
        reduced: Array = function.reduceat(values, starts)
        return reduced
    sums: Array = np.add.reduceat(np.nan_to_num(values), starts)
    some = np.add.reduceat(~np.isnan(values), starts)
    sums[some == 0] = np.nan
    return sums


def _histograms(parts: Parts, joins: Array) -> Histograms | None:
    """Return the histograms of the nodes of more than one part, in the order of `joins`."""
    table, tree = parts.table, parts.tree
    if not isinstance(table, Detailed) or table.detail is None:
        return None
    place = np.full(len(tree.name), -1)
    place[joins] = np.arange(len(joins))
    own = place.copy()
    for level in reversed(tree.levels):  # what is no join counts in the one that it is in
        place[level] = np.where(own[level] >= 0, own[level], place[tree.parent[level]])
    numbers, into = table.detail.numbers[: len(parts.node)], place[parts.node]
    found = table.detail.histograms.merged(numbers[into >= 0], into[into >= 0], len(joins))
    for level in tree.levels:
        inner = level[own[level] >= 0]
        above = place[tree.parent[inner]]
        found.add_up(own[inner[above >= 0]], above[above >= 0])
    return found


def order(sums: Sums, nodes: Sequence[int], field: str, *, reverse: bool) -> list[int]:
    """Return nodes by a field, the largest first unless reversed; empty cells last."""
    names = [one.name for one in sums.fields]
    if not nodes:
        return []
    column = sums.columns[names.index(field)]
    values = column[nodes]
    empty = np.isnan(values)
    ranks = np.argsort(values[~empty] if reverse else -values[~empty], kind="stable")
    known = np.asarray(nodes, np.intp)
    return [*known[~empty][ranks].tolist(), *known[empty].tolist()]
