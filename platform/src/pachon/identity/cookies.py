"""The Web APIs' login cookie: a hub token, sealed, on the path of the Web APIs only.

Labs are on the same origin (unless the hub gives each its own host name), and what runs in a lab is written by users.
So the cookie's path is `/api/`: no lab's server ever receives it. A page of a lab can still make the browser send a
request to `/api/`, cookie included, therefore a cookie counts only

- for GET and HEAD, which change nothing here; and
- for other methods if the browser says that the request comes from this origin (`Sec-Fetch-Site`, or `Origin` where
  that is missing) and its `Referer` is a page here that is not below `/user/`.

Scripts can choose a `Referer` within their own origin: against hostile pages of a lab only separate host names for
labs help. A token in the `Authorization` header always counts: no browser adds it by itself.
"""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

LOGIN_COOKIE = "pachon-api"
NOT_COUNTED = (
    "The login cookie of this request does not count, since it does not come from a page of this site "
    "(Sec-Fetch-Site or Origin, and Referer): programs send a token in the Authorization header."
)
"""Said to who would be known but for the rule above."""
COOKIE_PATH = "/api/"
LOGIN_MAX_AGE_S = 24 * 3600
DANCE_MAX_AGE_S = 600
_LABS_PATH = "/user/"


class Seal:
    """Encrypts and authenticates cookie values with a key derived from the cookie secret, for one purpose.

    Parameters
    ----------
    secret
        `settings.identity.cookie_secret`.
    purpose
        Values sealed for one purpose do not open for another.
    """

    def __init__(self, secret: str, *, purpose: str) -> None:
        derive = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=f"pachon cookie {purpose}".encode())
        self._fernet = Fernet(base64.urlsafe_b64encode(derive.derive(secret.encode())))

    def close(self, content: Mapping[str, str]) -> str:
        """Seal a few strings into a cookie value."""
        return self._fernet.encrypt(json.dumps(content).encode()).decode()

    def open(self, value: str, *, max_age_s: int) -> dict[str, str] | None:
        """What was sealed, or None if the value is not ours, was changed, or is older than `max_age_s`."""
        try:
            content: dict[str, Any] = json.loads(self._fernet.decrypt(value, ttl=max_age_s))
        except (InvalidToken, ValueError):
            return None
        return content


@functools.lru_cache(maxsize=8)
def seal(secret: str, *, purpose: str) -> Seal:
    """The seal of a secret; deriving a key takes longer than opening a cookie, so it is kept."""
    return Seal(secret, purpose=purpose)


def cookie_counts(method: str, headers: Mapping[str, str], *, base_url: str) -> bool:
    """Whether a login cookie may speak for the person in this request (the rule is told above).

    Parameters
    ----------
    headers
        Request headers, looked up in lower case.
    base_url
        Public address of the platform.
    """
    if method in {"GET", "HEAD"}:
        return True
    referer = headers.get("referer", "")
    from_here = _same_origin(referer, base_url) and _declared_same_origin(headers, base_url)
    return from_here and not urlsplit(referer).path.startswith(_LABS_PATH)


def _declared_same_origin(headers: Mapping[str, str], base_url: str) -> bool:
    if site := headers.get("sec-fetch-site"):
        return site == "same-origin"
    return _same_origin(headers.get("origin", ""), base_url)


def _same_origin(address: str, base_url: str) -> bool:
    return _origin(address) == _origin(base_url)


def _origin(address: str) -> tuple[str, str | None, int | None] | None:
    try:
        parts = urlsplit(address)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return None
    return parts.scheme, parts.hostname, port
