"""Hours or degrees, minutes and seconds as people paste them, in the degrees that ADQL takes."""

from __future__ import annotations

import re

_ANGLE = r"([+-]?)(\d{1,3})\s*([hd:°\s])\s*(\d{1,2})\s*[m:'\u2032\s]\s*(\d{1,2}(?:\.\d*)?)\s*[s\"\u2033]?"
_ONE = re.compile(rf"\s*{_ANGLE}\s*\Z", re.IGNORECASE | re.ASCII)
_TWO = re.compile(rf"\s*{_ANGLE}[\s,]+{_ANGLE}\s*\Z", re.IGNORECASE | re.ASCII)
_MAX_CHARS = 60
_DEGREES_PER_HOUR = 15
_PARTS = 5
"""Groups of an angle: sign, first number, its mark, minutes, seconds."""


def degrees_of(text: str, *, is_longitude: bool) -> str:
    """One angle, or right ascension and declination, as decimal degrees; an empty string for other texts.

    Parameters
    ----------
    is_longitude
        Whether one angle without a letter counts in hours.
    """
    if len(text) > _MAX_CHARS:
        return ""
    if match := _ONE.match(text):
        return _degrees(match.groups(), in_hours=is_longitude)
    if match := _TWO.match(text):
        first, second = match.groups()[:_PARTS], match.groups()[_PARTS:]
        return f"{_degrees(first, in_hours=True)}, {_degrees(second, in_hours=False)}"
    return ""


def _degrees(parts: tuple[str, ...], *, in_hours: bool) -> str:
    sign, first, mark, minutes, seconds = parts
    in_hours = mark.lower() == "h" or (in_hours and mark.lower() not in {"d", "°"})
    value = (int(first) + int(minutes) / 60 + float(seconds) / 3600) * (_DEGREES_PER_HOUR if in_hours else 1)
    return f"{sign.replace('+', '')}{value:.7f}".rstrip("0").rstrip(".")
