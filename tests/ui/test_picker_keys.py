"""Every key of the list of processes does what its help says; and so does the mouse there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from emulated import Terminal
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import create_pipe_input
from scenes import sequence

from ior.host.listing import Candidate, Lister, Listing
from ior.ui.keys import Action
from ior.ui.picker.choice import KEYS, Event, Picker, Target
from ior.ui.picker.screen import PickerScreen

pytestmark = pytest.mark.timeout(30)

MANY = tuple(Candidate(i, f"worker-{i}", 2, f"/bin/worker-{i}") for i in range(100, 140))
LOOK_AGAIN = "\x12"
PAGE = 24 - 3 - 2  # rows between head and foot


class Growing(Lister):
    """One process more at every look; two threads of each."""

    looks = 0

    def processes(self) -> Listing:
        self.looks += 1
        return Listing((*MANY, *(Candidate(200 + i, "late", 1, "") for i in range(self.looks - 1))))

    def threads(self, pid: int) -> Listing:
        return Listing((Candidate(pid, "main", 1, ""), Candidate(pid + 1000, "helper", 1, "")))


def pressed(*sent: str) -> list[Picker]:
    """Return the state before each of what is sent, and at the end."""
    terminal, states = Terminal(80, 24), []

    async def go(screen: PickerScreen, send: Callable[[str], None]) -> None:
        changed = asyncio.Event()
        dispatch = screen.dispatch

        def noted(event: Event) -> None:
            dispatch(event)
            changed.set()

        async def come(holds: Callable[[Picker], bool]) -> None:
            while not holds(screen.state):
                changed.clear()
                await changed.wait()

        screen.dispatch = noted  # type: ignore[method-assign]  # to hear of it
        picking = asyncio.ensure_future(screen.pick())
        for keys in sent:
            await come(lambda now: now.found is not None)
            was = screen.state
            states.append(was)
            send(keys)
            typed, looks = keys if keys.isprintable() else "", keys == LOOK_AGAIN
            await come(
                lambda now, was=was, typed=typed, looks=looks: (
                    (now.needle.endswith(typed) if typed else now != was)
                    and not (looks and now.found == was.found)
                )
            )
        await come(lambda now: now.found is not None or now.left)
        states.append(screen.state)
        if not screen.application.is_done:
            screen.application.exit()
        await picking

    with create_pipe_input() as keyboard, create_app_session(input=keyboard):
        screen = PickerScreen(keyboard, terminal.output, lister=Growing())
        asyncio.run(asyncio.wait_for(go(screen, keyboard.send_text), 20))
    return states


Check = Callable[[Picker, Picker], bool]
EFFECTS: dict[Action, tuple[tuple[str, ...], Check]] = {
    Action.ACCEPT: (("worker-117",), lambda _, now: now.chosen == Target(pid=117)),
    Action.THREADS: (("worker-117",), lambda was, now: (was.of, now.of) == (None, 117)),
    Action.RESCAN: (
        ("\x1b[6~",),
        lambda was, now: (
            len(now.shown) == len(was.shown) + 1
            and now.shown[now.cursor] == was.shown[was.cursor]
            and was.cursor > 0
        ),
    ),
    Action.CANCEL: (
        ("worker-117",),
        lambda was, now: (was.needle, now.needle) == ("worker-117", ""),
    ),
    Action.QUIT: ((), lambda was, now: now.left and not was.left),
    Action.UP: (("\x1b[6~",), lambda was, now: now.cursor == was.cursor - 1),
    Action.DOWN: ((), lambda was, now: now.cursor == was.cursor + 1),
    Action.PAGE_UP: (("\x1b[F",), lambda was, now: now.cursor == was.cursor - PAGE),
    Action.PAGE_DOWN: ((), lambda was, now: now.cursor == was.cursor + PAGE),
    Action.FIRST: (("\x1b[F",), lambda was, now: was.cursor > now.cursor == 0),
    Action.LAST: ((), lambda was, now: now.cursor == len(MANY) > was.cursor),
    Action.POP: (("ab",), lambda was, now: (was.needle, now.needle) == ("ab", "a")),
    Action.CLEAR: (("ab",), lambda was, now: (was.needle, now.needle) == ("ab", "")),
}


@pytest.mark.parametrize(
    ("action", "name"), [(line.action, name) for line in KEYS for name in line.keys]
)
def test_a_key_of_the_list(action: Action, name: str) -> None:
    first, check = EFFECTS[action]
    *_, was, now = pressed(*first, sequence(name))
    assert check(was, now)


def test_cancel_goes_back_and_then_leaves() -> None:
    states = pressed("worker-117", "\t", "\x1b", "\x1b")
    assert [(one.of, one.left) for one in states[2:]] == [
        (117, False),
        (None, False),
        (None, True),
    ]


def test_a_click_moves_the_cursor_another_chooses_and_the_wheel_scrolls() -> None:
    click, down = "\x1b[<0;10;8M", "\x1b[<65;10;8M"
    states = pressed(click, down, "\x1b[<64;10;8M", click)
    assert [one.cursor for one in states[:4]] == [0, 4, 5, 4]
    assert states[-1].chosen == Target(pid=103)
