"""When an exposure ended, as the header of its FITS file says (FITS standard 4.0, sections 4.4.2 and 9.5)."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pachon.core.errors import SetupError

_BLOCK_BYTES = 2880
_CARD_BYTES = 80
_MAX_BLOCKS = 2_000
_EXPOSURE_KEYS = ("EXPTIME", "EXPOSURE")
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}:\d{2}.*)?")
_END_OF_DAY = "T23:59:59.999999"
_WANTED = {"DATE-END", "DATE-OBS", *_EXPOSURE_KEYS, "NAXIS"}


def taken_at(path: Path) -> datetime:
    """The end of an exposure (UTC): `DATE-END`, or `DATE-OBS` plus the exposure time.

    Read from the primary header or, where that has no data, from the first extension's (compressed images). A date
    without a time of day counts as the end of that day, so that no embargo ends early. Time scales are not told apart:
    they differ by about a minute, embargoes last hours.

    Raises
    ------
    SetupError
        If the file does not say, or its exposure time is no number of seconds.
    """
    with path.open("rb") as file:
        for _ in range(2):
            values = dict(_cards(iter(lambda: file.read(_BLOCK_BYTES), b"")))
            if (ended := _moment(values.get("DATE-END"))) is not None:
                return ended
            if (begun := _moment(values.get("DATE-OBS"))) is not None:
                return _later(begun, _exposure_s(values, path), path)
            if values.get("NAXIS") != "0":
                break
    raise SetupError(f"{path} is for an embargo, so its FITS header must say when it was taken: DATE-END or DATE-OBS.")


def _cards(blocks: Iterator[bytes]) -> Iterator[tuple[str, str]]:
    """Keywords and values of one header, of those that are wanted."""
    for number, block in enumerate(blocks):
        for start in range(0, len(block), _CARD_BYTES):
            card = block[start : start + _CARD_BYTES].decode("ascii", "replace")
            key = card[:8].strip()
            if key == "END" or number == _MAX_BLOCKS:
                return
            if key in _WANTED and card[8:10] == "= ":
                yield key, _value(card[10:].strip())


def _value(text: str) -> str:
    return text[1:].partition("'")[0].strip() if text.startswith("'") else text.partition("/")[0].strip()


def _moment(text: str | None) -> datetime | None:
    match = _MOMENT.fullmatch(text or "")
    if match is None:
        return None
    try:
        found = datetime.fromisoformat(match[0] if match[1] else f"{match[0]}{_END_OF_DAY}")
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _exposure_s(values: dict[str, str], path: Path) -> float:
    """The exposure time; real numbers may have the exponent D (FITS standard 4.0, section 4.2.4)."""
    key = next((key for key in _EXPOSURE_KEYS if values.get(key)), None)
    if key is None:
        return 0.0
    try:
        seconds = float(values[key].upper().replace("D", "E"))
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise SetupError(f"{path} is for an embargo, so its {key} must be a number of seconds, not '{values[key]}'.")
    return seconds


def _later(begun: datetime, seconds: float, path: Path) -> datetime:
    try:
        return begun + timedelta(seconds=seconds)
    except OverflowError:
        raise SetupError(f"{path} has an exposure of {seconds:g} s, which does not end within the calendar.") from None
