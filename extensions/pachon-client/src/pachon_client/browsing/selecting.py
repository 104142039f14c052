"""The selection of rows that table, map and plot share, and how each new shape changes it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from pachon_client.browsing.rows import Rows
from pachon_client.browsing.shapes import AllOf, AnyOf, Picked, Shape

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Mode(StrEnum):
    """What a new shape does with the rows that are selected already."""

    NEW = "new"
    ADD = "add"
    NARROW = "narrow"


@dataclass(frozen=True, slots=True)
class Selection:
    """Rows inside a shape, with single rows added to them and taken from them; empty at first.

    Parameters
    ----------
    shape
        None for no rows.
    added, removed
        Numbers of rows, from 0.
    """

    shape: Shape | None = None
    added: frozenset[int] = frozenset()
    removed: frozenset[int] = frozenset()

    def changed_by(self, shape: Shape, mode: Mode, rows: Rows) -> Self:
        """The selection after a shape was drawn."""
        before = self.whole(rows)
        if mode is Mode.NEW or (before is None and mode is Mode.ADD):
            return type(self)(shape)
        if before is None:
            return type(self)()
        return type(self)((AnyOf if mode is Mode.ADD else AllOf)((before, shape)))

    def with_row(self, number: int, *, chosen: bool, in_shape: bool) -> Self:
        """The selection after one row was chosen or left out by hand.

        Parameters
        ----------
        in_shape
            Whether the shape holds it.
        """
        one = frozenset({number})
        added = (self.added | one) if chosen and not in_shape else (self.added - one)
        removed = (self.removed | one) if in_shape and not chosen else (self.removed - one)
        return type(self)(self.shape, added, removed)

    def whole(self, rows: Rows) -> Shape | None:
        """All of it as one shape; None if it is empty."""
        parts: list[Shape] = [self.shape] if self.shape is not None else []
        if self.added:
            parts.append(Picked.of(rows, self.added))
        if not parts:
            return None
        held = parts[0] if len(parts) == 1 else AnyOf(tuple(parts))
        return AllOf((held, Picked.of(rows, self.removed, excluded=True))) if self.removed else held

    def mask(self, in_shape: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which rows are selected, shape (rows,).

        Parameters
        ----------
        in_shape
            Which rows the shape holds.
        """
        chosen = in_shape.copy()
        chosen[list(self.added)] = True
        chosen[list(self.removed)] = False
        return chosen

    def adql(self, rows: Rows) -> str:
        """The condition on columns of the result; empty if nothing is selected."""
        whole = self.whole(rows)
        return "" if whole is None else whole.adql()

    def document(self, rows: Rows) -> dict[str, Any] | None:
        """The selection of a view state; None if nothing is selected."""
        whole = self.whole(rows)
        return None if whole is None else whole.document()
