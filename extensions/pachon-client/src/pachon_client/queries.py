"""Saved queries: named, versioned, shared with people, groups or by a link, with rows that are kept."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Self
from urllib.parse import parse_qs, quote, urlsplit

from pachon_client.conditions import condition_of
from pachon_client.errors import AnswerError, RequestError, UnavailableError
from pachon_client.jobs import abort_job
from pachon_client.models import Difference, QuerySummary, QueryVersion, Share
from pachon_client.reading import read_result
from pachon_client.result import Result
from pachon_client.transport import Transport
from pachon_client.view import View

_ID = re.compile(r"(?<![0-9a-z])[0-9a-hjkmnp-tv-z]{26}(?![0-9a-z])")
_OVER = frozenset({"DRAFT", "COMPLETED", "ERROR", "ABORTED"})
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 2.0
_PAGE = 200
_ARROW = "arrow"


class Query:
    """A saved query, as it was when it was read last; `refresh` reads it again.

    Every change makes a version, nothing is overwritten. Changes of others since it was read are refused with a
    `StaleError`, unless both are to be kept.
    """

    def __init__(self, transport: Transport, document: Mapping[str, Any], etag: str, *, link: str = "") -> None:
        self._transport = transport
        self._link = link
        self._take(document, etag)

    @property
    def id(self) -> str:
        """Stable identifier."""
        return str(self.document["id"])

    @property
    def name(self) -> str:
        """Name."""
        return str(self._current["name"])

    @property
    def adql(self) -> str:
        """ADQL of the newest version."""
        return str(self._current["adql"])

    @property
    def notes(self) -> str:
        """What people noted."""
        return str(self._current["notes"])

    @property
    def tags(self) -> tuple[str, ...]:
        """Tags."""
        return tuple(self._current["tags"])

    @property
    def owner(self) -> str:
        """Whose it is."""
        return str(self.document["owner"])

    @property
    def version(self) -> int:
        """Number of the newest version."""
        return int(self._current["number"])

    @property
    def state(self) -> str:
        """`DRAFT` if the newest version was never run, else the phase of its run."""
        return str(self.document["state"])

    @property
    def row_count(self) -> int | None:
        """Rows that the run of the newest version found; None if there are none or this token may not know."""
        count = (self._current["run"] or {}).get("row_count")
        return None if count is None else int(count)

    @property
    def max_rows(self) -> int | None:
        """Most rows that a run of the newest version finds; None leaves it to the server."""
        limit = self._current["max_rows"]
        return None if limit is None else int(limit)

    @property
    def citation(self) -> str:
        """Identifier of the newest version, to be cited."""
        return str(self._current["citation"])

    @property
    def portal_url(self) -> str:
        """Address that opens it in the Portal."""
        return str(self.document["links"]["portal"])

    @property
    def view(self) -> View:
        """What was done with the rows: columns shown, filters, selection, plots, place on the sky."""
        return View(self._current["view"] or {})

    def condition(self) -> str:
        """Filters and selection of its view as ADQL, on the columns of its result; empty if all rows are shown.

        Raises
        ------
        RequestError
            ADQL has no words for it, such as for a polygon in the plane of two columns.
        """
        return condition_of(self.view.document, self.result(limit=1).columns)

    def refresh(self) -> Self:
        """Read it again."""
        return self._reread(self._send("GET"))

    def wait(self, timeout_s: float | None = None, *, on_change: Callable[[Query], None] | None = None) -> Self:
        """Wait until its run has ended.

        Parameters
        ----------
        timeout_s
            How long to wait; None for as long as it takes.
        on_change
            Called with each new state; by default progress is written to the standard error.

        Raises
        ------
        UnavailableError
            It still runs after that time.
        """
        told = on_change or _Progress()
        started_s, pause_s, state = time.monotonic(), _FIRST_PAUSE_S, ""
        while True:
            if self.state != state:
                state = self.state
                told(self)
            if state in _OVER:
                return self
            if timeout_s is not None and time.monotonic() - started_s > timeout_s:
                raise UnavailableError(f"Query {self.id} is still {state} after {timeout_s:g} s.")
            time.sleep(pause_s)
            pause_s = min(_LONGEST_PAUSE_S, pause_s * 1.5)
            self.refresh()

    def result(
        self,
        *,
        shown: bool = False,
        columns: Sequence[str] | None = None,
        limit: int | None = None,
        offset: int = 0,
        version: int | None = None,
    ) -> Result:
        """Rows, by the Arrow road; waits for a run under way.

        Parameters
        ----------
        shown
            Only the rows that the view state shows: those that pass its filters and are inside its selection.
        columns
            Names of the columns wanted; None for all.
        limit, offset
            A part of the rows; None for all.
        version
            Number of a version; None for the newest.

        Raises
        ------
        NotFoundError
            There are no rows; the message says why, and what to do.
        ForbiddenError
            This token may not read what they were made from.
        """
        if version is None:
            self.wait(on_change=_say_nothing if self.state in _OVER else None)
        params: dict[str, str | int] = {"RESPONSEFORMAT": _ARROW, "offset": offset, "version": version or self.version}
        params |= {"shown": "true"} if shown else {}
        params |= {"columns": ",".join(columns)} if columns is not None else {}
        params |= {"limit": limit} if limit is not None else {}
        with self._transport.stream("GET", f"{self._path}/result", params=params | self._token()) as response:
            return read_result(response)

    def edit(self, *, note: str = "", keep_both: bool = False, **changes: Any) -> Self:  # noqa: ANN401 -- members differ
        """Change it: makes a version.

        Parameters
        ----------
        note
            What to say of this change.
        keep_both
            Whether to keep this change as a version too if others were quicker.
        changes
            Any of `name`, `adql`, `notes`, `tags`, `view`, `max_rows`, `form` and `uploads`.

        Raises
        ------
        StaleError
            Others changed it since it was read; `refresh` shows how.
        """
        view = changes.get("view")
        changes |= {"view": dict(view.document)} if isinstance(view, View) else {}
        body = {**changes, "note": note, "conflict": "keep" if keep_both else "refuse"}
        return self._reread(self._send("PATCH", body=body, headers={"If-Match": self._etag}))

    def note(self, text: str) -> Self:
        """Add a paragraph to its notes."""
        return self.edit(notes=f"{self.notes}\n\n{text}".strip())

    def run(self) -> Self:
        """Run the newest version; `wait` or `result` wait for its end."""
        self._send("POST", "/run", body={})
        return self.refresh()

    def abort(self) -> Self:
        """Stop its run, if it is one's own; one that has ended stays as it is."""
        if self.state not in _OVER and (job_id := (self._current["run"] or {}).get("job")):
            abort_job(self._transport, job_id)
        return self.refresh()

    def rerun(self, release: str, *, instead_of: str | None = None) -> Self:
        """Ask another release: a version whose text names it, and its run.

        Parameters
        ----------
        release
            Id of the other release.
        instead_of
            Which release to replace, if the text names several.

        Raises
        ------
        RequestError
            The other release lacks a table or column; the message names all.
        """
        body = {"release": release} | ({"from": instead_of} if instead_of else {})
        self._send("POST", "/run", body=body)
        return self.refresh()

    def versions(self) -> tuple[QueryVersion, ...]:
        """All versions, newest first."""
        found: list[QueryVersion] = []
        params: dict[str, str | int] = {"limit": _PAGE}
        while True:
            page = _json(self._transport, "GET", f"{self._path}/versions", params=params | self._token())
            found += [QueryVersion.from_json(version) for version in page["versions"]]
            if page["next_before"] is None:
                return tuple(found)
            params["before"] = page["next_before"]

    def restore(self, version: int) -> Self:
        """Make a former version the newest again, as a new one."""
        return self._reread(self._send("POST", f"/versions/{version}/restore"))

    def diff(self, old: int, new: int | None = None, *, key: str | None = None) -> Difference:
        """What differs between the rows of two versions.

        Parameters
        ----------
        old, new
            Numbers of versions; None for the newest.
        key
            Column that tells rows apart; None for the identifier.
        """
        params: dict[str, str | int] = {"from": old, "to": new or self.version}
        params |= {"key": key} if key else {}
        return Difference.from_json(_json(self._transport, "GET", f"{self._path}/diff", params=params | self._token()))

    def fork(self) -> Query:
        """A copy of one's own."""
        return _query(self._transport, *_sent(self._transport, "POST", f"{self._path}/fork", params=self._token()))

    def share(
        self,
        *,
        person: str | None = None,
        group: str | None = None,
        public: bool = False,
        may_edit: bool = False,
        expires_at: datetime | None = None,
    ) -> Share:
        """Share it with a person, a group of one's own or everybody; with none of these by a link.

        Whoever sees a query sees its rows only if they may read the releases that it read.

        Parameters
        ----------
        may_edit
            Whether they may change and run it; people and groups only.
        expires_at
            Until when, with a time zone; None for ever.

        Returns
        -------
        Share
            Of a link with the `address` to send, which is told only now.
        """
        given = {"person": person, "group": group, "public": "" if public else None}
        chosen = [(audience, who) for audience, who in given.items() if who is not None] or [("link", "")]
        if len(chosen) > 1:
            raise RequestError("Give one of person, group and public.")
        ((audience, who),) = chosen
        body = {"audience": audience, "who": who, "may_edit": may_edit}
        body |= {"expires_at": expires_at.isoformat()} if expires_at else {}
        return Share.from_json(_json(self._transport, "POST", f"{self._path}/shares", body=body))

    def shares(self) -> tuple[Share, ...]:
        """With whom it is shared; for its owner."""
        listed = _json(self._transport, "GET", f"{self._path}/shares")["shares"]
        return tuple(Share.from_json(share) for share in listed)

    def unshare(self, share: Share) -> None:
        """Share it no longer."""
        self._transport.request("DELETE", f"{self._path}/shares/{share.id}")

    def delete(self) -> None:
        """Delete it with all versions and rows."""
        self._transport.request("DELETE", self._path)

    def __repr__(self) -> str:
        return f"<Query {self.name!r}, version {self.version}, {self.state}: {self.id}>"

    @property
    def _path(self) -> str:
        return f"queries/{quote(self.id, safe='')}"

    @property
    def _current(self) -> Mapping[str, Any]:
        current: Mapping[str, Any] = self.document["current"]
        return current

    def _token(self) -> dict[str, str | int]:
        return {"link": self._link} if self._link else {}

    def _send(
        self, method: str, leaf: str = "", *, body: object = None, headers: Mapping[str, str] | None = None
    ) -> tuple[Mapping[str, Any], str]:
        path = f"{self._path}{leaf}"
        return _sent(self._transport, method, path, params=self._token(), body=body, headers=headers)

    def _reread(self, answer: tuple[Mapping[str, Any], str]) -> Self:
        self._take(*answer)
        return self

    def _take(self, document: Mapping[str, Any], etag: str) -> None:
        self.document = document
        self._etag = etag


def new_query(transport: Transport, given: Mapping[str, Any]) -> Query:
    """Save a query."""
    return _query(transport, *_sent(transport, "POST", "queries", body=given))


def open_query(transport: Transport, address: str) -> Query:
    """Open a query by its id, or by an address that has it."""
    found = _ID.search(address)
    if found is None:
        raise RequestError(f"'{address[:80]}' is neither the id of a query nor a link to one.")
    link = parse_qs(urlsplit(address).query).get("link", [""])[0]
    params: dict[str, str | int] = {"link": link} if link else {}
    return Query(transport, *_sent(transport, "GET", f"queries/{found.group()}", params=params), link=link)


def list_queries(transport: Transport, limit: int, conditions: Mapping[str, str]) -> tuple[QuerySummary, ...]:
    """At most `limit` queries, newest change first."""
    found: list[QuerySummary] = []
    params: dict[str, str | int] = dict(conditions)
    while len(found) < limit:
        page = _json(transport, "GET", "queries", params=params | {"limit": min(_PAGE, limit - len(found))})
        found += [QuerySummary.from_json(query) for query in page["queries"]]
        if page["next_before"] is None:
            break
        params["before"] = page["next_before"]
    return tuple(found)


def _query(transport: Transport, document: Mapping[str, Any], etag: str) -> Query:
    return Query(transport, document, etag)


def _sent(
    transport: Transport,
    method: str,
    path: str,
    *,
    params: Mapping[str, str | int] | None = None,
    body: object = None,
    headers: Mapping[str, str] | None = None,
) -> tuple[Mapping[str, Any], str]:
    response = transport.request(method, path, params=params, body=body, headers=headers)
    try:
        document: Mapping[str, Any] = json.loads(response.content)
    except ValueError as error:
        raise AnswerError(f"The answer of {response.url} is no JSON.") from error
    return document, response.headers.get("ETag", "")


def _json(
    transport: Transport,
    method: str,
    path: str,
    *,
    params: Mapping[str, str | int] | None = None,
    body: object = None,
) -> Mapping[str, Any]:
    return _sent(transport, method, path, params=params, body=body)[0]


class _Progress:
    """Writes each state with the seconds since the first."""

    def __init__(self) -> None:
        self._started_s = time.monotonic()

    def __call__(self, query: Query) -> None:
        passed_s = time.monotonic() - self._started_s
        sys.stderr.write(f"{query.name}: {query.state} after {passed_s:.1f} s\n")


def _say_nothing(_query: Query) -> None:
    """For runs that have ended."""
