"""Credentials in a request's `Authorization` header, and the challenges that ask for them."""

from __future__ import annotations

import base64
import binascii

from pachon.core.errors import AuthenticationError

REALM = "Pachon"
MAX_TOKEN_CHARS = 512
_BASIC_FILLER = "x-oauth-basic"
_ACCEPTED = "Send 'Authorization: Bearer <token>', or HTTP Basic with the token as password."


def token_of(authorization: str) -> str:
    """The hub token in the value of an `Authorization` header.

    Accepted are `Bearer <token>`, `token <token>` and `Basic` (RFC 7617). Basic carries the token as the password,
    whatever the user name, because TOPCAT and other desktop clients know no other way; or as the user name, with a
    password that is empty or `x-oauth-basic`.

    Raises
    ------
    AuthenticationError
        If no token can be read.
    """
    scheme, _, value = authorization.strip().partition(" ")
    match scheme.lower():
        case "bearer" | "token":
            return _checked(value.strip())
        case "basic":
            return _checked(_basic_token(value.strip()))
        case _:
            raise AuthenticationError(f"The Authorization header names no scheme known here. {_ACCEPTED}")


def _basic_token(encoded: str) -> str:
    try:
        user, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        colon = ""
    if not colon:
        raise AuthenticationError(f"The Basic credentials are not base64 of 'name:token'. {_ACCEPTED}")
    return user if password in {"", _BASIC_FILLER} else password


def _checked(token: str) -> str:
    if not token or len(token) > MAX_TOKEN_CHARS or not all("!" <= character <= "~" for character in token):
        raise AuthenticationError(f"The Authorization header holds no well-formed token. {_ACCEPTED}")
    return token


def challenges(base_url: str) -> list[str]:
    """Values of `WWW-Authenticate`, one header each (RFC 9110, section 11.6.1; IVOA AuthVO draft).

    They go with every 401, and with the 200 of `/capabilities`, which tells VO clients that logging in is possible.
    """
    return [f'Basic realm="{REALM}"', f'Bearer realm="{base_url}/api"']
