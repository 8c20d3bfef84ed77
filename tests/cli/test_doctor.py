"""`ior doctor`: each check against a host that has it and one that lacks it."""

from __future__ import annotations

from pathlib import Path

import pytest
from made import Invoke

from ior.cli import doctor
from ior.cli.doctor import Finding


def status(path: Path, *capabilities: int) -> Path:
    held = sum(1 << number for number in capabilities)
    path.write_text(f"Name:\tior\nCapInh:\t0000000000000000\nCapEff:\t{held:016x}\n")
    return path


def test_capabilities(tmp_path: Path) -> None:
    file = tmp_path / "status"
    assert doctor.capabilities(status(file, doctor.CAP_SYS_ADMIN)).code == 0
    assert doctor.capabilities(status(file, doctor.CAP_BPF, doctor.CAP_PERFMON)).code == 0
    lacking = doctor.capabilities(status(file, doctor.CAP_BPF))
    assert lacking.code == 77
    assert lacking.said == "CAP_PERFMON missing"
    assert "sudo" in lacking.remedy
    assert doctor.capabilities(status(file)).said == "CAP_BPF and CAP_PERFMON missing"


def test_a_kernel_without_btf(tmp_path: Path) -> None:
    finding = doctor.kernel_types(tmp_path / "vmlinux")
    assert finding.code == 69
    assert "CONFIG_DEBUG_INFO_BTF" in finding.remedy
    (tmp_path / "vmlinux").touch()
    assert doctor.kernel_types(tmp_path / "vmlinux").code == 0


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("[none] integrity confidentiality\n", 0, "none"),
        ("none [integrity] confidentiality\n", 0, "integrity"),
        ("none integrity [confidentiality]\n", 77, "confidentiality"),
    ],
)
def test_lockdown(tmp_path: Path, text: str, code: int, said: str) -> None:
    (tmp_path / "lockdown").write_text(text)
    finding = doctor.lockdown(tmp_path / "lockdown")
    assert finding.code == code
    assert finding.said.startswith(said)


def test_a_kernel_that_knows_no_lockdown(tmp_path: Path) -> None:
    assert doctor.lockdown(tmp_path / "lockdown").code == 0


def test_every_failure_is_a_line_with_its_remedy(
    ior: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [Finding("one", 0, "well"), Finding("two", 77, "not well", "do this")]
    monkeypatch.setattr(doctor, "findings", lambda: iter(found))
    result = ior("doctor")
    assert result.code == 77
    assert result.out == "ok   one: well\nFAIL two: not well; do this\n"
    found.append(Finding("three", 69, "lacking"))
    assert ior("doctor").code == 69


def test_a_missing_library_is_a_finding_and_not_the_end(
    ior: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor.lib, "version", _no_library)
    result = ior("doctor")
    lines = result.out.splitlines()
    assert result.code == 69
    assert "FAIL libbpf: it is gone" in lines
    assert any(line[5:].startswith("permission: ") for line in lines)


def _no_library() -> str:
    raise doctor.UnsupportedHost("it is gone")


@pytest.mark.kernel
def test_this_host_can_trace(ior: Invoke) -> None:
    result = ior("doctor")
    assert result.code == 0, result.out
    marks = {line[:4].strip() for line in result.out.splitlines()}
    assert marks == {"ok"}
    assert "ior's programs" in result.out
