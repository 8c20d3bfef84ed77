"""The tests of a pipeline as data: what the `[[test]]` tables of its TOML say.

They are run by `ior.testing.trials`; a run of the pipeline does not look at them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

Row = dict[str, Any]
Count = Annotated[int, msgspec.Meta(ge=0)]
Positive = Annotated[int, msgspec.Meta(ge=1)]


class Feed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rows that a test gives.

    `stage` is the source that gives them, or the stage at which they arrive. `rows` are the
    rows, each with the columns that matter; the others are filled in. `fixture` is a
    recording to take them from instead. `repeat` gives the rows as many times. `batch` is
    how many rows are in one batch. `every` is the time between two batches, such as "50ms".
    """

    stage: str
    rows: list[Row] = []
    fixture: str | None = None
    repeat: Positive = 1
    batch: Annotated[int, msgspec.Meta(ge=1, le=16384)] = 4096
    every: str = "0s"


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something that goes wrong in a test.

    `stage` is where. `kind` is what: a `stalled` stage takes nothing any more, for the time
    `lasts` or until nobody else can go on; a `slow` one takes the time `lasts` for each batch;
    a `failing` one raises an error; at a source, `lost` leaves out `rows` records, as a ring
    that overflows does. `after` is the number of rows before it begins.
    """

    stage: str
    kind: Literal["stalled", "slow", "failing", "lost"]
    after: Count = 0
    lasts: str | None = None
    rows: Positive = 1


class Expect(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What must hold at one place when the run has ended.

    `at` is `STAGE`, or `STAGE.port`: the rows that it gives or, where it gives none, those
    that it takes. `rows` are all of them in order, each with the columns that matter. `count`
    is how many they are. `columns` are columns that they have. `table` is the title of a table
    of the stage's results, whose rows are then meant. `dropped` is how many rows were dropped
    on the way to the stage. `filtered`, `joined`, `made`, `failed` and `consumed` are the
    stage's books.
    """

    at: str
    rows: list[Row] | None = None
    count: Count | None = None
    columns: list[str] | None = None
    table: str | None = None
    dropped: Count | None = None
    filtered: Count | None = None
    joined: Count | None = None
    made: Count | None = None
    failed: Count | None = None
    consumed: Count | None = None


class Trial(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One test: `[[test]]`.

    `name` is what it is called. `feed` is what is given, `fault` what goes wrong, `expect` what
    must come of it. `closed` is whether the books must balance. `lost` is how many records the
    sources must have lost. `fails` is a part of the error with which the run must end; without,
    it must end well.
    """

    name: Annotated[str, msgspec.Meta(min_length=1)]
    feed: list[Feed] = []
    fault: list[Fault] = []
    expect: list[Expect] = []
    closed: bool = True
    lost: Count | None = None
    fails: str | None = None


BOOKS = ("filtered", "joined", "made", "failed", "consumed")
"""The keys of `Expect` that are entries of the stage's books."""
