"""What a socket is called: `tcp 127.0.0.1:5432 → 127.0.0.1:40122`, `unix /run/x.sock`.

The programs announce the bytes of sockaddrs, the uapi's (include/uapi/linux/in.h, in6.h, un.h,
netlink.h, if_packet.h, vm_sockets.h); a program's own may be cut short or of another family than
its socket.
"""

from __future__ import annotations

import ipaddress
import struct
from typing import Final

from ior.decode import named
from ior.syscalls import architecture
from ior.text import escape

_UNIX, _INET, _INET6, _NETLINK, _PACKET, _VSOCK = 1, 2, 10, 16, 17, 40
_ANY: Final = 0xFFFFFFFF  # VMADDR_CID_ANY, VMADDR_PORT_ANY
_RAW: Final = 3  # SOCK_RAW
_IP_PROTOCOLS: Final = {
    1: "icmp",
    6: "tcp",
    17: "udp",
    33: "dccp",
    58: "icmpv6",
    132: "sctp",
    136: "udplite",
    262: "mptcp",
}
"""include/uapi/linux/in.h"""

_NETLINK_PROTOCOLS: Final = {
    0: "route",
    2: "usersock",
    4: "sock_diag",
    6: "xfrm",
    7: "selinux",
    9: "audit",
    10: "fib_lookup",
    11: "connector",
    12: "netfilter",
    15: "kobject_uevent",
    16: "generic",
    21: "crypto",
}
"""include/uapi/linux/netlink.h"""


_ETHER_PROTOCOLS: Final = {
    0x0003: "all",
    0x0800: "ip",
    0x0806: "arp",
    0x8100: "802.1q",
    0x86DD: "ipv6",
    0x88CC: "lldp",
}
"""include/uapi/linux/if_ether.h"""


def socket_text(what: int, inode: int, ends: bytes, local_length: int) -> str:
    """Return what a socket is called.

    `what` is family, type and protocol in 16 bits each, from the lowest; `ends` its own address,
    `local_length` bytes, and its peer's. Without both it is called by its inode.
    """
    kind = _kind(what)
    local, peer = _address(ends[:local_length]), _address(ends[local_length:])
    if not (local or peer):
        local = f"socket:[{inode}]"
    return _words(kind, local, "→" if peer else "", peer)


def address_text(what: int, raw: bytes) -> str:
    """Return what an address that a program gave or got is called, by the socket's protocol."""
    family = int.from_bytes(raw[:2], "little")
    if family != what & 0xFFFF and family != 0:  # such as an IPv4 address for an IPv6 socket
        what = what & ~0xFFFF | family
    return _words(_kind(what), _address(raw))


def _words(*words: str) -> str:
    return " ".join(filter(None, words))


def _kind(what: int) -> str:
    family, type_, protocol = what & 0xFFFF, what >> 16 & 0xFFFF, what >> 32 & 0xFFFF
    if family in (_INET, _INET6):
        known = _IP_PROTOCOLS.get(protocol, f"ip-{protocol}")
        return f"raw {known}" if type_ == _RAW else known
    if family == _NETLINK:
        return f"netlink {_NETLINK_PROTOCOLS.get(protocol, protocol)}"
    name = named("AF", family, architecture()) if what else ""
    return name.removeprefix("AF_").lower()


def _address(raw: bytes) -> str:
    """Return the address without its family; "" for none."""
    family = int.from_bytes(raw[:2], "little")
    if family == _INET and len(raw) >= 8:
        port, ip = struct.unpack_from("!HI", raw, 2)
        return f"{ipaddress.IPv4Address(ip)}:{port}"
    if family == _INET6 and len(raw) >= 24:
        port = int.from_bytes(raw[2:4], "big")
        return f"[{_ipv6(raw[8:24])}]:{port}"
    if family == _UNIX:
        return _unix(raw[2:])
    if family == _NETLINK and len(raw) >= 12:
        _, port, groups = struct.unpack_from("<IiI", raw)
        return f"pid {port}" + (f" groups {groups:#x}" if groups else "")
    if family == _PACKET and len(raw) >= 8:
        return _packet(raw)
    if family == _VSOCK and len(raw) >= 12:
        port, cid = ("any" if n == _ANY else n for n in struct.unpack_from("<II", raw, 4))
        return f"{cid}:{port}"
    return ""


def _packet(raw: bytes) -> str:
    """Return protocol, interface and hardware address, as far as they are told."""
    protocol, interface = *struct.unpack_from("!H", raw, 2), *struct.unpack_from("<i", raw, 4)
    hardware = raw[12 : 12 + raw[11]] if len(raw) >= 12 else b""
    return _words(
        _ETHER_PROTOCOLS.get(protocol, f"{protocol:#06x}") if protocol else "",
        f"interface {interface}" if interface else "",
        hardware.hex(":"),
    )


def _ipv6(raw: bytes) -> str:
    ip = ipaddress.IPv6Address(raw)
    return f"::ffff:{ip.ipv4_mapped}" if ip.ipv4_mapped else str(ip)


def _unix(path: bytes) -> str:
    """Return a path, or `@name` for one in the abstract namespace."""
    if path[:1] == b"\0":
        return "@" + escape(path[1:])
    return escape(path.split(b"\0")[0])
