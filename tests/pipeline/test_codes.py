"""docs/codes.md and the codes agree: every code has a section, every example gives its code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from test_corpus import validated

from ior.findings import Code

PAGE = (Path(__file__).parents[2] / "docs" / "codes.md").read_text(encoding="utf-8")
INTRODUCTION, *SECTIONS = re.split(r"^## ", PAGE, flags=re.MULTILINE)
BASE = INTRODUCTION.split("```toml\n")[1].split("```")[0]
EXAMPLES = {
    section[:4]: (section.split("```toml\n")[1].split("```")[0], section.split("```\n")[-2])
    for section in SECTIONS
    if "```toml" in section
}
# A test of its own has: bytes, owners of files, a host.
WITHOUT = {Code.NOT_TEXT, Code.UNTRUSTED, Code.HOST}


def test_every_code_has_its_section() -> None:
    assert [section[:4] for section in SECTIONS] == [str(code) for code in Code]
    assert EXAMPLES.keys() == set(Code) - WITHOUT


@pytest.mark.parametrize("code", EXAMPLES)
def test_an_example_gives_what_the_page_says(tmp_path: Path, code: str) -> None:
    toml, said = EXAMPLES[code]
    status, out = validated(toml if "version" in toml else BASE + toml, tmp_path, "--load")
    assert said.startswith(f"{code} ")
    assert said in re.sub(r"^p\.toml:\d+:\d+: ", "", out, flags=re.MULTILINE)
    assert status == (78 if code.startswith("E") else 0)
