"""Tables, columns and functions of a platform, fetched behind the back of who types."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

from pachon_client.models import Function, Table

_LOG = logging.getLogger(__name__)
_FRESH_S, _RETRY_S = 600.0, 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """What a query of this person can be made of; names of tables are qualified."""

    tables: tuple[Table, ...] = ()
    functions: tuple[Function, ...] = ()


class VocabularyShelf:
    """Keeps the vocabulary: who asks waits a moment, then gets what is there; an old one is renewed meanwhile.

    A platform that cannot be reached is no error here: it is asked again later.

    Parameters
    ----------
    fetch
        Asks the platform; called in a thread of its own.
    now
        Seconds that never go back.
    """

    def __init__(self, fetch: Callable[[], Vocabulary], now: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._now = now
        self._lock = threading.Lock()
        self._held = Vocabulary()
        self._next_s = float("-inf")
        self._thread: threading.Thread | None = None

    def get(self, *, patience_s: float) -> Vocabulary:
        """What is known; empty if nothing came within `patience_s`."""
        with self._lock:
            if self._thread is None and self._now() >= self._next_s:
                self._thread = threading.Thread(target=self._renew, name="pachon-vocabulary", daemon=True)
                self._thread.start()
            thread, held = self._thread, self._held
        if thread is None or held.tables:
            return held
        thread.join(patience_s)
        return self._held

    def _renew(self) -> None:
        wait_s = _RETRY_S
        try:
            self._held = self._fetch()
            wait_s = _FRESH_S
        except Exception:  # noqa: BLE001 -- the edge of a thread: nobody asked for anything that failed
            _LOG.debug("there are no words to offer yet", exc_info=True)
        finally:
            with self._lock:
                self._next_s, self._thread = self._now() + wait_s, None


def fetch_vocabulary() -> Vocabulary:
    """Ask the platform of this session."""
    from pachon_client.catalogue import (  # noqa: PLC0415 -- HTTP takes longer to import than a completion may take
        list_functions,
        list_releases,
        session_address,
        session_token,
    )
    from pachon_client.transport import Transport  # noqa: PLC0415

    address = session_address().rstrip("/")
    with closing(Transport(address, session_token(), timeout_s=_RETRY_S, agent="pachon-client (completion)")) as asked:
        tables = (table for release in list_releases(asked) for table in release.tables)
        return Vocabulary(tables=tuple(tables), functions=list_functions(asked))
