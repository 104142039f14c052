"""Saved queries as the lab shows, makes and runs them: everything is asked of the platform."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from pachon_client.adql_text import qualify
from pachon_client.snippets import snippets
from pachon_lab.cells import Options
from pachon_lab.errors import LabError
from pachon_lab.web_api import Params, WebApi

_LISTED = 50
_HAS_ROWS_OR_WILL = frozenset({"QUEUED", "EXECUTING", "COMPLETED"})
_GONE = frozenset({403, 404})

Document = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tie:
    """The query that a cell was sent as before, and the version that its author saw."""

    query_id: str
    version: int


class QueryService:
    """What the front end asks for.

    Parameters
    ----------
    api
        The platform.
    """

    def __init__(self, api: WebApi) -> None:
        self._api = api

    async def panel(self, text: str) -> Document:
        """What the panel shows: `running`, `mine`, `shared` and `runs`, each newest first.

        Parameters
        ----------
        text
            Words to search for; then `runs`, which have no name, are left out.
        """
        found = [("text", text), ("limit", str(_LISTED))]
        mine, shared, running, runs = await asyncio.gather(
            self._list("queries", "queries", [*found, ("whose", "mine")]),
            self._list("queries", "queries", [*found, ("whose", "shared")]),
            self._list("queries/running", "running", []),
            _nothing() if text else self._list("queries/executions", "executions", [("limit", str(_LISTED))]),
        )
        names = {query["id"]: query["name"] for query in (*mine, *shared)}
        for job in running:
            job["name"] = names.get(job["query"]) or " ".join(job["adql"].split())
        return {"running": running, "mine": mine, "shared": shared, "runs": runs}

    async def get(self, query_id: str, link: str = "") -> Document:
        """A query with its newest version, and `snippets`: it as text for other programs."""
        query = await self._api.json("GET", f"queries/{query_id}", params=_link(link))
        address = query["links"]["portal"] if link else query_id
        return {**query, "snippets": snippets(query, self._api.url, address), "address": address}

    async def qualified(self, adql: str, release: str) -> str:
        """A text whose tables are named without their release, with it; one of a cell that names none stays."""
        if not release:
            return adql
        known = await self._api.json("GET", f"releases/{quote(release, safe='')}")
        return qualify(adql, release, [table["name"] for table in known["tables"]])

    async def of_name(self, name: str) -> Tie | None:
        """The query of this person that has a name, as it is now."""
        if not name:
            return None
        found = await self._list("queries", "queries", [("whose", "mine"), ("name", name), ("limit", "1")])
        return Tie(query_id=found[0]["id"], version=found[0]["version"]) if found else None

    async def send(self, adql: str, options: Options, tie: Tie | None) -> Document:
        """Save a text and run it: as a new version of the query that it is tied to, else as a new query.

        Whoever may only read that query gets a copy of their own; what others wrote meanwhile stays as a version.
        """
        if tie is None:
            given = {"adql": adql, "name": options.name, "max_rows": options.max_rows, "run": True}
            return await self._api.json("POST", "queries", body=given)
        try:
            query = await self._api.json("GET", f"queries/{tie.query_id}")
        except LabError as error:
            if error.status in _GONE:
                return await self.send(adql, options, None)
            raise
        if query["access"] == "reader":
            query = await self._api.json("POST", f"queries/{tie.query_id}/fork")
            tie = Tie(query_id=query["id"], version=query["current"]["number"])
        wanted = {"adql": adql} | ({} if options.max_rows is None else {"max_rows": options.max_rows})
        if any(query["current"][name] != value for name, value in wanted.items()):
            changed = {**wanted, "note": "Sent from a notebook", "conflict": "keep"}
            seen = {"If-Match": f'"{tie.version}"'}
            query = await self._api.json("PATCH", f"queries/{tie.query_id}", body=changed, headers=seen)
        return query if query["state"] in _HAS_ROWS_OR_WILL else await self.run(query["id"])

    async def keep(self, kind: str, run_id: str) -> Document:
        """The query of a run of any program: `kind` is `execution` or `job`; the same run is kept once."""
        return await self._api.json("POST", "queries", body={kind: run_id})

    async def run(self, query_id: str) -> Document:
        """Run the newest version."""
        return await self._api.json("POST", f"queries/{query_id}/run", body={})

    async def cancel(self, job_id: str) -> None:
        """Abort a job of this person (UWS 1.1, section 2.2.3.5)."""
        await self._api.post_form(f"tap/async/{job_id}/phase", {"PHASE": "ABORT"})

    async def _list(self, path: str, key: str, params: Params) -> list[Document]:
        listed: list[Document] = (await self._api.json("GET", path, params=params))[key]
        return listed


async def _nothing() -> list[Document]:
    return []


def _link(link: str) -> Params:
    return [("link", link)] if link else []
