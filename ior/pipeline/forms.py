"""Stages that are functions: from batch to batch, or an async generator over all batches.

`stage` declares what such a function needs and gives; it stays the function that it was, so
that a test can call it. `stage_of` makes the class that a graph runs.
"""

from __future__ import annotations

import contextlib
import inspect
import typing
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Sequence
from typing import Any, ClassVar, TypeVar, overload

import msgspec

from ior.calls import CALLS, Batch, Column, Schema
from ior.errors import SpecError
from ior.pipeline.abc import Config, Gives, MaybeAsync, Output, Stage, WhenFull

F = TypeVar("F", bound=Callable[..., Any])

_DECLARED = "__ior_stage__"
_BY_NAME = ("config", "ctx")


@overload
def stage(function: F) -> F: ...


@overload
def stage(
    *,
    takes: Schema | None = CALLS,
    needs: Sequence[str] = (),
    gives: Gives | Sequence[Column] = (),
    config: type[msgspec.Struct] | None = None,
    when_full: WhenFull = "block",
) -> Callable[[F], F]: ...


def stage(function: F | None = None, **declared: Any) -> F | Callable[[F], F]:
    """Declare a function as a stage, with or without parentheses.

    The function takes a batch and returns one, or None, or a dict of batches by port; or it
    is an async generator that takes an async iterator of batches. Parameters named `config`
    and `ctx` are given its config (of the annotated class) and its `Context`. `gives` is the
    columns that it adds to what arrives, or by port a schema or columns.
    """
    if function is None:
        return lambda found: stage_declared(found, declared)
    return stage_declared(function, {})


def stage_declared(function: F, declared: dict[str, Any]) -> F:
    """Make the stage of a function now, so that what is wrong with it is said at its place."""
    setattr(function, _DECLARED, _made(function, **declared))
    return function


def stage_of(function: Callable[..., Any]) -> type[Stage]:
    """Return the stage class that runs `function`. Raises SpecError for one that cannot be."""
    declared: type[Stage] = getattr(function, _DECLARED, None) or _made(function)
    return declared


def _made(
    function: Callable[..., Any],
    *,
    takes: Schema | None = CALLS,
    needs: Sequence[str] = (),
    gives: Gives | Sequence[Column] = (),
    config: type[msgspec.Struct] | None = None,
    when_full: WhenFull = "block",
) -> type[Stage]:
    name = getattr(function, "__name__", "function")
    wants = _wants(function, name)
    if config is None:
        config = _annotated(function) if "config" in wants else Config
    members: dict[str, Any] = {
        "function": staticmethod(function),
        "wants": wants,
        "__module__": getattr(function, "__module__", __name__),
        "__doc__": function.__doc__,
        "Config": config,
        "takes": takes,
        "needs": tuple(needs),
        "gives": gives if isinstance(gives, typing.Mapping) else {"out": tuple(gives)},
        "when_full": when_full,
    }
    base = GeneratorStage if inspect.isasyncgenfunction(function) else FunctionStage
    return type(name, (base,), members)


def _wants(function: Callable[..., Any], name: str) -> tuple[str, ...]:
    """Return which of `config` and `ctx` a function takes beside its batch."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # of something made in C
        return ()
    if not parameters:
        raise SpecError(f"the function '{name}' takes nothing; a stage's function takes a batch")
    required = [
        p.name
        for p in parameters[1:]
        if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    if strange := [parameter for parameter in required if parameter not in _BY_NAME]:
        raise SpecError(
            f"the function '{name}' takes '{strange[0]}'; beside the batch a stage's function "
            "has no parameters but 'config' and 'ctx'"
        )
    return tuple(p.name for p in parameters[1:] if p.name in _BY_NAME)


def _annotated(function: Callable[..., Any]) -> type[msgspec.Struct]:
    try:
        found = typing.get_type_hints(function).get("config")
    except NameError:
        found = None
    if inspect.isclass(found) and issubclass(found, msgspec.Struct):
        return found
    name = getattr(function, "__name__", "function")
    raise SpecError(
        f"the function '{name}' does not say what its 'config' is; annotate it with a Struct"
    )


class _Made(Stage):
    """What both forms share."""

    function: ClassVar[Callable[..., Any]]
    wants: ClassVar[tuple[str, ...]] = ()

    def run(self, given: object) -> Any:
        """Call the function with what it wants."""
        more = {"config": self.config, "ctx": getattr(self, "ctx", None)}
        return type(self).function(given, **{name: more[name] for name in self.wants})


class FunctionStage(_Made):
    """A stage made of a function from a batch to a batch.

    None means that no row goes on. Rows that the function leaves out are booked as
    `filtered`, rows that it adds as `made`.
    """

    def process(self, batch: Batch) -> MaybeAsync:
        """Give what the function makes of `batch`. Raises TypeError if that is no batch."""
        result = self.run(batch)
        if inspect.isawaitable(result):
            return self._awaited(batch, result)
        return self._booked(batch, result)

    async def _awaited(self, batch: Batch, result: Awaitable[Output]) -> Output:
        return self._booked(batch, await result)

    def _booked(self, batch: Batch, result: Output) -> Output:
        more = rows_of(result, "the function gave") - len(batch)
        if more:
            self.ctx.book(filtered=max(-more, 0), made=max(more, 0))
        return result


def rows_of(output: object, who: str) -> int:
    """Return the rows of what was given. Raises TypeError for what cannot be given."""
    if output is None:
        return 0
    if isinstance(output, Batch):
        return len(output)
    if isinstance(output, typing.Mapping):
        return sum(rows_of(one, who) for one in output.values())
    if isinstance(output, list):
        return sum(rows_of(one, who) for one in output)
    raise TypeError(f"{who} {type(output).__name__}, not a Batch or None")


_HUNGRY = object()  # what a feed says to the stage: the generator wants the next batch


class _Feed:
    """The batches that a generator iterates over; where there is none it says `_HUNGRY`."""

    def __init__(self) -> None:
        self.batch: Batch | None = None
        self.ended = False

    def __aiter__(self) -> AsyncIterator[Batch]:
        return self

    async def __anext__(self) -> Batch:
        if self.batch is None and not self.ended:
            await _Hunger()
        batch, self.batch = self.batch, None
        if batch is None:
            raise StopAsyncIteration
        return batch


class _Hunger:
    def __await__(self) -> Generator[object, None, None]:
        yield _HUNGRY


class _Step:
    """Awaits a generator's next value, until there is one or the generator is hungry."""

    def __init__(self, step: Any, error: BaseException | None = None) -> None:
        self._step, self._error = step, error

    def __await__(self) -> Generator[Any, Any, Any]:
        argument, error = None, self._error
        while True:
            try:
                asked = self._step.send(argument) if error is None else self._step.throw(error)
            except StopIteration as end:
                return end.value
            if asked is _HUNGRY:
                return _HUNGRY
            error = None
            try:
                argument = yield asked
            except BaseException as thrown:
                error = thrown


class GeneratorStage(_Made):
    """A stage made of an async generator over all batches.

    It is one loop from the first batch to the last: `async for batch in batches`, and what
    it yields is given. What it has not given of what came counts as held, at the end as
    filtered; what it gives beyond that as made. It begins anew after an error.
    """

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self._feed = _Feed()
        self._batches: AsyncGenerator[Output, None] | None = None
        self._step: Any = None  # of a generator that waits for a batch
        self._owed = 0

    async def process(self, batch: Batch) -> Output:
        """Hand over a batch; give what is yielded until the next one is wanted."""
        if self._feed.ended:  # it returned before the end: what comes is left out
            self.ctx.book(filtered=len(batch))
            return None
        self._owed += len(batch)
        self._feed.batch = batch
        return await self._advance()

    async def drain(self) -> Output:
        """Let the loop end; give what is yielded after it."""
        if self._batches is None and self._feed.ended:
            return None
        self._feed.ended = True
        return await self._advance()

    async def _advance(self) -> Output:
        if self._batches is None:
            self._batches = self.run(self._feed)
        given: list[Any] = []
        try:
            while True:
                self._step = self._step or self._batches.asend(None)
                value = await _Step(self._step)
                if value is _HUNGRY:
                    break
                self._step = None
                self._owed -= rows_of(value, "the generator yielded")
                if value is not None:
                    given.append(value)
        except StopAsyncIteration:
            self._batches, self._step, self._feed.ended = None, None, True
        except BaseException:
            self._batches, self._step, self._owed = None, None, 0
            self._feed.batch = None
            raise
        self._settle()
        return given

    def _settle(self) -> None:
        if self._owed < 0:
            self.ctx.book(made=-self._owed)
            self._owed = 0
        if self._batches is None:
            self.ctx.book(filtered=self._owed)
            self._owed = 0
        self.ctx.hold(self._owed)

    async def close(self) -> None:
        """End a generator that still waits, so that its `finally` runs."""
        batches, step, self._batches, self._step = self._batches, self._step, None, None
        self._feed.ended = True
        if batches is None:
            return
        if step is not None:
            with contextlib.suppress(GeneratorExit, StopAsyncIteration):
                await _Step(step, GeneratorExit())
        await batches.aclose()
