"""What concerns a run as a whole: the keys of `[pipeline]`."""

from __future__ import annotations

from typing import Annotated

import msgspec

from ior.calls import MAX_CALLS


class Batching(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How records are gathered into batches.

    A batch has at most `max_calls` rows. `max_ms` is how long a source that waits for more
    may keep what it has: large batches cost less a call, small ones arrive sooner.
    """

    max_calls: Annotated[int, msgspec.Meta(ge=1, le=MAX_CALLS)] = MAX_CALLS
    max_ms: Annotated[float, msgspec.Meta(ge=0, le=10_000)] = 20


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keys of `[pipeline]`.

    `memory_mib` bounds the memory of all that may wait between stages. `drain_s` is how long
    the rest of the work may take once an end was asked for; what is not done by then is
    abandoned, and each stage has `abort_s` to close.
    """

    memory_mib: Annotated[int, msgspec.Meta(ge=1)] = 1024
    drain_s: Annotated[float, msgspec.Meta(gt=0)] = 60
    abort_s: Annotated[float, msgspec.Meta(gt=0)] = 2
    batch: Batching = Batching()
