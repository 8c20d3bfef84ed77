"""Count the programs that are executed on this host, with an eBPF program of one's own.

    sudo python examples/own_probe.py --seconds 10

Uses nothing of ior but its binding: a spec is edited and loaded, programs are attached by
their sections, and a ring of records is read as columns, without Python per record.
"""

from __future__ import annotations

import argparse
import platform
import select
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

import numpy as np

from ior.errors import IorError
from ior.sources.bpf.btf import Member
from ior.sources.bpf.loader import ObjectSpec
from ior.sources.bpf.ring import HEADER, RingReader

SOURCE = Path(__file__).with_suffix(".bpf.c")
TARGETS = {"x86_64": "x86", "aarch64": "arm64"}

# What the ring holds: its header, then `struct exec_record`.
RECORD = np.dtype(
    [("header", "u8"), ("time_ns", "u8"), ("pid", "u4"), ("uid", "u4"), ("comm", "S16")]
)


def compiled(source: Path) -> bytes:
    """Compile BPF C with clang; a real program would ship the object instead."""
    multiarch = sysconfig.get_config_var("MULTIARCH") or f"{platform.machine()}-linux-gnu"
    with tempfile.TemporaryDirectory() as directory:
        made = Path(directory, "probe.bpf.o")
        command = ["clang", "-O2", "-g", "-Wall", "-target", "bpf"]
        command += [f"-D__TARGET_ARCH_{TARGETS[platform.machine()]}"]
        command += ["-idirafter", f"/usr/include/{multiarch}", "-c", str(source), "-o", str(made)]
        subprocess.run(command, check=True)  # noqa: S603 -- our own arguments, no shell
        return made.read_bytes()


def same_layout(members: list[Member]) -> bool:
    """Return whether the C struct and the dtype agree."""
    fields = {name: field for name, field in (RECORD.fields or {}).items() if name != "header"}
    return [(m.name, m.offset + HEADER, m.size) for m in members] == [
        (name, field[1], field[0].itemsize) for name, field in fields.items()
    ]


def trace(spec: ObjectSpec, seconds: float, events: int | None) -> tuple[np.ndarray, int]:
    """Return the records of so many seconds, or until there were `events`, and the lost."""
    taken = [np.empty(0, RECORD)]
    deadline = time.monotonic() + seconds
    with spec.load() as loaded:
        ring = loaded.maps["records"]
        with RingReader(ring.fd, ring.max_entries) as reader:
            poll = select.poll()
            poll.register(reader.fd, select.POLLIN)
            loaded.attach()
            print("tracing", file=sys.stderr, flush=True)
            while (left := deadline - time.monotonic()) > 0:
                poll.poll(left * 1000)
                taken.append(reader.drain_fixed(RECORD.itemsize).view(RECORD).reshape(-1))
                if events is not None and sum(map(len, taken)) >= events:
                    break
        return np.concatenate(taken), int(loaded.globals["lost"])


def table(records: np.ndarray) -> str:
    """Return how often each command was executed, by how many users."""
    commands, counts = np.unique(records["comm"], return_counts=True)
    lines = [f"{'executed':>10}  {'users':>5}  command"]
    for index in np.argsort(-counts, kind="stable"):
        users = len(np.unique(records["uid"][records["comm"] == commands[index]]))
        lines.append(f"{counts[index]:>10}  {users:>5}  {commands[index].decode(errors='replace')}")
    return "\n".join(lines)


def main() -> int:
    """Run the example."""
    parser = argparse.ArgumentParser(description="Count the programs that are executed.")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long (default 10)")
    parser.add_argument("--events", type=int, help="stop after so many")
    parser.add_argument("--uid", type=int, help="only those of this user")
    options = parser.parse_args()
    try:
        with ObjectSpec(compiled(SOURCE), name="own_probe") as spec:
            if not same_layout(spec.btf.struct("exec_record")):
                print("RECORD and struct exec_record differ", file=sys.stderr)
                return 1
            if options.uid is not None:
                spec.globals["only_uid"] = options.uid
            records, lost = trace(spec, options.seconds, options.events)
    except IorError as error:
        print(f"own_probe: {error}", file=sys.stderr)
        return error.exit_code
    print(table(records))
    print(f"{len(records)} executed, {lost} lost")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
