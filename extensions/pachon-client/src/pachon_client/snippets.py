"""A saved query as text for other programs: Python, pyvo, TOPCAT and STILTS."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

_PYTHON = """\
import pachon_client

query = pachon_client.open({address})
rows = query.result(shown=True).to_pandas()
"""

_PYVO = """\
import os

import pyvo
import requests

adql = {adql}
session = requests.Session()
session.headers["Authorization"] = "Bearer " + os.environ["JUPYTERHUB_API_TOKEN"]  # elsewhere: a token from {tokens}
tap = pyvo.dal.TAPService({tap}, session=session)
rows = tap.search(adql{maxrec}).to_table()
"""

_TOPCAT = """\
TOPCAT: VO, Table Access Protocol (TAP) Query.
TAP URL: {tap}
Log in with any user name; the password is a token from {tokens}.
ADQL:
{adql}

STILTS, with the token in TOKEN:
stilts -Dauth.username=token -Dauth.password="$TOKEN" tapquery tapurl={quoted_tap} sync=false{maxrec} adql={quoted_adql}
"""


def snippets(query: Mapping[str, Any], api_url: str, address: str) -> dict[str, str]:
    """The texts by name: `python`, `pyvo`, `topcat`.

    Parameters
    ----------
    query
        Document of a saved query.
    api_url
        Address of the Web APIs.
    address
        By which the reader opens the query: its id or a link.
    """
    adql, max_rows = query["current"]["adql"], query["current"].get("max_rows")
    tap, tokens = f"{api_url}/tap", f"{api_url.removesuffix('/api')}/hub/token"
    return {
        "python": _PYTHON.format(address=python_literal(address)),
        "pyvo": _PYVO.format(
            adql=python_literal(adql),
            tap=python_literal(tap),
            tokens=tokens,
            maxrec="" if max_rows is None else f", maxrec={max_rows}",
        ),
        "topcat": _TOPCAT.format(
            tap=tap,
            tokens=tokens,
            adql=adql,
            quoted_tap=shlex.quote(tap),
            quoted_adql=shlex.quote(adql),
            maxrec="" if max_rows is None else f" maxrec={max_rows}",
        ),
    }


def python_literal(text: str) -> str:
    """A literal of Python whose value is `text`; text of several lines stays readable."""
    if "\n" not in text or any(not (letter.isprintable() or letter in "\n\t") for letter in text):
        return _double_quoted(text)
    body = text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    return f'"""{body[:-1]}\\""""' if body.endswith('"') else f'"""{body}"""'


def _double_quoted(text: str) -> str:
    """As `repr`, in double quotes where that needs no escape."""
    written = repr(text)
    return f'"{written[1:-1]}"' if written.startswith("'") and '"' not in text and "'" not in text else written
