"""Both ways in which stages add up calls: row by row, and by group where that would not pay."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ior.stages import grouped


@pytest.fixture(scope="module", params=["row by row", "by group"])
def added_up(request: pytest.FixtureRequest) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "by group":
            patch.setattr(grouped, "SMALL", 1)
            patch.setattr(grouped, "SAMPLE", 1 << 30)
        yield


@pytest.fixture(scope="module")
def by_group() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grouped, "SMALL", 1)
        patch.setattr(grouped, "SAMPLE", 1 << 30)
        yield
