from __future__ import annotations

from pathlib import Path

import pytest

from ior.testing import context


@pytest.fixture
def node_context(tmp_path):
    """Return a maker of contexts whose wishes to stop are counted in `stops`."""

    def make(directory: Path = tmp_path, **more):
        made = context(directory=directory, **more)
        made.stops = []
        made.request_stop = lambda: made.stops.append(1)
        return made

    return make
