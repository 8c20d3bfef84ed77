"""What surrounds a tab: title, numbers, tab names, filter, message line, key bar, help.

Every function takes the state and gives lines of exactly the terminal's width.
"""

from __future__ import annotations

import signal

from ior.pipeline.ledger import Ledger
from ior.text import fit, sanitise, width
from ior.ui import tabline
from ior.ui.keybar import words
from ior.ui.keys import Action
from ior.ui.state import MIN_COLUMNS, MIN_ROWS, Phase, State
from ior.ui.widgets import Line, exactly, spread
from ior.units import format_clock, format_count, format_duration, format_rate, format_size

TABS_LINE = 2  # of the head
_TITLE = 24  # cells that the title keeps
_TERMS = 12  # and the terms of the filter


def losses(ledger: Ledger) -> list[tuple[str, int]]:
    """Return where rows were lost, and how many: in the kernel, on edges, in failing stages."""
    found = [("kernel ring", ledger.kernel.get("lost", 0))]
    found += [("skipped probes", ledger.kernel.get("skipped", 0))]
    found += [(edge, books.dropped) for edge, books in ledger.edges.items()]
    found += [(f"failed in {name}", books.failed) for name, books in ledger.stages.items()]
    return [(where, rows) for where, rows in found if rows]


def head(state: State) -> list[Line]:
    """Return the lines above the table; none when the terminal is too small."""
    if state.small:
        return []
    lines = [_title(state), _numbers(state), tabline.line(state)]
    if state.is_narrowed:
        lines.append(_filter(state))
    if said := state.let_through:
        lines.append(exactly([("class:label", f" {said}")], state.columns))
    if state.window.span_s:
        lines.append(_window(state))
    return lines


def _title(state: State) -> Line:
    phase = str(state.phase)
    if state.is_over and state.picture is not None and not state.picture.ledger.closed:
        phase += ", books open"
    style = "class:title"
    left: Line = [(style, f" ior  {state.title}")]
    right: Line = []
    if state.noted:
        many = "" if state.noted == 1 else "s"
        right.append(("class:badge", f" {format_count(state.noted)} warning{many} (w) "))
    if state.recording:
        right.append(("class:badge", " recording (R) "))
    if state.output is not None:
        right.append((style, " output (O) "))
    if state.picture is not None and state.picture.retained_ns is not None:
        right.append((style, f" rows {_span(state.picture.retained_ns)} "))
    if state.paused:
        right.append(("class:badge", " paused "))
    runs = state.picture is not None and not state.is_over
    cpu = f" ior {state.rates.cpu:.0%} cpu " if runs else ""
    right.append((style, f"{cpu} {phase} {format_clock(state.shown_ns)} "))
    room = state.columns - min(width(sanitise(left[0][1])), _TITLE)
    for part in list(right[:-1]):  # what can be read elsewhere gives way, not the title
        if part[0] == style and sum(width(text) for _, text in right) > room:
            right.remove(part)
    return spread(left, right, state.columns, style)


def _span(ns: int) -> str:
    """Return the time that rows cover; of one below ten seconds also its parts."""
    return format_duration(ns) if ns < 9_995_000_000 else format_clock(ns)


def _numbers(state: State) -> Line:
    """Say how many calls, how fast, what was lost; shorter where that is too long."""
    if state.picture is None:
        return exactly([("class:label", " waiting for the first calls")], state.columns)
    ledger, rate = state.picture.ledger, format_rate(state.rates.calls)
    total, label = ("class:value", format_count(ledger.calls)), ("class:label", " calls ")
    both: Line = [label, total, ("", f" ({rate})")]
    one: Line = [label, total if state.is_over else ("", rate)]
    ways = [
        _counted(state, both, gap="  ", brief=False),
        _counted(state, both, gap="  ", brief=True),
        _counted(state, one, gap="  ", brief=True),
        _counted(state, [("", " "), *one[1:]], gap=" ", brief=True),
    ]
    return exactly(next((line for line in ways if _fits(line, state)), ways[-1]), state.columns)


def _fits(line: Line, state: State) -> bool:
    return sum(width(text) for _, text in line) <= state.columns


def _counted(state: State, calls: Line, *, gap: str, brief: bool) -> Line:
    rates, label = state.rates, "class:label"
    line: Line = [*calls, (label, f"{gap}lost ")]
    assert state.picture is not None
    ledger = state.picture.ledger
    lost = losses(ledger)
    line.append(("class:bad", _places(lost, brief=brief)) if lost else ("class:good", "0"))
    if state.picture.totals is not None:
        line += [(label, gap if brief else f"{gap}bytes "), ("", f"{format_size(rates.bytes)}/s")]
        errors = "err" if brief else "errors"
        line += [(label, f"{gap}{errors} "), ("", format_rate(rates.errors))]
    if state.is_over and ledger.open_because:
        line.append(("class:bad", gap + "; ".join(ledger.open_because)))
    return line


def _places(lost: list[tuple[str, int]], *, brief: bool) -> str:
    """Say how many rows were lost, and where; in brief, of several places the worst."""
    whole = format_count(sum(rows for _, rows in lost))
    if len(lost) == 1:
        return f"{whole} {lost[0][0]}"
    if brief:
        place, rows = max(lost, key=lambda found: found[1])
        return f"{whole}: {place} {format_count(rows)}, {len(lost) - 1} more"
    return f"{whole}: " + ", ".join(f"{place} {format_count(rows)}" for place, rows in lost)


def _filter(state: State) -> Line:
    """Say what is shown, and what is switched off."""
    beside: Line = []
    if state.family:
        gap = "  " if state.terms else " "
        beside += [("class:label", f"{gap}family "), ("class:value", state.family)]
    if words := state.switches.words():
        gap = "  " if state.terms or beside else " "
        beside += [("class:label", gap), ("class:value", words)]
    matched = state.look.matched if state.look else None
    if state.where is None or state.over is not None:  # nobody looks at the tab then
        said = ""
    elif matched is None:
        said = " not applied here "
    else:
        said = f" {format_count(matched.rows)} of {format_count(matched.retained)}"
        said += " calls match " if matched.by_second else " retained rows match "
        if matched.untold:
            said = f" {format_count(matched.untold)} calls cannot be told;{said}"
    left: Line = [("class:label", " filter ")] if state.terms else []
    if state.terms:
        terms, others = sanitise(" › ".join(state.terms)), [*left, *beside, ("", said)]
        room = max(_TERMS, state.columns - sum(width(text) for _, text in others))
        left.append(("class:value", fit(terms, min(width(terms), room), keep="ends")))
    return spread([*left, *beside], [("class:value", said)], state.columns)


def _window(state: State) -> Line:
    """Say which span is shown, and what of it: rows, or calls added up by the second."""
    window, picture = state.window, state.picture
    when = "until now"
    if window.end_ns is not None and picture is not None:
        when = f"until {format_clock(max(0, picture.latest_ns - window.end_ns))} ago, 0 returns"
    matched = state.look.matched if state.look else None
    said = "" if state.over is not None else " not applied here "
    if matched is not None and state.over is None:
        said = " added up by the second " if matched.by_second else " of the retained rows "
    left = [("class:label", " window "), ("class:value", f"{window.span_s} s {when}")]
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
    label = width(prompt.question.label)
    if not prompt.error:
        return [exactly([("class:message", prompt.question.hint)], state.columns)]
    before = label + width(prompt.text[: prompt.start])
    carets = "^" * max(1, width(prompt.text[prompt.start : prompt.end]))
    if label + width(prompt.text) < state.columns:
        place = exactly([("class:bad", " " * before + carets)], state.columns)
    else:
        place = exactly([("class:bad", f"at character {prompt.start + 1}:")], state.columns)
    said = [exactly([("class:bad", text)], state.columns) for text in state.error_lines]
    return [place, *said]


def _message(state: State) -> Line:
    if state.message is not None:
        style = "class:bad" if state.message.bad else "class:message"
        return exactly([(style, state.message.message)], state.columns)
    said = "" if state.phase is not Phase.ENDED else _ended(state.status or 0)
    return exactly([("class:message", said)], state.columns)


def _ended(status: int) -> str:
    """Say that the run has ended, and how a command did unless well."""
    how = ""
    if status > 128 and status - 128 in set(signal.Signals):
        how = f"the command was killed by {signal.Signals(status - 128).name}; "
    elif status:
        how = f"the command ended with {status}; "
    return f"the run has ended; {how}q leaves"


def _bar(state: State) -> Line:
    """Name the keys that hold now, as many as have room; help and the way out always have."""
    last = [line for line in state.keys if line.action in (Action.HELP, Action.QUIT)]
    first = [line for line in state.keys if line not in last]
    ends = words(sorted(last, key=lambda line: line.shown), state.columns)
    room = state.columns - sum(width(text) for _, text in ends) - 1
    return spread(words(first, room), ends, state.columns)


def body(state: State, row: int) -> Line:
    """Return one line between head and foot: of the tab, or of what stands in its place."""
    if state.small:
        return _notice(state, row)
    if state.advice and state.over is None:
        return _advice(state, row)
    front = state.front
    if front is None or state.layout is None:
        said = "" if row or state.picture is None else " nothing to see here yet"
        return exactly([("", said)], state.columns)
    return front.tab.line(front.view, state.layout, row)


def _advice(state: State, row: int) -> Line:
    """Return one line of what is said where a run could not begin; why stands under it."""
    if row == 1:
        return exactly([("class:value", " Nothing is traced. What helps:")], state.columns)
    at = row - 3
    if not 0 <= at < len(state.advice):
        return exactly([], state.columns)
    command, use = state.advice[at]
    return exactly([("class:key", f"   {command:<18}"), ("", use)], state.columns)


def _notice(state: State, row: int) -> Line:
    """Return one line of what a terminal shows that is too small for more."""
    leaves = "q quits" if state.prompt is None else "Ctrl-C quits"
    said = (f"ior needs {MIN_COLUMNS}x{MIN_ROWS}", leaves)
    return exactly([("", said[row] if row < len(said) else "")], state.columns)
