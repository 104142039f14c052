"""The Portal's pages of releases: what exists, what this person may see and from when, and the schema browser.

Plain documents, made on the server from what the API says to this person: they need no script and no session.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import jinja2
from tornado.web import RequestHandler, authenticated

from pachon.portal.dress import FOLDER
from pachon.portal.login import notice
from pachon_client import AuthenticationError, PachonClientError, RequestError

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from pachon.portal.state import Person
    from pachon_client import Client, Release

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
    """`/portal/releases` lists the releases, `/portal/releases/<id>` shows one.

    Parameters
    ----------
    person_of
        The person behind a request, None for those who must log in first.
    open_client
        Opens a connection to the API with a token.
    pool
        Where the API is asked.
    root
        Path below which the platform lies, without a trailing slash.
    """

    def initialize(
        self,
        person_of: Callable[[RequestHandler], Any],
        open_client: Callable[[str], Client],
        pool: Executor,
        root: str,
    ) -> None:
        """Take what all requests share."""
        self._person_of, self._open_client, self._pool, self._root = person_of, open_client, pool, root
        self._person: Person | None = None

    async def prepare(self) -> None:
        """Find out who asks."""
        if await self._person_of(self) is not None:
            self._person = vars(self.request)["person"]
            self.current_user = self._person.name

    def get_login_url(self) -> str:
        """Where those go whom the hub has not let in."""
        return f"{self._root}/portal/login"

    @authenticated
    async def get(self, release_id: str | None = None) -> None:
        """Show the list, or one release."""
        self.set_header("Cache-Control", "no-store")
        person = self._person
        if person is None:
            return
        try:
            loop = asyncio.get_running_loop()
            page = await loop.run_in_executor(self._pool, self._page, person, release_id)
        except RequestError as error:
            self._refuse(HTTPStatus.NOT_FOUND, "No such release", str(error))
        except AuthenticationError:
            self.redirect(self.get_login_url())
        except PachonClientError as error:
            _LOGGER.info("The releases could not be had: %s", error)
            self.set_header("Retry-After", "5")
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "One moment, please", AWAY)
        else:
            _ = self.finish(page)

    def _page(self, person: Person, release_id: str | None) -> str:
        words = {"root": self._root, "person": person.name, "today": datetime.now(UTC).date().isoformat()}
        with self._open_client(person.token) as client:
            if release_id is None:
                return _template("releases.html").render(words, groups=grouped(client.releases()))
            return _template("release.html").render(words, release=client.release(release_id))

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
    return f"For rights holders; world public from {date.fromisoformat(public_from):%d %B %Y}".replace(" 0", " ")


@cache
def _template(name: str) -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(size=size_text, openness=openness)
    return environment.get_template(name)
