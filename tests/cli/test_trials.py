"""`ior test`: the `[[test]]` tables of a pipeline."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from made import Invoke

from ior.pipeline import describe
from ior.pipeline.reading.trials import Expect, Fault, Feed, Trial
from ior.sources.replay import batches

ROOT = Path(__file__).parents[2]

BASE = """
version = 1
[stage.kernel]
type = "bpf"
[stage.pair]
type = "pair"
inputs = "kernel"
[stage.slow]
type = "filter"
inputs = "pair"
where = "latency >= 1ms"
[stage.stats]
type = "stats"
inputs = "slow"
[stage.out]
type = "csv"
inputs = "slow"
path = "out.csv"
buffer = { batches = 2, when_full = "drop_newest" }
[stage.report]
type = "report"
of = "stats"
"""

GOOD = """
[[test]]
name = "slow ones pass"
[[test.feed]]
stage = "slow"
rows = [{ latency = "5ms", file = "/a", syscall = "openat" }, { latency = "5us" }]
[[test.expect]]
at = "slow"
rows = [{ latency = "5ms", file = "/a", errno = "" }]  # kept
columns = ["family", "seq"]
filtered = 1
"""


def verdict(ior: Invoke, folder: Path, tests: str) -> tuple[int, list[str]]:
    (folder / "p.toml").write_text(BASE + tests)
    result = ior("test", "p.toml")
    return result.code, (result.out + result.err).splitlines()


def test_a_green_test(ior: Invoke, folder: Path) -> None:
    assert verdict(ior, folder, GOOD) == (0, ["ok   p.toml: slow ones pass"])
    assert not (folder / "out.csv").exists()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"5ms", file = "/a", errno', '"6ms", file = "/a", errno', '- { latency = "6ms"'),
        ('"5ms", file = "/a", errno', '"6ms", file = "/a", errno', '+ { latency = "5ms"'),
        ("filtered = 1", "filtered = 2", "slow: filtered: expected 2, got 1"),
        ('["family", "seq"]', '["famly"]', "slow: no column famly; there are: seq, "),
        ("filtered = 1", "count = 3", "slow: count: expected 3, got 1"),
        ("filtered = 1", "dropped = 3", "slow: dropped: expected 3, got 0"),
        ('name = "slow ones pass"', 'name = "n"\nlost = 1', "lost: expected 1, got 0"),
        ('name = "slow ones pass"', 'name = "n"\nfails = "x"', "got a run that ended well"),
    ],
)
def test_a_red_test_says_what_came(
    ior: Invoke, folder: Path, old: str, new: str, said: str
) -> None:
    assert old in GOOD
    code, lines = verdict(ior, folder, GOOD.replace(old, new))
    assert code == 1
    assert lines[0].startswith("FAIL p.toml: ")
    assert any(said in line for line in lines[1:]), lines


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('stage = "slow"', 'stage = "slwo"', "did you mean 'slow'?"),
        ('stage = "slow"', 'stage = "report"', "no rows pass 'report'"),
        ('at = "slow"', 'at = "slow.outt"', "did you mean 'out'?"),
        ('at = "slow"', 'at = "report"', "no rows pass 'report'"),
        ('latency = "5us"', 'latncy = "5us"', "did you mean 'latency_ns'?"),
        ('latency = "5us"', 'latency = "5 parsec"', "parsec"),
        ('syscall = "openat"', 'syscall = "opnat"', "did you mean 'openat'"),
        ("filtered = 1", "filtred = 1", "did you mean 'filtered'"),
        ('name = "slow ones pass"', "", "key 'name' is missing"),
        (
            "[[test.feed]]",
            '[[test.fault]]\nstage = "kernel"\nkind = "slow"\n[[test.feed]]',
            "'lost'",
        ),
        ("filtered = 1", 'table = "Nothing"', "there is none"),
    ],
)
def test_a_test_that_is_wrong_itself(
    ior: Invoke, folder: Path, old: str, new: str, said: str
) -> None:
    assert old in GOOD
    code, lines = verdict(ior, folder, GOOD.replace(old, new))
    assert code == 78, lines
    assert said in "\n".join(lines)


STALL = """
[[test]]
name = "stalled"
[[test.feed]]
stage = "slow"
rows = [{ latency = "5ms" }]
repeat = 100
batch = 10
[[test.fault]]
stage = "out"
kind = "stalled"
[[test.expect]]
at = "out"
count = 30
dropped = 70
[[test.expect]]
at = "stats"
count = 100
dropped = 0
"""


def test_a_stalled_sink_costs_its_own_rows_exactly(ior: Invoke, folder: Path) -> None:
    assert verdict(ior, folder, STALL)[0] == 0
    blocking = STALL.replace("count = 30\ndropped = 70", "count = 100\ndropped = 0")
    block = BASE.replace("drop_newest", "block")
    (folder / "b.toml").write_text(block + blocking)
    assert ior("test", "b.toml").code == 0


def test_a_slow_sink_in_virtual_time(ior: Invoke, folder: Path) -> None:
    """A batch a second into a sink that takes two: hours pass in no time."""
    slow = STALL.replace('kind = "stalled"', 'kind = "slow"\nlasts = "2s"')
    keeps_up = slow.replace("batch = 10", 'batch = 10\nevery = "3s"')
    keeps_up = keeps_up.replace("count = 30\ndropped = 70", "count = 100\ndropped = 0")
    assert verdict(ior, folder, keeps_up)[0] == 0
    assert verdict(ior, folder, slow)[0] == 0


def test_a_failing_stage(ior: Invoke, folder: Path) -> None:
    failing = STALL.replace('stage = "out"\nkind = "stalled"', 'stage = "slow"\nkind = "failing"')
    failing = failing.replace("count = 30\ndropped = 70", "count = 0")
    failing = failing.replace("count = 100\ndropped = 0", "count = 0")
    code, lines = verdict(ior, folder, failing)
    assert code == 1
    assert any("made to fail" in line for line in lines)
    said = 'name = "stalled"\nfails = "stage \'slow\': Injected: made to fail after 0 rows"'
    assert verdict(ior, folder, failing.replace('name = "stalled"', said))[0] == 0


def test_lost_records_and_a_fixture(ior: Invoke, folder: Path) -> None:
    sample = ROOT / "ior/data/sample.ior"
    tests = f"""
[[test]]
name = "lost"
lost = 7
[[test.feed]]
stage = "kernel"
fixture = "{sample}"
[[test.fault]]
stage = "kernel"
kind = "lost"
rows = 7
after = 3
[[test.expect]]
at = "pair"
count = {sum(map(len, batches(str(sample)))) - 7}
[[test.expect]]
at = "pair.unmatched"
rows = []
"""
    code, lines = verdict(ior, folder, tests)
    assert code == 0, lines


def test_update_writes_what_came_and_keeps_the_rest(ior: Invoke, folder: Path) -> None:
    wrong = GOOD.replace(
        '[{ latency = "5ms", file = "/a", errno = "" }]', "[\n  { file = '/]' },\n]"
    )
    wrong = wrong.replace("filtered = 1", "filtered = 9")
    assert verdict(ior, folder, wrong)[0] == 1
    result = ior("test", "p.toml", "--update")
    assert (result.code, result.out) == (0, "ok   p.toml: slow ones pass\n")
    text = (folder / "p.toml").read_text()
    assert text == BASE + wrong.replace("'/]'", '"/a"').replace("= 9", "= 1")
    assert "# kept" in text
    assert ior("test", "p.toml", "--update").err == ""


def test_a_pipeline_without_tests(ior: Invoke, folder: Path) -> None:
    assert verdict(ior, folder, "")[0] == 2
    assert ior("test", "summary").code == 2


def test_the_page_about_tests_holds(ior: Invoke, folder: Path) -> None:
    """Its example runs as it stands and prints what the page shows."""
    page = (ROOT / "docs/testing.md").read_text(encoding="utf-8")
    (folder / "mine.toml").write_text(re.findall(r"```toml\n(.*?)```", page, re.DOTALL)[0])
    result = ior("test", "mine.toml")
    assert result.code == 1
    shown = re.findall(r"\$ ior test mine.toml\n((?:    .*\n)+)", page)[0]
    assert result.out == "".join(line[4:] for line in shown.splitlines(keepends=True))
    assert ior("test", "mine.toml", "--update").code == 0


def test_every_key_of_a_test_is_on_the_page() -> None:
    page = (ROOT / "docs/testing.md").read_text(encoding="utf-8")
    for struct in (Trial, Feed, Fault, Expect):
        for key in describe.keys(struct):
            assert key.doc, key.name
            assert f"`{key.name}`" in page


def test_the_example_is_green(ior: Invoke) -> None:
    result = ior("test", str(ROOT / "examples/tested.toml"))
    assert result.code == 0
    assert result.out.count("ok   ") == 3
