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
{table}
adql = {adql}
session = requests.Session()
session.headers["Authorization"] = "Bearer " + os.environ["JUPYTERHUB_API_TOKEN"]  # elsewhere: a token from {tokens}
tap = pyvo.dal.TAPService({tap}, session=session)
{sent}rows = tap.search(adql{maxrec}{uploads}).to_table()
"""

_TOPCAT = """\
TOPCAT: VO, Table Access Protocol (TAP) Query.
TAP URL: {tap}
Log in with any user name; the password is a token from {tokens}.
{sent}ADQL:
{adql}

STILTS, with the token in TOKEN:
stilts -Dauth.username=token -Dauth.password="$TOKEN" tapquery tapurl={quoted_tap} sync=false{more} adql={quoted_adql}
"""


def snippets(query: Mapping[str, Any], api_url: str, address: str) -> dict[str, str]:
    """The texts by name: `python`, `pyvo`, `topcat`; tables that go with the query are named in them.

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
    sent = {each["name"]: each["uri"] for each in query["current"].get("uploads") or ()}
    tap, tokens = f"{api_url}/tap", f"{api_url.removesuffix('/api')}/hub/token"
    return {
        "python": _PYTHON.format(address=python_literal(address)),
        "pyvo": _PYVO.format(
            adql=python_literal(adql),
            tap=python_literal(tap),
            tokens=tokens,
            maxrec="" if max_rows is None else f", maxrec={max_rows}",
            **_for_pyvo(sent),
        ),
        "topcat": _TOPCAT.format(
            tap=tap,
            tokens=tokens,
            adql=adql,
            quoted_tap=shlex.quote(tap),
            quoted_adql=shlex.quote(adql),
            more=_stilts_uploads(sent) + ("" if max_rows is None else f" maxrec={max_rows}"),
            sent=_labels(sent) + _comment(sent, ""),
        ),
    }


def _for_pyvo(sent: Mapping[str, str]) -> dict[str, str]:
    """The argument `uploads`, and a word about files that are to be given."""
    places = {name: python_literal(_place(name, uri)) for name, uri in sent.items()}
    values = {
        name: f'Table.read({place}, format="votable")' if _is_file(sent[name]) else place
        for name, place in places.items()
    }
    given = ", ".join(f"{python_literal(name)}: {value}" for name, value in values.items())
    table = "from astropy.table import Table\n" if any(map(_is_file, sent.values())) else ""
    return {"uploads": f", uploads={{{given}}}" if sent else "", "sent": _comment(sent, "# "), "table": table}


def _labels(sent: Mapping[str, str]) -> str:
    """What is to be loaded in TOPCAT."""
    return "".join(f"Load {_place(name, uri)} first, with the label {name}.\n" for name, uri in sent.items())


def _stilts_uploads(sent: Mapping[str, str]) -> str:
    """Parameters of `tapquery` (SUN/256)."""
    numbered = enumerate(sent.items(), start=1)
    words = (f" upload{n}={shlex.quote(_place(name, uri))} upname{n}={name}" for n, (name, uri) in numbered)
    return f" nupload={len(sent)}{''.join(words)}" if sent else ""


def _comment(sent: Mapping[str, str], mark: str) -> str:
    files = [_place(name, uri) for name, uri in sent.items() if _is_file(uri)]
    told = f"{mark}{', '.join(files)}: VOTables of yours; those that were sent with the query are not kept.\n"
    return told if files else ""


def _place(name: str, uri: str) -> str:
    """Where a table is read; one that was sent as a file is given by whoever runs the text."""
    return f"{name}.vot" if _is_file(uri) else uri


def _is_file(uri: str) -> bool:
    return uri.lower().startswith("param:")


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
