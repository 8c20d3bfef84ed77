from __future__ import annotations

import fcntl
import os
import struct
import termios

import numpy as np
import pytest

from ior.pipeline.ledger import EdgeBooks, Ledger, StageBooks
from ior.sinks.report import Report, ReportConfig, ledger_lines
from ior.sinks.tables import render
from ior.snapshots import Field, Table
from ior.stages.flamegraph import Flamegraph, FlamegraphConfig
from ior.stages.stats import Stats
from ior.testing import calls
from ior.text import escape, sanitise, width

pytestmark = pytest.mark.anyio

GOOD = Ledger(closed=True, kernel={"attempted": 5, "read": 5}, calls=5, stages={}, edges={})


def snapshots():
    random = np.random.default_rng(1)
    rows = 2000
    files = ["/dev/zero", "/usr/lib/python3/" + "deep/" * 30 + "end.py", "pipe:[1]"]
    files += [f"/tmp/file{i}" for i in range(30)] + [escape(b"/\x1b[2J\xff\n"), "/日本語/\u202e"]
    batch = calls(
        syscall=random.choice(["read", "openat", "close"], rows).tolist(),
        file=random.choice(files, rows).tolist(),
        comm=random.choice(["python3", "dd"], rows).tolist(),
        pid=random.choice([7, 123456], rows),
        latency_ns=random.lognormal(9, 2, rows).astype(int),
        ret=random.choice([-2, 0, 4096], rows),
    )
    stats, flame = Stats(Stats.Config()), Flamegraph(FlamegraphConfig())
    stats.process(batch)
    flame.process(batch)
    return {"stats": stats.snapshot(), "flame": flame.snapshot()}


async def report(ctx, tmp_path, **config) -> str:
    sink = Report(ReportConfig(**{"path": "o", **config}))
    await sink.start(ctx)
    await sink.drain()
    await sink.close()
    return (tmp_path / "o").read_text()


async def test_it_shows_syscalls_files_processes_and_the_books(node_context, tmp_path):
    stats = Stats(Stats.Config())
    batch = calls(
        syscall=["read", "read", "openat"],
        file=["/dev/zero", "/dev/zero", "/nosuch"],
        ret=[4096, 4096, -2],
        latency_ns=[1000, 3000, 5000],
        comm="dd",
        pid=42,
    )
    stats.process(batch)
    ctx = node_context(snapshots={"stats": stats.snapshot()}, ledger=GOOD)
    lines = (await report(ctx, tmp_path, width=80)).splitlines()
    words = [line.split() for line in lines]
    assert words[0][:6] == ["Syscalls", "calls", "errors", "bytes", "total", "mean"]
    assert "p99" in words[0]
    assert words[1][:7] == ["read", "2", "-", "8.0", "KiB", "4.00", "us"]
    assert words[2][:4] == ["openat", "1", "1", "-"]
    assert any(w[:2] == ["/dev/zero", "2"] for w in words)
    assert any(w[:3] == ["42", "dd", "3"] for w in words)
    assert "3 calls · 1 error" in "\n".join(lines)
    assert lines[-1] == "books       closed"
    assert "LOST" not in "\n".join(lines)


@pytest.mark.parametrize("columns", [40, 80, 100, 200])
async def test_it_is_aligned_within_the_width_and_safe(node_context, tmp_path, columns):
    ctx = node_context(snapshots=snapshots(), ledger=GOOD)
    text = await report(ctx, tmp_path, width=columns)
    lines = text.split("\n")
    assert max(map(width, lines)) <= columns
    assert all(sanitise(line) == line for line in lines)
    heads = [line for line in lines if line.startswith(("Syscalls", "Files", "Processes"))]
    assert len(heads) == 3
    assert len({width(line) for line in heads}) == 1
    for number, line in enumerate(lines):
        if line.startswith("Files"):
            assert {width(row) for row in lines[number : number + 12]} == {width(line)}


async def test_at_80_columns_the_key_and_six_numbers_fit(node_context, tmp_path):
    text = await report(node_context(snapshots=snapshots(), ledger=GOOD), tmp_path, width=80)
    head = next(line for line in text.splitlines() if line.startswith("Files"))
    assert head.split()[:7] == ["Files", "calls", "errors", "bytes", "total", "mean", "p99"]


async def test_a_long_path_keeps_its_end(node_context, tmp_path):
    text = await report(node_context(snapshots=snapshots(), ledger=GOOD), tmp_path, top=50)
    assert any(line.startswith("…") and "deep/end.py " in line for line in text.splitlines())


async def test_rows_that_are_cut_off_are_summed(node_context, tmp_path):
    fields = (Field("file", "text"), Field("calls", "count"), Field("mean", "duration"))
    rows = tuple((f"/f{i}", 10 - i, 5) for i in range(10))
    (lines,) = render([Table("Files", fields, rows, ("(other)", 1000, 7))], columns=80, top=3)
    assert [line.split()[:2] for line in lines[1:4]] == [["/f0", "10"], ["/f1", "9"], ["/f2", "8"]]
    assert lines[4].split() == ["(7", "more", "and", "others)", "1,028", "-"]
    (lines,) = render([Table("Files", fields, rows[:2], ("(other)", 1000, 7))], columns=80, top=3)
    assert lines[-1].split() == ["(other)", "1,000", "-"]


def test_the_columns_that_say_least_go_first():
    names = ("calls", "errors", "bytes", "total", "min", "mean", "p50", "p95", "p99", "max")
    fields = (Field("key", "text"), *(Field(name, "count") for name in names))
    table = Table("Keys", fields, ((("k" * 30), *range(10**6, 10**6 + 10)),))

    def heads(columns: int) -> list[str]:
        return render([table], columns=columns, top=5)[0][0].split()[1:]

    assert heads(200) == list(names)
    assert heads(88) == ["calls", "errors", "bytes", "total", "mean", "p99"]
    assert heads(50) == ["calls", "total"]
    assert heads(10) == []


def test_a_distribution_is_drawn_with_thin_tails_joined():
    fields = tuple(
        map(Field, ("from", "below", "n", "share"), ("duration", "duration", "count", "ratio"))
    )
    counts = [1, 2, 500, 1000, 400, 1, 1]
    rows = tuple((1 << i, 2 << i, n, n / sum(counts)) for i, n in enumerate(counts))
    (lines,) = render([Table("Latency", fields, rows)], columns=80, top=1)
    assert len(lines) == 2 + 5
    assert lines[2].split()[:5] == ["1", "ns", "4", "ns", "3"]
    assert lines[-1].split()[:5] == ["32", "ns", "128", "ns", "2"]
    assert lines[4].count("█") == 2 * lines[3].count("█") == 24


def test_a_distribution_in_one_bucket_is_a_distribution():
    kinds = ("duration", "duration", "count", "ratio")
    fields = tuple(map(Field, ("from", "below", "calls", "share"), kinds))
    (lines,) = render([Table("Latency", fields, ((16, 32, 1, 1.0),))], columns=80, top=1)
    assert lines[0] == "Latency"
    assert lines[2].split()[-2:] == ["%", "█" * 24]


def test_empty_tables_and_custom_kinds_are_shown():
    fields = (Field("who", "text"), Field("how", "odd"), Field("n", "ratio"))
    none, some = render(
        [Table("None", fields, ()), Table("Some", fields, ((None, 1.5, 0.123),))],
        columns=80,
        top=3,
    )
    assert none[1] == "(nothing)"
    assert some[1].split() == ["1.5", "12.3", "%"]


async def test_equal_titles_carry_their_stage(node_context, tmp_path):
    stats = Stats(Stats.Config())
    stats.process(calls())
    pictures = {"slow": stats.snapshot(), "fast": stats.snapshot()}
    text = await report(node_context(snapshots=pictures, ledger=GOOD), tmp_path)
    assert "slow: Syscalls" in text
    assert "fast: Syscalls" in text


async def test_without_the_ledger_a_loss_is_still_said(node_context, tmp_path):
    lossy = Ledger(
        closed=True,
        kernel={"attempted": 2000, "read": 1000, "lost": 1000},
        calls=9,
        stages={},
        edges={},
    )
    text = await report(node_context(ledger=lossy), tmp_path, ledger=False)
    assert text.split()[:3] == ["LOST", "1,000", "records"]
    text = await report(node_context(ledger=GOOD), tmp_path, ledger=False)
    assert text.strip() == ""


async def test_sums_say_where_they_are_not_those_of_all_calls(node_context, tmp_path):
    stats = Stats(Stats.Config())
    stats.process(calls())

    async def title(kernel=None, edges=None, stages=None) -> str:
        books = {"stages": stages or {}, "edges": edges or {}, "calls": 1, "closed": True}
        context = node_context(
            snapshots={"stats": stats.snapshot()}, ledger=Ledger(kernel=kernel or {}, **books)
        )
        text = await report(context, tmp_path)
        return next(line for line in text.split("\n") if line.startswith("Totals"))

    dropped = EdgeBooks(offered=3, delivered=1, dropped=2)
    assert (await title()).startswith("Totals      1 call")
    assert (await title({"counted_only": 1})).startswith("Totals of recorded calls  1")
    assert (await title({"lost": 1})).startswith("Totals, at least  1")
    assert (await title({"skipped": 1})).startswith("Totals, at least  1")
    way = {"pair.out->where": dropped, "where.out->stats": EdgeBooks()}
    assert (await title(edges=way)).startswith("Totals, at least  1")
    aside = {"pair.out->stats": EdgeBooks(), "pair.out->stream": dropped}
    assert (await title(edges=aside)).startswith("Totals      1")
    failed = {"pair": StageBooks(failed=1)}
    assert (await title(edges=aside, stages=failed)).startswith("Totals, at least  1")
    both = await title({"counted_only": 1, "lost": 1})
    assert both.startswith("Totals of recorded calls, at least  1")


def test_the_books_say_where_everything_went():
    ledger = Ledger(
        closed=False,
        kernel={"attempted": 1100, "read": 1000, "lost": 100, "in_flight": 3, "skipped": 0},
        calls=990,
        stages={"pair": StageBooks(joined=10), "slow": StageBooks(filtered=900, held=2)},
        edges={"pair.out->live": EdgeBooks(dropped=64), "pair.out->ok": EdgeBooks()},
        open_because=["stage 'slow' holds 2 rows"],
    )
    text = "\n".join(ledger_lines(ledger, 80))
    for part in (
        "1,100 attempted · 1,000 read · 100 lost · 3 in flight",
        "990 · 10 halves and restarts joined",
        "900 by slow",
        "2 in slow",
        "100 records in the kernel's ring (9.1 %)",
        "64 rows on pair.out->live",
        "NOT CLOSED · stage 'slow' holds 2 rows",
    ):
        assert part in text
    assert "skipped" not in text
    assert "->ok" not in text


@pytest.mark.parametrize(
    ("lost", "share"),
    [(1, "under 0.1 %"), (1_000, "0.1 %"), (999_900, "99.9 %"), (1_000_000, "100.0 %")],
)
def test_almost_all_is_not_all_and_a_little_is_not_nothing(lost, share):
    kernel = {"attempted": 1_000_000, "read": 1_000_000 - lost, "lost": lost}
    ledger = Ledger(closed=True, kernel=kernel, calls=0, stages={}, edges={})
    assert f"ring ({share})" in "\n".join(ledger_lines(ledger, 80))


async def test_on_a_terminal_it_takes_the_terminals_width(node_context):
    controller, terminal = os.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 64, 0, 0))
    sink = Report(ReportConfig(path=os.ttyname(terminal), top=1))
    await sink.start(node_context(snapshots={"stats": snapshots()["stats"]}, ledger=GOOD))
    await sink.drain()
    await sink.close()
    seen = os.read(controller, 100_000).decode().split("\r\n")
    os.close(controller)
    os.close(terminal)
    assert seen[0].startswith("Syscalls")
    assert 50 < max(map(width, seen)) <= 64


async def test_it_goes_to_stderr_by_default(node_context, capfd):
    sink = Report(ReportConfig())
    await sink.start(node_context(ledger=GOOD))
    await sink.drain()
    await sink.close()
    out, err = capfd.readouterr()
    assert out == ""
    assert "books       closed" in err
