"""What a wrong filter is answered: a sentence, and the place in the expression."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ior.calls import CALLS, Column
from ior.errors import FilterError
from ior.expr import Predicate, compile_filter


@pytest.mark.parametrize(
    ("where", "place", "said"),
    [
        # fields
        ("latancy > 1ms", "latancy", "unknown field 'latancy'; did you mean latency?"),
        ("xyzzy == 1", "xyzzy", "the fields are seq, time, gap, latency, comm"),
        ("args == 1", "args", "cannot be used in a filter"),
        ("latency", "latency", "is a duration and must be compared, for example 'latency >= 1ms'"),
        ("is_error and comm", "comm", "is text and must be compared"),
        # operators
        ("comm > 3", ">", "'comm' is text and takes ==, !=, ~,"),
        ('latency ~ "x"', "~", "'latency' is a duration and takes ==, !=, <"),
        ("fd under /etc", "under", "'fd' is a number and takes"),
        ("syscall < read", "<", "'syscall' is a syscall and takes"),
        ("is_error ~ true", "~", "takes ==, !=, not '~'"),
        ("syscall directly under /", "directly under", "not 'directly under'"),
        # values
        ("latency >= 3MiB", "3MiB", "'latency' is a duration, and 3MiB is a size"),
        ("bytes >= 3 ms", "3 ms", "'bytes' is a size, and 3ms is a duration"),
        ("latency > 5q", "5q", "unknown unit 'q'; the units are ns, us, ms, s"),
        ("bytes > 1KB", "1KB", "unknown unit 'KB'; did you mean kB or KiB?"),
        ("bytes > 1.3B", "1.3B", "not a whole number of bytes"),
        ("fd == 1.5", "1.5", "1.5 is not a whole number"),
        ("fd == 3ms", "3ms", "'fd' is a plain number; it takes no unit"),
        ("fd == 0x1g", "0x1g", "'0x1g' is not a number"),
        ("pid == tid", "tid", "'pid' is a number; two fields cannot be compared"),
        ('latency >= "1ms"', '"1ms"', "it is written without quotes"),
        ("comm == 7", "7", "'comm' is text; write \"7\" in quotes"),
        ("is_error == 1", "1", "'is_error' is true or false, not '1'"),
        (f"fd == {'9' * 99}", "9" * 99, "at most 64 digits"),
        ("path under etc", "etc", "'etc' is not an absolute directory"),
        # names
        ("syscall == raed", "raed", "unknown syscall 'raed'; did you mean read"),
        ("syscall in [read, wriet]", "wriet", "did you mean write"),
        ("syscall == 0", "0", "compared by name, not by number"),
        ("family == net", "net", "unknown family 'net'; did you mean Network?"),
        ("errno == ENOTN", "ENOTN", "unknown error 'ENOTN'; did you mean ENOT"),
        ("errno > ENOENT", "ENOENT", "error names have no order"),
        ("file_state == ok", "ok", "the states are cut, deleted, unreadable, unknown"),
        # syntax
        ("comm = dd", "=", "write '==' for equal"),
        ("pid == 1 && fd == 3", "&", "write 'and'"),
        ("pid == 1 AND fd == 3", "AND", "found 'AND'; write 'and'"),
        ("not", "", "the filter ends where a field, 'not' or '(' should follow"),
        ("pid ==", "", "the filter ends where a value should follow"),
        ("(pid == 1", "", "the filter ends where ')' should follow"),
        ("pid == 1)", ")", "this ')' closes nothing"),
        ("pid in 1", "1", "expected a list in [ ], found '1'"),
        ("pid in [1 2]", "2", "expected ',' or ']', found '2'"),
        ("pid not 1", "1", "expected 'in', found '1'"),
        ("path directly /etc", "/etc", "expected 'under', found '/etc'"),
        ("1ms < latency", "1ms", "expected a field, 'not' or '(', found '1ms'"),
        ("== 3", "==", "the field stands before the operator"),
        ("pid == 1 2", "2", "expected 'and', 'or' or an end, found '2'"),
        ('comm == "dd', '"dd', 'the string that begins here has no closing "'),
        (r'comm == "\q"', r"\q", "a backslash stands before"),
        ("comm == '\ud800'", "\ud800", "half of a surrogate pair"),
        ("comm == \x1b", "\x1b", "'␛' means nothing here"),
    ],
)
def test_a_wrong_filter_is_explained_at_its_place(where: str, place: str, said: str) -> None:
    with pytest.raises(FilterError) as caught:
        compile_filter(where)
    assert said in str(caught.value)
    assert caught.value.source == where
    found = where[caught.value.start : caught.value.end]
    assert found == place
    assert not {"WORD", "RPAR", "COMPARE", "$END", "Token"} & set(str(caught.value).split())


@pytest.mark.parametrize("where", ["", "   \n"])
def test_an_empty_filter_is_refused(where: str) -> None:
    with pytest.raises(FilterError, match="the filter is empty"):
        compile_filter(where)


def test_endless_filters_are_refused_or_read_without_a_crash() -> None:
    with pytest.raises(FilterError, match="nested more than 50 levels"):
        compile_filter("(pid == 1 or not " * 60 + "is_error" + ")" * 60)
    with pytest.raises(FilterError, match="70,000 characters"):
        compile_filter("x" * 70_000)
    assert compile_filter("(" * 9999 + "is_error" + ")" * 9999).columns == {"is_error"}
    assert compile_filter("not " * 9999 + "is_error").columns == {"is_error"}
    assert compile_filter(" or ".join(["pid == 1"] * 3000)).columns == {"pid"}


def test_a_kind_that_nobody_knows_cannot_be_filtered() -> None:
    with pytest.raises(FilterError, match="cannot be used"):
        compile_filter("x == 1", [Column("x", "u4", "colour", "")])


WORDS = (
    "pid latency comm path syscall errno is_error file_state family bytes time xyz and or not in "
    "under directly true false ( ) [ ] , == != < <= > >= ~ !~ ^~ $~ = ! & \" ' \\ 1 -1 3ms 4KiB "
    '1.5 0x1f 7z dd read ENOENT /etc "x" "\\xff" "\\q" AND'
)


@given(st.text(max_size=40) | st.lists(st.sampled_from(WORDS.split()), max_size=12).map(" ".join))
def test_any_text_compiles_or_is_a_filter_error(where: str) -> None:
    try:
        keep = compile_filter(where)
    except FilterError as error:
        assert 0 <= error.start < error.end <= max(len(where), error.start + 1)  # noqa: PT017
    else:
        assert isinstance(keep, Predicate)
        assert keep.columns <= set(CALLS.names)
