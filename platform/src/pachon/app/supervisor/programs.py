"""The processes of the platform on one machine: proxy, hub, Web APIs, Portal."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pachon.hub
from pachon.app.secrets import Secrets
from pachon.app.settings import ListenSettings, Settings
from pachon.app.supervisor import family
from pachon.app.supervisor.models import Program
from pachon.hub import proxy

_HUB_CONFIG = Path(pachon.hub.__file__).with_name("jupyterhub_config.py")


def programs(settings: Settings, secrets: Secrets) -> tuple[Program, ...]:
    """What to run, in the order to start it.

    Raises
    ------
    SetupError
        If the proxy is not installed.
    """
    shared = {**secrets.environment(settings), **settings_environment(settings)}
    given = settings.hub.proxy_token
    front = proxy.program(settings, token=given.get_secret_value() if given else secrets.proxy_token)
    listen = settings.listen
    return (
        Program(
            name="proxy",
            title="Proxy",
            command=front.command,
            environment={family.MARK: shared[family.MARK], **front.environment},
            health_url=f"{settings.front_url}/api/status",
            any_answer=True,
        ),
        Program(
            name="api",
            title="Web APIs",
            command=pachon_command("serve", "api"),
            environment=shared,
            health_url=f"{settings.api_url}/status",
        ),
        Program(
            name="hub",
            title="Hub",
            command=(sys.executable, "-m", "pachon.hub", "--config", str(_HUB_CONFIG)),
            environment=shared,
            health_url=f"{listen.hub_url}/hub/health",
        ),
        Program(
            name="portal",
            title="Portal",
            command=pachon_command("serve", "portal"),
            environment=shared,
            health_url=f"{listen.portal_url}/portal/health",
        ),
    )


def door_urls(settings: Settings) -> tuple[str, ...]:
    """Addresses behind the proxy that answer once people can come in."""
    return tuple(f"{settings.front_url}{path}" for path in ("/api/status", "/hub/health", "/portal/health"))


def pachon_command(*words: str) -> tuple[str, ...]:
    """How to run a command of this program."""
    return (sys.executable, "-m", "pachon.app.cli", *words)


def settings_environment(settings: Settings) -> dict[str, str]:
    """What a child needs to see the same settings, wherever the command line changed them."""
    home = str(settings.home.resolve())
    file = os.environ.get("PACHON_SETTINGS")
    return {
        **listen_environment(settings.listen),
        **({"PACHON_SETTINGS": str(Path(file).resolve())} if file else {}),
        "PACHON_HOME": home,
        family.MARK: home,
        "PYTHONUNBUFFERED": "1",
    }


def listen_environment(listen: ListenSettings) -> dict[str, str]:
    """The variables that give these addresses."""
    given = listen.model_dump(mode="json").items()
    return {
        f"PACHON_LISTEN__{name.upper()}": value if isinstance(value, str) else json.dumps(value)
        for name, value in given
    }
