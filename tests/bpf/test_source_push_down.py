"""A filter in the kernel and the same one behind `pair`: the same rows, every call in the books.

One command is traced by two sources at once, one that pushes down and one that does not, so
both see the very same calls.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Awaitable, Callable

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pushing import Both
from pushing import check as same
from tracing import MODES, Collect, compiled

from ior import syscalls
from ior.errors import SpecError
from ior.expr import compile_filter
from ior.host.command import Command
from ior.pipeline.ledger import Ledger
from ior.pipeline.run import Run
from ior.pipeline.settings import Batching, Settings
from ior.sources.bpf.source import BpfSource
from ior.stages.pair import Pair
from ior.testing import graph

pytestmark = pytest.mark.kernel

WORKLOAD = r"""
/* Three threads with names of their own, in two processes; a sleep is long, all else is short. */
static void calls(const char *name) {
	struct timespec long_ = {0, 30000000};
	char bytes[8];
	prctl(PR_SET_NAME, name);
	for (int i = 0; i < 12; i++) {
		int fd = open("/dev/zero", O_RDONLY);
		read(fd, bytes, i % 8);
		open("/no/such", O_RDONLY);
		close(fd);
		read(fd, bytes, 1);
		if (i == 5)
			nanosleep(&long_, NULL);
		lseek(fd, 0, SEEK_SET);
		mkdir("/dev/null/x", 0700);
	}
}
static void *works(void *name) { calls(name); return NULL; }
static void handler(int n) {}
int main(void) {
	pthread_t thread;
	struct itimerval soon = {{0, 0}, {0, 5000}};
	struct timespec long_ = {0, 40000000};
	struct sigaction again = {.sa_handler = handler, .sa_flags = SA_RESTART};
	struct sigaction not = {.sa_handler = handler};
	int ends[2], status;
	char byte;
	pid_t child = fork();
	if (!child) {
		calls("child-1");
		syscall(SYS_exit_group, 3);
	}
	pthread_create(&thread, NULL, works, "thread-2");
	pthread_join(thread, NULL);
	calls("main-3");
	waitpid(child, &status, 0);
	pipe(ends);
	if (!(child = fork())) { /* restarted: the row has the whole latency */
		sigaction(SIGALRM, &again, NULL);
		setitimer(ITIMER_REAL, &soon, NULL);
		read(ends[0], &byte, 1);
		_exit(0);
	}
	nanosleep(&long_, NULL);
	write(ends[1], "x", 1);
	waitpid(child, &status, 0);
	sigaction(SIGALRM, &not, NULL);
	setitimer(ITIMER_REAL, &soon, NULL);
	nanosleep(&long_, NULL); /* EINTR */
	return 0;
}
"""
SELECTED = ["/^(open|openat|read|close|lseek|mkdir|write|pipe2?|wait4)$/"]
SELECTED += ["nanosleep", "clock_nanosleep", "exit_group", "execve", "prctl"]


def check(where: str, pairing: str) -> Both:
    return same(where, [compiled(WORKLOAD)], syscalls=SELECTED, pairing=pairing)


@pytest.mark.parametrize("pairing", MODES)
@pytest.mark.parametrize(
    ("where", "in_user_mode"),
    [
        ("syscall == read", True),
        ("syscall in [read, nanosleep, clock_nanosleep] and ret >= 0", True),
        ('comm == "thread-2"', True),
        ('comm != "main-3" and not syscall ~ "o"', True),
        ("is_error", False),
        ("errno == ENOENT or errno == EBADF", False),
        ("latency >= 15ms", False),
        ("not latency >= 15ms and syscall != close", True),
        ('is_error and path under "/no"', False),
    ],
)
def test_the_rows_are_the_same_and_the_kernel_has_less_to_say(
    where: str, pairing: str, *, in_user_mode: bool
) -> None:
    both = check(where, pairing)
    assert both.pushed.rows()
    if pairing == "kernel" or in_user_mode:
        assert both.kernel["filtered_in_kernel"] > 10
        assert both.kernel["attempted"] < both.without["attempted"]
    else:
        assert both.kernel["filtered_in_kernel"] == 0
    assert both.without["filtered_in_kernel"] == 0


TERMS = st.sampled_from(
    [
        "syscall == read",
        "syscall in [openat, close, mkdir]",
        'syscall ~ "e"',
        "family == FS",
        "family != FS or syscall == clock_nanosleep",
        'comm == "thread-2"',
        'comm in ["child-1", "main-3"]',
        'comm != "child-1"',
        "is_error",
        "ret > 2",
        "errno in [ENOENT, ENOTDIR]",
        "ret in [-512, -4, 0, 1]",
        "latency >= 15ms",
        "latency < 15ms",
        "pid > 0 and tid != 1",
        "pid == 1",
        "uid == 0",
        "uid != 0 or is_error",
        "cgroup_id > 1",
        "fd >= 0",
        'path under "/dev"',
        "bytes > 0",
        "restarts > 0",
    ]
)
FILTERS = st.recursive(
    TERMS,
    lambda inner: st.one_of(
        inner.map("not ({})".format),
        st.lists(inner, min_size=2, max_size=3).map(
            lambda some: " and ".join(f"({t})" for t in some)
        ),
        st.lists(inner, min_size=2, max_size=2).map(
            lambda some: " or ".join(f"({t})" for t in some)
        ),
    ),
    max_leaves=5,
)


@settings(max_examples=8, deadline=None)
@given(where=FILTERS, pairing=st.sampled_from(MODES))
def test_any_filter_gives_the_same_rows(where: str, pairing: str) -> None:
    check(where, pairing)


ENDLESS = """
import os, sys, threading
os.write(1, b"x")
while True:
    os.getppid()
    os.stat("/")
    os.access("/", 0)
"""


class Endless:
    """A python that makes calls without end, traced while a test changes the selection."""

    def __init__(self, pairing: str) -> None:
        keys = {"pairing": pairing, "syscalls": ["stat", "access", "close"]}
        self.rows, self.unmatched = Collect(), Collect()
        nodes = {
            "kernel": BpfSource(BpfSource.Config(**keys)),
            "pair": Pair(Pair.Config()),
            "rows": self.rows,
            "unmatched": self.unmatched,
        }
        wires = {"pair": "kernel", "rows": "pair", "unmatched": "pair.unmatched"}
        self.graph = graph(nodes, wires, settings=Settings(batch=Batching(max_calls=1000)))

    def run(self, change: Callable[[Run], Awaitable[None]]) -> Ledger:
        async def changed(run: Run) -> None:
            await run.started.wait()
            await change(run)
            run.stop()

        async def both() -> Ledger:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(changed, run)
                return await run.run()
            raise AssertionError

        with Command.start([compiled(ENDLESS)]) as command:
            run = Run(self.graph, command=command)
            try:
                ledger = anyio.run(both)
            finally:
                command.end()  # it has no end of its own
        assert ledger.closed, ledger.open_because
        return ledger

    async def more(self, batches: int = 3) -> None:
        had = len(self.rows.batches)
        with anyio.fail_after(20):
            while len(self.rows.batches) < had + batches:  # noqa: ASYNC110 - the run is as it is
                await anyio.sleep(0.002)


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


@pytest.mark.parametrize("pairing", MODES)
def test_what_is_deselected_is_never_given_again(pairing: str) -> None:
    """Change the selection while the ring is full of what is not wanted any more."""
    traced, marks, table = Endless(pairing), list[int](), syscalls.table()
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

    ledger = traced.run(change)
    first, second, third = marks
    batches = [set(batch.text("syscall")) for batch in traced.rows.batches]
    assert "access" in set.union(*batches[:first])
    assert set.union(*batches[first:second]) == {"access"}
    assert batches[second:third] == []
    assert set.union(*batches[third:]) <= {"stat", "newfstatat"}
    assert set.union(*batches[third:])
    assert ledger.stages["kernel"].filtered > 0
    rows = traced.rows.rows()
    causes = {row["cause"] for row in traced.unmatched.rows()}
    assert causes <= {"in flight at end", "selection changed"}
    changes = [
        two for one, two in itertools.pairwise(rows) if one["filter_epoch"] != two["filter_epoch"]
    ]
    assert changes
    assert all(row["gap_ns"] is None for row in changes)
    epochs = [row["filter_epoch"] for row in rows]
    assert epochs == sorted(epochs)


def test_a_term_about_returns_can_be_selected_while_it_runs() -> None:
    traced = Endless("kernel")
    marks: list[int] = []

    async def change(run: Run) -> None:
        await traced.more()
        await run.select(where=compile_filter("is_error").tree)
        marks.append(len(traced.rows.batches))
        await traced.more()

    traced.run(change)
    assert {r["ret"] for b in traced.rows.batches[: marks[0]] for r in b.rows()} >= {0, -2}
    assert {r["ret"] for b in traced.rows.batches[marks[0] :] for r in b.rows()} == {-2}


def test_a_condition_that_needs_the_stage_is_refused() -> None:
    source = BpfSource(BpfSource.Config())
    with pytest.raises(SpecError, match=r"cannot choose by 'file under \"/etc\"'"):
        source.select(where=compile_filter('file under "/etc" and pid == 1').tree)
