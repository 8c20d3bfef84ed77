"""Files that ior writes: whole or not at all, owned by the person who asked for them.

A file is written under a temporary name beside its place and takes its name when it is
complete, so that nobody ever reads half a result. Tracing runs as root for a user who is
not: the file belongs to the user who called sudo, and a symbolic link that somebody else
planted is never followed. Pipes, terminals and devices are written in place.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import select
import stat
import sys
import threading
import time
from types import TracebackType
from typing import NoReturn

from ior.errors import IorError, OutputError

_DESCRIPTOR = re.compile(r"(?:/dev|/proc/self)/fd/([0-9]{1,9})")
_STANDARD = {"-": 1, "/dev/stdout": 1, "/dev/stderr": 2}
_PIPE_CHUNK = 4096  # a pipe that polls as writable takes this much without blocking: PIPE_BUF
_POLL_MS = 100
_FIFO_PATIENCE_S = 5.0


class ClosedOutput(IorError, BrokenPipeError):
    """Nobody reads the output any more (`| head`): a wish to end, not a failure."""

    exit_code = 0


class Output:
    """One output that is being written.

    `write` may block and is made for a worker thread; everything else is quick. End it with
    `commit` when the content is complete, else with `abandon`; as a context manager it does
    the one or the other. `is_terminal` says that a person reads the bytes as they come.
    """

    def __init__(self, fd: int, path: str, *, target: str = "", temporary: str = "") -> None:
        self.path = path
        self._fd, self._target, self._temporary = fd, target, temporary
        mode = os.fstat(fd).st_mode
        self.is_terminal = stat.S_ISCHR(mode) and os.isatty(fd)
        self._can_block = self.is_terminal or stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
        self._writing = threading.Lock()
        self._abandoned = False
        self._written = 0

    @classmethod
    def open(cls, path: str, *, directory: os.PathLike[str] | str = "") -> Output:
        """Open `path` for writing: `-` for stdout, a file (relative to `directory`), a special.

        A fifo that nobody reads is waited for, at most five seconds. Raises OutputError.
        """
        label = "standard output" if path == "-" else path
        try:
            place = _resolve(path, directory)
            if isinstance(place, int):
                return cls(os.dup(place), label)
            existing = _mode(place)
            if existing is not None and not stat.S_ISREG(existing):
                return cls(_open_special(place, existing), label)
            fd, temporary = _create_beside(place, existing)
            return cls(fd, label, target=place, temporary=temporary)
        except OSError as error:
            _refuse(label, error)

    def write(self, data: bytes) -> None:
        """Write all of `data`, waiting for a slow reader.

        Raises ClosedOutput when the reader is gone, OutputError when the file cannot take it.
        """
        with self._writing:
            view = memoryview(data)
            try:
                while view and not self._abandoned:
                    if self._can_block and not self._ready(_POLL_MS):
                        continue
                    chunk = view[:_PIPE_CHUNK] if self._can_block else view
                    try:
                        done = os.write(self._fd, chunk)
                    except BlockingIOError:  # somebody else made the descriptor so
                        continue
                    self._written += done
                    view = view[done:]
            except OSError as error:
                self._fail(error)

    def has_reader(self) -> bool:
        """Return False once the other end of a pipe is closed; costs one system call."""
        if not self._can_block or self._fd < 0:
            return True
        poll = select.poll()
        poll.register(self._fd, 0)
        return not poll.poll(0)

    def columns(self) -> int | None:
        """Return the width of the terminal behind the output, None where there is none."""
        if not self.is_terminal:
            return None
        try:
            return os.get_terminal_size(self._fd).columns or None
        except OSError:
            return None

    def commit(self) -> None:
        """Close; a file takes its name now. Raises OutputError. A second call does nothing."""
        if self._fd < 0:
            return
        fd, self._fd = self._fd, -1
        try:
            os.close(fd)
            if self._temporary:
                os.rename(self._temporary, self._target)
                self._temporary = ""
        except OSError as error:
            self._drop_temporary()
            _refuse(self.path, error)

    def abandon(self) -> str | None:
        """Close an output that is not complete; safe after `commit` and while `write` waits.

        What was written stays beside the file's place as `NAME.partial`, which is returned.
        """
        self._abandoned = True
        if self._fd < 0:
            return None
        if self._writing.acquire(timeout=3 * _POLL_MS / 1000):
            fd, self._fd = self._fd, -1
            with contextlib.suppress(OSError):
                os.close(fd)
            self._writing.release()
        if not self._temporary or not self._written:
            self._drop_temporary()
            return None
        partial = f"{self._target}.partial"
        try:
            os.rename(self._temporary, partial)
        except OSError:
            return self._temporary
        return partial

    def __enter__(self) -> Output:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if error is None:
            self.commit()
        else:
            self.abandon()

    def _ready(self, timeout_ms: int) -> bool:
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        return bool(poll.poll(timeout_ms))

    def _drop_temporary(self) -> None:
        if self._temporary:
            with contextlib.suppress(OSError):
                os.unlink(self._temporary)
            self._temporary = ""

    def _fail(self, error: OSError) -> NoReturn:
        gone = (errno.EPIPE, errno.ECONNRESET) + ((errno.EIO,) if self.is_terminal else ())
        if error.errno in gone:
            raise ClosedOutput(f"nobody reads {self.path} any more") from error
        cause = os.strerror(error.errno or 0)
        raise OutputError(f"cannot write to {_named(self.path)}: {cause}") from error


def reserve(path: str, *, directory: os.PathLike[str] | str = "") -> None:
    """Create `path` empty, for an output that must not replace a file that is there already.

    Raises OutputError, also if there is anything of that name.
    """
    place = os.path.join(directory, path)
    try:
        if not os.path.basename(place):
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
        os.close(_create(place))
    except FileExistsError:
        raise OutputError(f"{_named(path)} exists already: choose another name") from None
    except OSError as error:
        _refuse(path, error)


def release(path: str, *, directory: os.PathLike[str] | str = "") -> None:
    """Remove what `reserve` created, if nothing was written there."""
    place = os.path.join(directory, path)
    with contextlib.suppress(OSError):
        if os.lstat(place).st_size == 0:
            os.unlink(place)


def check_writable(path: str, *, directory: os.PathLike[str] | str = "") -> None:
    """Raise OutputError if `path` could not be written; leave nothing behind.

    A fifo is not opened, so that its reader sees no end.
    """
    label = "standard output" if path == "-" else path
    try:
        place = _resolve(path, directory)
        if isinstance(place, int):
            os.fstat(place)
            return
        existing = _mode(place)
        if existing is None or stat.S_ISREG(existing):
            fd, temporary = _create_beside(place, existing)
            os.close(fd)
            os.unlink(temporary)
        elif stat.S_ISDIR(existing):
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
        elif not os.access(place, os.W_OK):
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        _refuse(label, error)


def _resolve(path: str, directory: os.PathLike[str] | str) -> str | int:
    """Return a descriptor of ours that `path` names, or the place after trusted links.

    The kernel's rule of fs.protected_symlinks holds here too, since the new file is put in
    place by name: in a sticky directory that everyone may write to, only links of our own
    or of the directory's owner are followed.
    """
    place = path if path == "-" else os.path.join(directory, path)
    for _ in range(40):
        if place in _STANDARD:
            return _standard(_STANDARD[place])
        if match := _DESCRIPTOR.fullmatch(place):
            return int(match[1])
        try:
            link = os.lstat(place)
        except FileNotFoundError:
            return place
        if not stat.S_ISLNK(link.st_mode):
            return place
        parent = os.stat(os.path.dirname(place) or ".")
        shared = parent.st_mode & stat.S_ISVTX and parent.st_mode & stat.S_IWOTH
        if shared and link.st_uid not in (os.geteuid(), parent.st_uid):
            raise OSError(errno.EACCES, "it is another user's symbolic link")
        place = os.path.join(os.path.dirname(place), os.readlink(place))
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))


def _standard(fd: int) -> int:
    """Return `fd`, if it was open when Python started: else the number may be another file's."""
    if (sys.__stdout__ if fd == 1 else sys.__stderr__) is None:
        raise OSError(errno.EBADF, "it is closed")
    return fd


def _mode(place: str) -> int | None:
    """Return the file's mode, None where there is no file yet."""
    try:
        return os.stat(place).st_mode
    except FileNotFoundError:
        return None


def _create_beside(place: str, existing: int | None) -> tuple[int, str]:
    """Create the temporary file; return its descriptor and name."""
    if not os.path.basename(place):
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
    temporary = os.path.join(os.path.dirname(place), f".ior-{secrets.token_hex(8)}.part")
    fd = _create(temporary)
    if existing is not None:
        with contextlib.suppress(OSError):  # a file system without modes
            os.fchmod(fd, existing & 0o777)
    return fd, temporary


def _create(place: str) -> int:
    """Create a file that is not there yet, for the user who called sudo."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(place, flags, 0o666)
    with contextlib.suppress(OSError):  # a file system without owners
        if owner := _sudo_caller():
            os.fchown(fd, *owner)
    return fd


def _sudo_caller() -> tuple[int, int] | None:
    """Return (uid, gid) of the user who called sudo, None where there is none."""
    if os.geteuid() != 0:
        return None
    uid, gid = os.environ.get("SUDO_UID", ""), os.environ.get("SUDO_GID", "")
    return (int(uid), int(gid)) if uid.isdecimal() and gid.isdecimal() else None


def _open_special(place: str, mode: int) -> int:
    """Open a device or fifo in place."""
    deadline = time.monotonic() + _FIFO_PATIENCE_S
    while True:
        try:
            fd = os.open(place, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError as error:
            if error.errno != errno.ENXIO or not stat.S_ISFIFO(mode):
                raise
            if time.monotonic() > deadline:
                raise OSError(errno.ENXIO, "nobody reads this fifo") from error
            time.sleep(0.02)
        else:
            os.set_blocking(fd, True)
            return fd


def _named(path: str) -> str:
    return path if path == "standard output" else f"'{path}'"


def _refuse(path: str, error: OSError) -> NoReturn:
    cause = error.strerror or str(error)
    raise OutputError(f"cannot create {_named(path)}: {cause}") from error
