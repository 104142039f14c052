"""The query a person runs: one at a time, and the newest counts."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pachon.portal.state import Source
    from pachon.portal.turn import Later
    from pachon_client import Result


class Asking:
    """Runs queries over a connection each, so that one can be given up without harm to anything else.

    Parameters
    ----------
    open_source
        Opens a connection to the platform.
    pool
        Where an answer is waited for.
    turn
        Calls a function in the session's own turn.
    """

    def __init__(self, open_source: Callable[[], Source], *, pool: Executor, turn: Later) -> None:
        self._open_source, self._pool, self._turn = open_source, pool, turn
        self._running: tuple[Source, Future[Result]] | None = None

    def run(
        self,
        ask: Callable[[Source], Result],
        *,
        then: Callable[[Result], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        """Ask in the place of what runs; then call `then` with the rows or `failed` with the error."""
        self.give_up()
        source = self._open_source()
        future = self._pool.submit(ask, source)
        self._running = source, future
        future.add_done_callback(lambda _: self._turn(lambda: self._ended(source, future, then=then, failed=failed)))

    def give_up(self) -> bool:
        """Give the running query up, here and at the platform; whether there was one."""
        running, self._running = self._running, None
        if running is None:
            return False
        source, future = running
        future.cancel()
        source.close()
        return True

    def _ended(
        self,
        source: Source,
        future: Future[Result],
        *,
        then: Callable[[Result], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        source.close()
        if self._running != (source, future):
            return
        self._running = None
        error = future.exception()
        if error is None:
            then(future.result())
        else:
            failed(error)
