"""How DuckDB joins by position: on HEALPix pixels, with functions of the worker for the pixels that discs touch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pachon.core.healpix import SPATIAL_INDEX_ORDER
from pachon.core.healpix_grid import orders_for
from pachon.queries.plan import (
    ColumnRef,
    Expression,
    Join,
    JoinKind,
    Literal,
    Near,
    Position,
    Relation,
    Select,
    sources_of,
)

INDEX_COLUMN = '"_healpix_29"'
DISC_PIXELS = "sky_disc_pixels"
"""(ra, dec, radius, order) -> list of nested pixels at that order; see `core.healpix_grid.disc_pixels`."""
DISC_ORDER = "sky_disc_order"
"""(radius) -> order; NULL for a radius that is no number or negative."""
PIXEL = "sky_pixel"
"""(ra, dec) -> order 29 pixel; NULL without a position."""


@dataclass(frozen=True, slots=True)
class NearSQL:
    """A join by position, its parts as SQL.

    Parameters
    ----------
    kind
        `LEFT` if the side with the discs is the preserved one, `RIGHT` if the other is.
    discs, other
        The relations.
    pixels, discs_name, other_name
        Names: for the pixels of a disc; of both sides, where they are a single source.
    around
        Centre of the discs and their radius.
    index
        Order 29 pixel of the other side.
    condition
        What else must be true, the exact test among it; empty if that comes later.
    order
        Of the pixels; None if radii differ: see `levels_sql`.
    """

    kind: JoinKind
    discs: str
    other: str
    pixels: str
    discs_name: str
    other_name: str
    around: tuple[str, str, str]
    index: str
    condition: str
    order: int | None

    def write(self) -> str:
        """The relation."""
        on = f"{self._keys()} AND {self.condition}" if self.condition else self._keys()
        if self.kind is JoinKind.LEFT:
            found = f"(SELECT {self.other_name}.* FROM {self._unnested()} JOIN {self._levelled()} ON {on})"  # noqa: S608 -- from a plan
            return f"({self.discs} LEFT JOIN LATERAL {found} AS {self.other_name} ON true)"
        expanded = f"({self.discs} CROSS JOIN LATERAL {self._unnested()})"
        if self.kind is JoinKind.RIGHT and self.order is not None:
            return f"({self.other} LEFT JOIN {expanded} ON {on})"
        if self.kind is JoinKind.RIGHT:
            levels = f"(SELECT level FROM {self.pixels}l) AS {self.pixels}l"  # noqa: S608 -- from a plan
            found = f"(SELECT {self.discs_name}.* FROM {levels} JOIN {expanded} ON {on})"  # noqa: S608 -- from a plan
            return f"({self.other} LEFT JOIN LATERAL {found} AS {self.discs_name} ON true)"
        return f"({expanded} JOIN {self._levelled()} ON {on})"

    def _own_order(self) -> str:
        return f"{DISC_ORDER}({self.around[2]})" if self.order is None else f"{self.order}"

    def _unnested(self) -> str:
        pixels = f"{DISC_PIXELS}({', '.join(self.around)}, {self._own_order()})"
        return f"(SELECT unnest({pixels}) AS pixel) AS {self.pixels}"

    def _levelled(self) -> str:
        """The other side, once for each order of discs that there is."""
        if self.order is not None:
            return self.other
        return f"({self.other} CROSS JOIN {self.pixels}l)"

    def _keys(self) -> str:
        if self.order is not None:
            return f"{self.pixels}.pixel = ({self.index} >> {2 * (SPATIAL_INDEX_ORDER - self.order)})"
        level = f"{self.pixels}l.level"
        shifted = f"({self.index} >> (2 * ({SPATIAL_INDEX_ORDER} - {level})))"
        return f"{self.pixels}.pixel = {shifted} AND {self._own_order()} = {level}"


def levels_sql(pixels: str, radius: str, radii: str) -> str:
    """A query of WITH: the different orders of the discs of a relation, in column `level`."""
    return f"{pixels}l AS MATERIALIZED (SELECT DISTINCT {DISC_ORDER}({radius}) AS level FROM {radii})"  # noqa: S608 -- from a plan


def sides_of(join: Join, near: Near) -> tuple[Relation, Relation, JoinKind]:
    """The side with the discs, the other one, and the kind of join between them in this order."""
    on_right = not sources_read(near.around) <= sources_of(join.left)
    mine, other = (join.right, join.left) if on_right else (join.left, join.right)
    if join.kind is JoinKind.INNER:
        return mine, other, join.kind
    preserved = join.right if join.kind is JoinKind.RIGHT else join.left
    return mine, other, JoinKind.LEFT if mine is preserved else JoinKind.RIGHT


def order_of(radius: Expression) -> int | None:
    """The order of the pixels for discs of one radius; None if radii differ."""
    if not isinstance(radius, Literal) or not isinstance(radius.value, int | float):
        return None
    return int(orders_for(np.array([max(float(radius.value), 0.0)]))[0])


def sources_read(expressions: tuple[Expression, ...]) -> frozenset[int]:
    """Numbers of the sources that expressions without subqueries read."""
    found: set[int] = set()
    for expression in expressions:
        if isinstance(expression, ColumnRef):
            found.add(expression.source)
        else:
            found |= sources_read(getattr(expression, "arguments", ()))
    return frozenset(found)


def source_in(relation: Relation, numbers: frozenset[int]) -> Relation | None:
    """The source with the only one of some numbers in a relation."""
    if isinstance(relation, Join):
        return source_in(relation.left, numbers) or source_in(relation.right, numbers)
    return relation if numbers == {relation.source} else None


def column_pair(position: Position) -> tuple[int, int, int] | None:
    """Source and both column numbers of a position that consists of two columns of one source."""
    ra, dec = position
    if isinstance(ra, ColumnRef) and isinstance(dec, ColumnRef) and ra.source == dec.source:
        return ra.source, ra.index, dec.index
    return None


def passes_rows(query: object) -> bool:
    """Whether each row of a query is one of its source, so that it can bring a further column."""
    return isinstance(query, Select) and query.groups is None and not query.distinct
