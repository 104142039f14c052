"""The session's own turn: where its page may change, one thing after the other."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from panel.io.document import hold
from panel.io.state import set_curdoc
from tornado.ioloop import IOLoop

if TYPE_CHECKING:
    from bokeh.document import Document

Later = Callable[[Callable[[], None]], object]
"""Calls a function in the session's own turn."""


class Turn:
    """Calls functions in the order in which they were given, each with the session's document locked.

    Whatever a press or a finished piece of work changes goes through here. Panel calls the handlers of its widgets
    without the lock when a typed value is still on its way; a Bokeh model that is changed there raises, and what
    should have followed is lost. Callbacks that threads add to the document itself can be lost as well, between the
    moment it looks at its held events and the moment it forgets them.

    Parameters
    ----------
    document
        The session's document; made on the thread of the server's loop.
    on_fault
        Told what a call raised.
    """

    def __init__(self, document: Document, on_fault: Callable[[Exception], None]) -> None:
        self._document = document
        self._on_fault = on_fault
        self._loop = IOLoop.current()

    def __call__(self, call: Callable[[], None]) -> None:
        """Call a function soon; safe from any thread, and without effect once the session has ended."""
        self._loop.add_callback(self._take, call)

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        """Call a function when some time has passed; only from the thread of the loop."""
        self._loop.call_later(seconds, self._take, call)

    async def _take(self, call: Callable[[], None]) -> None:
        context = self._document.session_context
        if context is not None and not context.destroyed:
            await context.with_locked_document(partial(self._do, call))

    async def _do(self, call: Callable[[], None], document: Document) -> None:
        with set_curdoc(document), hold(document):
            try:
                call()
            except Exception as error:  # noqa: BLE001 -- the edge of a session: logged and told to the person
                self._on_fault(error)
