"""Hears what changes at the platform and tells all pages that a person has open.

There is one stream of events for a person, with their own token, however many pages they have open: so the platform
itself decides what they may hear of, and the Portal needs no rights of its own. Pages opened by a link have one more,
for that link.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING

from pachon_client import AuthenticationError, Change, ForbiddenError, NotFoundError, PachonClientError

if TYPE_CHECKING:
    from pachon.portal.pages import OpenSource
    from pachon.portal.state import Person, Source

_LOGGER = logging.getLogger(__name__)
_MOST_STREAMS = 2_000
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0
_REFUSALS = (AuthenticationError, ForbiddenError, NotFoundError)

LOST = Change(kind="lost")
"""Told when nothing will be heard any more: the login has ended, or what a link opened is there no more."""

Tell = Callable[[Change], None]
Key = tuple[str, str]


class Hearing:
    """All streams of one process; safe to use from many threads.

    Parameters
    ----------
    open_source
        Opens a connection to the platform with a token.
    most
        How many streams there may be; people beyond that see changes when they load a page.
    """

    def __init__(self, open_source: OpenSource, *, most: int = _MOST_STREAMS) -> None:
        self._open_source, self._most = open_source, most
        self._streams: dict[Key, _Stream] = {}
        self._turn = threading.Lock()

    def subscribe(self, person: Person, tell: Tell, *, address: str = "") -> Callable[[], None]:
        """Have changes told, from a thread, until the function that is returned is called.

        Parameters
        ----------
        address
            Of a query that is public or opened by a link, whose changes are to be told as well.
        """
        key = (person.key, address)
        with self._turn:
            stream = self._streams.get(key)
            if stream is None:
                if len(self._streams) >= self._most:
                    _LOGGER.warning("Changes are not told to %s: there are %d streams already", person.name, self._most)
                    return _nothing
                stream = self._streams[key] = _Stream(lambda: self._open_source(person.token), address)
            stream.tellers.append(tell)
        return lambda: self._leave(key, stream, tell)

    def _leave(self, key: Key, stream: _Stream, tell: Tell) -> None:
        with self._turn:
            if tell in stream.tellers:
                stream.tellers.remove(tell)
            if stream.tellers or self._streams.get(key) is not stream:
                return
            del self._streams[key]
        stream.close()


class _Stream:
    """One stream of events: a thread that waits for them, and comes back after an interruption."""

    def __init__(self, open_source: Callable[[], Source], address: str) -> None:
        self.tellers: list[Tell] = []
        self._open_source, self._address = open_source, address
        self._ended = threading.Event()
        self._source: Source | None = None
        threading.Thread(target=self._listen, name="portal-hearing", daemon=True).start()

    def close(self) -> None:
        """Hear no more; does not wait."""
        self._ended.set()
        if (source := self._source) is not None:
            source.close()

    def _listen(self) -> None:
        pause_s, after = _FIRST_PAUSE_S, ""
        while not self._ended.is_set():
            try:
                with closing(self._open_source()) as source:
                    self._source = source
                    if self._ended.is_set():
                        return
                    for change in source.changes(self._address, after=after):
                        pause_s, after = _FIRST_PAUSE_S, change.id or after
                        self._tell(change)
                        if self._ended.is_set():
                            return
            except _REFUSALS as error:
                _LOGGER.info("A stream of changes has ended: %s", error)
                self._tell(LOST)
                return
            except PachonClientError as error:
                if not self._ended.is_set():
                    _LOGGER.info("A stream of changes was interrupted: %s", error)
            self._ended.wait(pause_s)
            pause_s = min(_LONGEST_PAUSE_S, 2 * pause_s)

    def _tell(self, change: Change) -> None:
        for tell in tuple(self.tellers):
            tell(change)


def _nothing() -> None:
    """For those who are told nothing."""
