"""What surrounds a tab: title, numbers, tab names, filter, message line, key bar, help.

Every function takes the state and gives lines of exactly the terminal's width.
"""

from __future__ import annotations

from ior.pipeline.ledger import Ledger
from ior.text import fit, width
from ior.ui.keys import Mode, bar, help_lines
from ior.ui.state import MIN_COLUMNS, MIN_ROWS, Phase, State
from ior.ui.widgets import Line, exactly, spread
from ior.units import format_count, format_rate, format_size

PROMPT = "filter: "
_ENDED = "the run has ended; q leaves"
_HINT = "Enter applies it to the retained rows; empty shows everything"


def clock(elapsed_ns: int) -> str:
    """Write an elapsed time as `m:ss`, from an hour on as `h:mm:ss`."""
    minutes, seconds = divmod(elapsed_ns // 1_000_000_000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def losses(ledger: Ledger) -> list[tuple[str, int]]:
    """Return where rows were lost, and how many: the kernel's ring, edges, failed stages."""
    found = [("kernel ring", ledger.kernel.get("lost", 0))]
    found += [(edge, books.dropped) for edge, books in ledger.edges.items()]
    found += [(f"failed in {name}", books.failed) for name, books in ledger.stages.items()]
    return [(where, rows) for where, rows in found if rows]


def head(state: State) -> list[Line]:
    """Return the lines above the table; none when the terminal is too small."""
    if state.small:
        return []
    lines = [_title(state), _numbers(state), _tabs(state)]
    if state.where is not None:
        lines.append(_filter(state))
    return lines


def _title(state: State) -> Line:
    phase = str(state.phase)
    if state.over and state.picture is not None and not state.picture.ledger.closed:
        phase += ", books open"
    style = "class:title"
    right: Line = []
    if state.noted:
        right.append(("class:badge", f" {format_count(state.noted)} warnings (w) "))
    if state.paused:
        right.append(("class:badge", " paused "))
    runs = state.picture is not None and not state.over
    cpu = f" ior {state.rates.cpu:.0%} cpu " if runs else ""
    right.append((style, f"{cpu} {phase} {clock(state.elapsed_ns)} "))
    return spread([(style, f" ior  {state.title}")], right, state.columns, style)


def _numbers(state: State) -> Line:
    if state.picture is None:
        return exactly([("class:label", " waiting for the first calls")], state.columns)
    ledger, rates = state.picture.ledger, state.rates
    label, value = "class:label", "class:value"
    rate = f" ({format_rate(rates.calls)})"
    line = [(label, " calls "), (value, format_count(ledger.calls)), ("", rate), (label, "  lost ")]
    lost = losses(ledger)
    if not lost:
        line.append(("class:good", "0"))
    else:
        where = ", ".join(f"{place} {format_count(rows)}" for place, rows in lost)
        total = format_count(sum(rows for _, rows in lost))
        line.append(("class:bad", total if len(lost) == 1 else f"{total}:"))
        line.append(("class:bad", f" {lost[0][0]}" if len(lost) == 1 else f" {where}"))
    if state.picture.totals is not None:
        line += [(label, "  bytes "), ("", f"{format_size(rates.bytes)}/s")]
        line += [(label, "  errors "), ("", format_rate(rates.errors))]
    if state.over and ledger.open_because:
        line.append(("class:bad", "  " + "; ".join(ledger.open_because)))
    return exactly(line, state.columns)


def _tabs(state: State) -> Line:
    """Name the tabs, beginning so far right that the present one is in sight."""
    first = 0
    while (
        first < state.tab
        and sum(map(width, _labels(state)[first : state.tab + 1])) > state.columns - 1
    ):
        first += 1
    line: Line = [("", " " if first == 0 else "‹")]
    for i, label in enumerate(_labels(state)[first:], first):
        line.append(("class:tab.here" if i == state.tab else "class:tab", label))
    return exactly([*line, ("", " ")], state.columns)


def _labels(state: State) -> list[str]:
    """Return the tabs' names, with the key that leads there where there is one."""
    return [f" {i} {name} " if i < 10 else f" {name} " for i, name in enumerate(state.tabs, 1)]


def _filter(state: State) -> Line:
    assert state.where is not None
    matched = state.picture.matched if state.picture else None
    if matched is None:
        said = " not applied here "
    else:
        said = f" {format_count(matched.rows)} of {format_count(matched.retained)}"
        said += " retained rows match "
    left = [("class:label", " filter "), ("class:value", " › ".join(state.terms))]
    return spread(left, [("class:value", said)], state.columns)


def foot(state: State) -> list[Line]:
    """Return the lines under the table but the prompt's own: errors, message, key bar."""
    if state.small:
        return []
    lines: list[Line] = []
    if state.prompt is not None:
        lines = _prompt_lines(state)
    elif state.error:
        lines = [exactly([("class:bad", text)], state.columns) for text in state.error_lines]
    else:
        lines = [_message(state)]
    return [*lines, _bar(state)]


def _prompt_lines(state: State) -> list[Line]:
    assert state.prompt is not None
    prompt = state.prompt
    if not prompt.error:
        return [exactly([("class:message", _HINT)], state.columns)]
    before = len(PROMPT) + width(prompt.text[: prompt.start])
    carets = "^" * max(1, width(prompt.text[prompt.start : prompt.end]))
    if len(PROMPT) + width(prompt.text) < state.columns:
        place = exactly([("class:bad", " " * before + carets)], state.columns)
    else:
        place = exactly([("class:bad", f"at character {prompt.start + 1}:")], state.columns)
    said = [exactly([("class:bad", text)], state.columns) for text in state.error_lines]
    return [place, *said]


def _message(state: State) -> Line:
    if state.message is not None:
        style = "class:bad" if state.message.bad else "class:message"
        return exactly([(style, state.message.message)], state.columns)
    return exactly([("class:message", _ENDED if state.phase is Phase.ENDED else "")], state.columns)


def _bar(state: State) -> Line:
    line: Line = []
    for key, word in bar(state.mode):
        line += [("class:bar.key", f" {key} "), ("class:bar.word", f"{word} ")]
    return exactly(line, state.columns)


def over_line(state: State, row: int) -> Line:
    """Return one line of the help or the warnings, which stand in the table's place."""
    lines = _warnings(state) if state.over_table is Mode.WARNINGS else _help()
    i = row + state.over_top
    if i >= len(lines):
        said = " no warnings" if not lines and row == 0 else ""
        return exactly([("", said)], state.columns)
    return exactly(lines[i], state.columns)


def _help() -> list[Line]:
    return [[("class:key", " " + fit(key, 11)), ("", said)] for key, said in help_lines()]


def _warnings(state: State) -> list[Line]:
    """Return the messages, latest first, each with when it came."""
    since = state.started_ns or 0
    return [
        [
            ("class:key", f" {clock(max(0, note.now_ns - since)):>7}  "),
            ("class:bad" if note.bad else "", note.message),
        ]
        for note in reversed(state.notes)
    ]


def notice_line(state: State, row: int) -> Line:
    """Return one line of what a terminal shows that is too small for a table."""
    said = (f"ior needs {MIN_COLUMNS}x{MIN_ROWS}", "q quits")
    return exactly([("", said[row] if row < len(said) else "")], state.columns)
