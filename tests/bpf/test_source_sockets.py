"""Sockets by protocol and both addresses; what the program itself asks of them is the truth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tracing import KINDS, MODES, Traced, program, python, trace

pytestmark = pytest.mark.kernel

TELL = """
import errno, os, socket, sys, tempfile
from socket import *

def end(ask):
    try:
        name = ask()
    except OSError:
        return ""
    if isinstance(name, bytes):
        return "@" + name[1:].decode()
    if isinstance(name, str):
        return name
    if name[:2] in (("0.0.0.0", 0), ("::", 0)):
        return ""
    return ("[%s]:%d" if ":" in name[0] else "%s:%d") % name[:2]

def tell(key, protocol, s):
    own, peer = end(s.getsockname), end(s.getpeername)
    known = [protocol, own, peer and "→ " + peer]
    inode = os.fstat(s.fileno()).st_ino
    name = " ".join(filter(None, known)) if own or peer else f"{protocol} socket:[{inode}]"
    print(key, name)
"""


def of_python(text: str, pairing: str, *, probe_reads: bool, **keys: Any) -> Traced:
    selected = {"families": ["Network"], "syscalls": ["close", "read", "write"]} | keys
    argv = python(TELL + text)
    traced = trace(argv, pairing=pairing, probe_reads=probe_reads, **selected)
    assert traced.status == 0
    return traced


STREAM = """
family, host = (AF_INET6, sys.argv[1]) if ":" in sys.argv[1] else (AF_INET, sys.argv[1])
listener = socket(family, SOCK_STREAM)
tell("new", "tcp", listener)
listener.bind((host, 0))
tell("bound", "tcp", listener)
listener.listen()
client = socket(family, SOCK_STREAM)
client.connect(listener.getsockname())
server, _ = listener.accept()
tell("client", "tcp", client)
tell("server", "tcp", server)
print("listener_fd", listener.fileno())
client.sendall(b"x")
server.recv(1)
client.close()
server.recv(1)
server.close()
"""


@pytest.mark.parametrize(
    "host", ["127.0.0.1", pytest.param("::1", marks=pytest.mark.core), "::ffff:127.0.0.1"]
)
@pytest.mark.parametrize(("pairing", "probe_reads"), KINDS)
def test_a_connection_shows_both_addresses(pairing: str, probe_reads: bool, host: str) -> None:
    text = STREAM.replace("sys.argv[1]", repr(host))
    traced = of_python(text, pairing, probe_reads=probe_reads)
    fact = traced.facts()
    assert fact["client"].count("→") == 1
    assert fact["client"].startswith(f"tcp [{host}]:" if ":" in host else f"tcp {host}:")
    files = {r["file"] for r in traced.of("socket")}
    assert fact["new"] in files
    (bound,) = traced.of("bind")
    assert bound["file"] == fact["bound"], "named when it returns"
    assert bound["asked"] == f"tcp {fact['bound'].split()[1].rpartition(':')[0]}:0"
    (connected,) = traced.of("connect")
    assert (connected["file"], connected["asked"]) == (fact["client"], fact["bound"])
    (accepted,) = traced.of("accept4")
    assert (accepted["file"], accepted["old_file"]) == (fact["server"], fact["bound"])
    assert (accepted["fd"], accepted["fd2"]) == (accepted["ret"], int(fact["listener_fd"]))
    assert [r["file"] for r in traced.of("sendto")] == [fact["client"]]
    assert [(r["file"], r["old_file"]) for r in traced.of("recvfrom")] == [(fact["server"], "")] * 2
    closed = [r["file"] for r in traced.of("close") if "tcp" in r["file"]]
    assert closed[:2] == [fact["client"], fact["server"]], "also after the other end has gone"


DATAGRAMS = """
one, two = socket(AF_INET, SOCK_DGRAM), socket(AF_INET, SOCK_DGRAM)
one.bind(("127.0.0.1", 0))
two.bind(("127.0.0.1", 0))
tell("one", "udp", one)
tell("two", "udp", two)
two.sendto(b"1", one.getsockname())
one.recvfrom(9)
two.sendmsg([b"22"], [], 0, one.getsockname())
one.recvmsg(9)
one.connect(two.getsockname())
tell("connected", "udp", one)
one.send(b"333")
two.recv(9)
"""


@pytest.mark.parametrize(("pairing", "probe_reads"), KINDS)
def test_datagrams_show_where_to_and_where_from(pairing: str, probe_reads: bool) -> None:
    traced = of_python(DATAGRAMS, pairing, probe_reads=probe_reads)
    fact = traced.facts()
    one, two = fact["one"], fact["two"]
    calls = ("sendto", "sendmsg", "recvfrom", "recvmsg", "connect")
    rows = [(r["syscall"], r["file"], r["old_file"], r["asked"]) for r in traced.of(*calls)]
    assert rows == [
        ("sendto", two, "", one),
        ("recvfrom", one, two, ""),
        ("sendmsg", two, "", one),
        ("recvmsg", one, two, ""),
        ("connect", fact["connected"], "", two),
        ("sendto", fact["connected"], "", ""),
        ("recvfrom", two, "", ""),
    ]


UNIX = """
folder = tempfile.mkdtemp()
for key, address in ("path", folder + "/x.sock"), ("abstract", "\\0ior test"):
    listener, client = socket(AF_UNIX, SOCK_STREAM), socket(AF_UNIX, SOCK_STREAM)
    listener.bind(address)
    listener.listen()
    client.connect(address)
    os.write(client.fileno(), b"before it is accepted")
    server, _ = listener.accept()
    os.write(client.fileno(), b"c")
    os.write(server.fileno(), b"s")
    tell(key + "_client", "unix", client)
    tell(key + "_server", "unix", server)
    both = socket(AF_UNIX, SOCK_STREAM)
    both.bind(address + "2")
    both.connect(address)
    tell(key + "_both", "unix", both)
    os.write(both.fileno(), b"b")
a, b = socketpair(AF_UNIX, SOCK_DGRAM)
tell("a", "unix", a)
tell("b", "unix", b)
print("pair", a.fileno(), b.fileno())
"""


@pytest.mark.core
@pytest.mark.parametrize(("pairing", "probe_reads"), KINDS)
def test_unix_sockets_show_paths_and_abstract_names(pairing: str, probe_reads: bool) -> None:
    traced = of_python(UNIX, pairing, probe_reads=probe_reads)
    fact = traced.facts()
    assert fact["abstract_both"] == "unix @ior test2 → @ior test"
    assert fact["path_client"].startswith("unix → /")
    expected: list[str] = []
    for key in ("path", "abstract"):
        client, server, both = (fact[f"{key}_{end}"] for end in ("client", "server", "both"))
        expected += [client, client, server, both]
    assert [r["file"] for r in traced.of("write") if "unix" in r["file"]] == expected
    (pair,) = traced.of("socketpair")
    assert (pair["file"], pair["old_file"]) == (fact["a"], fact["b"])
    assert f"{pair['fd']} {pair['fd2']}" == fact["pair"]


OTHERS = """
for key, made in {
    "netlink_route": (AF_NETLINK, SOCK_RAW, 0),
    "netlink_generic": (AF_NETLINK, SOCK_DGRAM, 16),
    "raw_icmp": (AF_INET, SOCK_RAW, 1),
    "packet": (AF_PACKET, SOCK_RAW, 0),
    "mptcp": (AF_INET, SOCK_STREAM, 262),
}.items():
    try:
        s = socket(*made)
    except OSError as error:
        continue
    print(key, f"{key.replace('_', ' ')} socket:[{os.fstat(s.fileno()).st_ino}]")
    if "netlink" in key:
        s.bind((0, 0))
        print(key + "_bound", f"{key.replace('_', ' ')} pid {s.getsockname()[0]}")
    os.close(s.detach())
"""


@pytest.mark.core
@pytest.mark.parametrize(("pairing", "probe_reads"), KINDS)
def test_other_families_are_told_apart(pairing: str, probe_reads: bool) -> None:
    traced = of_python(OTHERS, pairing, probe_reads=probe_reads, syscalls=["close"])
    fact = traced.facts()
    assert "netlink_route_bound" in fact
    assert "raw_icmp" in fact
    made = [r["file"] for r in traced.of("socket") if not r["is_error"]]
    assert made == [name for key, name in fact.items() if not key.endswith("_bound")]
    assert [r["file"] for r in traced.of("bind")] == [
        name for key, name in fact.items() if key.endswith("_bound")
    ]


FAILS = """
s = socket(AF_INET, SOCK_STREAM)
tell("new", "tcp", s)
s.connect_ex(("127.0.0.1", 1))
u = socket(AF_UNIX, SOCK_STREAM)
u.connect_ex("/no/such.sock")
tell("unix", "unix", u)
v = socket(AF_INET6, SOCK_DGRAM)
v.connect_ex(("::1", 9))
tell("v6", "udp", v)
taken = socket(AF_INET, SOCK_STREAM)
taken.bind(("127.0.0.1", 0))
tell("taken", "tcp", taken)
try:
    s.bind(taken.getsockname())
except OSError as error:
    print("errno", errno.errorcode[error.errno])
os.close(v.fileno())
v.connect_ex(("::1", 9))
v.detach()
"""


@pytest.mark.core
@pytest.mark.parametrize(("pairing", "probe_reads"), KINDS)
def test_what_failed_shows_the_address_that_was_given(pairing: str, probe_reads: bool) -> None:
    traced = of_python(FAILS, pairing, probe_reads=probe_reads)
    fact = traced.facts()
    rows = [(r["errno"], r["file"], r["asked"]) for r in traced.of("connect")]
    assert rows == [
        ("ECONNREFUSED", fact["new"], "tcp 127.0.0.1:1"),
        ("ENOENT", fact["unix"], "unix /no/such.sock"),
        ("", fact["v6"], "udp [::1]:9"),
        ("EBADF", "", ""),
    ]
    bound = traced.of("bind")[-1]
    assert (bound["errno"], bound["file"], bound["asked"]) == (
        fact["errno"],
        fact["new"],
        fact["taken"],
    )


FRESH = r"""
/* The address is in memory that nobody has touched. */
int main(int argc, char **argv) {
	for (int i = 0; i < 2; i++) {
		int file = open(argv[1], O_RDONLY), fd = socket(AF_UNIX, SOCK_DGRAM, 0);
		void *address = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, file, 0);
		if (i)
			syscall(SYS_sendto, fd, "x", 1, 0, address, 12);
		else
			syscall(SYS_connect, fd, address, 12);
	}
	return 0;
}
"""


@pytest.mark.parametrize(("pairing", "probe_reads"), KINDS)
def test_an_address_that_is_not_resident_is_read_at_exit(
    tmp_path: Path, pairing: str, probe_reads: bool
) -> None:
    (tmp_path / "address").write_bytes(b"\1\0/no/such/x")
    traced = program(
        FRESH,
        str(tmp_path / "address"),
        pairing=pairing,
        probe_reads=probe_reads,
        families=["Network"],
    )
    rows = [(r["syscall"], r["asked"], r["errno"]) for r in traced.of("connect", "sendto")]
    assert rows == [
        ("connect", "unix /no/such/x", "ENOENT"),
        ("sendto", "unix /no/such/x", "ENOENT"),
    ]


AGAIN = """
# A peer's place in memory, and its address's, are used again at once for the next one.
client = socket(AF_UNIX, SOCK_DGRAM)
for turn in range(200):
    server = socket(AF_UNIX, SOCK_DGRAM)
    server.bind("\\0%03d" % turn)
    client.connect("\\0%03d" % turn)
    os.write(client.fileno(), b"x")
    print(turn, "unix → @%03d" % turn)
    os.read(server.fileno(), 1)
    server.close()
    client.close()
    client = socket(AF_UNIX, SOCK_DGRAM)
# The same socket with one peer after the other, which differ in their port alone.
client = socket(AF_INET, SOCK_DGRAM)
client.bind(("127.0.0.1", 0))
for turn in range(200, 210):
    server = socket(AF_INET, SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))
    client.connect(server.getsockname())
    os.write(client.fileno(), b"x")
    tell(turn, "udp", client)
"""


@pytest.mark.parametrize("pairing", MODES)
def test_a_name_never_outlives_its_socket(pairing: str) -> None:
    traced = of_python(AGAIN, pairing, probe_reads=False)
    rows = [r["file"] for r in traced.of("write") if r["file"].startswith(("unix", "udp"))]
    assert rows == list(traced.facts().values())
    assert len(rows) == 210


PIPES = r"""
int main(int argc, char **argv) {
	int old[2], new[2];
	struct stat st;
	must(syscall(SYS_pipe, old) == 0, "pipe");
	must(syscall(SYS_pipe2, new, O_NONBLOCK) == 0, "pipe2");
	syscall(SYS_pipe2, (void *)8, 0);
	fstat(old[0], &st), printf("pipe %d %d pipe:[%lu]\n", old[0], old[1], st.st_ino);
	fstat(new[0], &st), printf("pipe2 %d %d pipe:[%lu]\n", new[0], new[1], st.st_ino);
	return 0;
}
"""


@pytest.mark.parametrize(("pairing", "probe_reads"), KINDS)
def test_a_pipe_shows_both_ends(pairing: str, probe_reads: bool) -> None:
    traced = program(PIPES, pairing=pairing, probe_reads=probe_reads, families=["IPC"])
    one, two, bad = traced.of("pipe", "pipe2")
    for row, told in ((one, traced.facts()["pipe"]), (two, traced.facts()["pipe2"])):
        assert f"{row['fd']} {row['fd2']} {row['file']}" == told
        assert row["old_file"] == row["file"]
    assert two["fd_flags"] & 0o4000
    assert (bad["errno"], bad["fd"], bad["fd2"], bad["file"]) == ("EFAULT", -1, -1, "")
