import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wcwidth import wcwidth

from ior.text import escape, fit, sanitise, unescape, width

# Text as traced programs may choose it: any characters, the nasty ones more often.
NASTY = "\x00\x07\n\x1b\x7f\x85\x9b\u200b\u200e\u202e\u2028\u2066\ufeff\u0301\u3000日\\�\U000e0041"
TEXTS = st.text(st.sampled_from(NASTY) | st.characters(), max_size=30)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"", ""),
        (b"/etc/passwd", "/etc/passwd"),
        ("naïve 日本".encode(), "naïve 日本"),
        (b"a\\b", r"a\\b"),
        (b"\\x41", r"\\x41"),
        (b"\xff\xfe", r"\xff\xfe"),
        (b"a\xc3", r"a\xc3"),  # cut in a character
        (b"\xc3(", r"\xc3("),
        (b"\xed\xa0\x80", r"\xed\xa0\x80"),  # a surrogate
        (b"\xc0\xaf", r"\xc0\xaf"),  # overlong
        (b"\xe0\x80\xaf", r"\xe0\x80\xaf"),
        (b"\xf4\x90\x80\x80", r"\xf4\x90\x80\x80"),  # above U+10FFFF
        (b"two\nlines\x00", "two\nlines\x00"),
    ],
)
def test_escaped_bytes_come_back(raw: bytes, text: str) -> None:
    assert escape(raw) == text
    assert unescape(text) == raw


@given(st.binary(max_size=60) | st.lists(st.sampled_from(b"\\x4f\xff\xc3\xa9")).map(bytes))
def test_escape_is_undone_for_all_bytes(raw: bytes) -> None:
    text = escape(raw)
    assert unescape(text) == raw
    assert text.encode("utf-8").decode("utf-8") == text


@given(st.binary(max_size=8), st.binary(max_size=8))
def test_different_bytes_have_different_texts(one: bytes, other: bytes) -> None:
    assert (escape(one) == escape(other)) == (one == other)


@pytest.mark.parametrize("text", ["\\", r"a\b", r"\x4", r"\xgg", "\\\\\\", "\ud800"])
def test_unescape_refuses_what_escape_never_gives(text: str) -> None:
    with pytest.raises(ValueError):
        unescape(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, 'quoted'", "plain text, 'quoted'"),
        ("\x1b[31mred", "␛[31mred"),
        ("a\nb\tc\x00", "a␊b␉c␀"),
        ("\x7f", "␡"),
        ("\x9b31m", r"\u009b31m"),
        ("abc\u202etxt", r"abc\u202etxt"),
        ("\u200b\ufeff\u00ad", r"\u200b\ufeff\u00ad"),
        ("a\u2028b\u2029", r"a\u2028b\u2029"),
        ("\u061c\u2069", r"\u061c\u2069"),
        ("❤\ufe0f", r"❤\ufe0f"),
        ("\U000e0041", r"\U000e0041"),
        ("\ue000", r"\ue000"),
        ("\ud800", r"\ud800"),
        ("\u3164", r"\u3164"),
        ("🇩🇪 👍🏽", r"\U0001f1e9\U0001f1ea 👍\U0001f3fd"),
        ("日本 é", "日本 é"),
        ("\u0301x", "◌\u0301x"),
        ("e\u0301", "e\u0301"),
        (r"\xff\\", r"\xff\\"),
    ],
)
def test_sanitise_shows_what_is_hidden(text: str, shown: str) -> None:
    assert sanitise(text) == shown


@given(TEXTS)
def test_sanitised_text_is_safe_and_stays(text: str) -> None:
    shown = sanitise(text)
    assert sanitise(shown) == shown
    assert all(wcwidth(character) >= 0 for character in shown)
    assert not {unicodedata.category(character) for character in shown} & {
        "Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp",
    }  # fmt: skip
    assert not shown or wcwidth(shown[0]) > 0


def test_marks_do_not_pile_up_without_end() -> None:
    shown = sanitise("e" + "\u0301" * 50)
    assert shown.startswith("e" + "\u0301" * 8 + r"\u0301")
    assert sanitise(shown) == shown


def test_width_counts_cells() -> None:
    assert [width(text) for text in ("", "abc", "日本", "e\u0301", "␛[")] == [0, 3, 4, 1, 2]


@pytest.mark.parametrize(
    ("text", "cells", "start", "end"),
    [
        ("abc", 5, "abc  ", "abc  "),
        ("abc", 3, "abc", "abc"),
        ("abcdef", 4, "abc…", "…def"),
        ("日本語", 4, "日… ", "…語 "),
        ("日本語", 5, "日本…", "…本語"),
        ("abc", 1, "…", "…"),
        ("abc", 0, "", ""),
        ("abcde\u0301", 3, "ab…", "…de\u0301"),
        ("a\nb", 4, "a␊b ", "a␊b "),
    ],
)
def test_fit_cuts_and_pads(text: str, cells: int, start: str, end: str) -> None:
    assert fit(text, cells) == start
    assert fit(text, cells, keep="end") == end


def test_fit_keeps_both_ends() -> None:
    found = [fit("abcdefg", cells, keep="ends") for cells in (7, 6, 5, 2, 1)]
    assert found == ["abcdefg", "abc…fg", "ab…fg", "a…", "…"]


@given(TEXTS, st.integers(0, 20), st.sampled_from(["start", "end", "ends"]))
def test_fit_keeps_columns_straight(text: str, cells: int, keep: str) -> None:
    shown = fit(text, cells, keep=keep)  # type: ignore[arg-type]
    assert width(shown) == cells
    assert sanitise(shown) == shown
