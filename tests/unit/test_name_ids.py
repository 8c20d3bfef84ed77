"""What names of the kernel side take in memory: ids count, also those that share a text."""

from __future__ import annotations

import struct

from ior.sources.bpf import records
from ior.sources.bpf.names import NameIds


def announced(id_: int, text: bytes) -> bytes:
    """Return the announcement of a command name."""
    return struct.pack(records.NAME_STRUCT, id_, records.NAME_TASK, 0, len(text), 0, 0, 0, 0) + text


def test_many_processes_of_one_name_reach_the_budget() -> None:
    ids = NameIds(1 << 20)
    for id_ in range(1, 100_000, 2):
        ids.learn([announced(id_, b"sh")])
        if ids.over_budget:
            break
    else:
        raise AssertionError("ids are kept for ever")
    assert id_ > 10_000
    assert len(ids.names) == 3  # the empty text, this, and what is known of the task
