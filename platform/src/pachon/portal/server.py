"""The Portal's server: Bokeh's, with one Panel application, as an external service of the hub."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np
import panel as pn
from bokeh.server.server import Server
from tornado.ioloop import IOLoop
from tornado.web import RequestHandler, StaticFileHandler

from pachon import brand
from pachon.core.errors import SetupError
from pachon.core.imports import quick_imports
from pachon.portal.density import TILE_DEPTH, Tile, grid_of, paint
from pachon.portal.downloads import FORMS, Download, Downloads
from pachon.portal.dress import FOLDER
from pachon.portal.hearing import Hearing
from pachon.portal.login import Logins, hub_client
from pachon.portal.pages import OpenSource, PortalPage
from pachon.portal.projection import View
from pachon.portal.queries_page import QueriesPage, QueryNews
from pachon.portal.releases_page import ReleasePage
from pachon.portal.saved_rows import wanted_query
from pachon.portal.state import Person, Pools, TileCache
from pachon_client import Client

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from bokeh.server.auth_provider import AuthProvider

    from pachon.app.settings import Settings

_LOGGER = logging.getLogger(__name__)
_DRAWING_THREADS = 4
_ASKING_THREADS = 64
_COLLECTING_THREADS = 32
_FETCHING_THREADS = 8
_MAX_MESSAGE_BYTES = 20 * 1024**2
_UNUSED_SESSION_MS = 60_000
_KEEP_ALIVE_MS = 20_000


class Health(RequestHandler):
    """Whether the Portal is up; for anybody."""

    def get(self) -> None:
        """Answer."""
        self.set_header("Cache-Control", "no-store")
        _ = self.finish({"status": "ok"})


class BrandFile(RequestHandler):
    """The colours and marks that all pages share."""

    def get(self, name: str) -> None:
        """Send one, if it is one."""
        if name not in brand.FILES:
            self.send_error(404)
            return
        kind = {"css": "text/css", "svg": "image/svg+xml", "js": "text/javascript"}[name.rpartition(".")[2]]
        self.set_header("Content-Type", f"{kind}; charset=utf-8")
        self.set_header("Cache-Control", "public, max-age=300")
        _ = self.finish(brand.path(name).read_bytes())


def build(
    settings: Settings,
    logins: AuthProvider,
    *,
    open_source: OpenSource,
    person_of: Callable[[Any], Person],
    remember: Callable[[str, Person], None],
    forget: Callable[[str], None],
) -> Server:
    """The server, not yet listening to anybody but bound to its port.

    Parameters
    ----------
    logins
        Decides who may open pages and websockets.
    open_source
        Opens a connection to the platform with a token.
    person_of
        The person behind a request that `logins` let in.
    remember, forget
        Told when a session begins and ends.
    """
    pn.extension("tabulator", "codeeditor", notifications=False, inline=False)
    base = urlsplit(settings.base_url)
    root = base.path.rstrip("/")
    offered, pools, hearing = Downloads(), _pools(), Hearing(open_source)
    open_page = partial(
        PortalPage, cache=TileCache(), pools=pools, offered=offered, hearing=hearing, base_url=settings.base_url
    )

    def application() -> pn.Template:
        document = pn.state.curdoc
        person = person_of(document.session_context.request)
        remember(document.session_context.id, person)
        wanted = wanted_query(document.session_context.request.arguments)
        page = open_page(person, open_source, document=document, wanted=wanted)
        pn.state.onload(page.start)

        def end(ended: Any) -> None:  # noqa: ANN401 -- Bokeh's session context
            forget(ended.id)
            page.close()

        document.on_session_destroyed(end)
        return page.template()

    return pn.io.server.get_server(
        {"/": application},
        port=settings.listen.portal_port,
        address=settings.listen.inner_host,
        prefix=f"{root}/portal",
        auth_provider=logins,
        websocket_origin=[base.netloc],
        websocket_max_message_size=_MAX_MESSAGE_BYTES,
        use_xheaders=True,
        sign_sessions=True,
        secret_key=_secret(settings),
        cookie_secret=_secret(settings),
        include_cookies=[],
        include_headers=["User-Agent"],
        keep_alive_milliseconds=_KEEP_ALIVE_MS,
        unused_session_lifetime_milliseconds=_UNUSED_SESSION_MS,
        title={"/": "Portal \N{MIDDLE DOT} Pachon"},
        extra_patterns=_pages(logins, open_source, pools.asking, offered, hearing, root=root),
        show=False,
        start=False,
    )


def _pages(
    logins: AuthProvider,
    open_source: OpenSource,
    pool: Executor,
    offered: Downloads,
    hearing: Hearing,
    *,
    root: str,
) -> list[tuple[Any, ...]]:
    """What is served besides the Portal itself."""
    of_pages = {"logins": logins, "open_source": open_source, "pool": pool, "root": root}
    return [
        (r"/health", Health),
        (r"/brand/([a-z.]+)", BrandFile),
        (rf"/download/([\w-]+)\.({'|'.join(FORMS)})", Download, {"downloads": offered, "logins": logins}),
        (r"/queries/?", QueriesPage, of_pages),
        (r"/queries/events", QueryNews, {"logins": logins, "hearing": hearing}),
        (r"/releases(?:/([^/]+))?/?", ReleasePage, of_pages),
        (r"/assets/(.*)", StaticFileHandler, {"path": str(FOLDER / "static")}),
    ]


def _pools() -> Pools:
    return Pools(
        drawing=ThreadPoolExecutor(_DRAWING_THREADS, thread_name_prefix="portal-draw"),
        asking=ThreadPoolExecutor(_ASKING_THREADS, thread_name_prefix="portal-ask"),
        collecting=ThreadPoolExecutor(_COLLECTING_THREADS, thread_name_prefix="portal-collect"),
        fetching=ThreadPoolExecutor(_FETCHING_THREADS, thread_name_prefix="portal-tiles"),
    )


def serve(settings: Settings) -> None:
    """Serve the Portal until a signal ends the process."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logins = Logins(hub_client(settings), root=urlsplit(settings.base_url).path.rstrip("/"))
    server = build(
        settings,
        logins,
        open_source=lambda token: Client(settings.api_url, token, agent="pachon-portal"),
        person_of=lambda request: request.person,
        remember=logins.remember,
        forget=logins.forget,
    )
    run(server)


def run(server: Server) -> None:
    """Run a server until SIGINT or SIGTERM; what it makes first is left alone by the garbage collector."""
    with quick_imports():
        warm_up()
    loop: IOLoop = server.io_loop

    def stop(*_: object) -> None:
        loop.add_callback_from_signal(loop.stop)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    server.start()
    _LOGGER.info("The Portal listens on port %s", server.port)
    loop.start()
    server.stop()


def warm_up() -> None:
    """Compile (or load) the kernels of the map, so that nobody waits for them."""
    grid = grid_of(View.whole_sky(64, 32))
    paint(grid, {number: Tile(np.ones(4**TILE_DEPTH, dtype=np.uint8)) for number in grid.tiles})


def _secret(settings: Settings) -> str:
    secret = settings.identity.cookie_secret
    if secret is None:
        raise SetupError(
            "identity.cookie_secret is not set: the supervisor gives it in PACHON_IDENTITY__COOKIE_SECRET."
        )
    return f"portal:{secret.get_secret_value()}"
