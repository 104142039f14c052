"""What a query may not mean, though ADQL allows it: told beside its rows."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlglot import exp

from pachon.queries.adql.text import position_at, start_of

_MOST_NOTES = 8


@dataclass(slots=True)
class Notes:
    """Sentences about places of one text, each once, at most eight.

    Parameters
    ----------
    text
        The ADQL text.
    """

    text: str
    _told: dict[str, None] = field(default_factory=dict, init=False)

    def add(self, node: exp.Expr, message: str) -> None:
        """Say something of a node."""
        if len(self._told) < _MOST_NOTES:
            self._told[f"{position_at(self.text, start_of(node))}: {message}"] = None

    @property
    def sentences(self) -> tuple[str, ...]:
        """With line and column, in the order they were found."""
        return tuple(self._told)
