"""What sinks with one output share: it is opened first, kept whole, and may lose its reader.

Formatting and writing run in a worker thread. A slow reader (a pager, a full disk's queue)
then holds up its own edge of the graph and nothing else, and Ctrl-C still works.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from anyio import to_thread

from ior.host.output import ClosedOutput, Output
from ior.pipeline.abc import Context, Sink


class WriterSink(Sink):
    """A sink that writes one output, named by `path` of its config.

    `put` writes, `finish` completes the file. When nobody reads the output any more the run
    is asked to end, and what still comes is taken and left unwritten, which a sink of rows books
    as filtered.
    """

    writes: Sequence[str] = ("path",)
    output: Output | None = None
    closed = False  # nobody reads the output any more

    def path(self) -> str:
        """Return the path to write to."""
        return str(self.config.path)

    async def start(self, ctx: Context) -> None:
        """Open the output. Raises OutputError."""
        await super().start(ctx)
        opening = partial(Output.open, self.path(), directory=ctx.directory)
        self.output = await to_thread.run_sync(opening)

    async def put(self, make: Callable[[], bytes]) -> None:
        """Write what `make` returns; `make` runs in the worker thread too."""
        output = self.output
        if output is None or self.closed:
            return
        try:
            await to_thread.run_sync(lambda: output.write(make()), abandon_on_cancel=True)
        except ClosedOutput:
            self.reader_gone()

    def reader_gone(self) -> None:
        """Ask for the end of the run, once."""
        if not self.closed:
            self.closed = True
            self.ctx.request_stop()

    async def finish(self) -> None:
        """Complete the output: a file takes its name. Raises OutputError."""
        if self.output is not None:
            await to_thread.run_sync(self.output.commit)

    async def close(self) -> None:
        """Leave an output that is not complete as `NAME.partial`, and say so."""
        output, self.output = self.output, None
        if output is None:
            return
        partial_path = await to_thread.run_sync(output.abandon)
        if partial_path:
            self.ctx.warn(f"'{output.path}' is not complete; what there is: '{partial_path}'")
