from __future__ import annotations

import os
import stat
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from ior.errors import OutputError
from ior.host import output as module
from ior.host.output import ClosedOutput, Output, check_writable, release, reserve


def listing(directory: Path) -> list[str]:
    return sorted(os.listdir(directory))


def test_a_file_has_its_name_only_when_it_is_complete(tmp_path):
    output = Output.open("out.csv", directory=tmp_path)
    output.write(b"one\n")
    output.write(b"two\n")
    assert "out.csv" not in listing(tmp_path)
    output.commit()
    assert listing(tmp_path) == ["out.csv"]
    assert (tmp_path / "out.csv").read_bytes() == b"one\ntwo\n"


def test_what_is_not_complete_is_kept_beside_and_the_old_file_stays(tmp_path):
    (tmp_path / "out").write_bytes(b"old")
    output = Output.open(str(tmp_path / "out"))
    output.write(b"half")
    assert output.abandon() == str(tmp_path / "out.partial")
    assert (tmp_path / "out").read_bytes() == b"old"
    assert (tmp_path / "out.partial").read_bytes() == b"half"
    assert output.abandon() is None


def test_an_abandoned_output_without_content_leaves_nothing(tmp_path):
    assert Output.open("out", directory=tmp_path).abandon() is None
    assert listing(tmp_path) == []


def test_the_context_manager_commits_or_abandons(tmp_path):
    with Output.open("good", directory=tmp_path) as output:
        output.write(b"x")
    with (
        suppress(RuntimeError),
        Output.open("bad", directory=tmp_path) as output,
    ):
        output.write(b"x")
        raise RuntimeError
    assert listing(tmp_path) == ["bad.partial", "good"]


def test_a_replaced_file_keeps_its_permissions(tmp_path):
    path = tmp_path / "out"
    path.touch()
    path.chmod(0o640)
    with Output.open(str(path)) as output:
        output.write(b"new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert path.read_bytes() == b"new"


def test_a_link_planted_in_place_of_the_temporary_file_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(module.secrets, "token_hex", lambda _: "known")
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / ".ior-known.part").symlink_to(victim)
    with pytest.raises(OutputError, match=r"out.*File exists"):
        Output.open("out", directory=tmp_path)
    assert victim.read_bytes() == b"precious"


def test_a_link_of_ones_own_is_written_through(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "out").symlink_to("data/real")
    with Output.open("out", directory=tmp_path) as output:
        output.write(b"x")
    assert (tmp_path / "out").is_symlink()
    assert (tmp_path / "data" / "real").read_bytes() == b"x"


def test_anothers_link_in_a_shared_directory_is_refused(tmp_path, monkeypatch):
    tmp_path.chmod(0o1777)
    (tmp_path / "victim").write_bytes(b"precious")
    (tmp_path / "out").symlink_to("victim")
    real = os.lstat

    def lstat(path):
        fields = list(real(path))
        fields[stat.ST_UID] = os.geteuid() + 1
        return os.stat_result(fields)

    monkeypatch.setattr(module.os, "lstat", lstat)
    with pytest.raises(OutputError, match="another user's symbolic link"):
        Output.open("out", directory=tmp_path)
    assert (tmp_path / "victim").read_bytes() == b"precious"


def test_a_circle_of_links_is_refused(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OutputError, match="symbolic links"):
        Output.open("a", directory=tmp_path)


def test_under_sudo_the_file_belongs_to_the_caller(tmp_path, monkeypatch):
    owners = []
    monkeypatch.setattr(module.os, "geteuid", lambda: 0)
    monkeypatch.setattr(module.os, "fchown", lambda _, uid, gid: owners.append((uid, gid)))
    monkeypatch.setenv("SUDO_UID", "1234")
    monkeypatch.setenv("SUDO_GID", "5678")
    Output.open("out", directory=tmp_path).commit()
    monkeypatch.setenv("SUDO_UID", "-1; rm")
    Output.open("out2", directory=tmp_path).commit()
    assert owners == [(1234, 5678)]


@pytest.mark.parametrize("check", [check_writable, Output.open])
def test_what_cannot_be_written_is_named_with_the_cause(tmp_path, check):
    for path, cause in (
        (tmp_path / "no" / "out", "No such file or directory"),
        (tmp_path, "Is a directory"),
        (f"{tmp_path}/", "Is a directory"),
        ("/dev/fd/987654", "Bad file descriptor"),
        ("/proc/ior-out", "No such file or directory"),
    ):
        with pytest.raises(OutputError, match=cause) as caught:
            check(str(path))
        assert str(path) in str(caught.value)
        assert caught.value.exit_code == 73


def test_checking_leaves_nothing_behind(tmp_path):
    (tmp_path / "old").write_bytes(b"old")
    check_writable("new", directory=tmp_path)
    check_writable("old", directory=tmp_path)
    check_writable("/dev/null")
    check_writable("-")
    assert listing(tmp_path) == ["old"]
    assert (tmp_path / "old").read_bytes() == b"old"


def test_a_standard_output_that_was_closed_is_refused(monkeypatch):
    monkeypatch.setattr(module.sys, "__stdout__", None)
    for check in (check_writable, Output.open):
        with pytest.raises(OutputError, match="cannot create standard output: it is closed"):
            check("-")


def test_a_full_device_is_an_error_with_its_cause():
    output = Output.open("/dev/full")
    with pytest.raises(OutputError, match=r"'/dev/full': No space left on device"):
        output.write(b"x")
    output.abandon()


def test_a_pipe_is_written_in_place_and_its_reader_may_leave():
    read, write = os.pipe()
    output = Output.open(f"/dev/fd/{write}")
    os.close(write)
    output.write(b"row\n")
    assert os.read(read, 100) == b"row\n"
    assert output.has_reader()
    os.close(read)
    assert not output.has_reader()
    with pytest.raises(ClosedOutput) as caught:
        output.write(b"row\n")
    assert caught.value.exit_code == 0
    output.commit()


def test_a_fifo_is_waited_for_and_stays_a_fifo(tmp_path):
    fifo, got = tmp_path / "fifo", []
    os.mkfifo(fifo)
    check_writable(str(fifo))
    reader = threading.Thread(target=lambda: got.append(fifo.read_bytes()))
    reader.start()
    with Output.open(str(fifo)) as output:
        output.write(b"x" * 100_000)
    reader.join()
    assert got == [b"x" * 100_000]
    assert listing(tmp_path) == ["fifo"]


def test_a_fifo_that_nobody_reads_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_FIFO_PATIENCE_S", 0)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(OutputError, match="nobody reads this fifo"):
        Output.open("fifo", directory=tmp_path)


def test_abandoning_frees_a_writer_that_waits_for_a_reader():
    read, write = os.pipe()
    output = Output.open(f"/dev/fd/{write}")
    os.close(write)
    writer = threading.Thread(target=output.write, args=(b"x" * 10_000_000,))
    writer.start()
    os.read(read, 1)
    output.abandon()
    writer.join(10)
    assert not writer.is_alive()
    os.close(read)


def test_a_reserved_name_is_new_and_belongs_to_the_user_who_called_sudo(tmp_path, monkeypatch):
    reserve("mine", directory=tmp_path)
    with pytest.raises(OutputError, match="exists already"):
        reserve("mine", directory=tmp_path)
    release("mine", directory=tmp_path)
    assert listing(tmp_path) == []
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match="exists already"):
        reserve("link", directory=tmp_path)
    for bad in ("", "no/such/folder", "x" * 300):
        with pytest.raises(OutputError, match="cannot create"):
            reserve(bad, directory=tmp_path)
    if os.geteuid() == 0:
        monkeypatch.setenv("SUDO_UID", "65534")
        monkeypatch.setenv("SUDO_GID", "65533")
        reserve("theirs", directory=tmp_path)
        with Output.open("theirs", directory=tmp_path) as output:
            output.write(b"x")
        owner = (tmp_path / "theirs").stat()
        assert (owner.st_uid, owner.st_gid) == (65534, 65533)
        release("theirs", directory=tmp_path)
        assert (tmp_path / "theirs").read_bytes() == b"x", "what was written stays"
