"""The programs that are traced to be compared: one per family of syscalls, and real ones."""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PROGRAMS = Path(__file__).parent / "programs"

_COMPILED = tempfile.TemporaryDirectory(prefix="ior-programs-")

COREUTILS = """
mkdir -p a/b; printf 'one\\ntwo\\n' > a/one; cp a/one a/b/two; ln -s one a/link; ln a/one a/hard
mv a/b/two a/b/three; chmod 640 a/hard; touch -d 2001-01-01 a/one; truncate -s 1M a/b/large
ls -R a > list; ls -l a > /dev/null; cat a/link a/missing 2> /dev/null
dd if=a/b/large of=copy bs=64k count=4 seek=1 conv=notrunc status=none; sort -r list > sorted
head -c 3 a/one; tail -c 3 a/one; wc -l list; cmp a/one a/hard; du -s a
stat -c %s a/link; df --output=target . > free
grep -r two a; sync copy; rm -r a/b; rmdir a 2> /dev/null; readlink a/link; od -c a/one
"""
SHELL = """
i=0; while [ $i -lt 5 ]; do i=$((i + 1)); echo $i; done > numbers
exec 3< numbers; read one <&3; read two <&3; exec 3<&-
cat << END > text
$one and $two
END
(cd /; pwd; ls -d usr) | tr a-z A-Z | sort > sorted
sleep 0.01 & wait $!
for name in x y z; do echo $name > $name.txt; done; cat ?.txt > all; rm -f ?.txt
x=$(cat all | wc -l); test $x = 3; cd ..; cd - > /dev/null; . ./text 2> /dev/null; true
"""
ARCHIVE = "mkdir t; seq 9999 > t/n; tar czf x.tar t; mkdir u; tar xf x.tar -C u; tar tf x.tar"
FIND = """
mkdir -p a/b/c d; touch a/1 a/b/2 a/b/c/3; ln -s ../a d/link
find . -type f -newer d -print; find a -name 2 -exec cat {} +; find d -delete; find -L a -name 3
"""
SQLITE = """
sqlite3 base 'create table t(a, b); insert into t values(1, 2), (3, 4); create index i on t(a);'
sqlite3 base 'pragma journal_mode=wal; insert into t select a + 9, b from t; select sum(a) from t;'
sqlite3 base 'begin; delete from t; rollback; vacuum;'
"""
GIT = """
export HOME=$PWD GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b
export GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
git init -q -b main .; echo one > one; git add one; git commit -q -m first; git mv one two
git commit -q -a -m second; git log --oneline | cat; git status -s; git clone -q . ../clone.$$
rm -rf ../clone.$$
"""
GCC = "printf 'int main(void) { return 0; }' > x.c; gcc -O1 -o x x.c; ./x"
COMPILEALL = """
import compileall, json, sys
sys.pycache_prefix = "cache"
compileall.compile_dir(json.__path__[0], force=True, quiet=1)
"""
HTTP = """
import http.client, http.server, threading
open("page", "w").write("hello " * 5000)
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
server.RequestHandlerClass.log_message = lambda *_: None
thread = threading.Thread(target=server.serve_forever, args=(0.01,)); thread.start()
for path in ("/page", "/missing", "/"):
    client = http.client.HTTPConnection(*server.server_address)
    client.request("GET", path); client.getresponse().read(); client.close()
server.shutdown(); thread.join(); server.server_close()
"""


def _python(text: str) -> tuple[str, ...]:
    return (sys.executable, "-I", "-S", "-c", text)


REAL = {
    "coreutils": ("sh", "-c", COREUTILS),
    "shell": ("sh", "-c", SHELL),
    "archive": ("sh", "-c", ARCHIVE),
    "find": ("sh", "-c", FIND),
    "sqlite3": ("sh", "-c", SQLITE),
    "git": ("sh", "-c", GIT),
    "gcc": ("sh", "-c", GCC),
    "compileall": _python(COMPILEALL),
    "http": _python(HTTP),
}
COMMANDS = {
    "coreutils": {"cp", "dd", "du", "grep", "ls", "mv", "sort", "stat"},
    "shell": {"cat", "sh", "sort", "tr"},
    "archive": {"gzip", "tar"},
    "find": {"cat", "find"},
    "sqlite3": {"sqlite3"},
    "git": {"git"},
    "gcc": {"as", "cc1", "gcc", "ld", "x"},
    "compileall": {Path(sys.executable).name},
    "http": {Path(sys.executable).name},
}
"""What the real programs are called, among others, when they make their calls."""
BY_FAMILY = ("fs", "ipc", "network", "new", "polling", "process", "signals")
THE_SAME_EACH_TIME = ("coreutils", "find", "fs")
"""Which make the same calls in every run, but for the numbers that the kernel gives."""


@functools.cache
def command(name: str) -> tuple[str, ...]:
    """Return the command line of a workload; a C program is compiled at its first use."""
    if name in REAL:
        return REAL[name]
    binary = Path(_COMPILED.name) / name
    source = PROGRAMS / f"{name}.c"
    subprocess.run(["gcc", "-O1", "-w", "-pthread", "-o", binary, source], check=True)
    return (str(binary),)


def fresh(folder: Path) -> Path:
    """Return an empty directory of the same name every time."""
    work = folder / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    return work
