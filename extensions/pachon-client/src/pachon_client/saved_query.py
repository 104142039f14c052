"""Saved queries: named, versioned, shared with people, groups or by a link, with rows that are kept."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Self
from urllib.parse import quote

from pachon_client.conditions import condition_of
from pachon_client.documents import ask, exchange
from pachon_client.errors import RequestError, StaleError
from pachon_client.jobs import abort_job
from pachon_client.models import Difference, QueryVersion, Share
from pachon_client.reading import read_result
from pachon_client.result import Result
from pachon_client.showing import PortalPage, portal_page
from pachon_client.snippets import snippets
from pachon_client.transport import Transport
from pachon_client.view import View
from pachon_client.waiting import OVER, Changes, Progress, wait

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
        """Rows of the newest version; None if there are none or this token may not know."""
        count = (self._current.get("former_run") or self._current["run"] or {}).get("row_count")
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
        """Address that opens it in the Portal; with the token of the link that it was opened by, if it was."""
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
        """Wait until its run has ended; an interrupt (Ctrl-C) stops the run, if it is one's own.

        Parameters
        ----------
        timeout_s
            How long to wait; None for as long as it takes.
        on_change
            Called with each new state; by default the state, the place in line and the expected end are shown.

        Raises
        ------
        UnavailableError
            It still runs after that time, or the platform has not answered for a minute.
        """
        tell = Progress(self._transport, self._job_id) if on_change is None else Changes(self, on_change)
        what = f"Query {self.id}"
        wait(self.state, lambda: self.refresh().state, tell=tell, stop=self.abort, what=what, timeout_s=timeout_s)
        return self

    def result(
        self,
        *,
        shown: bool = False,
        columns: Sequence[str] | None = None,
        limit: int | None = None,
        offset: int = 0,
        version: int | None = None,
        places: bool = False,
    ) -> Result:
        """Rows, by the Arrow road; waits for a run under way, and warns if that brought none and these are older.

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
        places
            Whether to begin with a column `row place`: the place of each row in the whole result, from 0.

        Raises
        ------
        NotFoundError
            There are no rows; the message says why, and what to do.
        ForbiddenError
            This token may not read what they were made from.
        """
        if version is None:
            self.wait()
            if self._current.get("former_run") is not None:
                warnings.warn(self._current["result"]["reason"], stacklevel=2)
        params: dict[str, str | int] = {"RESPONSEFORMAT": _ARROW, "offset": offset, "version": version or self.version}
        params |= {name: "true" for name, wanted in (("shown", shown), ("places", places)) if wanted}
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
        try:
            return self._reread(self._send("PATCH", body=body, headers={"If-Match": self._etag}))
        except StaleError as error:
            happened = str(error).partition(";")[0]
            raise StaleError(f"{happened}; refresh() reads it, keep_both=True keeps both as versions.") from None

    def note(self, text: str) -> Self:
        """Add a paragraph to its notes."""
        return self.edit(notes=f"{self.notes}\n\n{text}".strip())

    def run(self) -> Self:
        """Run the newest version; `wait` or `result` wait for its end."""
        self._send("POST", "/run", body={})
        return self.refresh()

    def abort(self) -> Self:
        """Stop its run, if it is one's own; one that has ended stays as it is."""
        if self.state not in OVER and self._job_id:
            abort_job(self._transport, self._job_id)
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
            page = ask(self._transport, "GET", f"{self._path}/versions", params=params | self._token())
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
        return Difference.from_json(ask(self._transport, "GET", f"{self._path}/diff", params=params | self._token()))

    def fork(self) -> Query:
        """A copy of one's own."""
        return Query(self._transport, *exchange(self._transport, "POST", f"{self._path}/fork", params=self._token()))

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
        return Share.from_json(self._send("POST", "/shares", body=body)[0])

    def shares(self) -> tuple[Share, ...]:
        """With whom it is shared; for its owner."""
        listed = self._send("GET", "/shares")[0]["shares"]
        return tuple(Share.from_json(share) for share in listed)

    def unshare(self, share: Share) -> None:
        """Share it no longer."""
        self._transport.request("DELETE", f"{self._path}/shares/{share.id}", params=self._token())

    def delete(self) -> None:
        """Delete it with all versions and rows."""
        self._transport.request("DELETE", self._path, params=self._token())

    def show(self) -> PortalPage:
        """The Portal with this query, its rows and its view: a link, in labs the page itself below it."""
        return portal_page(self.name, self.portal_url)

    def as_python(self) -> str:
        """Lines of Python that open it and read the rows as shown."""
        return self._snippets()["python"]

    def as_pyvo(self) -> str:
        """Lines of Python that ask the same by pyvo, here or elsewhere."""
        return self._snippets()["pyvo"]

    def as_topcat(self) -> str:
        """What to enter in TOPCAT, and a line for STILTS."""
        return self._snippets()["topcat"]

    def __repr__(self) -> str:
        return f"<Query {self.name!r}, version {self.version}, {self.state}: {self.id}>"

    @property
    def _path(self) -> str:
        return f"queries/{quote(self.id, safe='')}"

    @property
    def _current(self) -> Mapping[str, Any]:
        current: Mapping[str, Any] = self.document["current"]
        return current

    @property
    def _job_id(self) -> str:
        """Of the newest version's run; empty without one, and of runs of others."""
        return (self._current["run"] or {}).get("job") or ""

    def _snippets(self) -> dict[str, str]:
        return snippets(self.document, self._transport.api_url, self.portal_url if self._link else self.id)

    def _token(self) -> dict[str, str | int]:
        return {"link": self._link} if self._link else {}

    def _send(
        self, method: str, leaf: str = "", *, body: object = None, headers: Mapping[str, str] | None = None
    ) -> tuple[Mapping[str, Any], str]:
        path = f"{self._path}{leaf}"
        return exchange(self._transport, method, path, params=self._token(), body=body, headers=headers)

    def _reread(self, answer: tuple[Mapping[str, Any], str]) -> Self:
        self._take(*answer)
        return self

    def _take(self, document: Mapping[str, Any], etag: str) -> None:
        self.document = document
        self._etag = etag
