"""Login: every page and websocket of the Portal belongs to a person whom the hub knows and lets in.

The hub's own client does the OAuth dance (authorization code with PKCE); the token it gets stays on the server and in a
signed cookie that scripts cannot read, on this service's path.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import jinja2
from bokeh.server.auth_provider import AuthProvider
from bokeh.server.views.ws import WSHandler
from bokeh.util.token import get_session_id
from jupyterhub.services.auth import HubOAuth, HubOAuthCallbackHandler, HubOAuthenticated
from tornado.web import Finish, HTTPError, RequestHandler

from pachon.core.errors import SetupError
from pachon.portal.dress import FOLDER
from pachon.portal.state import Person
from pachon.rights.models import Access
from pachon.rights.policy import holders_only

if TYPE_CHECKING:
    from pachon.app.settings import Settings

_LOGGER = logging.getLogger(__name__)
_ACCESS = "access:services!service=portal"

NOT_A_HOLDER = holders_only(Access.PORTAL)
HUB_AWAY = "The platform's login service is not answering at the moment. Nothing is lost; try again in a few seconds."


class Logins(AuthProvider):  # type: ignore[misc]
    """Tells Bokeh's server who asks, and ties each session to the person who opened it.

    Parameters
    ----------
    hub
        JupyterHub's client.
    root
        Path below which the platform lies, without a trailing slash.
    """

    get_user = None
    get_login_url = None
    login_url = "/login"
    login_handler = None
    logout_url = None
    logout_handler = None

    def __init__(self, hub: HubOAuth, *, root: str) -> None:
        self._hub = hub
        self._root = root
        self._owners: dict[str, str] = {}

    @property
    def endpoints(self) -> list[tuple[str, type[RequestHandler]]]:
        """The addresses of the login."""
        words = {"_hub_auth": self._hub, "root": self._root}
        return [
            ("/login", type("Login", (_Login,), words)),
            ("/logout", type("Logout", (_Logout,), words)),
            ("/oauth_callback", type("Callback", (_Callback,), words)),
        ]

    @property
    def get_user_async(self) -> Callable[[RequestHandler], Awaitable[str | None]]:
        """Called for pages and websockets."""
        return self._name_of

    def remember(self, session_id: str, person: Person) -> None:
        """Tie a session to a person."""
        self._owners[session_id] = person.name

    def forget(self, session_id: str) -> None:
        """A session has ended."""
        self._owners.pop(session_id, None)

    async def _name_of(self, handler: RequestHandler) -> str | None:
        try:
            user = await self._hub.get_user(handler, sync=False)
        except HTTPError as error:
            _refuse(handler, HTTPStatus.SERVICE_UNAVAILABLE, "One moment, please", HUB_AWAY, root=self._root)
            raise Finish from error
        if not user or not self._hub.check_scopes({_ACCESS}, user):
            return None
        name: str = user["name"]
        if isinstance(handler, WSHandler) and self._owners.get(_session_of(handler), name) != name:
            _LOGGER.warning("%s tried to join another person's session", name)
            return None
        vars(handler.request)["person"] = Person(name, self._hub.get_token(handler) or "")
        return name


def hub_client(settings: Settings) -> HubOAuth:
    """JupyterHub's client for this service, as the hub's configuration knows it.

    Raises
    ------
    SetupError
        If there is no token.
    """
    token = settings.identity.portal_token
    if token is None:
        raise SetupError("identity.portal_token is not set: the supervisor gives it in PACHON_IDENTITY__PORTAL_TOKEN.")
    root = urlsplit(settings.base_url).path.rstrip("/")
    return HubOAuth(
        api_token=token.get_secret_value(),
        api_url=settings.hub_api_url,
        base_url=f"{root}/portal/",
        hub_prefix=f"{root}/hub/",
        hub_host="",
        oauth_client_id="service-portal",
        oauth_redirect_uri=f"{settings.base_url}/portal/oauth_callback",
        cache_max_age=int(settings.identity.cache_s),
    )


def _session_of(handler: WSHandler) -> str:
    """Id of the session that a websocket wants to join, from its sub-protocol header."""
    words = handler.request.headers.get("Sec-WebSocket-Protocol", "").split(",")
    try:
        return str(get_session_id(words[-1].strip()))
    except Exception:  # noqa: BLE001 -- any header a stranger may send; Bokeh itself refuses those it cannot read
        return ""


class _Page(HubOAuthenticated, RequestHandler):  # type: ignore[misc]
    """A page of the login, that says what is wrong in words."""

    root = ""

    def write_error(self, status_code: int, **_: Any) -> None:  # noqa: ANN401 -- tornado's signature
        if status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            _refuse(self, HTTPStatus.SERVICE_UNAVAILABLE, "One moment, please", HUB_AWAY, root=self.root)
        else:
            text = "This login was not begun in this browser, or too long ago. Begin again."
            _refuse(self, HTTPStatus(status_code), "The login did not work", text, root=self.root)


class _Login(_Page):
    async def get(self) -> None:
        """Send the person to the hub, or on to where they wanted to go, or say why they may not."""
        hub: HubOAuth = self.hub_auth
        user = await hub.get_user(self, sync=False)
        if user is None:
            self.redirect(self.get_login_url())
        elif not hub.check_scopes({_ACCESS}, user):
            _refuse(self, HTTPStatus.FORBIDDEN, "For data rights holders", NOT_A_HOLDER, root=self.root)
        else:
            wanted = self.get_argument("next", hub.base_url)
            self.redirect(wanted if wanted.startswith(hub.base_url) else hub.base_url)


class _Logout(_Page):
    async def get(self) -> None:
        """Forget the login here, then log out of the hub."""
        self.hub_auth.clear_cookie(self)
        self.redirect(f"{self.root}/hub/logout")


class _Callback(HubOAuthCallbackHandler):  # type: ignore[misc]
    root = ""
    write_error = _Page.write_error


def _refuse(handler: RequestHandler, status: HTTPStatus, title: str, text: str, *, root: str) -> None:
    handler.set_status(status)
    handler.set_header("Cache-Control", "no-store")
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        handler.set_header("Retry-After", "5")
    _ = handler.finish(notice(title, text, root=root))


def notice(title: str, text: str, *, root: str) -> str:
    """A page that says one thing."""
    template = jinja2.Environment(autoescape=True).from_string(FOLDER.joinpath("notice.html").read_text("utf-8"))
    return template.render(title=title, text=text, root=root, way=f"{root}/portal/", way_name="Try again")
