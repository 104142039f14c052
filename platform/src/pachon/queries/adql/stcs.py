"""The part of STC-S (version 1.33) that ADQL's REGION reads: one shape in ICRS degrees."""

from __future__ import annotations

import math

from pachon.core.fields import DataType, Field
from pachon.queries.adql.geometry import Shape, ShapeError, make_shape
from pachon.queries.plan import Literal

FRAMES = frozenset({"ICRS", "FK5", "J2000", "UNKNOWNFRAME"})
"""Frames that are ICRS within what catalogues state."""
_POINTS_OF_VIEW = frozenset({"BARYCENTER", "GEOCENTER", "HELIOCENTER", "TOPOCENTER", "UNKNOWNREFPOS", "SPHERICAL2"})
"""Where one looks from, which changes nothing here, and the usual kind of coordinates."""
_SIZES = {"POSITION": 2, "POINT": 2, "CIRCLE": 3, "BOX": 4}
_LEAST_VERTICES = 6
_NUMBER = Field(name="value", datatype=DataType.DOUBLE, unit="deg")


def read(text: str) -> Shape:
    """The shape that a text such as `Circle ICRS 10 20 0.5` describes.

    Raises
    ------
    ShapeError
        What is wrong with it, and what is offered.
    """
    kind, *words = text.upper().split() or [""]
    if kind not in _SIZES and kind != "POLYGON":
        offered = "Position, Circle, Box and Polygon"
        raise ShapeError(f"REGION offers {offered} of STC-S, not '{kind.capitalize()[:40]}'.")
    while words and not _is_number(words[0]):
        word = words.pop(0)
        if word not in FRAMES | _POINTS_OF_VIEW:
            raise ShapeError(f"positions here are ICRS degrees; '{word[:40]}' in REGION is not offered.")
    wrong = next((word for word in words if not _is_number(word)), None)
    if wrong is not None:
        raise ShapeError(f"'{wrong[:40]}' in REGION is no number.")
    _check_count(kind, len(words))
    numbers = tuple(Literal(float(word), _NUMBER) for word in words)
    return make_shape("point" if kind == "POSITION" else kind.lower(), numbers)


def _is_number(word: str) -> bool:
    try:
        return math.isfinite(float(word))
    except ValueError:
        return False


def _check_count(kind: str, count: int) -> None:
    expected = _SIZES.get(kind)
    if expected is not None and count != expected:
        raise ShapeError(f"{kind.capitalize()} in REGION takes {expected} numbers, not {count}.")
    if expected is None and (count % 2 or count < _LEAST_VERTICES):
        raise ShapeError("Polygon in REGION takes at least three vertices, each as two numbers.")
