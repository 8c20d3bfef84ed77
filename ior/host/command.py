"""Run a command under trace: started stopped, released when the probes are attached.

The program is looked up in PATH by the parent, so that the child executes exactly one
`execve` and no failed attempt appears in the trace. Until `release` the child sits in a
read of a pipe; tracing it from its first call is then a matter of marking its pid.
"""

from __future__ import annotations

import contextlib
import errno
import os
import pwd
import select
import signal
import stat
import warnings
from collections.abc import Mapping, Sequence
from typing import NamedTuple, NoReturn, Self

from ior.errors import CommandNotExecutable, CommandNotFound, IorError, UsageError

_READY = b"ready\n"
_SHEBANG_BYTES = 256  # BINPRM_BUF_SIZE of <linux/binfmts.h>: as much as the kernel looks at


class Identity(NamedTuple):
    """Whom a command runs as."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    environment: dict[str, str]  # variables that follow from the user


def calling_user(environ: Mapping[str, str] = os.environ) -> Identity | None:
    """Return the user who called sudo, None without sudo or when root did.

    Raises UsageError if SUDO_UID or SUDO_GID is not a number.
    """
    if os.geteuid() != 0 or not environ.get("SUDO_UID"):
        return None
    try:
        uid, gid = int(environ["SUDO_UID"]), int(environ.get("SUDO_GID") or -1)
    except ValueError:
        raise UsageError(
            "SUDO_UID and SUDO_GID must be numbers; unset them to run as root"
        ) from None
    if uid == 0:
        return None
    try:
        user = pwd.getpwuid(uid)
    except KeyError:
        if gid < 0:
            raise UsageError(f"SUDO_UID {uid} is nobody's id and SUDO_GID is not set") from None
        return Identity(uid, gid, (gid,), {})
    gid = user.pw_gid if gid < 0 else gid
    variables = {"HOME": user.pw_dir, "USER": user.pw_name, "LOGNAME": user.pw_name}
    return Identity(uid, gid, tuple(os.getgrouplist(user.pw_name, gid)), variables)


def resolve(program: str, search: str | None = None) -> str:
    """Return the file that `program` means, looked up in `search` (by default PATH).

    Raises CommandNotFound (also for a script whose interpreter is missing), or
    CommandNotExecutable if only files that cannot be executed have the name.
    """
    if not program:
        raise CommandNotFound("the command's name is empty")
    if "/" in program:
        candidates = [program]
    else:
        path = os.environ.get("PATH", os.defpath) if search is None else search
        candidates = [os.path.join(folder or ".", program) for folder in path.split(":")]
    refused: str | None = None
    for candidate in candidates:
        try:
            mode = os.stat(candidate).st_mode
        except OSError as error:
            if error.errno == errno.EACCES and "/" in program:
                refused = f"cannot execute '{program}': permission denied"
            continue
        if stat.S_ISDIR(mode):
            refused = refused or f"cannot execute '{candidate}': it is a directory"
        elif not os.access(candidate, os.X_OK):
            refused = refused or f"cannot execute '{candidate}': permission denied"
        else:
            _check_interpreter(candidate)
            return candidate
    if refused and ("/" in program or "directory" not in refused):
        raise CommandNotExecutable(refused)
    where = "" if "/" in program else " in PATH"
    raise CommandNotFound(f"no command '{program}'{where}")


def _check_interpreter(path: str) -> None:
    """Refuse a script whose interpreter cannot be executed; `execve` would only later."""
    try:
        with open(path, "rb") as file:
            first = file.read(_SHEBANG_BYTES).partition(b"\n")[0]
    except OSError:  # a file may be executable and not readable
        return
    words = first[2:].split(maxsplit=1) if first.startswith(b"#!") else []
    if not words:
        return
    interpreter = os.fsdecode(words[0])
    if not os.path.exists(interpreter):
        raise CommandNotFound(f"cannot execute '{path}': its interpreter {interpreter} is missing")
    if os.path.isdir(interpreter) or not os.access(interpreter, os.X_OK):
        said = f"its interpreter {interpreter} cannot be executed"
        raise CommandNotExecutable(f"cannot execute '{path}': {said}")


class Command:
    """A child process that executes its program when it is released.

    It stays in the caller's process group, so that Ctrl-C reaches it as it would without
    ior, unless it is `apart`; runs as the user who called sudo; and keeps the descriptors that
    ior itself was given, but none that ior opened. Use it as a context manager or call `close`.
    """

    apart = False  # in a session of its own, without a terminal: `end` reaches all of it

    def __init__(
        self, pid: int, argv: Sequence[str], program: str, release_fd: int, report_fd: int
    ) -> None:
        """Take over a child made by `start`."""
        self.pid = pid
        self.argv = tuple(argv)
        self.program = program
        self.pidfd = os.pidfd_open(pid)
        self._release_fd: int | None = release_fd
        self._report_fd: int | None = report_fd
        self._report = b""
        self._status: int | None = None
        self._closed = False

    @classmethod
    def start(
        cls,
        argv: Sequence[str],
        *,
        stdin: int | None = None,
        stdout: int | None = None,
        stderr: int | None = None,
        apart: bool = False,
    ) -> Command:
        """Fork a child that waits to be released; the descriptors given become its own.

        With `apart` it and what it starts can neither read the terminal nor write to it.

        Raises CommandNotFound, CommandNotExecutable, and IorError if the child cannot take
        on the calling user's identity.
        """
        if not argv:
            raise UsageError("there is no command to run")
        program, identity = resolve(argv[0]), calling_user()
        release_read, release_write = os.pipe()
        report_read, report_write = os.pipe()
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            pid = _fork()
            if pid == 0:
                streams = {0: stdin, 1: stdout, 2: stderr}
                os.close(release_write)
                os.close(report_read)
                pipes = (release_read, report_write)
                if apart:
                    os.setsid()
                _child(program, argv, identity, streams=streams, blocked=blocked, pipes=pipes)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        os.close(release_read)
        os.close(report_write)
        command = cls(pid, argv, program, release_write, report_read)
        command.apart = apart
        command._await_ready()
        return command

    def _await_ready(self) -> None:
        assert self._report_fd is not None
        while len(self._report) < len(_READY):
            part = os.read(self._report_fd, 4096)
            if not part:
                break
            self._report += part
        if not self._report.startswith(_READY):
            report = self._report.decode(errors="replace").strip() or "it ended"
            self.close()
            raise IorError(f"cannot prepare '{self.argv[0]}': {report}")
        self._report = self._report[len(_READY) :]

    @property
    def name(self) -> str:
        """The program's name without its directory."""
        return os.path.basename(self.argv[0]) or self.argv[0]

    @property
    def released(self) -> bool:
        """Whether `release` was called."""
        return self._release_fd is None

    def release(self) -> None:
        """Let the program run. A second call, or one after the child's end, does nothing."""
        if self._release_fd is None:
            return
        # A child that was killed while it waited is seen by poll; SIGPIPE is ignored in Python.
        with contextlib.suppress(BrokenPipeError):
            os.write(self._release_fd, b"!")
        os.close(self._release_fd)
        self._release_fd = None

    def poll(self) -> int | None:
        """Return the exit status (128+N for signal N), None while it runs."""
        if self._status is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:  # somebody else reaped it, and the status is gone
                pid, status = self.pid, 0
            if pid:
                self._ended(status)
        return self._status

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Wait for the end; return what `poll` does, None after `timeout_s` seconds."""
        if self._status is None:
            poller = select.poll()
            poller.register(self.pidfd, select.POLLIN)
            poller.poll(None if timeout_s is None else timeout_s * 1000)
        return self.poll()

    def _ended(self, status: int) -> None:
        code = os.waitstatus_to_exitcode(status)
        self._status = 128 - code if code < 0 else code
        if self._report_fd is not None:
            self._report += os.read(self._report_fd, 4096)
            os.close(self._report_fd)
            self._report_fd = None

    def check(self) -> None:
        """Raise if the program could not be executed after it was released.

        Raises CommandNotFound (the interpreter of a script is missing) or
        CommandNotExecutable (permission, format).
        """
        what, _, number = self._report.decode(errors="replace").strip().partition(" ")
        if what != "execve":
            return
        if int(number) == errno.ENOENT:
            raise CommandNotFound(f"cannot execute '{self.program}': its interpreter is missing")
        hint = (
            " (a script needs a first line like #!/bin/sh)" if int(number) == errno.ENOEXEC else ""
        )
        raise CommandNotExecutable(
            f"cannot execute '{self.program}': {os.strerror(int(number)).lower()}{hint}"
        )

    def end(self, grace_s: float = 2.0) -> int | None:
        """Ask a running program to end (SIGTERM) and wait; None if it goes on after `grace_s`.

        Of one that is apart its whole process group is asked.
        """
        if self.poll() is None:
            for number in (signal.SIGTERM, signal.SIGCONT):
                with contextlib.suppress(ProcessLookupError):
                    if self.apart:
                        os.killpg(self.pid, number)
                    else:
                        signal.pidfd_send_signal(self.pidfd, number)
            return self.wait(grace_s)
        return self._status

    def close(self) -> None:
        """Release what is held. A child that was never released is killed and executes nothing.

        A program that runs goes on. May be called twice.
        """
        if self._closed:
            return
        self._closed = True
        if self._release_fd is not None:
            if self.poll() is None:
                signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
                self.wait()
            os.close(self._release_fd)
        self.poll()
        if self._report_fd is not None:
            os.close(self._report_fd)
        os.close(self.pidfd)
        self._release_fd = self._report_fd = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if not getattr(self, "_closed", True):
            warnings.warn(f"command {self.pid} was never closed", ResourceWarning, stacklevel=2)


def _fork() -> int:
    """Fork; the child calls nothing but the system until it executes its program.

    Python warns that a fork beside other threads may deadlock (numpy's BLAS keeps some).
    They hold no lock that the child takes, so the warning would only mislead.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _child(
    program: str,
    argv: Sequence[str],
    identity: Identity | None,
    *,
    streams: Mapping[int, int | None],
    blocked: set[int | signal.Signals],
    pipes: tuple[int, int],
) -> NoReturn:
    """Prepare, wait for the release, execute. Reports go to the second pipe as text."""
    release_fd, report_fd = pipes
    step = "set up"
    try:
        _default_signals()
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        for target, given in streams.items():
            if given is not None:
                os.dup2(given, target, inheritable=True)
        environment = dict(os.environ)
        if identity is not None:
            step = "become the calling user"
            os.setgroups(identity.groups)
            os.setresgid(identity.gid, identity.gid, identity.gid)
            os.setresuid(identity.uid, identity.uid, identity.uid)
            environment |= identity.environment
        os.write(report_fd, _READY)
        if os.read(release_fd, 1):
            step = "execve"
            os.execve(program, list(argv), environment)  # noqa: S606 - it is the purpose
    except OSError as error:
        os.write(report_fd, f"{step} {error.errno}".encode())
        os._exit(127 if error.errno == errno.ENOENT else 126)
    except BaseException as error:  # whatever it is, the child must not go on as the parent
        os.write(report_fd, f"{step}: {error!r}".encode())
    os._exit(126)


def _default_signals() -> None:
    """Undo what Python did to signals; those that ior's own caller ignored stay ignored."""
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)) and signal.getsignal(number) not in (
            signal.SIG_DFL,
            signal.SIG_IGN,
        ):
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
