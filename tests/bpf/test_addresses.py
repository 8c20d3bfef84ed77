"""Texts of sockets from bytes that others chose."""

from __future__ import annotations

import socket
import struct

import pytest

from ior.sources.bpf.addresses import address_text, socket_text
from ior.text import escape, unescape

UNIX = socket.AF_UNIX | socket.SOCK_STREAM << 16


def sockaddr(path: bytes) -> bytes:
    return struct.pack("<H", socket.AF_UNIX) + path


@pytest.mark.parametrize(
    "path", [b"/run/\x1b[2J,\xff", "/tmp/\u202egnp".encode(), b"\0a\0b\n", b"/back\\slash"]
)
def test_the_bytes_of_a_unix_name_come_back(path: bytes) -> None:
    text = socket_text(UNIX, 0, sockaddr(path), 2 + len(path))
    assert text.startswith("unix ")
    assert unescape(text.removeprefix("unix ")) == path.replace(b"\0", b"@", path[0] == 0)
    assert address_text(UNIX, sockaddr(path)) == text


def test_a_path_ends_at_its_first_zero() -> None:
    assert address_text(UNIX, sockaddr(b"/x\0rest")) == "unix /x"


@pytest.mark.parametrize("cut", range(25))
def test_an_address_that_is_cut_short_is_no_error(cut: int) -> None:
    whole = struct.pack("<HHI16sI", socket.AF_INET6, 0x5000, 0, b"\1" * 16, 0)
    what = socket.AF_INET6 | socket.SOCK_DGRAM << 16 | 17 << 32
    assert address_text(what, whole[:cut]) in (
        "udp",
        escape(b"udp [101:101:101:101:101:101:101:101]:80"),
    )
    assert address_text(0, whole[:cut]) is not None


PACKET = socket.AF_PACKET | socket.SOCK_RAW << 16


@pytest.mark.parametrize(
    ("protocol", "interface", "hardware", "text"),
    [
        (3, 0, None, "packet all"),
        (0x0800, 2, None, "packet ip interface 2"),
        (0x88B5, 1, b"\2\1\2\3\4\5", "packet 0x88b5 interface 1 02:01:02:03:04:05"),
        (0, 7, b"", "packet interface 7"),
        (0x86DD, 2, b"\xff" * 20, "packet ipv6 interface 2 ff:ff:ff:ff:ff:ff:ff:ff"),
    ],
)
def test_a_packet_socket_has_protocol_interface_and_hardware_address(
    protocol: int, interface: int, hardware: bytes | None, text: str
) -> None:
    raw = struct.pack("<H", socket.AF_PACKET) + struct.pack("!H", protocol)
    raw += struct.pack("<i", interface)
    if hardware is not None:
        raw += struct.pack("<HBB8s", 1, 0, len(hardware), hardware)
    assert address_text(PACKET, raw) == text
    assert socket_text(PACKET, 5, raw, len(raw)) == text


def test_an_address_of_another_machine_has_its_number_or_any() -> None:
    def vsock(cid: int, port: int) -> bytes:
        return struct.pack("<HHII4x", socket.AF_VSOCK, 0, port, cid)

    what, everyone = socket.AF_VSOCK | socket.SOCK_STREAM << 16, 2**32 - 1
    assert address_text(what, vsock(3, 1024)) == "vsock 3:1024"
    assert address_text(what, vsock(everyone, everyone)) == "vsock any:any"
    ends = vsock(everyone, 9) + vsock(2, 80)
    assert socket_text(what, 0, ends, len(ends) // 2) == "vsock any:9 → 2:80"


def test_what_is_not_known_has_its_number() -> None:
    assert socket_text(socket.AF_PACKET | 3 << 16, 7, b"", 0) == "packet socket:[7]"
    assert socket_text(250, 7, b"", 0) == "250 socket:[7]"
    assert socket_text(0, 7, b"", 0) == "socket:[7]"
    assert socket_text(socket.AF_INET | 3 << 16 | 89 << 32, 7, b"", 0) == "raw ip-89 socket:[7]"
    assert socket_text(socket.AF_NETLINK | 3 << 16 | 30 << 32, 7, b"", 0) == "netlink 30 socket:[7]"
