"""The cell magic `%%adql`: a query in a notebook, its rows in a variable, mistakes pointed at."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable
from typing import Any, NoReturn

from IPython.core.error import UsageError
from IPython.display import display

from pachon_client.adql_text import pointed, qualify
from pachon_client.client import Client
from pachon_client.errors import PachonClientError
from pachon_client.jobs import Job
from pachon_client.paged_table import PagedTable
from pachon_client.result import Result
from pachon_client.saved_query import Query

_DEFAULT_VARIABLE = "result"
_display: Callable[..., Any] = display


class AdqlMagic:
    """Runs cells of ADQL as the person whose session this is.

    Parameters
    ----------
    shell
        IPython's shell: rows are bound in its namespace.
    client
        Whom to ask; None makes one from the environment when the first cell runs.
    """

    def __init__(self, shell: Any, client: Client | None = None) -> None:  # noqa: ANN401 -- IPython is untyped here
        self._shell = shell
        self._client = client
        self._tables: dict[str, tuple[str, ...]] = {}
        self.parser = _parser()

    def adql(self, line: str, cell: str) -> None:
        """Run the ADQL query of a cell; `%%adql --help` lists the options."""
        options = self.parser.parse_args(_words(line))
        if options.help:
            print(self.parser.format_help())  # noqa: T201 -- the answer to --help
            return
        if not cell.strip():
            raise UsageError("There is nothing below %%adql in this cell: write the query there.")
        variable = options.to or (options.name if (options.name or "").isidentifier() else _DEFAULT_VARIABLE)
        if not variable.isidentifier():
            raise UsageError(f"--to is {variable!r}; it must be a name of Python.")
        text = cell
        try:
            text = self._qualified(cell, options.release)
            result, query = self._run(text, options)
        except PachonClientError as error:
            raise UsageError(pointed(str(error), text)) from None
        self._shell.user_ns[variable] = result
        caption = f"Rows are in {variable}"
        if query is not None:
            self._shell.user_ns[f"{variable}_query"] = query
            caption = f"{caption}, the saved query {query.name!r} (version {query.version}) in {variable}_query"
        _display(PagedTable(result, f"{caption}."))

    @property
    def client(self) -> Client:
        """Whom to ask."""
        if self._client is None:
            self._client = Client(agent="pachon-client (adql magic)")
        return self._client

    def _qualified(self, cell: str, release: str | None) -> str:
        if release is None:
            return cell
        if release not in self._tables:
            self._tables[release] = tuple(table.name for table in self.client.release(release).tables)
        return qualify(cell, release, self._tables[release])

    def _run(self, text: str, options: Any) -> tuple[Result, Query | None]:  # noqa: ANN401 -- argparse.Namespace
        run: Query | Job | None = None
        try:
            if options.name:
                run = query = _saved(self.client, options.name, text, max_rows=options.maxrec)
                return query.wait().result(), query
            if options.as_job:
                run = job = self.client.submit(text, options.maxrec)
                return job.wait().result(), None
            return self.client.query(text, options.maxrec), None
        except KeyboardInterrupt:
            if run is None:
                raise UsageError("Interrupted: there are no rows.") from None
            run.abort()
            raise UsageError("Interrupted: the job was aborted on the server, there are no rows.") from None


class _Parser(argparse.ArgumentParser):
    """Says what is wrong with the options of a cell; the process of the kernel stays."""

    def error(self, message: str) -> NoReturn:
        """Raise what IPython shows as one line."""
        raise UsageError(f"{message}; %%adql --help lists the options.")


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError as error:
        raise UsageError(f"The options of %%adql cannot be read: {error}.") from None


def _parser() -> _Parser:
    parser = _Parser(prog="%%adql", description="Run the ADQL query below.", add_help=False, allow_abbrev=False)
    parser.add_argument("--name", help="Save it as a query of this name, with its rows; again makes a version.")
    parser.add_argument("--to", help=f"Variable for the rows. Default: the name, else {_DEFAULT_VARIABLE!r}.")
    parser.add_argument("--release", help="Release of the tables that are named without one.")
    parser.add_argument("--maxrec", type=int, help="Most rows to find. Default: the server's.")
    parser.add_argument("--async", dest="as_job", action="store_true", help="As a job; for what takes long.")
    parser.add_argument("-h", "--help", action="store_true", help="Show this.")
    return parser


def _saved(client: Client, name: str, adql: str, *, max_rows: int | None) -> Query:
    """The query of this person with this name, running: a new one, or the next version of the one there is."""
    known = client.queries(name=name, whose="mine", limit=1)
    if not known:
        return client.ask(adql, name, max_rows=max_rows)
    query = client.open(known[0].id)
    if (query.adql, query.max_rows) != (adql, max_rows):
        query.edit(adql=adql, max_rows=max_rows)
    return query.run()
