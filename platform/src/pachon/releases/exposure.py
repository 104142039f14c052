"""When an exposure ended, as the header of its FITS file says (FITS standard 4.0, sections 4.4.2 and 9.5)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pachon.core.errors import SetupError

_BLOCK_BYTES = 2880
_CARD_BYTES = 80
_MAX_BLOCKS = 2_000
_EXPOSURE_KEYS = ("EXPTIME", "EXPOSURE")
_WANTED = {"DATE-END", "DATE-OBS", *_EXPOSURE_KEYS, "NAXIS"}


def taken_at(path: Path) -> datetime:
    """The end of an exposure (UTC): `DATE-END`, or `DATE-OBS` plus the exposure time.

    Read from the primary header or, where that has no data, from the first extension's (compressed images). Time scales
    are not told apart: they differ by about a minute, embargoes last hours.

    Raises
    ------
    SetupError
        If the file does not say.
    """
    with path.open("rb") as file:
        for _ in range(2):
            values = dict(_cards(iter(lambda: file.read(_BLOCK_BYTES), b"")))
            if (ended := _moment(values.get("DATE-END"))) is not None:
                return ended
            if (begun := _moment(values.get("DATE-OBS"))) is not None:
                return begun + timedelta(seconds=_exposure_s(values))
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
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _exposure_s(values: dict[str, str]) -> float:
    for key in _EXPOSURE_KEYS:
        try:
            return float(values[key])
        except (KeyError, ValueError):
            continue
    return 0.0
