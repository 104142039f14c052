"""Functions of the sky in other databases (Q3C, pgSphere, SciSQL), written as the geometry of ADQL."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

MOST_READ_CHARS = 400
"""How much of a text may be needed to write a call anew."""
_MOST_SHOWN_CHARS = 200
_RADIANS = re.compile(r"RADIANS\s*\((.*)\)", re.IGNORECASE | re.DOTALL)
_NUMBER = re.compile(r"[-+]?\d+\.?\d*")
_INSIDE = re.compile(r"\s*(?:<@|@|&&)\s*")
_BETWEEN = re.compile(r"\s*<->\s*")
_PARTS = ["ra", "dec", "ra0", "dec0", "radius"]
_LEAST_VERTICES = 6


def in_adql(text: str) -> str:
    """The ADQL for a call of another database, with its own arguments where they can be read; empty for other calls.

    Parameters
    ----------
    text
        Begins with the name of a function and '(', and is at most `MOST_READ_CHARS` long.
    """
    name = text.partition("(")[0].strip().upper()
    if name not in _WRITTEN:
        return ""
    given, rest = _call(text)
    written = " ".join(_WRITTEN[name](given, rest).split())
    return written if len(written) <= _MOST_SHOWN_CHARS else _WRITTEN[name]([], "")


def _call(text: str) -> tuple[list[str], str]:
    """The arguments of the call a text begins with, and what follows it; nothing if it does not end."""
    given: list[str] = []
    depth = start = 0
    for place, letter in enumerate(text):
        depth += (letter in "([{") - (letter in ")]}")
        if depth == 0 and letter == ")":
            return [*given, text[start:place].strip()], text[place + 1 :]
        if depth == 1 and letter in "(,":
            if letter == ",":
                given.append(text[start:place].strip())
            start = place + 1
    return [], ""


def _within(given: list[str], _rest: str) -> str:
    """(ra, dec, ra0, dec0, radius): within a radius."""
    *places, radius = given if len(given) == len(_PARTS) else _PARTS
    return f"DISTANCE({', '.join(places)}) < {radius}"


def _apart(given: list[str], _rest: str) -> str:
    """(ra1, dec1, ra2, dec2): how far apart."""
    return f"DISTANCE({', '.join(given if len(given) == len(_PARTS) - 1 else ['ra1', 'dec1', 'ra2', 'dec2'])})"


def _in_polygon(given: list[str], _rest: str) -> str:
    """(ra, dec, the numbers of the vertices)."""
    place = ", ".join(given[:2] or _PARTS[:2])
    return f"1 = CONTAINS(POINT({place}), {_polygon(','.join(given[2:]))})"


def _polygon(numbers: str) -> str:
    vertices = _NUMBER.findall(numbers)
    is_whole = len(vertices) >= _LEAST_VERTICES and len(vertices) % 2 == 0
    return f"POLYGON({', '.join(vertices) if is_whole else 'ra1, dec1, ra2, dec2, ra3, dec3'})"


def _point(given: list[str], rest: str) -> str:
    """A point of pgSphere, and what it is tested against; its radians become degrees."""
    place = _place(given) or "ra, dec"
    if match := _BETWEEN.match(rest):
        other = _place(_call(rest[match.end() :])[0]) or "ra0, dec0"
        return f"DISTANCE({place}, {other}), in degrees"
    if match := _INSIDE.match(rest):
        return f"1 = CONTAINS(POINT({place}), {_shape(rest[match.end() :])}), in degrees"
    return f"POINT({place}), in degrees"


def _shape(text: str) -> str:
    """A circle or polygon of pgSphere."""
    given, _ = _call(text)
    if text.lower().startswith("spoly"):
        return _polygon("")
    return _circle(given, "")


def _circle(given: list[str], _rest: str) -> str:
    centre = _place(_call(given[0])[0]) if len(given) == 2 else ""  # noqa: PLR2004 -- centre and radius
    return f"CIRCLE({centre}, {_in_degrees(given[1])})" if centre else "CIRCLE(ra0, dec0, radius)"


def _place(given: list[str]) -> str:
    return ", ".join(_in_degrees(each) for each in given) if len(given) == 2 else ""  # noqa: PLR2004 -- two coordinates


def _in_degrees(radians: str) -> str:
    """Without the conversion to radians; a plain number of radians as its degrees."""
    if match := _RADIANS.fullmatch(radians):
        return match.group(1).strip()
    return f"{math.degrees(float(radians)):.9g}" if _NUMBER.fullmatch(radians) else f"DEGREES({radians})"


_WRITTEN: dict[str, Callable[[list[str], str], str]] = {
    "Q3C_RADIAL_QUERY": _within,
    "Q3C_JOIN": _within,
    "Q3C_DIST": _apart,
    "Q3C_POLY_QUERY": _in_polygon,
    "SCISQL_S2PTINCIRCLE": _within,
    "SCISQL_ANGSEP": _apart,
    "SPOINT": _point,
    "SCIRCLE": _circle,
    "SPOLY": lambda _given, _rest: _polygon(""),
}
