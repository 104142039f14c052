"""Request parameters by the rules of DALI 1.1, section 3: names have no case, unknown ones are ignored."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pachon.core.errors import UsageError


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of one request: upper-case name to the values in order of arrival.

    This is the one place where names are folded; whoever asks for a parameter names it in upper case.
    """

    values: Mapping[str, tuple[str, ...]]

    @classmethod
    def from_pairs(cls, pairs: Iterable[tuple[str, str]]) -> Parameters:
        """Fold the names of (name, value) pairs and keep all values."""
        values: dict[str, tuple[str, ...]] = {}
        for name, value in pairs:
            key = name.upper()
            values[key] = (*values.get(key, ()), value)
        return cls(values)

    def all(self, name: str) -> tuple[str, ...]:
        """Every value of a parameter that may be repeated."""
        return self.values.get(name, ())

    def text(self, name: str) -> str | None:
        """The value of a single-valued parameter; None if absent or blank.

        Raises
        ------
        UsageError
            If it is given more than once with different values.
        """
        found = {value.strip() for value in self.all(name)}
        if len(found) > 1:
            raise UsageError(f"{name} is given more than once with different values; give it once.", parameter=name)
        return next(iter(found), "") or None

    def number(self, name: str, *, allowed: str) -> float | None:
        """The value of a numeric parameter; None if absent.

        Parameters
        ----------
        name
            Parameter, in upper case.
        allowed
            What is allowed, for the message: "decimal degrees".

        Raises
        ------
        UsageError
            If the value is not a finite number.
        """
        text = self.text(name)
        if text is None:
            return None
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise UsageError(f"{name} must be a number ({allowed}), not '{shown(text)}'.", parameter=name)
        return value

    def integer(self, name: str, *, allowed: str) -> int | None:
        """The value of a whole-number parameter; None if absent.

        Raises
        ------
        UsageError
            If the value is not a whole number.
        """
        text = self.text(name)
        if text is None:
            return None
        if not re.fullmatch(r"[+-]?[0-9]+", text) or len(text) > _MAX_DIGITS:
            raise UsageError(f"{name} must be {allowed}, not '{shown(text)}'.", parameter=name)
        return int(text)

    def max_rows(self, *, limit: int) -> int | None:
        """MAXREC, clipped to the service's limit; None if absent, 0 for metadata only (DALI 1.1, section 3.4.4).

        Raises
        ------
        UsageError
            If it is negative or not a whole number.
        """
        allowed = f"a whole number of rows, 0 (metadata only) or more; at most {limit} rows are delivered"
        value = self.integer("MAXREC", allowed=allowed)
        if value is not None and value < 0:
            raise UsageError(f"MAXREC must be {allowed}, not '{value}'.", parameter="MAXREC")
        return None if value is None else min(value, limit)


_MAX_DIGITS = 40
_MAX_SHOWN = 60


def shown(text: str) -> str:
    """A value as it may stand in a message."""
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."
