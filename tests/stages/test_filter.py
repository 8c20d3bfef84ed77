import pytest

from ior.calls import CALLS, Batch
from ior.errors import FilterError, SpecError
from ior.stages.filter import Filter
from ior.testing import calls, context


async def started(where: str) -> Filter:
    stage = Filter(Filter.Config(where=where))
    await stage.start(context())
    return stage


def filtered(stage: Filter) -> int:
    return stage.ctx.books.filtered  # type: ignore[attr-defined,no-any-return]


@pytest.mark.anyio
async def test_keeps_what_holds_and_books_the_rest() -> None:
    stage = await started('latency >= 1ms and comm != "dd"')
    batch = calls(latency_ns=[5, 2_000_000, 3_000_000], comm=["ls", "dd", "ls"], seq=[0, 1, 2])
    kept = stage.process(batch)
    assert isinstance(kept, Batch)
    assert kept["seq"].tolist() == [2]
    assert kept.text("comm") == ["ls"]
    assert filtered(stage) == 2


@pytest.mark.anyio
async def test_passes_a_batch_on_untouched_when_all_of_it_holds() -> None:
    stage = await started("latency > 0ns")
    batch = calls(rows=3)
    assert stage.process(batch) is batch
    assert filtered(stage) == 0


@pytest.mark.anyio
async def test_gives_nothing_when_no_row_holds() -> None:
    stage = await started("is_error")
    assert stage.process(calls(rows=3)) is None
    assert stage.process(calls(ret=[-2, 0])) is not None
    assert filtered(stage) == 4


def test_refuses_a_wrong_expression_before_it_starts() -> None:
    with pytest.raises(FilterError, match="did you mean latency") as caught:
        Filter(Filter.Config(where="latancy > 1ms")).connect(CALLS)
    assert isinstance(caught.value, SpecError)
    assert caught.value.caret() == "latancy > 1ms\n^^^^^^^"
