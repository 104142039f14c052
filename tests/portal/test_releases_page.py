"""The pages of releases, asked over HTTP of a server with logins and a platform in memory."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler

from pachon.portal.releases_page import ReleasePage, grouped, openness, size_text
from pachon.portal.state import Person
from pachon_client import NotFoundError, Release, UnavailableError
from pachon_client.models import Collection, Column, ForeignKey, LifecycleEvent, Table

DR2 = Release(
    id="dr2", title="Second <release>", description="Deeper.", kind="data release", date="2025-06-30",
    lifecycle="current", tier="fast", public_from="2027-06-30", may_query=True, may_download=True, simulated=True,
    provenance=("pipeline 3.1",), history=(LifecycleEvent(at="2025-06-30T00:00:00+00:00", event="published"),),
    tables=(
        Table(
            name="dr2.source", description="Sources", row_count=1_234_567,
            columns=(Column(name="flux", datatype="double", unit="nJy", ucd="phot.flux", principal=True),),
            foreign_keys=(ForeignKey(target_table="dr2.object", from_columns=("oid",), target_columns=("id",)),),
        ),
    ),
    images=(Collection(id="visits", title="Visit images", embargo_hours=80, file_count=3, size_bytes=4_200_000),),
)  # fmt: skip
DR1 = replace(DR2, id="dr1", title="First", date="2023-01-01", lifecycle="archived", may_query=False, simulated=False)
STARS = Release(id="stars", title="Stars", kind="catalogue", date="2000-01-01", public_from="2000-01-01")


class Logins:
    """Lets in whoever sends a name."""

    async def get_user_async(self, handler: RequestHandler) -> str | None:
        name = handler.request.headers.get("Person")
        vars(handler.request)["person"] = Person(name or "", "token")
        return name


@dataclass
class Shelf:
    """A platform with releases."""

    releases_: tuple[Release, ...] = (DR1, STARS, DR2)
    trouble: Exception | None = None

    def open(self, _token: str) -> Any:
        return self

    def releases(self) -> tuple[Release, ...]:
        if self.trouble is not None:
            raise self.trouble
        return self.releases_

    def release(self, release_id: str) -> Release:
        for release in self.releases_:
            if release.id == release_id:
                return release
        raise NotFoundError(f"There is no release '{release_id}'.")

    def close(self) -> None:
        """Nothing is held."""


@contextmanager
def answers(shelf: Shelf, *paths: str, person: str | None = "novice") -> Iterator[list[httpx.Response]]:
    """What a server answers to each path."""

    async def ask() -> list[httpx.Response]:
        words = {"logins": Logins(), "open_source": shelf.open, "pool": ThreadPoolExecutor(1), "root": "/sky"}
        server = HTTPServer(Application([(r"/sky/portal/releases(?:/([^/]+))?/?", ReleasePage, words)]))
        bound, port = bind_unused_port()
        server.add_socket(bound)
        headers = {"Person": person} if person else {}
        try:
            async with httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{port}/sky/portal", headers=headers, trust_env=False
            ) as client:
                return [await client.get(path) for path in paths]
        finally:
            server.stop()
            await server.close_all_connections()
            words["pool"].shutdown()

    yield asyncio.run(ask())


def test_the_list_says_what_exists_and_what_this_person_may_do_with_it() -> None:
    with answers(Shelf(), "/releases") as (page,):
        assert page.status_code == 200
        assert [*re.findall(r"<h2[^>]*>([^<]+)", page.text)] == ["Data releases", "Catalogues"]
        assert page.text.index("Second &lt;release&gt;") < page.text.index("First")
        assert page.text.count(">Simulated</span>") == 1
        assert "Archived: not queried any more; its files can be downloaded." in page.text
        assert "world public from 30 June 2027" in page.text
        assert "World public" in page.text
        assert "1,234,567 rows" in page.text


def test_one_release_shows_its_schema_its_collections_and_its_history() -> None:
    with answers(Shelf(), "/releases/dr2") as (page,):
        for shown in (
            "nJy",
            "phot.flux",
            "principal",
            "refers to dr2.object",
            "4.2 MB",
            "80",
            "pipeline 3.1",
            "published",
        ):
            assert shown in page.text
        assert 'href="/sky/api/releases/dr2/files"' in page.text


def test_without_a_release_the_page_says_how_one_comes_here() -> None:
    with answers(Shelf(()), "/releases") as (page,):
        assert "Nothing is published yet" in page.text
        assert "pachon release publish" in page.text


@pytest.mark.parametrize(
    ("trouble", "path", "status", "sentence"),
    [
        (None, "/releases/dr9", 404, "There is no release &#39;dr9&#39;."),
        (UnavailableError("away"), "/releases", 503, "The Web APIs are not answering at the moment."),
    ],
)
def test_what_cannot_be_shown_is_one_sentence(trouble: Exception | None, path: str, status: int, sentence: str) -> None:
    with answers(Shelf(trouble=trouble), path) as (page,):
        assert page.status_code == status
        assert sentence in page.text


def test_who_is_not_let_in_goes_to_the_login_and_comes_back() -> None:
    with answers(Shelf(), "/releases/dr2", person=None) as (page,):
        assert page.status_code == 302
        assert page.headers["location"] == "/sky/portal/login?next=/sky/portal/releases/dr2"
        assert "Second" not in page.text


def test_kinds_come_in_order_and_the_newest_release_first() -> None:
    assert [(heading, [each.id for each in releases]) for heading, releases in grouped((STARS, DR1, DR2))] == [
        ("Data releases", ["dr2", "dr1"]),
        ("Catalogues", ["stars"]),
    ]


def test_sizes_and_terms_are_words() -> None:
    assert [size_text(n) for n in (0, 999, 1_500, 2 * 10**9, 7 * 10**16)] == [
        "0 B",
        "999 B",
        "1.5 kB",
        "2.0 GB",
        "70.0 PB",
    ]
    assert openness(None, "2026-01-01") == "For rights holders"
    assert openness("2026-01-02", "2026-01-01") == "For rights holders; world public from 2 January 2026"
    assert openness("2026-01-01", "2026-01-01") == "World public"
