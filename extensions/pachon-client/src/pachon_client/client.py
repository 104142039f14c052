"""The client."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import TYPE_CHECKING, Any, Self, cast
from urllib.parse import quote

import numpy as np

from pachon_client.catalogue import list_functions, list_of, list_releases, session_address, session_token
from pachon_client.changes import follow_changes
from pachon_client.errors import AnswerError, RequestError, SetupError
from pachon_client.finding import list_queries, new_query, open_query
from pachon_client.jobs import Job, start_job
from pachon_client.models import Change, Execution, File, Function, QuerySummary, Release, Running, Table
from pachon_client.reading import read_result
from pachon_client.result import Result
from pachon_client.saved_query import Query
from pachon_client.saving import save
from pachon_client.transport import Transport
from pachon_client.uploading import upload_parts

if TYPE_CHECKING:
    import pyvo
    import requests

    from pachon_client.uploading import Sendable

_ARROW = "application/vnd.apache.arrow.stream"
_TILE_DEPTH = 8
_BASE_PIXELS = 12
_MAX_DENSITY_ORDER = 11


class Client:
    """A door to one platform; safe to use from several threads.

    Parameters
    ----------
    api_url
        Address of the Web APIs, such as `https://sky.example.org/api`; by default `PACHON_API_URL`.
    token
        A token of the platform; by default `JUPYTERHUB_API_TOKEN`. Without one, world-public data can be asked.
    timeout_s
        Longest silence of the server that is waited for.
    agent
        What this program calls itself; people see it in their history.

    Raises
    ------
    SetupError
        No address is known.
    """

    def __init__(
        self,
        api_url: str | None = None,
        token: str | None = None,
        *,
        timeout_s: float = 600.0,
        agent: str = "pachon-client",
    ) -> None:
        self.api_url = (api_url or session_address()).rstrip("/")
        self._token = token if token is not None else session_token()
        self._transport = Transport(self.api_url, self._token, timeout_s=timeout_s, agent=agent)

    def query(self, adql: str, max_rows: int | None = None, *, uploads: Mapping[str, Sendable] | None = None) -> Result:
        """Run an ADQL query and wait for its rows.

        Parameters
        ----------
        adql
            ADQL 2.1 text.
        max_rows
            Most rows to send; None leaves it to the server. `Result.overflow` says whether there were more.
        uploads
            Tables of your own by name, which the query reads as `TAP_UPLOAD.<name>`: paths of VOTable, FITS, CSV or
            Parquet files, results, or tables of Arrow, pandas or astropy. They are gone when the query has ended.

        Raises
        ------
        RequestError
            The query is wrong; the message has line and column.
        """
        form = _form(adql, max_rows)
        if not uploads:
            with self._transport.stream("POST", "tap/sync", data=form) as response:
                return read_result(response)
        with upload_parts(uploads) as (told, parts):
            sent = {**form, "UPLOAD": told}
            with self._transport.stream("POST", "tap/sync", data=sent, files=parts) as response:
                return read_result(response)

    def submit(self, adql: str, max_rows: int | None = None) -> Job:
        """Run an ADQL query as a job, for what takes long; it is not saved.

        Parameters
        ----------
        adql
            ADQL 2.1 text.
        max_rows
            Most rows to find; None leaves it to the server.
        """
        return start_job(self._transport, _form(adql, max_rows))

    def ask(self, adql: str, name: str = "", *, max_rows: int | None = None, **more: Any) -> Query:  # noqa: ANN401 -- members differ
        """Save a query and run it as a job; `Query.result` waits for its rows, which stay with it.

        Parameters
        ----------
        adql
            ADQL 2.1 text.
        name
            Default: the beginning of the text.
        max_rows
            Most rows to find; None leaves it to the server.
        more
            Any of `notes`, `tags`, `view` and `uploads`.

        Raises
        ------
        RequestError
            The query is wrong; the message has line and column.
        """
        return new_query(self._transport, {"adql": adql, "name": name, "max_rows": max_rows, "run": True, **more})

    def save(self, run: Result | Execution | str, name: str = "", **more: Any) -> Query:  # noqa: ANN401 -- members differ
        """Save what was run before, here or by any other program.

        Parameters
        ----------
        run
            A result of `query`, an entry of `executions`, or the id of an execution.
        name
            Default: the beginning of the text.
        more
            Any of `notes`, `tags` and `view`.

        Raises
        ------
        NotFoundError
            There is no such run of this person any more.
        """
        execution_id = run if isinstance(run, str) else run.execution_id if isinstance(run, Result) else run.id
        return new_query(self._transport, {"execution": execution_id, "name": name, **more})

    def open(self, query: str) -> Query:
        """A saved query by its id, or by a link of the Portal or of somebody who shares it.

        Raises
        ------
        NotFoundError
            There is none that this token may see.
        """
        return open_query(self._transport, query)

    def queries(self, text: str = "", *, limit: int = 50, **conditions: str) -> tuple[QuerySummary, ...]:
        """Saved queries of this person and those shared with them, newest change first.

        Parameters
        ----------
        text
            Words in name, tags, notes or ADQL; the last may be a beginning.
        conditions
            Any of `name` (the whole name), `whose` (`mine` or `shared`), `release`, `tag`, `state`, `since` and `until`
            (ISO 8601).
        """
        given = {"text": text, **conditions} if text else conditions
        return list_queries(self._transport, limit, given)

    def running(self) -> tuple[Running, ...]:
        """What waits or executes of this person, from any program, newest first."""
        return tuple(Running.from_json(job) for job in list_of(self._transport, "queries/running", "running"))

    def changes(self, address: str = "", *, after: str = "") -> Iterator[Change]:
        """What changes, as it happens: saved queries that this person may see, their jobs and their runs.

        Ends when the platform ends it, and with an error when the connection is lost; `close` from another thread ends
        it too. The first change tells that the connection is there.

        Parameters
        ----------
        address
            Of a query that is public or opened by a link (`?q=<id>&link=<token>`): its changes are told as well.
        after
            `Change.id` of the last one that was heard before: what came since is told first.

        Raises
        ------
        AuthenticationError
            This token is not valid (any more).
        NotFoundError
            There is no query at that address.
        """
        return follow_changes(self._transport, address, after)

    def cone(self, table: str, ra_deg: float, dec_deg: float, radius_deg: float, max_rows: int | None = None) -> Result:
        """Rows within a radius of a position, by Simple Cone Search.

        Parameters
        ----------
        table
            Qualified name.
        ra_deg, dec_deg
            Centre, ICRS, degrees.
        radius_deg
            Radius, degrees.
        max_rows
            Most rows to send; None leaves it to the server. `Result.overflow` says whether there were more.

        Raises
        ------
        RequestError
            No such table, or a number is out of range.
        """
        params: dict[str, str | int] = {"RA": repr(float(ra_deg)), "DEC": repr(float(dec_deg))}
        params |= {"SR": repr(float(radius_deg)), "VERB": 3, "RESPONSEFORMAT": _ARROW}
        if max_rows is not None:
            params["MAXREC"] = max_rows
        with self._transport.stream("GET", f"scs/{table}", params=params) as response:
            return read_result(response)

    def releases(self) -> tuple[Release, ...]:
        """Releases this token may see, with their tables and columns."""
        return list_releases(self._transport)

    def release(self, release_id: str) -> Release:
        """One release, with its tables and columns.

        Raises
        ------
        NotFoundError
            There is none that this token may see.
        """
        response = self._transport.get(f"releases/{quote(release_id, safe='')}")
        try:
            return Release.from_json(response.json())
        except (ValueError, TypeError) as error:
            raise AnswerError(f"The answer of {response.url} is not a release.") from error

    def files(self, release_id: str, under: str = "") -> tuple[File, ...]:
        """The files of a release, sorted by path.

        Parameters
        ----------
        release_id
            Which release.
        under
            Only what is in this folder of the release, such as `tables/stars`.

        Raises
        ------
        NotFoundError
            There is no release that this token may see.
        """
        entries = list_of(
            self._transport, f"releases/{quote(release_id, safe='')}/files", "files", params={"under": under}
        )
        return tuple(File.from_json(file) for file in entries)

    def download(self, release_id: str, path: str, folder: str | Path = ".") -> Path:
        """Download one file of a release and verify its digest; `pachon release mirror` brings many and resumes.

        Parameters
        ----------
        release_id, path
            The file, as `files` names it.
        folder
            Where to put it, under its own name.

        Returns
        -------
        Path
            The file, complete.

        Raises
        ------
        NotFoundError
            There is no such file that this token may see.
        AnswerError
            The bytes are not those of the file.
        """
        address = f"releases/{quote(release_id, safe='')}/files/{quote(path)}"
        with self._transport.stream("GET", address) as response:
            return save(response, Path(folder) / PurePosixPath(path).name)

    def tables(self) -> tuple[Table, ...]:
        """Tables of all releases this token may see."""
        return tuple(table for release in self.releases() for table in release.tables)

    def functions(self) -> tuple[Function, ...]:
        """Functions of this platform beside those of the ADQL standard."""
        return list_functions(self._transport)

    def executions(self, limit: int = 50) -> tuple[Execution, ...]:
        """Runs of queries that the platform remembers of this person, newest first; at most `limit`, 1 to 500."""
        listed = list_of(self._transport, "queries/executions", "executions", params={"limit": limit})
        return tuple(Execution.from_json(execution) for execution in listed)

    def tile(self, table: str, order: int, pixel: int) -> np.ndarray:
        """Row counts inside one HEALPix pixel.

        Parameters
        ----------
        table
            Qualified name.
        order, pixel
            The pixel, NESTED numbering; order 0 to 12.

        Returns
        -------
        ndarray
            Shape (65536,): counts of its nested children at order + 8, unsigned.
        """
        response = self._transport.get(f"tiles/{table}", params={"order": order, "pixel": pixel})
        try:
            counts = np.load(io.BytesIO(response.content), allow_pickle=False)
        except ValueError as error:
            raise AnswerError(f"The answer of {response.url} is not a NumPy array: {error}.") from error
        return np.asarray(counts)

    def density(self, table: str, order: int) -> np.ndarray:
        """Row counts over the whole sky.

        Parameters
        ----------
        table
            Qualified name.
        order
            HEALPix order, 0 to 11; beyond 8 it takes 12 * 4**(order - 8) requests.

        Returns
        -------
        ndarray
            Shape (12 * 4**order,), NESTED numbering, unsigned.
        """
        if not 0 <= order <= _MAX_DENSITY_ORDER:
            raise RequestError(f"order is {order}; it may be 0 to {_MAX_DENSITY_ORDER}.")
        tile_order = max(0, order - _TILE_DEPTH)
        merged = 4 ** (tile_order + _TILE_DEPTH - order)
        tiles = (self.tile(table, tile_order, pixel) for pixel in range(_BASE_PIXELS * 4**tile_order))
        return np.concatenate([tile.reshape(-1, merged).sum(axis=1, dtype=np.uint64) for tile in tiles])

    def tap(self) -> pyvo.dal.TAPService:
        """A pyvo TAPService whose session carries the token."""
        return _pyvo().dal.TAPService(f"{self.api_url}/tap", session=self._session())

    def scs(self, table: str) -> pyvo.dal.SCSService:
        """A pyvo SCSService over one table, whose session carries the token."""
        return _pyvo().dal.SCSService(f"{self.api_url}/scs/{table}", session=self._session())

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Client of {self.api_url}{'' if self._token else ', anonymous'}>"

    def _session(self) -> requests.Session:
        session: requests.Session = _pyvo().utils.http.create_session()
        if self._token:
            session.headers["Authorization"] = f"Bearer {self._token}"
        return session


def _form(adql: str, max_rows: int | None) -> dict[str, str]:
    form = {"REQUEST": "doQuery", "LANG": "ADQL", "QUERY": adql, "RESPONSEFORMAT": _ARROW}
    return form if max_rows is None else {**form, "MAXREC": str(max_rows)}


def _pyvo() -> ModuleType:
    try:
        import pyvo  # noqa: PLC0415 -- optional
    except ImportError as error:
        raise SetupError("This needs pyvo: pip install pachon-client[pyvo].") from error
    return cast("ModuleType", pyvo)
