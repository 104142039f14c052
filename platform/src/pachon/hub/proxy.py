"""The one address in front of hub, labs, Web APIs and Portal.

Two proxies are supported. Traefik reads two files: ours with the fixed routes, so that they hold while the hub is
down, and the hub's with one route a lab. Configurable-http-proxy is told every route by the hub and keeps them
in memory. Either is started by the supervisor, never by the hub: a killed hub must not take the address with it.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pachon.app.settings import INNER_HOST, Settings
from pachon.core.errors import SetupError

TRAEFIK = "traefik"
ENTRY_POINT = "http"
CONTROL_ENTRY_POINT = "auth_api"
CONTROL_USER = "hub"
HUB_PREFIX = "/hub/"
HUB_ROUTES_FILE = "hub.toml"

_FIXED_ROUTES_FILE = "platform.toml"
_ENTRY_FILE = "traefik.toml"


@dataclass(frozen=True, slots=True)
class ProxyProgram:
    """How to start a proxy: its command line and what its environment adds."""

    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


def fixed_routes(settings: Settings) -> dict[str, str]:
    """Path prefixes and where they lead, whoever is logged in.

    A lab's own route `/user/<name>/` is longer and wins; without one, `/user/` leads to the hub's explanation.
    """
    listen = settings.listen
    return {
        "/": listen.api_url,
        "/api/": listen.api_url,
        "/portal/": listen.portal_url,
        "/user/": listen.hub_url,
    }


def traefik_folder(settings: Settings) -> Path:
    """Folder of Traefik's own files."""
    return settings.home.resolve() / "proxy"


def hub_routes_path(settings: Settings) -> Path:
    """The file in which the hub keeps the routes of labs."""
    return traefik_folder(settings) / "routes" / HUB_ROUTES_FILE


def program(settings: Settings, *, token: str) -> ProxyProgram:
    """Write what the chosen proxy reads and say how to start it.

    Parameters
    ----------
    settings
        All of them.
    token
        Key of the control port (configurable-http-proxy; the hub gives Traefik its own).

    Raises
    ------
    SetupError
        If the proxy is not installed.
    """
    if settings.hub.proxy == TRAEFIK:
        return _traefik(settings)
    return _configurable_http_proxy(settings, token)


def _traefik(settings: Settings) -> ProxyProgram:
    folder = traefik_folder(settings)
    routes = hub_routes_path(settings).parent
    routes.mkdir(parents=True, exist_ok=True, mode=0o700)
    (folder / _ENTRY_FILE).write_text(_entry_document(settings, routes))
    (routes / _FIXED_ROUTES_FILE).write_text(_routes_document({**fixed_routes(settings), **_hub_route(settings)}))
    return ProxyProgram((_executable(settings), f"--configfile={folder / _ENTRY_FILE}"))


def _hub_route(settings: Settings) -> dict[str, str]:
    return {HUB_PREFIX: settings.listen.hub_url}


def _entry_document(settings: Settings, routes: Path) -> str:
    listen = settings.listen
    host = f"[{listen.host}]" if ":" in listen.host else listen.host
    return f"""\
[global]
checkNewVersion = false
sendAnonymousUsage = false

[log]
level = "WARN"
noColor = true

[api]

[entryPoints.{ENTRY_POINT}]
address = "{host}:{listen.proxy_port}"

[entryPoints.{ENTRY_POINT}.transport.respondingTimeouts]
readTimeout = 0

[entryPoints.{CONTROL_ENTRY_POINT}]
address = "{INNER_HOST}:{listen.proxy_api_port}"

[providers]
providersThrottleDuration = "0s"

[providers.file]
directory = "{routes}"
watch = true
"""


def _routes_document(routes: Mapping[str, str]) -> str:
    return "\n".join(_route(prefix, target) for prefix, target in routes.items())


def _route(prefix: str, target: str) -> str:
    name = f"platform-{prefix.strip('/') or 'front'}"
    exact = f" || Path(`{prefix.rstrip('/')}`)" if prefix != "/" else ""
    return f"""\
[http.routers.{name}]
rule = "PathPrefix(`{prefix}`){exact}"
entryPoints = ["{ENTRY_POINT}"]
service = "{name}"

[[http.services.{name}.loadBalancer.servers]]
url = "{target}"
"""


def _configurable_http_proxy(settings: Settings, token: str) -> ProxyProgram:
    listen = settings.listen
    return ProxyProgram(
        (
            _executable(settings),
            f"--ip={listen.host}",
            f"--port={listen.proxy_port}",
            f"--api-ip={INNER_HOST}",
            f"--api-port={listen.proxy_api_port}",
            f"--default-target={listen.api_url}",
            "--log-level=warn",
        ),
        {"CONFIGPROXY_AUTH_TOKEN": token},
    )


def _executable(settings: Settings) -> str:
    name = settings.hub.proxy
    beside = Path(sys.executable).with_name(name)
    candidates = (settings.hub.proxy_command, beside, shutil.which(name))
    for candidate in candidates:
        if candidate is not None and Path(candidate).is_file():
            return str(candidate)
    raise SetupError(
        f"The proxy '{name}' is not installed: install it, name its program in the setting hub.proxy_command, "
        "or choose another one with hub.proxy."
    )
