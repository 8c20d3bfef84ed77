"""Whose calls: commands and their descendants, processes, threads, everything but ior."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from tracing import MARK, MODES, compiled, program, python, trace

from ior.errors import NoSuchTarget
from ior.pipeline.run import Run
from ior.sources.bpf.targets import Target

pytestmark = [pytest.mark.kernel, pytest.mark.core]

FAMILIES = ["FS", "Process"]

FORKS = r"""
/* Each child makes as many calls as its number says. */
static void calls(int n) { for (int i = 0; i < n; i++) syscall(SYS_getppid); }
int main(int argc, char **argv) {
	for (int i = 0; i < 300; i++) {
		pid_t child = i % 3 ? syscall(SYS_fork) : vfork();
		if (child == 0) {
			for (int j = 0; j <= i % 7; j++)
				syscall(SYS_getppid);
			_exit(0);
		}
		printf("%d %d\n", child, i % 7 + 1);
		must(waitpid(child, NULL, 0) == child, "waitpid");
	}
	return 0;
}
"""


@pytest.mark.parametrize("pairing", MODES)
def test_descendants_are_seen_from_their_first_call_to_their_last(pairing: str) -> None:
    wanted = ["getppid", "fork", "vfork", "exit_group"]
    traced = program(FORKS, pairing=pairing, syscalls=wanted)
    truth = {int(pid): int(count) for pid, count in traced.facts().items()}
    assert len(truth) == 300
    seen = Counter(r["pid"] for r in traced.of("getppid"))
    assert seen == truth
    forked = traced.of("fork", "vfork")
    assert [r["ret"] for r in forked] == list(truth)
    assert len({r["pid"] for r in forked}) == 1
    ends = traced.of("exit_group")
    assert {r["pid"] for r in ends} == truth.keys() | {forked[0]["pid"]}
    assert all(r["latency_ns"] is None and not r["is_error"] for r in ends)
    assert traced.causes == {"child": 300}


THREADS = r"""
static void *short_lived(void *name) {
	syscall(SYS_getppid);
	prctl(PR_SET_NAME, name);
	syscall(SYS_getppid);
	return NULL;
}
int main(int argc, char **argv) {
	static char names[100][16];
	pthread_t threads[100];
	for (int i = 0; i < 100; i++) {
		sprintf(names[i], "short-%d", i);
		must(pthread_create(&threads[i], NULL, short_lived, names[i]) == 0, "thread");
	}
	for (int i = 0; i < 100; i++)
		pthread_join(threads[i], NULL);
	prctl(PR_SET_NAME, "renamed");
	syscall(SYS_getppid);
	FILE *comm = fopen("/proc/self/comm", "w");
	fputs("written", comm);
	fclose(comm);
	syscall(SYS_getppid);
	return 0;
}
"""


@pytest.mark.parametrize("pairing", MODES)
def test_threads_have_their_own_names(pairing: str) -> None:
    traced = program(THREADS, pairing=pairing, syscalls=["getppid", "exit"])
    calls = traced.of("getppid")
    assert len({r["pid"] for r in calls}) == 1
    named: dict[int, list[str]] = {}
    for row in calls:
        named.setdefault(row["tid"], []).append(row["comm"])
    assert named.pop(calls[0]["pid"]) == ["renamed", "written"]
    assert {tuple(comms[1:]) for comms in named.values()} == {(f"short-{i}",) for i in range(100)}
    assert len({comms[0] for comms in named.values()}) == 1, "of the thread that made them"
    assert {r["tid"]: r["comm"] for r in traced.of("exit")} == {t: n[-1] for t, n in named.items()}


@pytest.mark.parametrize("pairing", MODES)
def test_a_command_from_its_first_call_to_its_last(pairing: str) -> None:
    traced = trace(["sh", "-c", "/bin/true; exit 3"], pairing=pairing, families=FAMILIES)
    assert traced.status == 3
    first, last = traced.rows[0], traced.rows[-1]
    assert (first["syscall"], first["ret"]) == ("execve", 0)
    assert first["file"].endswith("/sh")
    assert (last["syscall"], last["pid"]) == ("exit_group", first["pid"])
    execs = traced.of("execve")
    assert [(r["ret"], os.path.basename(r["file"])) for r in execs] == [(0, "sh"), (0, "true")]
    child = execs[1]["pid"]
    comms = [r["comm"] for r in traced.rows if r["pid"] == child]
    assert comms[0] == "sh"
    assert comms[-1] == "true"
    assert comms == sorted(comms), "the new name from the first call of the new program on"
    assert traced.causes == {"child": 1}


def test_a_failing_execve_keeps_path_and_name() -> None:
    text = "import os\ntry: os.execv('/no/such', ['x'])\nexcept OSError: pass"
    traced = trace(python(text), syscalls=["execve", "exit_group"])
    failed, end = traced.rows[-2:]
    assert (failed["file"], failed["errno"], failed["ret"]) == ("/no/such", "ENOENT", -2)
    assert failed["comm"] == end["comm"]


EXEC_THREAD = r"""
static void *replaces(void *unused) {
	char *arguments[] = { "true", NULL };
	prctl(PR_SET_NAME, "replaces");
	printf("tid %d\n", gettid());
	fflush(stdout);
	syscall(SYS_getppid);
	syscall(SYS_execve, "/bin/true", arguments, NULL);
}
int main(int argc, char **argv) {
	pthread_t thread;
	mark();
	syscall(SYS_getppid);
	pthread_create(&thread, NULL, replaces, NULL);
	syscall(SYS_pause);
	return 1;
}
"""


@pytest.mark.parametrize("pairing", MODES)
def test_execve_from_a_thread_is_one_row_of_that_thread(pairing: str) -> None:
    wanted = ["execve", "access", "getppid", "pause"]
    traced = program(EXEC_THREAD, pairing=pairing, syscalls=wanted)
    _, _, row, *later = traced.after()
    pid, tid = row["pid"], int(traced.facts()["tid"])
    assert tid != pid
    assert (row["syscall"], row["ret"], row["tid"], row["comm"]) == ("execve", 0, tid, "replaces")
    assert later
    assert {(r["pid"], r["tid"], r["comm"]) for r in later} == {(pid, pid, "true")}
    assert later[0]["gap_ns"] is None, "the leader's past is another thread's"
    assert not traced.of("pause")


SERVER = r"""
/* Two threads and a child run before the trace; each makes calls when it is told. */
static int go[2];
static void *works(void *name) {
	char byte;
	pthread_t more;
	prctl(PR_SET_NAME, name);
	syscall(SYS_read, go[0], &byte, 1);
	for (int i = 0; i < 10; i++)
		syscall(SYS_access, name, 0);
	if (!strcmp(name, "/thread-1")) {
		pthread_create(&more, NULL, works, "/of-thread-1");
		pthread_join(more, NULL);
	}
	return NULL;
}
int main(int argc, char **argv) {
	pthread_t threads[3];
	int status[2];
	char byte;
	must(pipe(go) == 0 && pipe(status) == 0, "pipe");
	pthread_create(&threads[0], NULL, works, "/thread-1");
	pthread_create(&threads[1], NULL, works, "/thread-2");
	if (fork() == 0) {
		works("/child");
		if (fork() == 0) {
			works("/grandchild");
			_exit(0);
		}
		wait(NULL);
		_exit(0);
	}
	printf("%d\n", getpid());
	fflush(stdout);
	read(0, &byte, 1);
	write(go[1], "xxxxxxxxxx", 10);
	pthread_create(&threads[2], NULL, works, "/thread-3");
	if (fork() == 0) {
		works("/new-child");
		_exit(0);
	}
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	while (wait(NULL) > 0)
		;
	works("/main");
	return 0;
}
"""


def thread_called(pid: int, comm: str) -> int:
    """Return the id of the thread of that name, once it has named itself."""
    for _ in range(1000):
        for task in Path(f"/proc/{pid}/task").iterdir():
            if (task / "comm").read_text() == f"{comm}\n":
                return int(task.name)
        time.sleep(0.01)
    raise AssertionError(f"no thread of {pid} is called {comm}")


def serve(pairing: str, *, by: str = "pid", follow_forks: bool = False) -> Counter[str]:
    """Return how often each part of `SERVER` was seen."""
    with subprocess.Popen(
        [compiled(SERVER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdout.readline()
        wanted = child.pid
        if by == "tid":
            wanted = thread_called(child.pid, "/thread-1")
        stdin = child.stdin
        traced = trace(
            **{by.rpartition(" ")[2]: wanted},
            follow_forks=follow_forks,
            on_start=lambda _: stdin.close(),
            pairing=pairing,
            syscalls=["access"],
        )
    return Counter(r["file"] for r in traced.rows)


@pytest.mark.parametrize("pairing", MODES)
def test_a_pid_is_all_its_threads_and_not_its_children(pairing: str) -> None:
    parts = ("/thread-1", "/of-thread-1", "/thread-2", "/thread-3", "/main")
    assert serve(pairing) == dict.fromkeys(parts, 10)


@pytest.mark.parametrize("pairing", MODES)
def test_follow_forks_takes_descendants_that_ran_before(pairing: str) -> None:
    parts = ("/thread-1", "/of-thread-1", "/thread-2", "/thread-3", "/main")
    parts += ("/child", "/grandchild", "/new-child")
    assert serve(pairing, follow_forks=True) == dict.fromkeys(parts, 10)


@pytest.mark.parametrize("pairing", MODES)
def test_a_tid_is_one_thread(pairing: str) -> None:
    assert serve(pairing, by="tid") == {"/thread-1": 10}


@pytest.mark.parametrize("pairing", MODES)
def test_the_tid_of_a_process_is_its_first_thread(pairing: str) -> None:
    assert serve(pairing, by="the first tid") == {"/main": 10}


@pytest.mark.parametrize("by", ["pid", "tid"])
def test_a_target_is_the_number_that_the_caller_sees(by: str) -> None:
    """In a pid namespace of its own a thread has another number than for the kernel."""
    text = f"""
import os, subprocess, sys
sys.path[:0] = {sys.path!r}
from tracing import trace
reader, writer = os.pipe()
child = subprocess.Popen([{compiled(WAITS)!r}], stdin=reader)
rows = trace({by}=child.pid, on_start=lambda _: os.write(writer, b'x'), syscalls=['access']).rows
print(os.getpid(), len(rows), {{r['file'] for r in rows}})
"""
    line = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", text]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == f"1 5 {{'{MARK}'}}\n", done.stderr


WAITS = r"""
int main(void) {
	char byte;
	read(0, &byte, 1);
	for (int i = 0; i < 5; i++)
		mark();
	return 0;
}
"""


ENDS = "int main(void) { return 0; }"
PAUSES = "int main(void) { pause(); }"


@pytest.mark.parametrize("target", ["pid", "tid"])
def test_a_target_that_is_gone(target: str) -> None:
    child = subprocess.Popen([compiled(ENDS)])
    child.wait()
    with pytest.raises(NoSuchTarget, match=str(child.pid)):
        trace(**{target: child.pid})


def test_a_target_that_dies_while_probes_attach_ends_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with subprocess.Popen([compiled(PAUSES)]) as child:
        before = Target.mark_before

        def killed(self: Target, loaded: object) -> None:
            before(self, loaded)  # type: ignore[arg-type]
            child.kill()
            child.wait()

        monkeypatch.setattr(Target, "mark_before", killed)
        traced = trace(pid=child.pid)
    assert traced.rows == []


def test_a_thread_that_dies_while_probes_attach_is_no_target(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with subprocess.Popen([compiled(PAUSES)]) as child:
        after = Target.mark_after

        def killed(self: Target, loaded: object) -> None:
            child.kill()
            child.wait()
            after(self, loaded)  # type: ignore[arg-type]

        monkeypatch.setattr(Target, "mark_after", killed)
        with pytest.raises(NoSuchTarget, match=str(child.pid)):
            trace(tid=child.pid)


def test_ior_itself_is_never_seen(tmp_path: Path) -> None:
    """Neither this process nor a thread that ran before, nor a thread or a child that it starts."""
    ready, end = threading.Event(), threading.Event()

    def busy() -> None:
        ready.set()
        while not end.is_set():
            os.access(tmp_path, os.R_OK)

    earlier, later = threading.Thread(target=busy), threading.Thread(target=busy)
    earlier.start()
    ready.wait()
    child = subprocess.Popen([compiled(WAITS)], stdin=subprocess.PIPE)

    def go_on(run: Run) -> None:
        later.start()
        subprocess.run([compiled(WAITS)], stdin=subprocess.DEVNULL, check=True)
        assert child.stdin is not None
        child.stdin.close()
        child.wait()
        run.stop()

    try:
        traced = trace(on_start=go_on)
    finally:
        end.set()
        earlier.join()
        later.join()
    assert os.getpid() not in {r["pid"] for r in traced.rows}
    assert [r["pid"] for r in traced.of("access", file=MARK)] == [child.pid] * 5


def test_ior_is_not_its_targets_descendant() -> None:
    """Following the shell that ior was started from leads to its children, but not to ior."""
    text = f"""
import os, sys, time
sys.path[:0] = {sys.path!r}
from tracing import trace
def go_on(run):
    for _ in range(100):
        os.access('/', 0)
    time.sleep(0.1)
    run.stop()
traced = trace(pid=os.getppid(), follow_forks=True, on_start=go_on)
pids = [r['pid'] for r in traced.rows]
print(pids.count(os.getpid()), len(pids) > 100)
"""
    script = 'while :; do : </dev/null; done & "$@"; kill $!'
    line = ["sh", "-c", script, "sh", sys.executable, "-c", text]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "0 True\n", done.stderr
