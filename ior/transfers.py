"""How many bytes a call moved, by what it returned: the exceptions from "as many as it says".

Where the class of a syscall (`ior.syscalls`) says that it moves bytes, a positive return is
their number. A few syscalls have an argument word (the `args` of a row) with a say in it.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from ior import syscalls

# The argument word that is 0 where a call only asks how large a buffer it would need.
SIZE_WORD: Final = {
    "getxattr": 2,
    "lgetxattr": 2,
    "fgetxattr": 2,
    "listxattr": 1,
    "llistxattr": 1,
    "flistxattr": 1,
    "listxattrat": 2,
}
RECEIVE_FLAGS_WORD: Final = {"recvfrom": 2, "recvmsg": 1}
BUFFER_WORD: Final = {"recvfrom": 1}  # with MSG_TRUNC the return may be more than the buffer
RULED: Final = SIZE_WORD.keys() | RECEIVE_FLAGS_WORD.keys() | BUFFER_WORD.keys()


class Rule(NamedTuple):
    """What a positive return says about bytes, and the argument word that has a say in it.

    `return`: so many bytes. `sized`: none where the word, a size, is 0. `peeked`: none where
    the word, flags, has MSG_PEEK; `received`: that, and at most the word before it.
    """

    name: Literal["return", "sized", "peeked", "received"]
    word: int | None = None


def rules() -> dict[int, Rule]:
    """Return the rules of this machine's syscalls that move bytes, by number."""
    found = {}
    for call in syscalls.table().by_nr.values():
        name = call.tracepoint
        if name in SIZE_WORD:
            found[call.nr] = Rule("sized", SIZE_WORD[name])
        elif name in RECEIVE_FLAGS_WORD:
            rule: Literal["received", "peeked"] = "received" if name in BUFFER_WORD else "peeked"
            found[call.nr] = Rule(rule, RECEIVE_FLAGS_WORD[name])
        elif call.byte_class != "-":
            found[call.nr] = Rule("return")
    return found
