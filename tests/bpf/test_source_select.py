"""Another selection while a run goes on: no row of a call that is not wanted any more.

What is under way at a change is neither paired with a later return nor taken for a denied call.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from tracing import MODES, Collect, compiled

from ior import syscalls
from ior.expr import compile_filter
from ior.host.command import Command
from ior.pipeline.ledger import Ledger
from ior.pipeline.run import Run
from ior.pipeline.settings import Batching, Settings
from ior.sources.bpf.source import BpfSource
from ior.stages.filter import Filter
from ior.stages.pair import Pair, PairSnapshot
from ior.testing import graph
from ior.waiting import InFlight

pytestmark = pytest.mark.kernel

ENDLESS = r"""
int main(void) {
	struct stat s;
	for (;;) {
		stat("/", &s);
		access("/", 0);
		access("/no", 0);
	}
}
"""
CALLS = ["stat", "access", "close"]
UNMATCHED = {"unmatched": "pair.unmatched"}


class Selecting:
    """A run whose selection a test changes; it traces a program that has no end of its own.

    Where nobody takes `unmatched` the filter `where` is pushed into the source.
    """

    def __init__(
        self, pairing: str, names: list[str], *, unmatched: bool = True, **keys: Any
    ) -> None:
        self.rows, self.unmatched = Collect(), Collect()
        config = BpfSource.Config(pairing=pairing, syscalls=names, **keys)
        nodes = {
            "kernel": BpfSource(config),
            "pair": Pair(Pair.Config()),
            "where": Filter(Filter.Config(where="true")),
            "rows": self.rows,
        }
        wires = {"pair": "kernel", "where": "pair", "rows": "where"}
        if unmatched:
            nodes, wires = nodes | {"unmatched": self.unmatched}, wires | UNMATCHED
        self.graph = graph(nodes, wires, settings=Settings(batch=Batching(max_calls=1000)))

    def trace(self, program: str, change: Callable[[Run], Awaitable[None]]) -> Ledger:
        """Start and trace a program while `change` runs, to its end."""
        with Command.start([compiled(program)]) as command:
            try:
                return self.run(change, command)
            finally:
                command.end()

    def run(
        self, change: Callable[[Run], Awaitable[None]], command: Command | None = None
    ) -> Ledger:
        """Trace while `change` runs, to its end; return the books, which are closed."""
        self.last = run = Run(self.graph, command=command)

        async def changed() -> None:
            await run.started.wait()
            await change(run)
            run.stop()

        async def both() -> Ledger:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(changed)
                return await run.run()
            raise AssertionError

        ledger = anyio.run(both)
        assert ledger.closed, ledger.open_because
        return ledger

    async def more(self, batches: int = 3) -> None:
        """Wait for more batches of rows."""
        had = len(self.rows.batches)
        with anyio.fail_after(20):
            while len(self.rows.batches) < had + batches:  # noqa: ASYNC110 - the run is as it is
                await anyio.sleep(0.002)

    def counts(self) -> dict[str, int]:
        """Return how many halves have no partner, by cause, of calls that began in the trace."""
        pairs = self.last.snapshot("pair")
        assert isinstance(pairs, PairSnapshot)
        return {cause: n for cause, n in pairs.unmatched.items() if cause != "in flight at start"}

    def causes(self) -> set[str]:
        """Return why halves have no partner."""
        return {row["cause"] for row in self.unmatched.rows()}


@pytest.mark.parametrize("pairing", MODES)
def test_what_is_deselected_is_never_given_again(pairing: str) -> None:
    """Change the selection while the ring is full of what is not wanted any more."""
    traced, marks, table = Selecting(pairing, CALLS), list[int](), syscalls.table()
    never = compile_filter("pid == 1").tree
    stat = [table.nr("stat"), table.nr("newfstatat")]

    async def change(run: Run) -> None:
        await traced.more()
        time.sleep(0.05)  # noqa: ASYNC251 - nobody is to read: the ring fills
        await run.select(numbers=[table.nr("access")])
        marks.append(len(traced.rows.batches))
        await traced.more()
        await run.select(where=never)
        marks.append(len(traced.rows.batches))
        await anyio.sleep(0.1)
        await run.select(numbers=stat, where=compile_filter("pid > 1").tree)
        marks.append(len(traced.rows.batches))
        await traced.more()

    ledger = traced.trace(ENDLESS, change)
    first, second, third = marks
    batches = [set(batch.text("syscall")) for batch in traced.rows.batches]
    assert "access" in set.union(*batches[:first])
    assert set.union(*batches[first:second]) == {"access"}
    assert batches[second:third] == []
    assert set.union(*batches[third:]) <= {"stat", "newfstatat"}
    assert set.union(*batches[third:])
    assert ledger.stages["kernel"].filtered > 0
    rows = traced.rows.rows()
    assert traced.causes() <= {"in flight at end", "selection changed"}
    changes = [
        two for one, two in itertools.pairwise(rows) if one["filter_epoch"] != two["filter_epoch"]
    ]
    assert changes
    assert all(row["gap_ns"] is None for row in changes)
    epochs = [row["filter_epoch"] for row in rows]
    assert epochs == sorted(epochs)


def test_a_term_about_returns_can_be_selected_while_it_runs() -> None:
    traced = Selecting("kernel", CALLS)
    marks: list[int] = []

    async def change(run: Run) -> None:
        await traced.more()
        await run.select(where=compile_filter("is_error").tree)
        marks.append(len(traced.rows.batches))
        await traced.more()

    traced.trace(ENDLESS, change)
    assert {r["ret"] for b in traced.rows.batches[: marks[0]] for r in b.rows()} >= {0, -2}
    assert {r["ret"] for b in traced.rows.batches[marks[0] :] for r in b.rows()} == {-2}


TASKS = r"""
/* Three tasks with other names and users, each with bursts of calls. */
static void *works(void *name) {
	struct stat s;
	prctl(PR_SET_NAME, name);
	for (;;) {
		for (int i = 0; i < 20; i++) {
			stat("/", &s);
			access("/", 0);
			close(-1);
		}
		usleep(1000);
	}
}
int main(void) {
	pthread_t thread;
	if (!fork()) {
		must(syscall(SYS_setresuid, 1000, 1000, 1000) == 0, "setresuid");
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* another user's, so after it */
		works("three");
	}
	pthread_create(&thread, NULL, works, "two");
	works("one");
}
"""
CONDITIONS = [
    *('comm == "one"', 'comm != "one"', "uid == 0", "uid != 0", 'comm in ["two", "three"]'),
    *('cgroup under "/"', 'comm == "two" and uid == 0', "pid > 1", "true", "tid == 1"),
]


@pytest.mark.parametrize("pairing", MODES)
def test_calls_under_way_at_a_change_are_no_denied_ones(pairing: str) -> None:
    """Change what is wanted of whom, many times, under load."""
    traced, chance = Selecting(pairing, CALLS), random.Random(1)
    table, spans = syscalls.table(), list[tuple[int, list[int], str]]()

    async def change(run: Run) -> None:
        await traced.more()
        for _ in range(120):
            where = chance.choice(CONDITIONS)
            names = chance.sample(["access", "close", "stat"], chance.randint(1, 3))
            numbers = [table.nr(name) for name in names] + [table.nr("newfstatat")] * (
                "stat" in names
            )
            await run.select(numbers=numbers, where=compile_filter(where).tree)
            spans.append((len(traced.rows.batches), numbers, where))
            await anyio.sleep(0.004)

    ledger = traced.trace(TASKS, change)
    ends = [begin for begin, _, _ in spans[1:]] + [len(traced.rows.batches)]
    for (begin, numbers, where), end in zip(spans, ends, strict=True):
        for batch in traced.rows.batches[begin:end]:
            assert set(batch["syscall"].tolist()) <= set(numbers)
            assert compile_filter(where)(batch).all(), where
    assert traced.causes() <= {"in flight at end", "selection changed"}
    assert ledger.kernel["lost"] == ledger.kernel["skipped"] == 0


READS = r"""
int main(void) {
	char byte;
	for (;;) {
		syscall(SYS_access, "/ior-mark", 0);
		syscall(SYS_read, 0, &byte, 1);
	}
}
"""


@pytest.mark.core
@pytest.mark.parametrize("pairing", MODES)
def test_a_return_that_nobody_saw_is_not_taken_from_a_later_call(pairing: str) -> None:
    """Leave reads out and take them in again, while one thread is in three of them in turn."""
    table = syscalls.table()
    read, access = table.nr("read"), table.nr("access")
    seen: list[list[str]] = []

    async def change(run: Run) -> None:
        def in_flight() -> list[str]:
            picture = run.snapshot("kernel")
            assert isinstance(picture, InFlight)
            return [call.syscall for call in picture.calls]

        async def on() -> None:
            """Let the read return and wait until the program is in the next one."""
            had = len(traced.rows.batches)
            os.write(feed, b"x")
            with anyio.fail_after(20):
                while len(traced.rows.batches) == had:  # noqa: ASYNC110 - another process
                    await anyio.sleep(0.001)
            await _waits(child)

        await on()
        seen.append(in_flight())
        await run.select(numbers=[access])
        seen.append(in_flight())
        await on()
        await run.select(numbers=[access, read])
        seen.append(in_flight())
        await on()
        seen.append(in_flight())
        await on()

    out, feed = os.pipe()
    with subprocess.Popen([compiled(READS)], stdin=out) as child:
        try:
            anyio.run(_waits, child)
            traced = Selecting(pairing, ["read", "access"], pid=child.pid)
            ledger = traced.run(change)
        finally:
            child.kill()
            os.close(out)
            os.close(feed)
    reads = [row for row in traced.rows.rows() if row["syscall"] == "read"]
    assert seen == [["read"], [], [], ["read"]]
    assert [row["filter_epoch"] for row in reads] == [5], "the third, whole"
    # The enter of the first one has been sent, or is still where its return would have been.
    assert ledger.kernel["deselected"] == (2 if pairing == "kernel" else 1)
    changed = {"selection changed"} if pairing == "user" else set()
    assert traced.causes() - {"in flight at start", "in flight at end"} == changed


async def _waits(child: subprocess.Popen[bytes]) -> None:
    """Wait until a program is in a read."""
    read = syscalls.table().nr("read")
    with anyio.fail_after(20):
        while await _syscall(child) != read:  # noqa: ASYNC110 - another process
            await anyio.sleep(0.001)


async def _syscall(child: subprocess.Popen[bytes]) -> int:
    text = await anyio.Path(f"/proc/{child.pid}/syscall").read_text()
    return int(text.split()[0]) if text[0].isdigit() else -1


LEFT = r"""
/* Two threads read; whose read returns makes no call any more that is traced. */
static void *reads(void *fd) { char byte; syscall(SYS_read, *(int *)fd, &byte, 1); pause(); }
int main(void) {
	int silent[2];
	pthread_t thread;
	char byte;
	pipe(silent);
	syscall(SYS_read, 0, &byte, 1); /* until the trace has begun */
	pthread_create(&thread, NULL, reads, &silent[0]);
	syscall(SYS_read, 0, &byte, 1);
	pause();
}
"""


@pytest.mark.parametrize("pairing", MODES)
@pytest.mark.parametrize(
    "change", [pytest.param("numbers", marks=pytest.mark.core), "filter", "where", "nothing"]
)
def test_a_return_that_is_not_wanted_any_more_is_not_waited_for(pairing: str, change: str) -> None:
    """Leave reads out while two threads are in one; one of them returns, neither calls again."""
    read, where = syscalls.table().nr("read"), compile_filter("pid == 1").tree

    async def left_out(run: Run) -> None:
        os.write(feed, b"x")
        await _in_calls(run, 2, held=2 if pairing == "user" else 0)
        if change == "numbers":
            await run.select(numbers=[syscalls.table().nr("access")])
        elif change == "where":
            await run.select(where=where)
        elif change == "filter":
            run.refilter("where", "syscall == access")
        os.write(feed, b"x")
        with anyio.fail_after(20):
            while await _syscall(child) == read:  # noqa: ASYNC110 - another process
                await anyio.sleep(0.001)

    out, feed = os.pipe()
    with subprocess.Popen([compiled(LEFT)], stdin=out) as child:
        try:
            anyio.run(_waits, child)
            traced = Selecting(pairing, ["read", "access"], unmatched=False, pid=child.pid)
            ledger = traced.run(left_out)
        finally:
            child.kill()
            os.close(out)
            os.close(feed)
    whole = pairing == "kernel"
    rows, causes = [row["ret"] for row in traced.rows.rows()], traced.counts()
    kernel = ledger.kernel
    if change == "nothing":
        assert (rows, kernel["deselected"], kernel["in_flight"]) == ([1], 0, 1)
        assert causes == ({} if whole else {"in flight at end": 1})
        return
    assert rows == []
    assert causes == ({} if whole else {"selection changed": 2})
    if change == "where":  # the kernel says no more of a call that has begun
        assert (kernel["deselected"], kernel["in_flight"]) == (0, 1)
        # And of the one that began before the trace, if that was read late.
        assert ledger.stages["kernel"].filtered in (1, 2)
    else:
        assert (kernel["deselected"], kernel["in_flight"]) == (2 if whole else 0, 0)


async def _in_calls(run: Run, count: int, held: int) -> None:
    """Wait until `count` calls have not returned, of which `pair` holds `held`."""
    with anyio.fail_after(20):
        while True:
            picture, pairs = run.snapshot("kernel"), run.snapshot("pair")
            assert isinstance(picture, InFlight)
            assert isinstance(pairs, PairSnapshot)
            if (len(picture.calls), pairs.pending) == (count, held):
                return
            await anyio.sleep(0.001)


SLEEPS = r"""
int main(void) {
	struct timespec long_time = {0, 300000000};
	for (;;) {
		syscall(SYS_nanosleep, &long_time, NULL);
		syscall(SYS_access, "/ior-mark", 0);
	}
}
"""


@pytest.mark.core
@pytest.mark.parametrize("pairing", MODES)
def test_a_restart_is_folded_after_a_change_and_not_taken_for_another_call(pairing: str) -> None:
    """Stop and continue a sleeping program, whose sleep goes on as restart_syscall."""
    table = syscalls.table()
    both = [table.nr("nanosleep"), table.nr("access")]

    async def change(run: Run) -> None:
        await traced.more(1)
        await run.select(numbers=both)
        for _ in range(3):
            await traced.more(1)
            await anyio.sleep(0.05)
            child.send_signal(signal.SIGSTOP)
            await anyio.sleep(0.05)
            child.send_signal(signal.SIGCONT)
        await traced.more(2)
        await run.select(numbers=both[1:])
        seen.append(len(traced.rows.batches))
        child.send_signal(signal.SIGSTOP)
        await anyio.sleep(0.05)
        child.send_signal(signal.SIGCONT)
        await traced.more(2)

    seen = list[int]()
    with subprocess.Popen([compiled(SLEEPS)]) as child:
        try:
            traced = Selecting(pairing, ["nanosleep", "access"], pid=child.pid)
            traced.run(change)
        finally:
            child.kill()
    rows = [row for batch in traced.rows.batches[: seen[0]] for row in batch.rows()]
    assert {row["syscall"] for row in rows} == {"nanosleep", "access"}
    sleeps = [row for row in rows if row["syscall"] == "nanosleep"]
    assert {row["restarts"] for row in sleeps} == {0, 1}
    assert all(row["latency_ns"] > 290_000_000 and row["ret"] == 0 for row in sleeps)
    late = [row for batch in traced.rows.batches[seen[0] :] for row in batch.rows()]
    assert {row["syscall"] for row in late} == {"access"}
