"""Finding libbpf, its errors, its messages, and what a user without privileges is told."""

from __future__ import annotations

import errno
import logging
import pickle
import resource
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from ior.errors import IorError, NotPermitted, UnsupportedHost
from ior.sources.bpf import lib
from ior.sources.bpf.errors import BpfError, BpfPermissionError, VerifierError, failure, verdict
from ior.sources.bpf.loader import ObjectSpec

Open = Callable[[str], ObjectSpec]
ROOT = Path(__file__).parents[2]

REJECTED = """
SEC("tp_btf/sys_enter")
int BPF_PROG(rejected, struct pt_regs *regs, long nr)
{
	return *(int *)nr;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(accepted, struct pt_regs *regs, long ret)
{
	return 0;
}
"""

ACCEPTED = """
SEC("tp_btf/sys_exit")
int BPF_PROG(accepted, struct pt_regs *regs, long ret)
{
	return 0;
}
"""

MISSING = """
SEC("tp_btf/no_such_tracepoint")
int BPF_PROG(nowhere, void *unused)
{
	return 0;
}
"""


def python(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_version_is_that_of_the_system() -> None:
    assert lib.version().startswith("v1.")
    assert lib.possible_cpus() >= 1


def test_a_missing_library_is_one_sentence_with_its_package(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("IOR_LIBBPF", raising=False)
    monkeypatch.setattr(lib, "SONAME", "libbpf.so.999")
    with pytest.raises(UnsupportedHost, match=r"libbpf\.so\.999 is missing.*apt install libbpf1"):
        lib.find_library()


@pytest.mark.parametrize(
    ("named", "says"),
    [
        ("/nonexistent/libbpf.so", "IOR_LIBBPF does not name a usable libbpf: /nonexistent"),
        ("libm.so.6", "libm.so.6 has no libbpf_version_string.*libbpf 1.0 or newer"),
    ],
)
def test_the_environment_names_the_library(
    monkeypatch: pytest.MonkeyPatch, named: str, says: str
) -> None:
    monkeypatch.setenv("IOR_LIBBPF", named)
    with pytest.raises(UnsupportedHost, match=says):
        lib.declare(lib.find_library())


def test_the_environment_comes_first() -> None:
    script = "from ior.sources.bpf.lib import libbpf, version; print(libbpf()._name, version())"
    paths = [line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines()]
    real = next(path for path in paths if "libbpf.so" in path)
    assert python(script, IOR_LIBBPF=real).stdout.split() == [real, lib.version()]


def test_check_turns_a_status_into_an_error() -> None:
    assert lib.check("bpf_map__fd", 5) == 5
    with pytest.raises(BpfError) as raised:
        lib.check("bpf_map_update_elem", -errno.E2BIG, "map 'x'")
    error = raised.value
    assert isinstance(error, IorError)
    assert isinstance(error, OSError)
    assert (error.call, error.errno, error.hint) == ("bpf_map_update_elem", errno.E2BIG, "map 'x'")
    assert str(error) == "bpf_map_update_elem: Argument list too long (E2BIG): map 'x'"
    assert error.exit_code == 69
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_a_null_pointer_takes_its_reason_from_errno() -> None:
    with pytest.raises(BpfError) as raised:
        ObjectSpec(b"this is no ELF object" * 10, name="junk")
    assert raised.value.call == "bpf_object__open_mem"
    assert raised.value.errno not in (0, None)
    assert "\n" not in str(raised.value)


def test_a_missing_object_file_is_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        ObjectSpec(tmp_path / "none.bpf.o")


def test_eperm_names_the_capabilities() -> None:
    error = failure("bpf_object__load", errno.EPERM)
    assert isinstance(error, BpfPermissionError)
    assert isinstance(error, NotPermitted)
    assert isinstance(error, PermissionError)
    assert error.exit_code == 77
    assert "CAP_BPF and CAP_PERFMON (or CAP_SYS_ADMIN)" in str(error)


def test_the_verdict_is_the_line_above_the_statistics() -> None:
    log = "0: R1=ctx()\nR1 invalid mem access 'scalar'\nprocessed 3 insns (limit 1000000)\n\n"
    assert verdict(log) == "R1 invalid mem access 'scalar'"
    assert verdict("") == ""


@pytest.mark.kernel
def test_a_rejection_is_one_line_with_the_log_behind_it(open_bpf: Open) -> None:
    with open_bpf(REJECTED) as spec, pytest.raises(VerifierError) as raised:
        spec.load()
    error = raised.value
    assert "\n" not in str(error)
    assert "program 'rejected'" in str(error)
    assert "invalid mem access" in str(error)
    assert len(str(error)) < 300
    assert error.verifier_log.count("\n") > 3
    assert "processed" in error.verifier_log
    assert error.errno in (errno.EACCES, errno.EINVAL)
    assert error.exit_code == 69


@pytest.mark.kernel
def test_a_missing_tracepoint_is_told_in_libbpfs_words(open_bpf: Open) -> None:
    with open_bpf(MISSING) as spec, pytest.raises(BpfError) as raised:
        spec.load()
    assert "no_such_tracepoint" in str(raised.value)
    assert raised.value.verifier_log == ""
    assert not isinstance(raised.value, VerifierError)


@pytest.mark.kernel
def test_libbpfs_messages_go_to_logging(open_bpf: Open, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "ior.libbpf")
    with open_bpf(REJECTED) as spec, pytest.raises(VerifierError):
        spec.load()
    levels = {record.levelno for record in caplog.records if record.name == "ior.libbpf"}
    assert levels >= {logging.WARNING, logging.DEBUG}
    messages = [record.getMessage() for record in caplog.records]
    assert any("prog 'rejected': BPF program load failed" in message for message in messages)
    assert not any(message.startswith("libbpf:") or message.endswith("\n") for message in messages)


@pytest.mark.kernel
def test_without_logging_nothing_but_the_error_is_seen(
    compile_bpf: Callable[[str], Path],
) -> None:
    path = str(compile_bpf(REJECTED))
    done = python(f"""
        from ior.sources.bpf.errors import BpfError
        from ior.sources.bpf.loader import ObjectSpec
        try:
            ObjectSpec({path!r}).load()
        except BpfError as error:
            print(error)
    """)
    assert done.stderr == ""
    assert done.stdout.count("\n") == 1


@pytest.mark.kernel
def test_a_refused_memlock_is_no_error(compile_bpf: Callable[[str], Path]) -> None:
    done = python(f"""
        import resource
        from ior.sources.bpf.loader import ObjectSpec
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))
        with ObjectSpec({str(compile_bpf(ACCEPTED))!r}) as spec, spec.load() as loaded:
            loaded.attach()
            print(resource.getrlimit(resource.RLIMIT_MEMLOCK))
    """)
    assert (done.stdout, done.stderr) == ("(0, 0)\n", "")


@pytest.mark.kernel
def test_loading_leaves_memlock_alone(open_bpf: Open) -> None:
    before = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    with open_bpf(ACCEPTED) as spec, spec.load() as loaded:
        assert loaded.programs["accepted"].fd > 0
    assert resource.getrlimit(resource.RLIMIT_MEMLOCK) == before


@pytest.mark.kernel
def test_without_privileges_the_capabilities_are_named(
    compile_bpf: Callable[[str], Path],
) -> None:
    done = python(f"""
        import os
        from ior.errors import NotPermitted
        from ior.sources.bpf.loader import ObjectSpec
        with ObjectSpec({str(compile_bpf(ACCEPTED))!r}) as spec:
            os.setgroups([])
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            try:
                spec.load()
            except NotPermitted as error:
                print(type(error).__name__, error.exit_code, error)
    """)
    assert done.stderr == ""
    assert done.stdout.startswith("BpfPermissionError 77 bpf_object__load")
    assert "CAP_BPF and CAP_PERFMON" in done.stdout
    assert "MEMLOCK" not in done.stdout
    assert done.stdout.count("\n") == 1
