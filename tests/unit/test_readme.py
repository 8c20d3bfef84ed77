"""What the README and the pages in docs/ say, run and compared."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import msgspec
import pytest

from ior.expr import compile_filter
from ior.pipeline import registry
from ior.pipeline.settings import Settings
from ior.pipeline.spec import RESERVED

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
STAGES = (ROOT / "docs/stages.md").read_text(encoding="utf-8")
SAMPLE = ROOT / "ior/data/sample.ior"


def block(language: str) -> str:
    """Return the one fenced block of a language in the README."""
    found = re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    assert len(found) == 1
    return str(found[0])


def ior(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ior", *arguments]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    (tmp_path / "slow.toml").write_text(block("toml"), encoding="utf-8")
    (tmp_path / "by_extension.py").write_text(block("python"), encoding="utf-8")
    return tmp_path / "slow.toml"


def test_examples_in_the_readme_are_about_ten_lines() -> None:
    assert block("toml").count("\n") <= 10
    assert block("python").count("\n") <= 10


def test_pipeline_and_stage_of_the_readme_check(pipeline: Path) -> None:
    done = ior("validate", "slow.toml", cwd=pipeline.parent)
    assert (done.returncode, done.stderr) == (0, "")


def test_pipeline_and_stage_of_the_readme_run(pipeline: Path) -> None:
    done = ior(
        *("run", "slow.toml", "--replay", str(SAMPLE), "--ledger", "l.json"), cwd=pipeline.parent
    )
    assert done.returncode == 0, done.stderr
    books = msgspec.json.decode((pipeline.parent / "l.json").read_bytes())
    assert books["closed"] is True
    kept = books["stages"]["slow"]["out"]["out"]
    assert 0 < kept == books["stages"]["kinds"]["in"]
    stacks = (pipeline.parent / "stacks.folded").read_text(encoding="utf-8").splitlines()
    assert sum(int(line.rpartition(" ")[2]) for line in stacks) == kept
    frames = {frame for line in stacks for frame in line.rpartition(" ")[0].split(";")}
    assert ".so" in frames or ".py" in frames or "(none)" in frames
    assert not any("/" in line.split(";", 1)[1] for line in stacks)


def test_example_pipeline_runs_with_its_own_stage(tmp_path: Path) -> None:
    pipeline = str(ROOT / "examples/pipeline.toml")
    changes = ("--set", "slow.threshold_us=0", "--set", "report.path=-")
    done = ior("run", pipeline, "--replay", str(SAMPLE), *changes, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Slow files" in done.stdout
    assert "/" in done.stdout


def test_readme_names_only_targets_that_make_has() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    named = set(re.findall(r"\bmake (run|test|bench|install|help|check|clean)\b", README))
    assert {"run", "test", "bench", "install", "help"} <= named
    assert named <= targets


def test_links_lead_somewhere() -> None:
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        links = re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8"))
        assert [link for link in links if not (page.parent / link).exists()] == []


def sections() -> dict[str, str]:
    parts = re.split(r"^### `(\w+)`\n", STAGES.partition("## Filters")[0], flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_built_in_stage_is_described() -> None:
    assert list(sections()) == sorted(sections(), key=list(registry.BUILTIN).index)
    assert sections().keys() == registry.BUILTIN.keys()


@pytest.mark.parametrize("name", registry.BUILTIN)
def test_keys_in_the_docs_are_those_of_the_code(name: str) -> None:
    cells = re.findall(r"^\| (`.*?) \|", sections()[name], re.MULTILINE)
    described = {key for cell in cells for key in re.findall(r"`(\w+)`", cell)}
    keys = registry.resolve(name, None, ROOT).Config.__struct_fields__
    assert described == set(keys)


def test_shared_keys_in_the_docs_are_those_of_the_code() -> None:
    page = (ROOT / "docs/pipeline.md").read_text(encoding="utf-8")
    shared, _, rest = page.partition("The keys of `[pipeline]`")
    whole = rest.partition("\n## ")[0]
    for text, keys in ((shared, RESERVED), (whole, Settings.__struct_fields__)):
        cells = re.findall(r"^\| (`.*?) \|", text, re.MULTILINE)
        assert {key for cell in cells for key in re.findall(r"`(\w+)`", cell)} == set(keys)


def test_filters_in_the_docs_compile() -> None:
    section = STAGES.partition("## Filters")[2].partition("\n## ")[0]
    examples = re.findall(r"^    (.+)$", section, re.MULTILINE)
    assert len(examples) == 3
    for example in examples:
        assert compile_filter(example).columns


def test_dependencies_are_explained() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["dev"]
    page = (ROOT / "docs/dependencies.md").read_text(encoding="utf-8")
    names = [re.match(r"[\w-]+", line) for line in wanted]
    assert [name[0] for name in names if name and name[0] not in page] == []
