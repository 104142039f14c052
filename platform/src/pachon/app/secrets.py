"""Secrets of one installation: made once, kept in `<home>/secrets.json`, readable by the owner only."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from pachon.app.settings import Settings
from pachon.core.errors import SetupError

_FILE = "secrets.json"
_CLEAR_CHARACTERS = "abcdefghjkmnpqrstvwxyz23456789"
_PASSWORD_CHARS = 14
_TOKEN_BYTES = 32


@dataclass(frozen=True, slots=True)
class Secrets:
    """What the processes share and nobody else may know."""

    api_token: str
    portal_token: str
    cookie_secret: str
    proxy_token: str
    labs_token: str
    demo_passwords: dict[str, str]

    def __repr__(self) -> str:
        return "Secrets(...)"

    def environment(self, settings: Settings) -> dict[str, str]:
        """The environment variables through which child processes receive what the settings do not already give."""
        identity, hub = settings.identity, settings.hub
        candidates = (
            ("PACHON_IDENTITY__API_TOKEN", identity.api_token, self.api_token),
            ("PACHON_IDENTITY__PORTAL_TOKEN", identity.portal_token, self.portal_token),
            ("PACHON_IDENTITY__COOKIE_SECRET", identity.cookie_secret, self.cookie_secret),
            ("PACHON_HUB__PROXY_TOKEN", hub.proxy_token, self.proxy_token),
            ("PACHON_HUB__LABS_TOKEN", hub.labs_token, self.labs_token),
            ("PACHON_HUB__DEMO_PASSWORDS", hub.demo_passwords, json.dumps(self.demo_passwords)),
        )
        return {variable: made for variable, given, made in candidates if not given}


def secrets_path(home: Path) -> Path:
    """Where they lie."""
    return home / _FILE


def load_or_make(home: Path, accounts: tuple[str, ...]) -> Secrets:
    """Read the secrets of an installation, making those that are missing.

    Raises
    ------
    SetupError
        If the file cannot be read as secrets.
    """
    path = secrets_path(home)
    known = _read(path) if path.exists() else {}
    given = known.get("demo_passwords", {})
    if not isinstance(given, dict):
        raise _unreadable(path)
    made = Secrets(
        api_token=_token(known, "api_token"),
        portal_token=_token(known, "portal_token"),
        cookie_secret=_token(known, "cookie_secret"),
        proxy_token=_token(known, "proxy_token"),
        labs_token=_token(known, "labs_token"),
        demo_passwords={name: str(given.get(name) or _new_password()) for name in accounts},
    )
    if asdict(made) != known:
        _write(path, made)
    return made


def _read(path: Path) -> dict[str, object]:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise _unreadable(path) from error
    if not isinstance(content, dict):
        raise _unreadable(path)
    return content


def _unreadable(path: Path) -> SetupError:
    return SetupError(f"{path} cannot be read as secrets: repair it, or remove it to have new ones made.")


def _token(known: dict[str, object], name: str) -> str:
    return str(known.get(name) or secrets.token_hex(_TOKEN_BYTES))


def _new_password() -> str:
    return "".join(secrets.choice(_CLEAR_CHARACTERS) for _ in range(_PASSWORD_CHARS))


def _write(path: Path, content: Secrets) -> None:
    unfinished = path.with_suffix(".part")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(asdict(content), file, indent=1)
    unfinished.replace(path)
