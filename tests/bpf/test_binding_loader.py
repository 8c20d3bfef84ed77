"""Specs, objects, variables, programs, links: against the running kernel."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ior.sources.bpf.errors import BpfError
from ior.sources.bpf.loader import ObjectSpec
from ior.sources.bpf.programs import attached_links, loaded_programs, run_statistics

pytestmark = pytest.mark.kernel

Open = Callable[[str], ObjectSpec]
ROOT = Path(__file__).parents[2]

VARIABLES = """
enum colour { RED = 0, GREEN = 1 };
typedef __u16 small_t;

struct point {
	__u64 when;
	__s32 x;
	__u16 parts[3];
	char name[6];
};

const volatile __u64 step = 1;
const volatile small_t small = 9;
const volatile _Bool flag = 0;
__u64 counter;
__s32 negative = -5;
enum colour colour = GREEN;
unsigned char wanted[512];
char label[16] = "before";
const struct point *unused_point;

SEC("tp_btf/sys_enter")
int BPF_PROG(count, struct pt_regs *regs, long nr)
{
	if (is_wanted(nr) && wanted[nr & 511])
		counter += flag ? step : small;
	return 0;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(count_exit, struct pt_regs *regs, long ret)
{
	return 0;
}
"""

NR = {"x86_64": 110, "aarch64": 173}[os.uname().machine]


def test_variables_set_in_the_spec_are_what_the_program_sees(open_bpf: Open) -> None:
    with open_bpf(VARIABLES) as spec:
        assert (spec.globals["step"], spec.globals["small"]) == (1, 9)
        spec.globals["step"] = 1000
        spec.globals["flag"] = True
        spec.globals["counter"] = 7
        spec.globals["label"] = b"after"
        with spec.load() as loaded:
            loaded.globals.array("wanted")[NR] = 1
            loaded.attach("count")
            for _ in range(10):
                os.getppid()
            assert loaded.globals["counter"] == 7 + 10 * 1000
            assert loaded.globals["label"] == b"after".ljust(16, b"\0")
            assert loaded.globals["negative"] == -5
            assert loaded.globals["colour"] == 1


def test_live_variables_steer_the_running_program(open_bpf: Open) -> None:
    with open_bpf(VARIABLES).load() as loaded:
        loaded.attach("count")
        wanted = loaded.globals.array("wanted", np.uint8)
        os.getppid()
        assert loaded.globals["counter"] == 0
        wanted[NR] = 1
        os.getppid()
        wanted[:] = 0
        os.getppid()
        assert loaded.globals["counter"] == 9
        loaded.globals["counter"] = 0
        loaded.globals["negative"] = -(2**31)
        assert (loaded.globals["counter"], loaded.globals["negative"]) == (0, -(2**31))
        assert loaded.globals.array("counter", np.uint64).tolist() == [0]


def test_a_view_outlives_its_object(open_bpf: Open) -> None:
    with open_bpf(VARIABLES).load() as loaded:
        wanted = loaded.globals.array("wanted")
        wanted[3] = 4
    assert wanted[3] == 4
    assert "wanted" not in loaded.globals


@pytest.mark.parametrize(
    ("name", "value", "error", "says"),
    [
        ("stepp", 1, KeyError, "no global variable 'stepp'; there are: .*step"),
        ("small", 65536, ValueError, "'small' has 2 bytes"),
        ("small", -1, ValueError, "does not fit"),
        ("negative", 2**31, ValueError, "signed"),
        ("label", b"x" * 17, ValueError, "'label' has 16 bytes, not 17"),
        ("wanted", 1, TypeError, "not an integer"),
    ],
)
def test_a_wrong_value_is_refused(
    open_bpf: Open, name: str, value: int | bytes, error: type[Exception], says: str
) -> None:
    with open_bpf(VARIABLES) as spec, pytest.raises(error, match=says):
        spec.globals[name] = value


def test_rodata_is_read_only_after_the_load(open_bpf: Open) -> None:
    with open_bpf(VARIABLES).load() as loaded:
        with pytest.raises(TypeError, match=r"'step' is in \.rodata"):
            loaded.globals["step"] = 2
        with pytest.raises(ValueError, match="read-only"):
            loaded.globals.array("step", np.uint64)[0] = 2
        with pytest.raises(ValueError, match="no whole number"):
            loaded.globals.array("small", np.uint32)


def test_the_btf_ties_a_struct_to_a_dtype(open_bpf: Open) -> None:
    point = np.dtype([("when", "u8"), ("x", "i4"), ("parts", "u2", 3), ("name", "S6")], align=True)
    with open_bpf(VARIABLES) as spec:
        members = spec.btf.struct("point")
        assert [m.name for m in members] == list(point.names or ())
        assert point.fields is not None
        for member in members:
            dtype, offset = point.fields[member.name][:2]
            assert (member.offset, member.size) == (offset, dtype.itemsize)
        assert spec.btf.struct_size("point") == point.itemsize == 24
        with pytest.raises(KeyError, match="a global must refer to it"):
            spec.btf.struct("no_such_struct")


def test_a_program_that_is_not_wanted_is_not_loaded(open_bpf: Open) -> None:
    with open_bpf(VARIABLES) as spec:
        assert spec.programs["count_exit"].section == "tp_btf/sys_exit"
        spec.programs["count_exit"].autoload = False
        with spec.load() as loaded:
            assert loaded.programs["count_exit"].fd == -1
            assert [link.program for link in loaded.attach()] == ["count"]
            with pytest.raises(ValueError, match="not loaded"):
                loaded.attach("count_exit")


def test_without_names_attach_leaves_out_what_is_not_autoattached(open_bpf: Open) -> None:
    with open_bpf(VARIABLES) as spec:
        spec.programs["count"].autoattach = False
        with spec.load() as loaded:
            assert [link.program for link in loaded.attach()] == ["count_exit"]
            assert [link.program for link in loaded.attach("count")] == ["count"]
            assert len(loaded.links) == 2


def test_the_kernel_counts_runs_while_statistics_are_on(open_bpf: Open) -> None:
    with open_bpf(VARIABLES).load() as loaded, run_statistics():
        loaded.attach("count")
        for _ in range(100):
            os.getppid()
        assert loaded.programs["count"].run_count >= 100
        assert loaded.programs["count"].recursion_misses() == 0
        assert loaded.programs["count"].info().verified_insns > 0


def test_detach_keeps_the_maps(open_bpf: Open) -> None:
    with open_bpf(VARIABLES).load() as loaded:
        loaded.globals.array("wanted")[NR] = 1
        loaded.attach()
        os.getppid()
        loaded.detach()
        os.getppid()
        assert loaded.links == ()
        assert loaded.globals["counter"] == 9
        loaded.attach("count")
        os.getppid()
        assert loaded.globals["counter"] == 18


ROLLBACK = """
__u64 counter;

SEC("tp_btf/sys_enter")
int BPF_PROG(works, struct pt_regs *regs, long nr)
{
	if (is_wanted(nr))
		counter++;
	return 0;
}

SEC("raw_tp/no_such_tracepoint")
int fails(void *ctx)
{
	return 0;
}
"""


def test_when_one_program_does_not_attach_none_stays_attached(open_bpf: Open) -> None:
    with open_bpf(ROLLBACK).load() as loaded:
        with pytest.raises(BpfError) as raised:
            loaded.attach()
        assert raised.value.errno == errno.ENOENT
        assert "program 'fails' (raw_tp/no_such_tracepoint)" in str(raised.value)
        os.getppid()
        assert loaded.globals["counter"] == 0
        assert loaded.links == ()


ITERATOR = """
struct seq_file;
struct bpf_iter_meta {
	struct seq_file *seq;
} __attribute__((preserve_access_index));
struct task_struct {
	int pid;
	int tgid;
} __attribute__((preserve_access_index));
struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
} __attribute__((preserve_access_index));

char page[2048];

SEC("iter/task")
int dump(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;

	if (!task)
		return 0;
	*(volatile __u32 *)page = task->tgid;
	bpf_seq_write(ctx->meta->seq, page, sizeof(page));
	return 0;
}
"""


def test_an_iterator_is_read_to_its_end(open_bpf: Open) -> None:
    with open_bpf(ITERATOR).load() as loaded:
        assert loaded.attach() == ()
        written = loaded.iterate("dump")
        assert loaded.links == ()
    assert len(written) % 2048 == 0
    assert len(written) > 65536  # more than one read
    pids = np.frombuffer(written, dtype=np.uint32).reshape(-1, 512)[:, 0]
    assert {os.getpid(), os.getppid()} <= set(pids.tolist())


NAMED = """
SEC("tp_btf/sys_enter")
int BPF_PROG(NAME, struct pt_regs *regs, long nr)
{
	return 0;
}
"""


def _gone(name: str, links: set[int]) -> bool:
    """Whether the kernel has neither the program nor the links; it frees them a bit later."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if name not in loaded_programs().values() and not links & set(attached_links()):
            return True
        time.sleep(0.01)
    return False


def test_nothing_stays_after_close(open_bpf: Open) -> None:
    before = set(attached_links())
    loaded = open_bpf(NAMED.replace("NAME", "ior_t_close")).load()
    loaded.attach()
    assert "ior_t_close" in loaded_programs().values()
    links = set(attached_links()) - before
    assert links
    loaded.close()
    loaded.close()
    assert _gone("ior_t_close", links)
    with pytest.raises(ValueError, match="closed"):
        loaded.attach("ior_t_close")


def test_nothing_stays_after_kill_9(open_bpf: Open, compile_bpf: Callable[[str], Path]) -> None:
    path = compile_bpf(NAMED.replace("NAME", "ior_t_kill"))
    before = set(attached_links())
    script = f"""
        import time
        from ior.sources.bpf.loader import ObjectSpec
        loaded = ObjectSpec({str(path)!r}).load()
        loaded.attach()
        print("attached", flush=True)
        time.sleep(60)
    """
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, cwd=ROOT
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == b"attached\n"
        assert "ior_t_kill" in loaded_programs().values()
        links = set(attached_links()) - before
        assert links
    finally:
        child.send_signal(signal.SIGKILL)
        child.communicate()
    assert _gone("ior_t_kill", links)


def test_an_object_never_closed_warns_and_is_closed(open_bpf: Open) -> None:
    loaded = open_bpf(NAMED.replace("NAME", "ior_t_leak")).load()
    loaded.attach()
    holder = [loaded]
    del loaded
    with pytest.warns(ResourceWarning, match="unclosed probe"):
        holder.clear()
    assert _gone("ior_t_leak", set())
    specs = [open_bpf(NAMED.replace("NAME", "ior_t_leak"))]
    with pytest.warns(ResourceWarning, match="unclosed probe"):
        specs.clear()


def test_a_spec_is_used_up_by_load(open_bpf: Open) -> None:
    spec = open_bpf(VARIABLES)
    programs = spec.programs["count"]
    with spec.load():
        with pytest.raises(ValueError, match="closed"):
            spec.load()
        with pytest.raises(ValueError, match="closed"):
            programs.autoload = False
        with pytest.raises(KeyError):
            spec.globals["step"] = 1


def test_bytes_load_as_well_as_a_path(compile_bpf: Callable[[str], Path]) -> None:
    image = compile_bpf(NAMED.replace("NAME", "ior_t_bytes")).read_bytes()
    with ObjectSpec(image, name="fromram") as spec, spec.load() as loaded:
        assert loaded.name == "fromram"
        assert loaded.programs["ior_t_bytes"].fd >= 0
