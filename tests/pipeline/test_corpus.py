"""Bad pipelines and, letter by letter, what is said about them.

`python tests/pipeline/test_corpus.py` writes what is said now into the corpus, to be read.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import tempfile
from pathlib import Path

import pytest
from users_nodes import OWN_NODES

from ior.cli.main import main

CORPUS = Path(__file__).parent / "corpus"
MISTAKES = CORPUS / "mistakes.txt"
FILES = {
    "own.py": OWN_NODES,
    "broken.py": "import json\n\n\ndef f():\n    return json.loads('{')\n\n\nf()\n",
    "wrong.py": "def f(:\n",
}


def cases() -> dict[str, tuple[str, str]]:
    """Return the pipelines and what is said about them, by name."""
    found = {}
    for block in re.split(r"^=== ", MISTAKES.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        name, _, rest = block.partition("\n")
        toml, _, said = rest.partition("--- \n") if "--- \n" in rest else rest.partition("---\n")
        found[name] = toml, said
    return found


def validated(toml: str, folder: Path, *more: str) -> tuple[int, str]:
    """Return the exit code of `ior validate` and what it prints about a text, alone in a folder."""
    for name, text in FILES.items():
        (folder / name).write_text(text)
    (folder / "p.toml").write_text(toml)
    out, before = io.StringIO(), Path.cwd()
    os.chdir(folder)
    try:
        with contextlib.redirect_stdout(out):
            code = main(["validate", "p.toml", *more])
    finally:
        os.chdir(before)
    return code, out.getvalue()


@pytest.mark.parametrize("name", cases())
def test_everything_is_said(tmp_path: Path, name: str) -> None:
    toml, said = cases()[name]
    code, out = validated(toml, tmp_path, "--load")
    assert out == said
    assert code == (78 if re.search(r": E\d{3} ", said) else 0)


def test_a_dozen_mistakes_are_a_dozen_findings(tmp_path: Path) -> None:
    toml = (CORPUS / "dozen.toml").read_text()
    code, out = validated(toml, tmp_path)
    assert out == (CORPUS / "dozen.txt").read_text()
    assert code == 78
    codes = re.findall(r"^p\.toml:\d+:\d+: (\w+) ", out, re.MULTILINE)
    assert len(set(codes)) >= 12
    assert out.count("\n  help: ") == len(codes)


def regenerate() -> None:
    """Write what is said now into the corpus."""
    text = ""
    for name, (toml, _) in cases().items():
        with tempfile.TemporaryDirectory() as folder:
            text += f"=== {name}\n{toml}---\n{validated(toml, Path(folder), '--load')[1]}"
    MISTAKES.write_text(text)
    with tempfile.TemporaryDirectory() as folder:
        toml = (CORPUS / "dozen.toml").read_text()
        (CORPUS / "dozen.txt").write_text(validated(toml, Path(folder))[1])


if __name__ == "__main__":
    regenerate()
