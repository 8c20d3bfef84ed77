"""The pictures in the documentation are those of the live view's tabs, and well-formed."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

SCREENS = sorted((Path(__file__).parents[2] / "docs" / "screens").glob("*.svg"))


def test_there_are_some() -> None:
    assert {"flame", "overview", "files"} <= {path.stem for path in SCREENS}


@pytest.mark.parametrize("path", SCREENS, ids=lambda path: path.stem)
def test_a_picture_shows_its_tab_and_is_small(path: Path) -> None:
    words = "".join(ET.parse(path).getroot().itertext())
    assert "demo, static" in words
    assert path.stem.capitalize() in words
    assert path.stat().st_size < 40_000
