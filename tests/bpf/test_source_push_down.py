"""A filter in the kernel and the same one behind `pair`: the same rows, every call in the books.

One command is traced by two sources at once, one that pushes down and one that does not, so
both see the very same calls.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pushing import Both
from pushing import check as same
from tracing import MODES, compiled

from ior.errors import SpecError
from ior.expr import compile_filter
from ior.sources.bpf.source import BpfSource

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
static int ends[2];
static void handler(int n) {}
static void feeds(int n) { write(ends[1], "x", 1); }
int main(void) {
	pthread_t thread;
	struct itimerval soon = {{0, 0}, {0, 5000}}, later = {{0, 0}, {0, 40000}};
	struct timespec long_ = {0, 40000000};
	struct sigaction again = {.sa_handler = feeds, .sa_flags = SA_RESTART};
	struct sigaction not = {.sa_handler = handler};
	int status;
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
	/* Restarted: the row has the whole latency, of which the last part is short. */
	sigaction(SIGALRM, &again, NULL);
	setitimer(ITIMER_REAL, &later, NULL);
	read(ends[0], &byte, 1);
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


WHERE = {  # and whether it is applied in the kernel also with pairing = "user"
    "syscall == read": True,
    "syscall in [read, nanosleep, clock_nanosleep] and ret >= 0": True,
    'comm == "thread-2"': True,
    'comm != "main-3" and not syscall ~ "o"': True,
    "is_error": False,
    "errno == ENOENT or errno == EBADF": False,
    "latency >= 15ms": False,
    "not latency >= 15ms and syscall != close": True,
    'is_error and path under "/no"': False,
}
CORE = [(where, "kernel") for where in ('comm == "thread-2"', "is_error", "latency >= 15ms")]
CORE += [('comm == "thread-2"', "user")]


@pytest.mark.parametrize(
    ("where", "pairing"),
    [
        pytest.param(where, mode, marks=[pytest.mark.core] if (where, mode) in CORE else [])
        for where in WHERE
        for mode in MODES
    ],
)
def test_the_rows_are_the_same_and_the_kernel_has_less_to_say(where: str, pairing: str) -> None:
    both = check(where, pairing)
    assert both.pushed.rows()
    if where == "latency >= 15ms":
        assert 1 in [row["restarts"] for row in both.pushed.rows() if row["syscall"] == "read"]
    if pairing == "kernel" or WHERE[where]:
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


def test_a_condition_that_needs_the_stage_is_refused() -> None:
    source = BpfSource(BpfSource.Config())
    with pytest.raises(SpecError, match=r"cannot choose by 'file under \"/etc\"'"):
        source.select(where=compile_filter('file under "/etc" and pid == 1').tree)
