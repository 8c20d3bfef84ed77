"""Where keys and values stand in a TOML text, however it is written."""

from __future__ import annotations

import json
import tomllib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ior.findings import Path
from ior.pipeline.reading.places import Place, Places

TEXT = '''# a comment with [brackets] and "quotes"
version = 1
[stage.kernel] # another
type = "bpf"
families = ["FS",  # why
   'Net', ]
[stage."a.b"]
where = 'fd = 3'
buffer = { batches = 3, when_full="x" }
long = """a "quoted" word
# no comment"""
'quoted key'.inner = 2020-01-01 10:00:00
[[test]]
rows = [[1, 2], {k = 1}]
[[test]]
[test.sub]
a = 1
'''


def test_keys_and_values() -> None:
    places = Places(TEXT)
    assert places.find(("version",)) == Place(2, 11)
    assert places.find(("version",), at_key=True) == Place(2, 1)
    assert places.find(("stage", "kernel")) == Place(3, 1)
    assert places.find(("stage", "kernel", "families", 1)) == Place(6, 4)
    assert places.find(("stage", "a.b", "buffer", "when_full")) == Place(9, 35)
    assert places.find(("stage", "a.b", "quoted key", "inner")) == Place(12, 22)
    assert places.find(("test", 0, "rows", 1, "k")) == Place(14, 22)
    assert places.find(("test", 1, "sub", "a")) == Place(17, 5)


def test_what_is_not_there_is_where_it_would_be() -> None:
    places = Places(TEXT)
    assert places.find(("stage", "kernel", "ring_size")) == Place(3, 1)
    assert places.find(("stage", "kernel", "families", 7)) == Place(5, 12)
    assert places.find(("pipeline",)) == Place(1, 1)


def test_a_place_in_a_text_is_that_in_the_file_where_they_agree() -> None:
    path: Path = ("stage", "a.b", "where")
    assert Places(TEXT).find(path, offset=3, of="fd = 3") == Place(8, 13)
    assert Places(TEXT).find(path, offset=3, of="fd == 3") == Place(8, 9)
    assert Places("a = 'x\\y'").find(("a",), offset=1, of="x\\y") == Place(1, 7)


def quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x7f"), max_size=8)
STRINGS = TEXTS.flatmap(
    lambda text: st.sampled_from(
        [quoted(text), f'"""\n{quoted(text)[1:-1]}"""']
        + ([f"'{text}'"] if text.isprintable() and "'" not in text else [])
    )
)
SCALARS = STRINGS | st.sampled_from(
    ["1", "-2.5e3", "true", "0xff", "1979-05-27 07:32:00", "07:32:00", "inf"]
)
SPACE = st.sampled_from(["", " ", "\n", " # c ]}\"'\n  ", "\r\n\t"])


@st.composite
def values(draw: st.DrawFn, depth: int = 2) -> str:
    """Draw the text of a value."""
    kind = draw(st.sampled_from(["scalar", "list", "table"] if depth else ["scalar"]))
    if kind == "scalar":
        return draw(SCALARS)
    if kind == "list":
        items = draw(st.lists(st.tuples(SPACE, values(depth - 1), SPACE), max_size=3))
        inside = ",".join(f"{before}{item}{after}" for before, item, after in items)
        return f"[{inside}{draw(st.sampled_from(['', ','])) if items else ''}{draw(SPACE)}]"
    names = draw(st.lists(TEXTS, max_size=3, unique=True))
    return "{" + ", ".join(f"{quoted(n)} = {draw(values(depth - 1))}" for n in names) + "}"


@given(st.dictionaries(TEXTS, values(), max_size=4), st.booleans())
def test_every_value_is_found_whatever_it_looks_like(table: dict[str, str], several: bool) -> None:
    header = "[[a.'b']]" if several else "[a.'b']"
    lines = [f"{quoted(key)} = {value} # end" for key, value in table.items()]
    text = "\n".join([header, *lines, ""])
    document = tomllib.loads(text)
    places, lined = Places(text), text.split("\n")

    def check(path: Path, value: Any) -> None:
        place = places.find(path)
        rest = "\n".join([lined[place.line - 1][place.column - 1 :], *lined[place.line :]])
        assert path in places
        if isinstance(value, dict | list):
            assert rest[0] == ("{" if isinstance(value, dict) else "[")
            for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
                check((*path, key), inner)
        else:
            # The shortest text from there that is a value is this one.
            ends = (n for n in range(1, len(rest) + 1) if parses(rest[:n], value))
            assert next(ends, None) is not None

    top = document["a"]["b"]
    for key, value in (top[0] if several else top).items():
        check(("a", "b", 0, key) if several else ("a", "b", key), value)


def parses(text: str, value: object) -> bool:
    try:
        found = tomllib.loads(f"v = {text}")
    except tomllib.TOMLDecodeError:
        return False
    return repr(found.get("v")) == repr(value)
