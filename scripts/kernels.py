"""Run ior's own tests on other kernels than the host's: Debian's, in qemu without KVM.

Each kernel is booted with an initramfs that holds Debian's Python and strace, ior's wheel with
its dependencies, and the tests, with their C programs compiled; `scripts/kernels.init` runs
there those that are marked `core`. What does not change between runs is kept in build/kernels,
and so is the console of each kernel.

Usage: scripts/kernels.py [SUITE...], Debian's names of releases; without any all of `KERNELS`.
It needs no privileges, but apt-get, dpkg-deb, gcc, qemu-system-x86_64 and the environment of
`scripts/setup dev`. The exit code is 1 when a kernel does not do what it should.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib
import os
import re
import shutil
import stat
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build/kernels"
INIT = Path(__file__).with_suffix(".init")
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
PATIENCE_S = 540
REFUSED = 69  # the exit code of ior on a host that cannot trace
# A kernel that hangs says where each of its CPUs was, and ends, in place of using up the time.
KERNEL_OPTIONS = (
    "loglevel=5 panic=-1 softlockup_panic=1 sysctl.kernel.softlockup_all_cpu_backtrace=1"
    " mitigations=off audit=0 nokaslr"
)
# One thread for both CPUs: with two, qemu 7.2 now and then goes on with what it had translated
# of an instruction that the kernel has patched since, and both hang where a tracepoint is.
GUEST = ("-accel", "tcg,thread=single", "-cpu", "max", "-smp", "2", "-m", "1536")

# What is in the guest besides ior; apt adds what these depend on.
PACKAGES = (
    *("python3", "libbpf1", "strace", "busybox-static", "dash", "coreutils", "findutils"),
    *("grep", "sed", "tar", "procps", "util-linux", "mount", "libstdc++6"),
)
TESTS_NEED = ("pytest", "pytest-timeout", "hypothesis")  # of the project's extra `dev`
UNUSED = re.compile(r"usr/share/(doc|man|locale|info|lintian|i18n|perl5|bash-completion)/")
LINKS = {name: f"usr/{name}" for name in ("bin", "sbin", "lib", "lib64")}  # as in every Debian


class Kernel(NamedTuple):
    """A release of Debian, by whose kernel ior runs or is refused."""

    suite: str
    refusal: str = ""  # what ior says there


KERNELS = (
    Kernel("bookworm"),
    Kernel("trixie"),
    Kernel("bullseye", refusal="bpf_loop"),
)


class Step(NamedTuple):
    """One thing that the guest did."""

    name: str
    code: int
    seconds: float
    said: str


def say(text: str) -> None:
    """Tell what is going on."""
    print(f"kernels: {text}", file=sys.stderr, flush=True)


def run(*argv: object, **options: Any) -> str:
    """Run a command and return what it printed."""
    words = [str(word) for word in argv]
    done: subprocess.CompletedProcess[str] = subprocess.run(
        words, capture_output=True, text=True, check=False, **options
    )
    if done.returncode:
        raise SystemExit(f"kernels: failed: {' '.join(words)}\n{done.stdout}{done.stderr}".rstrip())
    return done.stdout


@functools.cache
def host_release() -> tuple[str, str]:
    """Return the mirror and the release of Debian that this machine's apt takes packages from."""
    layout = "$(REPO_URI) $(CODENAME) $(COMPONENT)"
    found = run(
        "apt-get", "indextargets", "--format", layout, "Created-By: Packages", "Label: Debian"
    )
    lines = [line.split() for line in found.splitlines()]
    for mirror, suite, component in lines:
        if component == "main" and "-" not in suite:
            return mirror, suite
    raise SystemExit(
        "kernels: apt knows no mirror of Debian: is this Debian, after apt-get update?"
    )


class Apt:
    """The packages of a release, with lists and a state of their own, checked by Debian's keys."""

    def __init__(self, suite: str) -> None:
        self.folder = BUILD / "apt" / suite
        for name in ("state/lists/partial", "cache/archives/partial"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        source, status, settings = (self.folder / n for n in ("sources.list", "status", "settings"))
        source.write_text(f"deb [signed-by={KEYRING}] {host_release()[0]} {suite} main\n")
        status.write_text("")  # nothing is installed
        settings.write_text(
            f'Dir::State "{self.folder}/state"; Dir::State::status "{status}";\n'
            f'Dir::Cache "{self.folder}/cache"; Dir::Etc::SourceParts "/dev/null";\n'
            f'Dir::Etc::SourceList "{source}"; APT::Sandbox::User "root";\n'
            "#clear APT::Update; #clear DPkg;\n"  # what the host does after its own updates
        )
        self.settings = settings
        self("apt-get", "update", "-q")

    def __call__(self, tool: str, *argv: object) -> str:
        """Run one of apt's tools on this release; return what it printed."""
        return run(tool, "-c", self.settings, *argv, cwd=self.folder)

    def kernel(self) -> Path:
        """Return the package of the release's kernel for virtual machines."""
        told = self("apt-cache", "depends", "linux-image-cloud-amd64")
        name = re.findall(r"Depends: (linux-image-\S+)", told)[0]
        self("apt-get", "download", "-q", name)
        return next(self.folder.glob(f"{name}_*.deb"))

    def closure(self, packages: tuple[str, ...]) -> list[Path]:
        """Return these packages with all that they depend on."""
        options = ("-q", "-y", "--no-install-recommends", "--download-only")
        self("apt-get", "install", *options, *packages)
        return sorted((self.folder / "cache/archives").glob("*.deb"))


@contextlib.contextmanager
def content(package: Path) -> Iterator[tarfile.TarFile]:
    """Open the files of a Debian package."""
    with (
        subprocess.Popen(
            ["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE
        ) as process,
        tarfile.open(fileobj=process.stdout, mode="r|") as files,
    ):
        yield files


def fetch_kernel(suite: str) -> Path:
    """Return the kernel image of a release, fetched once."""
    image = BUILD / f"vmlinuz-{suite}"
    if not image.exists():
        say(f"fetching the kernel of {suite}")
        with content(Apt(suite).kernel()) as files:
            for member in files:
                found = files.extractfile(member) if "/vmlinuz-" in member.name else None
                if found is not None:
                    image.write_bytes(found.read())
    return image


def unpack(packages: list[Path], root: Path) -> None:
    """Unpack packages as dpkg would, all of it ours and without running their scripts."""
    for name, target in LINKS.items():
        (root / target).mkdir(parents=True)
        (root / name).symlink_to(target)
    for package in packages:
        with content(package) as files:
            for member in files:
                first, _, rest = member.name.removeprefix("./").partition("/")
                if not rest or UNUSED.match(f"{first}/{rest}") or member.isdev():
                    continue
                member.name = f"{LINKS.get(first, first)}/{rest}"
                if member.islnk():
                    member.linkname = member.linkname.removeprefix("./")
                files.extract(member, root, set_attrs=not member.isdir(), filter="tar")


class Guest:
    """The directory that becomes the guest's root file system."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.python = (root / "usr/bin/python3").readlink().name
        self.packages = root / "usr/lib/python3/dist-packages"

    def compile(self, folder: Path) -> None:
        """Compile what Python would compile at each import, with the guest's own Python."""
        libraries = self.root / f"usr/lib/{os.uname().machine}-linux-gnu"
        loader = next((self.root / "usr/lib64").glob("ld-linux-*"))
        run(
            *(loader, "--library-path", libraries, self.root / "usr/bin" / self.python),
            *("-S", "-m", "compileall", "-q", "-j", "2", "--invalidation-mode", "unchecked-hash"),
            *("-s", self.root, "-p", "/", folder),
            env={"PYTHONHOME": str(self.root / "usr")},
        )


def pack(root: Path, archive: BinaryIO) -> None:
    """Append a directory to an archive for the kernel: cpio, "newc", all of it root's."""
    paths = [p for p in sorted(root.rglob("*")) if not stat.S_ISSOCK(p.lstat().st_mode)]
    for number, path in enumerate(paths, 1):
        mode, data = path.lstat().st_mode, b""
        if path.is_symlink():
            data = os.fsencode(path.readlink())
        elif path.is_file():
            data = path.read_bytes()
        _member(archive, number, os.fsencode(path.relative_to(root)), mode, data)
    _member(archive, 0, b"TRAILER!!!", 0, b"")


def _member(archive: BinaryIO, inode: int, name: bytes, mode: int, data: bytes) -> None:
    # inode, mode, uid, gid, links, mtime, size, device and its own as two words each, length, check
    fields = (inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08x" % value for value in fields) + name + b"\0"
    archive.write(head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4))


def requirements() -> list[str]:
    """Return what the guest's Python needs of PyPI, as the project states it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    names = re.compile(rf"({'|'.join(TESTS_NEED)})\b(?!-)")
    found: list[str] = project["dependencies"]
    return found + [each for each in project["optional-dependencies"]["dev"] if names.match(each)]


def base() -> Path:
    """Return the root file system without ior, unpacked and packed; built once."""
    suite = host_release()[1]
    text = repr((suite, PACKAGES, UNUSED.pattern, requirements()))
    root = BUILD / f"base-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    if root.with_suffix(".cpio").exists():
        return root
    for old in BUILD.glob("base-*"):
        shutil.rmtree(old) if old.is_dir() else old.unlink()
    say(f"building the guest of Debian's {suite}; this is done once")
    unpack(Apt(suite).closure(PACKAGES), root)
    for name in ("dev", "proc", "sys", "tmp", "run", "root", "etc", "var/tmp", "mnt"):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "etc/passwd").write_text(
        "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n"
    )
    (root / "etc/group").write_text("root:x:0:\nnogroup:x:65534:\n")
    guest = Guest(root)
    version = guest.python.removeprefix("python")
    kinds = [f"manylinux_2_{minor}_x86_64" for minor in (17, 28)] + ["manylinux2014_x86_64"]
    run(
        *(sys.executable, "-m", "pip", "install", "-q", "--target", guest.packages),
        *("--python-version", version, "--only-binary=:all:"),
        *(word for kind in kinds for word in ("--platform", kind)),
        *requirements(),
    )
    guest.compile(root / "usr/lib")
    with root.with_suffix(".cpio").open("wb") as archive:
        pack(root, archive)
    return root


def compile_programs(folder: Path) -> None:
    """Compile the C programs of the tests, which are constants of their modules."""
    os.environ["IOR_TEST_PROGRAMS"] = str(folder)
    sys.path.insert(0, str(ROOT / "tests/bpf"))
    tracing = importlib.import_module("tracing")
    for path in sorted((ROOT / "tests/bpf").glob("test_source_*.py")):
        for value in vars(importlib.import_module(path.stem)).values():
            if isinstance(value, str) and "int main(" in value:
                tracing.compiled(value)


def initramfs() -> Path:
    """Return the archive that the kernels boot: the base and, over it, ior as it is now."""
    root, over = base(), BUILD / "over"
    shutil.rmtree(over, ignore_errors=True)
    packages = over / Guest(root).packages.relative_to(root)
    packages.mkdir(parents=True)
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", over, cwd=ROOT)
    wheel = next(over.glob("*.whl"))
    with zipfile.ZipFile(wheel) as files:
        files.extractall(packages)  # noqa: S202 -- just made, by us
    wheel.unlink()
    for name in ("tests", "bpf", "pyproject.toml"):
        source, target = ROOT / name, over / "work" / name
        target.parent.mkdir(exist_ok=True)
        shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    compile_programs(over / "work/programs")
    shutil.copy(INIT, over / "init")
    Guest(root).compile(packages)
    archive = BUILD / "initramfs.cpio"
    with archive.open("wb") as out:
        out.write(root.with_suffix(".cpio").read_bytes())
        pack(over, out)
    return archive


def boot(kernel: Kernel, image: Path, archive: Path) -> list[Step]:
    """Boot a kernel and return what was done there."""
    console = BUILD / f"{kernel.suite}.log"
    command: list[str | Path] = [
        *("qemu-system-x86_64", *GUEST, "-display", "none", "-serial", f"file:{console}"),
        *("-monitor", "none", "-no-reboot", "-nic", "none", "-kernel", image, "-initrd", archive),
        *("-append", f"console=ttyS0 {KERNEL_OPTIONS}"),
    ]
    with contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run(command, check=True, timeout=PATIENCE_S, stdin=subprocess.DEVNULL)
    text = console.read_text("utf-8", "replace").replace("\r\n", "\n")
    marks = re.compile(r"^@@ (\w+) (\d+) ([\d.]+)$", re.MULTILINE)
    steps, start = [], 0
    for mark in marks.finditer(text):
        said = text[start : mark.start()].strip()
        steps.append(Step(mark[1], int(mark[2]), float(mark[3]), said))
        start = mark.end()
    return steps


def judge(kernel: Kernel, steps: list[Step]) -> tuple[str, str]:
    """Return what a kernel is found to do, and what is wrong with it, empty when nothing is."""
    done = {step.name: step for step in steps}
    if missing := [name for name in ("boot", "doctor", "trace") if name not in done]:
        return "", f"ended before: {', '.join(missing)}"
    if kernel.refusal:
        for name in ("doctor", "trace"):
            if done[name].code != REFUSED or kernel.refusal not in done[name].said:
                return "", f"{name} ended with {done[name].code}, without '{kernel.refusal}'"
        return f"refused: {done['trace'].said.splitlines()[-1]}", ""
    failed = [f"{name} ended with {s.code}" for name, s in done.items() if s.code]
    if "tests" not in done:
        failed.append("the tests did not end")
        return "", ", ".join(failed)
    return done["tests"].said.splitlines()[-1].strip("= "), ", ".join(failed)


def main(names: list[str]) -> int:
    """Boot the kernels, two at a time, and print a line for each."""
    if unknown := set(names) - {kernel.suite for kernel in KERNELS}:
        raise SystemExit(f"kernels: no such release: {', '.join(sorted(unknown))}")
    chosen = [kernel for kernel in KERNELS if not names or kernel.suite in names]
    BUILD.mkdir(parents=True, exist_ok=True)
    images = [fetch_kernel(kernel.suite) for kernel in chosen]
    archive = initramfs()
    say(f"booting {', '.join(kernel.suite for kernel in chosen)}")
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(boot, chosen, images, [archive] * len(chosen)))
    bad = 0
    for kernel, steps in zip(chosen, found, strict=True):
        result, wrong = judge(kernel, steps)
        release = steps[0].said.split()[-1] if steps else "?"
        times = " ".join(f"{step.name} {step.seconds:.0f} s" for step in steps)
        mark = "FAIL" if wrong else "ok"
        print(f"{mark:4} {kernel.suite:9} {release:24} {times}\n     {wrong or result}")
        if wrong:
            bad += 1
            print(f"     see {(BUILD / f'{kernel.suite}.log').relative_to(ROOT)}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
