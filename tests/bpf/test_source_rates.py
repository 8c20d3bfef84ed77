"""Rates: what is not recorded is counted in the kernel, exactly, and nothing is half recorded.

One command is traced by two sources at once, one that records every call and one with rates, so
both see the very same calls.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tracing import MODES, Collect, Traced, compiled, program, trace

from ior import sampling, syscalls
from ior.calls import Flag
from ior.counted import Counted, KernelSnapshot, Standing
from ior.host.command import Command
from ior.pipeline.ledger import Ledger
from ior.pipeline.run import Run
from ior.sources.bpf.source import BpfSource
from ior.sources.bpf.totals import Counts
from ior.stages.filter import Filter
from ior.stages.pair import Pair, PairSnapshot
from ior.testing import graph

pytestmark = pytest.mark.kernel

WORKLOAD = r"""
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
static int ends[2], more[2];
static char byte;
static sigjmp_buf place;
static volatile int handled;
static void plain(int sig) { getppid(); access("/in-handler", 0); }
static void feeds(int sig) { access("/feeds", 0); write(ends[1], "x", 1); }
static void later(int sig) { if (++handled == 3) write(ends[1], "x", 1); }
static void jumps(int sig) { siglongjmp(place, 1); }
static void handle(int sig, void (*handler)(int), int flags) {
	struct sigaction action = { .sa_handler = handler, .sa_flags = flags };
	sigaction(sig, &action, NULL);
}
static void every_ms(int first, int then) {
	struct itimerval timer = { { 0, then * 1000 }, { 0, first * 1000 } };
	setitimer(ITIMER_REAL, &timer, NULL);
}
/* A handler whose own read is interrupted and restarted. */
static void inner(int sig) { write(more[1], "y", 1); }
static void outer(int sig) {
	handle(SIGUSR1, inner, SA_RESTART);
	if (!fork()) {
		usleep(20000);
		kill(getppid(), SIGUSR1);
		_exit(0);
	}
	syscall(SYS_read, more[0], &byte, 1);
	write(ends[1], "x", 1);
}
static void calls(const char *name, int rounds) {
	char bytes[16];
	prctl(PR_SET_NAME, name);
	for (int i = 0; i < rounds; i++) {
		int fd = open("/dev/zero", O_RDONLY);
		read(fd, bytes, i % 16);
		open("/no/such", O_RDONLY);
		read(-1, bytes, 1);
		lseek(fd, i, SEEK_SET);
		close(fd);
		close(fd);
	}
}
static void *works(void *name) { calls(name, 40); return NULL; }
static void sockets(void) {
	char bytes[64];
	int pair[2];
	struct iovec part = { bytes, 8 };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	socketpair(AF_UNIX, SOCK_DGRAM, 0, pair);
	for (int i = 0; i < 12; i++) {
		send(pair[0], bytes, 32, 0);
		recv(pair[1], bytes, 64, MSG_PEEK);
		recv(pair[1], bytes, 8, i % 2 ? MSG_TRUNC : 0);
		send(pair[0], bytes, 16, 0);
		recvmsg(pair[1], &message, MSG_PEEK);
		recvmsg(pair[1], &message, 0);
		setxattr("/proc/self/exe", "user.ior", bytes, 4, 0);
		getxattr("/", "user.no", NULL, 0);
		listxattr("/proc/self/exe", NULL, 0);
		listxattr("/proc/self/exe", bytes, 64);
	}
}
static void signals(void) {
	struct timespec long_ = { 0, 30000000 };
	pid_t self = getpid(), child;
	handle(SIGALRM, plain, 0);
	every_ms(20, 0);
	syscall(SYS_read, ends[0], &byte, 1); /* EINTR */
	handle(SIGALRM, feeds, SA_RESTART);
	every_ms(20, 0);
	syscall(SYS_read, ends[0], &byte, 1); /* restarted */
	handle(SIGALRM, later, SA_RESTART);
	every_ms(20, 15);
	syscall(SYS_read, ends[0], &byte, 1); /* three times */
	every_ms(0, 0);
	handle(SIGALRM, plain, SA_RESTART);
	every_ms(20, 0);
	syscall(SYS_nanosleep, &long_, NULL); /* EINTR */
	handle(SIGALRM, outer, SA_RESTART);
	every_ms(20, 0);
	syscall(SYS_read, ends[0], &byte, 1); /* its handler's read is interrupted, too */
	while (wait(NULL) > 0)
		;
	handle(SIGALRM, jumps, SA_RESTART);
	if (!sigsetjmp(place, 1))
		every_ms(20, 0);
	else
		write(ends[1], "x", 1);
	syscall(SYS_read, ends[0], &byte, 1); /* left by a jump, then called again */
	if (!(child = fork())) {
		usleep(10000);
		kill(self, SIGSTOP);
		usleep(10000);
		kill(self, SIGCONT);
		_exit(0);
	}
	syscall(SYS_nanosleep, &long_, NULL); /* goes on with restart_syscall */
	waitpid(child, NULL, 0);
}
int main(int argc, char **argv) {
	pthread_t threads[2];
	pid_t child;
	pipe(ends);
	pipe(more);
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, works, i ? "one" : "two");
	if (!(child = fork())) {
		calls("child", 60);
		execl("/bin/true", "true", NULL);
	}
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	calls("main", 30);
	waitpid(child, NULL, 0);
	sockets();
	signals();
	if (!(child = fork())) { /* killed inside a call */
		syscall(SYS_read, ends[0], &byte, 1);
		_exit(0);
	}
	usleep(20000);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	if (!(child = fork())) { /* denied: no calls */
		struct sock_filter filter[] = {
			BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
			BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_lseek, 0, 1),
			BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
			BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		};
		struct sock_fprog all = { 4, filter };
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &all);
		calls("denied", 5);
		_exit(0);
	}
	waitpid(child, NULL, 0);
	return 0;
}
"""
NAMES = ("open", "openat", "read", "write", "close", "lseek", "access", "nanosleep")
NAMES += ("clock_nanosleep", "execve", "exit_group", "wait4", "sendto", "recvfrom", "recvmsg")
NAMES += ("setxattr", "getxattr", "listxattr", "prctl", "clone", "rt_sigreturn", "mmap")
NAMES += ("restart_syscall",)


SIDES = Flag.ENTER | Flag.EXIT
EVERY = "pid > 0"
RETURNS = ("child", "denied", "in flight at start")  # causes of returns without an entry


class Both:
    """What a source without rates and one with them gave for one command."""

    def __init__(self, sample: dict[str, int], *, where: str = EVERY, **keys: Any) -> None:
        self.sample, self.whole, self.sampled = sample, Collect(), Collect()
        self.unmatched = Collect() if where == EVERY else None
        nodes: dict[str, Any] = {}
        inputs = {}
        keys = {"syscalls": list(NAMES), **keys}
        for name, sink in (("whole", self.whole), ("sampled", self.sampled)):
            rates = sample if name == "sampled" else {}
            nodes |= {
                name: BpfSource(BpfSource.Config(**keys, sample=rates)),
                f"{name}-pair": Pair(Pair.Config()),
                f"{name}-where": Filter(Filter.Config(where=where)),
                f"{name}-rows": sink,
            }
            inputs |= {
                f"{name}-pair": name,
                f"{name}-where": f"{name}-pair",
                f"{name}-rows": f"{name}-where",
            }
        if self.unmatched is not None:  # nothing is applied in the kernel then
            nodes["unmatched"], inputs["unmatched"] = self.unmatched, "whole-pair.unmatched"
        with Command.start([compiled(WORKLOAD)]) as command:
            run = Run(graph(nodes, inputs), command=command)
            self.ledger: Ledger = anyio.run(run.run)
            assert command.wait(10) == 0
        assert self.ledger.closed, self.ledger.open_because
        assert not self.ledger.lost
        snapshot = run.snapshot("sampled")
        assert isinstance(snapshot, KernelSnapshot)
        self.totals = snapshot.totals
        pairs = run.snapshot("sampled-pair")
        assert isinstance(pairs, PairSnapshot)
        self.halves = pairs.unmatched
        self.books = nodes["sampled"].books()
        self.counted = {one.syscall: one for one in self.totals.counted}

    def check(self, *, by_return: bool = False) -> None:
        """Hold rows and totals of one source against the rows of the other.

        With a filter `by_return` it is chance how many of the chosen calls pass it.
        """
        rates = sampling.rates(self.sample)
        table = syscalls.table()
        every, some = _sums(self.whole), _sums(self.sampled)
        halves = self.unmatched.rows() if self.unmatched is not None else []
        returns = Counter(half["nr"] for half in halves if half["flags"] & SIDES == Flag.EXIT)
        unrecorded = 0
        for name in sorted(every.keys() | some.keys() | self.counted.keys() | returns.keys()):
            rate = rates.get(table.by_name[name].nr, 1)
            calls = every.get(name, Counter())
            recorded = some.get(name, Counter())
            if rate == 1:
                assert recorded == calls, name
                assert name not in self.counted
                continue
            one = self.counted[name]
            assert one.rate == rate
            sums = {"calls": one.calls, "errors": one.errors, "bytes": one.bytes}
            assert sums == {key: calls[key] for key in sums}, name
            assert (one.untimed, one.recorded) == (calls["untimed"], recorded["calls"]), name
            assert self.unmatched is None or one.unmatched == returns[name], name
            assert one.latency.total == one.calls - one.untimed
            unrecorded += one.calls - one.recorded
            if not rate:
                assert not recorded
            elif not by_return:
                cpus = os.cpu_count() or 1
                assert abs(one.recorded - one.calls / rate) <= cpus + calls["unreturned"], name
        assert unrecorded == self.books["counted_only"]
        if self.unmatched is not None:  # with rates a return is recorded only if its entry is
            told = sum(self.halves.get(cause, 0) for cause in RETURNS)
            recorded = [name for name in returns if rates.get(table.by_name[name].nr, 1) == 1]
            assert told == sum(returns[name] for name in recorded)


def _sums(rows: Collect) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {}
    for row in rows.rows():
        sums = found.setdefault(row["syscall"], Counter())
        sums["calls"] += 1
        sums["errors"] += row["is_error"]
        sums["bytes"] += row["bytes"]
        sums["untimed"] += row["latency_ns"] is None
    for sums in found.values():
        sums["unreturned"] = 4  # calls that took a turn and made no row: killed, or handed over
    return {name: Counter({k: v for k, v in sums.items() if v}) for name, sums in found.items()}


@pytest.mark.parametrize("pairing", MODES)
@pytest.mark.parametrize(
    "sample",
    [
        {"default": 0},
        {"default": 3},
        pytest.param({"read": 0, "FS": 5, "close": 1}, marks=pytest.mark.core),
        {"nanosleep": 0, "default": 2, "read": 1},
    ],
    ids=str,
)
def test_the_totals_are_those_of_a_run_that_records_everything(
    sample: dict[str, int], pairing: str
) -> None:
    both = Both(sample, pairing=pairing)
    both.check()
    assert both.totals.standing is Standing.EXACT
    assert both.ledger.kernel["counted_only"] > 100


RATES = st.dictionaries(
    st.sampled_from([*NAMES, "FS", "Network", "Process", "default"]),
    st.sampled_from([0, 1, 2, 3, 7, 50]),
    max_size=6,
).filter(lambda sample: not list(sampling.objections(sample)))


@settings(max_examples=8, deadline=None)
@given(sample=RATES, pairing=st.sampled_from(MODES))
def test_any_rates_leave_the_sums_as_they_are(sample: dict[str, int], pairing: str) -> None:
    Both(sample, pairing=pairing).check()


@pytest.mark.parametrize(
    ("where", "pairing"),
    [
        ("is_error", "kernel"),  # with "user" no program sees both sides
        *(('comm == "one"', mode) for mode in MODES),
        *(("syscall in [read, open]", mode) for mode in MODES),
    ],
)
def test_a_filter_that_the_kernel_applies_holds_for_the_totals(where: str, pairing: str) -> None:
    both = Both({"default": 4, "read": 0}, where=where, pairing=pairing)
    both.check(by_return=where == "is_error")
    assert both.counted["read"].calls > 20


def test_a_filter_by_latency_holds_for_the_whole_latency_of_a_restarted_call() -> None:
    both = Both({"nanosleep": 0, "read": 0}, where="latency >= 15ms")
    assert both.counted["nanosleep"].calls == len(
        [row for row in both.whole.rows() if row["syscall"] == "nanosleep"]
    )
    restarted = Counter(row["syscall"] for row in both.whole.rows() if row["restarts"])
    assert restarted == {"read": 3, "nanosleep": 1}  # the last part of each is shorter


READS = r"""
/* argv: how many reads, on one CPU; each at an offset that numbers it. */
int main(int argc, char **argv) {
	cpu_set_t one;
	char byte;
	int fd = open("/dev/zero", O_RDONLY);
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	sched_setaffinity(0, sizeof(one), &one);
	for (long i = 0; i < atol(argv[1]); i++)
		pread(fd, &byte, 1, i);
	return 0;
}
"""


def totals(run: Run) -> dict[str, Counted]:
    snapshot = run.snapshot("kernel")
    assert isinstance(snapshot, KernelSnapshot)
    return {one.syscall: one for one in snapshot.totals.counted}


def traced(*arguments: str, source: str = READS, **keys: Any) -> tuple[Traced, Run]:
    runs: list[Run] = []
    result = program(source, *arguments, on_start=runs.append, **keys)
    return result, runs[0]


@pytest.mark.core
@pytest.mark.parametrize("pairing", MODES)
def test_with_rate_0_nothing_leaves_the_kernel_but_the_count(pairing: str) -> None:
    result, run = traced("20000", pairing=pairing, syscalls=["pread64"], sample={"pread64": 0})
    assert result.rows == result.unmatched == []
    books = result.ledger.kernel
    assert (books["attempted"], books["counted_only"]) == (0, totals(run)["pread64"].calls)
    one = totals(run)["pread64"]
    assert one.calls == 20000 + _loaders_reads()
    assert (one.rate, one.recorded, one.errors) == (0, 0, 0)
    assert one.latency.total == one.calls
    assert one.latency.least is not None
    assert 0 < one.latency.least <= (one.latency.quantile(0.5) or 0) <= one.latency_ns


def _loaders_reads() -> int:
    """Return how many calls the dynamic loader adds."""
    result = program(READS, "0", syscalls=["pread64"])
    return len(result.rows)


@pytest.mark.core
@pytest.mark.parametrize("pairing", MODES)
def test_of_every_n_calls_of_a_cpu_one_is_recorded_at_a_random_place(pairing: str) -> None:
    result, run = traced("5000", pairing=pairing, syscalls=["pread64"], sample={"FS": 10})
    loaders = _loaders_reads()
    numbers = [row["offset"] + loaders for row in result.rows if row["file"] == "/dev/zero"]
    # The first of a block may be one of the loader's.
    blocks = [Counter((number + phase) // 10 for number in numbers) for phase in range(10)]
    assert any(set(one.values()) == {1} for one in blocks)
    assert len(numbers) in range(499, 502)
    places = Counter(number % 10 for number in numbers)
    assert len(places) == 10
    assert {row["sample_rate"] for row in result.rows} == {10}
    assert totals(run)["pread64"].calls == 5000 + loaders
    assert totals(run)["pread64"].recorded == len(result.rows)


def test_a_loss_takes_nothing_from_the_totals() -> None:
    page = os.sysconf("SC_PAGESIZE")
    keys = {"syscalls": ["pread64"], "sample": {"pread64": 2}, "ring_size": page}
    result, run = traced("200000", **keys)
    one = totals(run)["pread64"]
    assert result.ledger.kernel["lost"] > 0
    assert one.calls == 200000 + _loaders_reads()
    assert one.recorded == result.ledger.kernel["attempted"]
    assert len(result.rows) == one.recorded - result.ledger.kernel["lost"]


def test_totals_are_at_least_so_many_where_a_call_could_not_be_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    edit = Counts.edit

    def cramped(self: Counts, spec: Any) -> None:
        edit(self, spec)
        spec.maps["latencies"].max_entries = 1

    monkeypatch.setattr(Counts, "edit", cramped)
    sample = {"read": 0, "pread64": 0}  # read has the smaller number, and so the only place
    result, run = traced("3000", syscalls=["read", "pread64"], sample=sample)
    snapshot = run.snapshot("kernel")
    assert isinstance(snapshot, KernelSnapshot)
    assert snapshot.totals.standing is Standing.AT_LEAST
    assert [one.syscall for one in snapshot.totals.counted] == ["read"]
    assert snapshot.tables()[0].title == "Kernel totals, at least"
    assert result.rows == []


@pytest.mark.parametrize(
    ("where", "pairing", "push_down", "standing"),
    [
        ("syscall == pread64", "kernel", True, Standing.EXACT),
        ("is_error", "kernel", True, Standing.EXACT),
        ("is_error", "user", True, Standing.UNAVAILABLE),
        ('path under "/dev"', "kernel", True, Standing.UNAVAILABLE),
        ('is_error and path under "/dev"', "kernel", True, Standing.UNAVAILABLE),
        ("syscall == pread64", "kernel", False, Standing.UNAVAILABLE),
    ],
)
def test_totals_are_unavailable_under_a_filter_that_the_kernel_does_not_apply(
    where: str, pairing: str, standing: Standing, *, push_down: bool
) -> None:
    keys = {"syscalls": ["pread64", "read"], "sample": {"default": 0}, "pairing": pairing}
    config = BpfSource.Config(**keys, push_down=push_down)
    nodes = {
        "kernel": BpfSource(config),
        "pair": Pair(Pair.Config()),
        "where": Filter(Filter.Config(where=where)),
        "rows": Collect(),
    }
    inputs = {"pair": "kernel", "where": "pair", "rows": "where"}
    with Command.start([compiled(READS), "1000"]) as command:
        run = Run(graph(nodes, inputs), command=command)
        anyio.run(run.run)
        assert command.wait(10) == 0
    snapshot = run.snapshot("kernel")
    assert isinstance(snapshot, KernelSnapshot)
    assert snapshot.totals.standing is standing
    table = snapshot.tables()[0] if snapshot.totals.counted else None
    if "is_error" in where and pairing == "kernel":
        assert table is None or where != "is_error" or all(r[2] == r[3] for r in table.rows)
    elif standing is Standing.UNAVAILABLE:
        assert table is not None
        assert table.title == "Kernel totals, unavailable"
        assert all(set(row[2:]) == {None} for row in table.rows)
    else:
        assert table is not None
        assert [row[:2] for row in table.rows] == [("pread64", "counted only")]
        assert table.rows[0][2] >= 1000


WAITS = r"""
int main(void) {
	int ends[2];
	char byte;
	prctl(PR_SET_NAME, "waiter");
	pipe(ends);
	write(1, "ready\n", 6);
	syscall(SYS_read, ends[0], &byte, 1);
	return 0;
}
"""


@pytest.mark.parametrize("pairing", MODES)
def test_a_call_in_flight_that_makes_no_record_is_known_to_wait(pairing: str) -> None:
    waiting: list[KernelSnapshot] = []
    with subprocess.Popen([compiled(WAITS)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"

        async def look(run: Run) -> None:
            snapshot = run.snapshot("kernel")
            assert isinstance(snapshot, KernelSnapshot)
            waiting.append(snapshot)

        async def both(run: Run) -> Ledger:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_interrupted, run, process.pid)
                return await run.run()
            raise AssertionError

        async def _interrupted(run: Run, pid: int) -> None:
            await run.started.wait()
            os.kill(pid, signal.SIGSTOP)  # its read is entered anew
            await anyio.sleep(0.05)
            os.kill(pid, signal.SIGCONT)
            with anyio.fail_after(10):
                while not (waiting and waiting[-1].calls):
                    await anyio.sleep(0.01)
                    await look(run)
            run.stop()

        keys = {"syscalls": ["read"], "sample": {"read": 0}, "pairing": pairing}
        source = BpfSource(BpfSource.Config(pid=process.pid, **keys))
        nodes = {"kernel": source, "pair": Pair(Pair.Config()), "rows": Collect()}
        run = Run(graph(nodes, {"pair": "kernel", "rows": "pair"}))
        ledger = anyio.run(both, run)
        process.kill()
    (call,) = waiting[-1].calls
    assert (call.comm, call.syscall, call.pid) == ("waiter", "read", process.pid)
    assert ledger.kernel["in_flight"] == 1
    assert totals(run) == {} or totals(run)["read"].calls == 0


GAPS = r"""
int main(void) {
	char byte;
	for (int i = 0; i < 50; i++) {
		lseek(0, 0, SEEK_SET);
		syscall(SYS_getppid);
		lseek(0, 1, SEEK_SET);
	}
	return 0;
}
"""


def test_calls_of_rate_0_are_as_if_not_wanted_and_others_leave_gaps_that_are_not_known() -> None:
    keys = {"syscalls": ["lseek", "getppid"]}
    counted, _ = traced(source=GAPS, **keys, sample={"getppid": 0})
    rows = counted.of("lseek")
    assert len(rows) == 100
    assert all(row["gap_ns"] is not None for row in rows[1:])
    some, _ = traced(source=GAPS, **keys, sample={"getppid": 50})
    rows = some.of("lseek")
    known = [row["gap_ns"] is not None for row in rows]
    assert known[2::2] == [True] * 49
    assert known[1::2].count(True) <= 2


def test_a_change_of_the_selection_keeps_the_rates() -> None:
    rows = Collect()
    keys = {"syscalls": ["lseek"], "sample": {"getppid": 0, "lseek": 0}}
    nodes = {"kernel": BpfSource(BpfSource.Config(**keys)), "pair": Pair(Pair.Config())}
    nodes |= {"rows": rows}
    table = syscalls.table()

    async def changed() -> Ledger:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run.run)
            await run.started.wait()
            with anyio.fail_after(10):
                await _until(lambda: totals(run).get("lseek"))
                assert "getppid" not in totals(run)
                await run.select(numbers=[table.nr("getppid"), table.nr("access")])
                await _until(lambda: totals(run).get("getppid") and rows.batches)
            run.stop()
        return run.ledger()

    with Command.start([compiled(ENDLESS)]) as command:
        run = Run(graph(nodes, {"pair": "kernel", "rows": "pair"}), command=command)
        try:
            ledger = anyio.run(changed)
        finally:
            command.end()
    assert {row["syscall"] for row in rows.rows()} == {"access"}
    assert ledger.closed
    assert ledger.kernel["counted_only"] == sum(one.calls for one in totals(run).values())


async def _until(condition: Any) -> None:
    while not condition():  # noqa: ASYNC110 - the run is as it is
        await anyio.sleep(0.005)


ENDLESS = r"""
int main(void) {
	for (;;) {
		lseek(0, 0, SEEK_SET);
		syscall(SYS_getppid);
		access("/", 0);
	}
}
"""


PAUSES = r"""
static void nothing(int sig) {}
int main(void) {
	struct sigaction action = { .sa_handler = nothing };
	sigaction(SIGUSR1, &action, NULL);
	write(1, "ready\n", 6);
	for (;;)
		syscall(SYS_pause);
}
"""


@pytest.mark.parametrize("pairing", MODES)
@pytest.mark.parametrize("rate", [0, 1_000_000])
def test_what_began_before_the_trace_is_no_call_and_what_has_not_ended_is_none_yet(
    pairing: str, rate: int
) -> None:
    with subprocess.Popen([compiled(PAUSES)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        _wait_in_pause(process.pid)
        runs: list[Run] = []

        def when_started(run: Run) -> None:
            runs.append(run)
            for _ in range(4):  # the first ends what began before
                os.kill(process.pid, signal.SIGUSR1)
                time.sleep(0.05)
                _wait_in_pause(process.pid)
            run.stop()

        keys = {"pid": process.pid, "syscalls": ["pause"], "sample": {"pause": rate}}
        result = trace(on_start=when_started, pairing=pairing, **keys)
        process.kill()
    one = totals(runs[0])["pause"]
    assert (one.calls, one.errors, one.unmatched) == (3, 3, 1)
    assert result.ledger.kernel["in_flight"] == 1
    recorded = result.of("pause")
    assert len(recorded) == one.recorded <= 1
    assert result.ledger.kernel["counted_only"] == 3 - one.recorded
    assert not [row for row in result.unmatched if row["cause"] != "in flight at end"]


def _wait_in_pause(pid: int) -> None:
    pause = syscalls.table().nr("pause")
    end = time.monotonic() + 10
    while not Path(f"/proc/{pid}/syscall").read_text("ascii").startswith(f"{pause} "):
        assert time.monotonic() < end
        time.sleep(0.005)
