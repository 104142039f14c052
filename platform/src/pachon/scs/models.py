"""Words of Simple Cone Search: what is asked, and what the service allows."""

from __future__ import annotations

from dataclasses import dataclass

from pachon.core.errors import LimitError, UsageError
from pachon.core.sky import Cone
from pachon.vo import formats
from pachon.vo.dali import Parameters
from pachon.vo.formats import Format

_VERSIONS = ("1.03", "1.1")
_NEW_VERSION = "1.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConeLimits:
    """What one cone may take.

    Parameters
    ----------
    max_radius_deg
        The largest SR, degrees.
    max_rows
        The largest MAXREC.
    """

    max_radius_deg: float
    max_rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ConeRequest:
    """One cone search.

    Parameters
    ----------
    verbosity
        VERB: 1 few columns, 2 the principal ones, 3 all.
    max_rows
        MAXREC within the limits; 0 for metadata only, which SR=0 means as well; None for the default.
    has_old_words
        Whether the main columns are told in the words of version 1.03 (UCD1) or of 1.1 (UCD1+).
    """

    cone: Cone
    form: Format
    verbosity: int = 2
    max_rows: int | None = None
    has_old_words: bool = True

    @classmethod
    def from_parameters(cls, parameters: Parameters, limits: ConeLimits) -> ConeRequest:
        """Read the parameters of Simple Cone Search 1.03, section 2.1, and MAXREC, RESPONSEFORMAT and VERSION.

        Those it does not know are ignored.

        Raises
        ------
        UsageError
            If one is missing or wrong.
        """
        radius_deg = _radius(parameters, limits)
        max_rows = parameters.max_rows(limit=limits.max_rows)
        return cls(
            cone=Cone(
                _right_ascension(parameters),
                _required(parameters, "DEC", allowed="declination in decimal degrees, ICRS, -90 to +90"),
                radius_deg,
            ),
            form=formats.choose(parameters, default=formats.TABLEDATA),
            verbosity=_verbosity(parameters),
            max_rows=max_rows if radius_deg > 0 else 0,
            has_old_words=_version(parameters) != _NEW_VERSION,
        )


def _right_ascension(parameters: Parameters) -> float:
    allowed = "a right ascension in decimal degrees, ICRS, 0 to 360"
    ra_deg = _required(parameters, "RA", allowed=allowed)
    if not 0 <= ra_deg <= 360:  # noqa: PLR2004 -- a whole turn
        raise UsageError(f"RA must be {allowed}, not {ra_deg:g}.", parameter="RA")
    return ra_deg


def _radius(parameters: Parameters, limits: ConeLimits) -> float:
    allowed = f"a radius in decimal degrees, 0 (metadata only) to {limits.max_radius_deg:g}"
    radius_deg = _required(parameters, "SR", allowed=allowed)
    if not 0 <= radius_deg <= limits.max_radius_deg:
        raise LimitError(f"SR must be {allowed}, not {radius_deg:g}.", parameter="SR")
    return radius_deg


def _required(parameters: Parameters, name: str, *, allowed: str) -> float:
    value = parameters.number(name, allowed=allowed)
    if value is None:
        raise UsageError(f"{name} is missing: {allowed}.", parameter=name)
    return value


def _verbosity(parameters: Parameters) -> int:
    text = parameters.text("VERB") or "2"
    if text not in {"1", "2", "3"}:
        raise UsageError(f"VERB must be 1, 2 or 3, not '{text[:80]}'.", parameter="VERB")
    return int(text)


def _version(parameters: Parameters) -> str:
    version = parameters.text("VERSION") or _VERSIONS[0]
    if version not in _VERSIONS:
        raise UsageError(f"VERSION must be {' or '.join(_VERSIONS)}, not '{version[:80]}'.", parameter="VERSION")
    return version
