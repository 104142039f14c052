"""The Portal's pages of releases: what exists, what this person may see and from when, and the schema browser.

Plain documents, made on the server from what the API says to this person: they need no script and no session.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import closing
from datetime import UTC, date, datetime
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote

import jinja2
from tornado.web import RequestHandler

from pachon.portal.dress import FOLDER
from pachon.portal.login import notice
from pachon_client import NotFoundError, PachonClientError

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from bokeh.server.auth_provider import AuthProvider

    from pachon.portal.pages import OpenSource
    from pachon.portal.state import Person
    from pachon_client import Release

_LOGGER = logging.getLogger(__name__)
_SIZE_STEP = 1000
_ORDER = {"data release": 0, "prompt": 1, "special programme": 2, "catalogue": 3}
_HEADINGS = {
    "data release": "Data releases",
    "prompt": "Prompt products",
    "special programme": "Special programmes",
    "catalogue": "Catalogues",
}

AWAY = "The Web APIs are not answering at the moment. Nothing is lost; try again in a few seconds."


class ReleasePage(RequestHandler):
    """`/portal/releases` lists the releases, `/portal/releases/<id>` shows one."""

    def initialize(self, logins: AuthProvider, open_source: OpenSource, pool: Executor, root: str) -> None:
        """Take what the server gives."""
        self._logins, self._open_source, self._pool, self._root = logins, open_source, pool, root

    async def get(self, release_id: str | None = None) -> None:
        """Show the list, or one release, to those whom the hub lets in."""
        self.set_header("Cache-Control", "no-store")
        if await self._logins.get_user_async(self) is None:
            self.redirect(f"{self._root}/portal/login?next={quote(self.request.path)}")
            return
        person: Person = vars(self.request)["person"]
        try:
            page = await asyncio.get_running_loop().run_in_executor(self._pool, self._page, person, release_id)
        except NotFoundError as error:
            self._refuse(HTTPStatus.NOT_FOUND, "No such release", str(error))
        except PachonClientError as error:
            _LOGGER.info("The releases could not be had: %s", error)
            self.set_header("Retry-After", "5")
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "One moment, please", AWAY)
        else:
            _ = self.finish(page)

    def _page(self, person: Person, release_id: str | None) -> str:
        words = {"root": self._root, "person": person.name, "today": datetime.now(UTC).date().isoformat()}
        with closing(self._open_source(person.token)) as source:
            if release_id is None:
                return _template("releases.html").render(words, groups=grouped(source.releases()))
            return _template("release.html").render(words, release=source.release(release_id))

    def _refuse(self, status: HTTPStatus, title: str, text: str) -> None:
        self.set_status(status)
        _ = self.finish(notice(title, text, root=self._root))


def grouped(releases: tuple[Release, ...]) -> list[tuple[str, list[Release]]]:
    """Releases under the headings of their kinds, the newest of a kind first."""
    newest_first = sorted(releases, key=lambda release: release.date or "", reverse=True)
    kinds = sorted({release.kind for release in releases}, key=lambda kind: (_ORDER.get(kind, len(_ORDER)), kind))
    return [
        (_HEADINGS.get(kind, kind.capitalize()), [release for release in newest_first if release.kind == kind])
        for kind in kinds
    ]


def size_text(size_bytes: int) -> str:
    """A number of bytes for people, in steps of 1000: ``1.2 GB``."""
    size = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < _SIZE_STEP:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= _SIZE_STEP
    return f"{size:.1f} PB"


def openness(public_from: str | None, today: str) -> str:
    """From when a release is for everybody, in words."""
    if public_from is None:
        return "For rights holders"
    if public_from <= today:
        return "World public"
    day = date.fromisoformat(public_from)
    return f"For rights holders; world public from {day.day} {day:%B %Y}"


def bar(*, root: str, person: str) -> str:
    """The bar at the top of the page with the sky."""
    return _template("bar.html").render(root=root, person=person, place="sky")


@cache
def _template(name: str) -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(size=size_text, openness=openness)
    return environment.get_template(name)
