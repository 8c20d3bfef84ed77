"""Write `ior/data/constants.tsv`: the names of the numbers that arguments are.

The names and values come from the headers of the kernel and the C library of this machine,
the few values that differ on arm64 from here. Run it with new headers; `--check` only says
whether a name that the headers have stands in the file with another value.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

FILE = Path(__file__).parents[1] / "ior/data/constants.tsv"
HEAD = "# group\tname\tmask\tx86_64\tarm64\n"
EXACT = "exact"  # the whole value is this one, or `mask` bits of it are; else single bits


class Group(NamedTuple):
    """Names of one group: which headers, which names, and whether they are bits."""

    name: str
    headers: str
    pattern: str
    mask: str = "bits"  # "bits", "exact", or the bits that are one number
    but: str = r"$."  # not these


_ENUM = EXACT
GROUPS = (
    Group("O", "asm/fcntl.h", r"O_(RDONLY|WRONLY|RDWR)", "3"),
    Group("O", "asm/fcntl.h", r"O_\w+", but=r"O_(ACCMODE|RDONLY|WRONLY|RDWR|NDELAY)"),
    Group("NEW_FD", "asm/fcntl.h", r"O_(CLOEXEC|NONBLOCK|DIRECT|TRUNC|EXCL)"),
    Group("OPEN_TREE", "asm/fcntl.h linux/mount.h", r"OPEN_TREE_C\w+"),
    Group("OPEN_TREE", "linux/fcntl.h", r"AT_(RECURSIVE|EMPTY_PATH|SYMLINK_NOFOLLOW|NO_AUTOMOUNT)"),
    Group("F", "linux/fcntl.h", r"F_\w+", EXACT, r"F_(\w*LCK|OWNER_\w+|SEAL_\w+|LINUX_\w+|O\w+64)"),
    Group("FD", "linux/fcntl.h", r"FD_CLOEXEC"),
    Group(
        "IOCTL",
        "sys/ioctl.h linux/fs.h linux/vt.h linux/kd.h",
        r"(TC[GS]\w+|TIOC[A-Z]\w+|FIO\w+|FI[CGS]\w+|SIOC[GS]\w+|BLK[A-Z]+\w*|FS_IOC_\w+|VT_[A-Z]+|KD\w+)",
        EXACT,
        r"TIOC(INQ|_?PKT\w*|M_\w+|SER_TEMT)|FIGETBSZ_|KD_\w+|SIOC(PROTO|DEV)\w*|VT_(AUTO|PROCESS|ACKACQ|EVENT_\w+)|KDFONTOP",
    ),
    Group("SEEK", "linux/fs.h", r"SEEK_[A-Z]+", EXACT, "SEEK_MAX"),
    Group("LOCK", "linux/fcntl.h asm/fcntl.h", r"LOCK_(SH|EX|NB|UN)"),
    Group(
        "AT",
        "linux/fcntl.h",
        r"AT_(SYMLINK_NOFOLLOW|EACCESS|SYMLINK_FOLLOW|NO_AUTOMOUNT|EMPTY_PATH|STATX_FORCE_SYNC|STATX_DONT_SYNC|RECURSIVE)",
    ),
    Group("UNLINK", "linux/fcntl.h", r"AT_REMOVEDIR"),
    Group("RENAME", "linux/fs.h", r"RENAME_\w+"),
    Group("MOVE_MOUNT", "linux/mount.h", r"MOVE_MOUNT_\w+", but="MOVE_MOUNT__MASK"),
    Group("MS", "linux/mount.h", r"MS_\w+", but=r"MS_(RMT_MASK|MGC_\w+|VERBOSE)"),
    Group("UMOUNT", "sys/mount.h", r"(MNT_(FORCE|DETACH|EXPIRE)|UMOUNT_NOFOLLOW)"),
    Group("XATTR", "linux/xattr.h", r"XATTR_(CREATE|REPLACE)"),
    Group("MSYNC", "asm/mman.h", r"MS_(ASYNC|INVALIDATE|SYNC)"),
    Group("CLOSE_RANGE", "linux/close_range.h", r"CLOSE_RANGE_\w+"),
    Group(
        "IN", "linux/inotify.h", r"IN_[A-Z_]+", but=r"IN_(CLOSE|MOVE|ALL_EVENTS|CLOEXEC|NONBLOCK)"
    ),
    Group("RWF", "linux/fs.h", r"RWF_\w+", but="RWF_SUPPORTED"),
    Group("GRND", "linux/random.h", r"GRND_\w+"),
    Group("SPLICE", "fcntl.h", r"SPLICE_F_\w+"),
    Group("FALLOC", "linux/falloc.h", r"FALLOC_FL_\w+"),
    Group("FADV", "linux/fadvise.h", r"POSIX_FADV_\w+", EXACT),
    Group("SYNC_FILE_RANGE", "linux/fs.h", r"SYNC_FILE_RANGE_(WAIT_BEFORE|WRITE|WAIT_AFTER)"),
    Group("CLOCK", "linux/time.h", r"CLOCK_\w+", EXACT),
    Group("TFD_TIMER", "linux/timerfd.h", r"TFD_TIMER_\w+"),
    Group("TIMER", "linux/time.h", r"TIMER_ABSTIME"),
    Group("MFD", "linux/memfd.h", r"MFD_(CLOEXEC|ALLOW_SEALING|HUGETLB|NOEXEC_SEAL|EXEC)"),
    Group("PROT", "asm/mman.h", r"PROT_NONE", EXACT),
    Group("PROT", "asm/mman.h", r"PROT_(READ|WRITE|EXEC|SEM|GROWSDOWN|GROWSUP)"),
    Group("MAP", "linux/mman.h asm/mman.h", r"MAP_(SHARED|PRIVATE|SHARED_VALIDATE)", "15"),
    Group(
        "MAP",
        "linux/mman.h asm/mman.h",
        r"MAP_\w+",
        but=r"MAP_(SHARED|PRIVATE|SHARED_VALIDATE|TYPE|FILE|HUGE_\w+)",
    ),
    Group("MREMAP", "linux/mman.h", r"MREMAP_\w+"),
    Group("MADV", "asm/mman.h", r"MADV_\w+", EXACT),
    Group("MLOCK", "asm/mman.h", r"MLOCK_ONFAULT"),
    Group("MCL", "asm/mman.h", r"MCL_\w+"),
    Group("EPOLL_CTL", "linux/eventpoll.h", r"EPOLL_CTL_(ADD|DEL|MOD)", EXACT),
    Group("EPOLL", "linux/eventpoll.h", r"EPOLL[A-Z]+", but=r"EPOLL_\w+"),
    Group(
        "FUTEX",
        "linux/futex.h",
        r"FUTEX_[A-Z_0-9]+",
        "127",
        r"FUTEX_(\w+_PRIVATE|PRIVATE_FLAG|CLOCK_REALTIME|CMD_MASK|OWNER_DIED|WAITERS|TID_MASK|OP_\w+|WAITV_MAX|32|BITSET_MATCH_ANY|SIZE_\w+|NUMA|MPOL|NO_NODE)",
    ),
    Group("FUTEX", "linux/futex.h", r"FUTEX_(PRIVATE_FLAG|CLOCK_REALTIME)"),
    Group("AF", "sys/socket.h", r"AF_\w+", EXACT, r"AF_(MAX|LOCAL|FILE|ROUTE)"),
    Group("SOCK", "sys/socket.h", r"SOCK_(STREAM|DGRAM|RAW|RDM|SEQPACKET|DCCP|PACKET)", EXACT),
    Group("MSG", "sys/socket.h", r"MSG_[A-Z_]+", but=r"MSG_TRYHARD"),
    Group("SHUT", "sys/socket.h", r"SHUT_\w+", EXACT),
    Group(
        "SOL",
        "sys/socket.h netinet/in.h netinet/tcp.h linux/netlink.h",
        r"(SOL_\w+|IPPROTO_(IP|TCP|UDP|IPV6))",
        EXACT,
        r"SOL_(IP|IPV6|TCP|UDP|SOURCE|RAW)",
    ),
    Group(
        "SIG", "signal.h", r"SIG[A-Z]+\d?", EXACT, r"SIG(RT\w+|IOT|POLL|CLD|STKSZ|EV_\w+|UNUSED)"
    ),
    Group("SIG_", "asm/signal.h", r"SIG_(BLOCK|UNBLOCK|SETMASK)", EXACT),
    Group("CLONE", "linux/sched.h", r"CLONE_\w+", but=r"CLONE_ARGS_\w+"),
    Group("W", "linux/wait.h", r"(W[A-Z]+|__W(ALL|CLONE|NOTHREAD))"),
    Group("P", "linux/wait.h", r"P_\w+", EXACT),
    Group(
        "PR",
        "linux/prctl.h",
        r"PR_(SET|GET|CAP|MCE|SVE|SME|PAC|SPEC|SCHED|TASK|CAPBSET|SYS)_\w+",
        EXACT,
        r"PR_(SET_MM_\w+|SPEC_\w+|MCE_KILL_(CLEAR|SET|DEFAULT|EARLY|LATE)|CAP_AMBIENT_\w+|SCHED_CORE_\w+|SVE_(SET_VL_\w+|VL_\w+)|SME_(SET_VL_\w+|VL_\w+)|PAC_(AP\w+|SET|GET)\w*|SYS_DISPATCH_\w+)",
    ),
    Group("KCMP", "linux/kcmp.h", r"KCMP_\w+", EXACT, "KCMP_TYPES"),
    Group("RLIMIT", "asm/resource.h linux/resource.h", r"RLIMIT_\w+", EXACT),
    Group(
        "BPF",
        "linux/bpf.h",
        r"BPF_(MAP|PROG|OBJ|BTF|LINK|RAW_TRACEPOINT|ENABLE|ITER|TASK|TOKEN)_(CREATE|LOOKUP_ELEM|UPDATE_ELEM|DELETE_ELEM|GET_NEXT_KEY|LOAD|PIN|GET|ATTACH|DETACH|TEST_RUN|GET_NEXT_ID|GET_FD_BY_ID|GET_INFO_BY_FD|QUERY|OPEN|LOOKUP_AND_DELETE_ELEM|FREEZE|LOOKUP_BATCH|LOOKUP_AND_DELETE_BATCH|UPDATE_BATCH|DELETE_BATCH|UPDATE|STATS|BIND_MAP|FD_QUERY)",
        EXACT,
    ),
    Group(
        "KEYCTL",
        "linux/keyctl.h",
        r"KEYCTL_\w+",
        EXACT,
        r"KEYCTL_(CAPS\d_\w+|SUPPORTS_\w+|MOVE_EXCL)",
    ),
    Group(
        "PTRACE",
        "linux/ptrace.h asm/ptrace.h",
        r"PTRACE_[A-Z]+\w*",
        EXACT,
        r"PTRACE_(O_\w+|EVENT_\w+|EVENTMSG_\w+|PEEKSIGINFO_SHARED|SYSCALL_INFO_\w+|SYSCALL_USER_\w+|SINGLEBLOCK|SYSEMU\w*|OLDSETOPTIONS|GET_THREAD_AREA|SET_THREAD_AREA|SETREGS|GETREGS|GETFPX?REGS|SETFPX?REGS|ARCH_PRCTL)",
    ),
    Group("PERF_TYPE", "linux/perf_event.h", r"PERF_TYPE_\w+", EXACT, "PERF_TYPE_MAX"),
    Group("PERF_FLAG", "linux/perf_event.h", r"PERF_FLAG_\w+"),
    Group("SECCOMP", "linux/seccomp.h", r"SECCOMP_(SET_MODE_\w+|GET_\w+)", EXACT),
    Group("SECCOMP_FILTER_FLAG", "linux/seccomp.h", r"SECCOMP_FILTER_FLAG_\w+"),
    Group("MODULE_INIT", "linux/module.h", r"MODULE_INIT_\w+"),
    Group("IPC", "linux/ipc.h", r"IPC_(CREAT|EXCL|NOWAIT)"),
    Group(
        "IPC_CTL",
        "sys/ipc.h sys/sem.h sys/msg.h sys/shm.h",
        r"(IPC_(RMID|SET|STAT|INFO)|SHM_(LOCK|UNLOCK)|GETALL|GETVAL|GETPID|GETNCNT|GETZCNT|SETVAL|SETALL)",
        EXACT,
    ),
    Group("SHM", "linux/shm.h", r"SHM_(RDONLY|RND|REMAP|EXEC)"),
    Group("access", "unistd.h", r"F_OK", EXACT),
    Group("access", "unistd.h", r"[RWX]_OK"),
)
ARM64 = {
    "O_DIRECTORY": 0o40000,
    "O_NOFOLLOW": 0o100000,
    "O_DIRECT": 0o200000,
    "O_LARGEFILE": 0o400000,
    "O_TMPFILE": 0o20040000,
    "MAP_32BIT": 0,
}


def values(group: Group) -> dict[str, int]:
    """Return what this machine's headers say of a group."""
    include = "#define _GNU_SOURCE\n" + "".join(f"#include <{h}>\n" for h in group.headers.split())
    gcc = ("gcc", "-E", "-x", "c", "-")
    defined = subprocess.run(
        [*gcc, "-dM"], input=include, text=True, capture_output=True, check=True
    )
    text = subprocess.run([*gcc, "-P"], input=include, text=True, capture_output=True, check=True)
    macros = re.findall(r"^#define (\w+) \S", defined.stdout, re.M)
    enums = re.findall(
        r"\b([A-Z_][A-Z0-9_]*)\b", " ".join(re.findall(r"enum[^{;]*\{([^}]*)\}", text.stdout))
    )
    wanted = re.compile(group.pattern)
    names = sorted(
        {n for n in (*macros, *enums) if wanted.fullmatch(n) and not re.fullmatch(group.but, n)}
    )
    number = "(unsigned long long)" if group.name == "CLONE" else "(unsigned long long)(unsigned)"
    while True:
        lines = [f'printf("{name} %llu\\n", {number}({name}));' for name in names]
        program = [include, "#include <stdio.h>", "int main(void) {", *lines, "return 0; }"]
        first = include.count("\n") + 4  # the line of the first name
        with tempfile.TemporaryDirectory() as folder:
            stem = f"{folder}/p"
            Path(f"{stem}.c").write_text("\n".join(program))
            built = subprocess.run(
                ["gcc", "-w", "-o", stem, f"{stem}.c"], capture_output=True, text=True, check=False
            )
            if built.returncode == 0:
                said = subprocess.run([stem], capture_output=True, text=True, check=True).stdout
                break
        # Some names need structures that no header has.
        bad = {int(line) - first for line in re.findall(r"p\.c:(\d+):\d+: error", built.stderr)}
        if not bad & set(range(len(names))):
            raise SystemExit(built.stderr)
        names = [name for i, name in enumerate(names) if i not in bad]
    return {name: int(value) for name, value in (line.split() for line in said.splitlines())}


def rows() -> list[tuple[str, str, str, int, int]]:
    """Return the file's rows: of names for one value the first, of bits the largest first."""
    found = []
    for group in GROUPS:
        known = sorted(values(group).items(), key=lambda item: item[1])
        if group.mask == "bits":
            known = sorted(((n, v) for n, v in known if v), key=lambda item: -item[1].bit_count())
        seen: set[int] = set()
        for name, value in known:
            if value in seen:
                continue
            seen.add(value)
            found.append((group.name, name, group.mask, value, ARM64.get(name, value)))
    return found


def written() -> list[tuple[str, str, str, int, int]]:
    """Return the rows of the file as it is."""
    lines = FILE.read_text("ascii").splitlines()[1:]
    parts = (line.split("\t") for line in lines)
    return [(g, n, m, int(x, 0), int(a, 0)) for g, n, m, x, a in parts]


def main() -> int:
    """Write the file or, with `--check`, compare it; return the exit code."""
    if sys.argv[1:] == ["--check"]:
        known = {row[:2]: row[2:] for row in written()}
        wrong = [row for row in rows() if row[:2] in known and known[row[:2]] != row[2:]]
        print(*wrong, sep="\n")
        return bool(wrong)
    lines = (f"{g}\t{n}\t{m}\t{x:#x}\t{a:#x}\n" for g, n, m, x, a in rows())
    FILE.write_text(HEAD + "".join(lines), "ascii")
    return 0


if __name__ == "__main__":
    sys.exit(main())
