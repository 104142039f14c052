"""Rows as plots and table see them: quantities as arrays, the columns of the position, and what tells rows apart."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pachon_client.errors import RequestError
from pachon_client.models import Column
from pachon_client.result import Result, columns_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PLAIN_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_NAME = r'(?:[A-Za-z_]\w*|"(?:[^"]|"")+")'
_QUANTITY = re.compile(rf"\s*({_NAME})(?:\s*-\s*({_NAME}))?\s*", re.ASCII)
_NAMED = 20


@dataclass(frozen=True, slots=True)
class Axis:
    """A quantity: one column, or one minus another."""

    column: str
    minus: str | None = None
    unit: str | None = None
    is_magnitude: bool = False

    @property
    def expression(self) -> str:
        """As ADQL writes it."""
        return " - ".join(quoted(name) for name in (self.column, self.minus) if name is not None)

    @property
    def title(self) -> str:
        """Name with unit."""
        name = self.column if self.minus is None else f"{self.column} \N{MINUS SIGN} {self.minus}"
        return f"{name} [{self.unit}]" if self.unit else name


class Rows:
    """The rows of a result, which never change.

    Parameters
    ----------
    result
        Rows and what is known of their columns.
    """

    def __init__(self, result: Result) -> None:
        self.result = result
        self._values: dict[Axis, NDArray[np.float64]] = {}

    def __len__(self) -> int:
        return len(self.result)

    def values(self, axis: Axis) -> NDArray[np.float64]:
        """Values of a quantity, shape (rows,), NaN where it has none.

        A difference is taken in the type of its columns, as the platform's engine does.
        """
        if axis not in self._values:
            column = self.result.table.column(axis.column)
            if axis.minus is not None:
                column = pc.subtract(column, self.result.table.column(axis.minus))
            filled = pc.fill_null(column.cast(pa.float64(), safe=False), np.nan)
            self._values[axis] = np.ascontiguousarray(filled.to_numpy())
        return self._values[axis]

    def axis(self, expression: str) -> Axis:
        """The quantity that an expression means: a column, or `a - b`.

        Raises
        ------
        RequestError
            It is neither, or a column is not there or holds no numbers.
        """
        found = _QUANTITY.fullmatch(expression)
        if found is None:
            raise RequestError(
                f"An axis is a column or one minus another, such as 'g_mag - r_mag', not '{expression}'."
            )
        names = [_unquoted(name) for name in found.groups() if name is not None]
        for name in names:
            if name not in self.numeric:
                known = ", ".join(self.numeric[:_NAMED]) or "none"
                raise RequestError(f"The rows have no column '{name}' of numbers; those are: {known}.")
        column = self._columns[names[0]]
        minus = names[1] if len(names) > 1 else None
        return Axis(column.name, minus, column.unit, is_magnitude=minus is None and _has_word(column, "phot.mag"))

    def default_axes(self) -> tuple[Axis, Axis] | None:
        """Colour and magnitude where the rows have them, else the first two quantities; None if there are not two."""
        magnitudes = [name for name in self.numeric if _has_word(self._columns[name], "phot.mag")]
        colours = [name for name in self.numeric if _has_word(self._columns[name], "phot.color")]
        pairs = [f"{quoted(blue)} - {quoted(red)}" for blue, red in pairwise(magnitudes)]
        if magnitudes and (colours or pairs):
            return self.axis(quoted(colours[0]) if colours else pairs[0]), self.axis(quoted(magnitudes[0]))
        places = set(self.position or ()) | {self.identifier}
        others = [name for name in self.numeric if name not in places]
        chosen = others if len(others) > 1 else [*others, *(name for name in self.numeric if name not in others)]
        return (self.axis(quoted(chosen[0])), self.axis(quoted(chosen[1]))) if len(chosen) > 1 else None

    @cached_property
    def numeric(self) -> tuple[str, ...]:
        """Names of the columns that hold numbers."""
        schema = self.result.table.schema
        return tuple(f.name for f in schema if pa.types.is_integer(f.type) or pa.types.is_floating(f.type))

    @cached_property
    def position(self) -> tuple[str, str] | None:
        """Columns of the principal position (ICRS, degrees), by UCD, else plain `ra` and `dec`; None without."""
        numeric = [self._columns[name] for name in self.numeric]
        ra, dec = _first(numeric, "pos.eq.ra", "ra"), _first(numeric, "pos.eq.dec", "dec")
        return (ra, dec) if ra and dec else None

    @cached_property
    def identifier(self) -> str | None:
        """The column that tells rows apart: by UCD `meta.id`, else any of whole numbers or texts without repetition."""
        told = [name for name, column in self._columns.items() if _has_word(column, "meta.id")]
        main = [name for name in told if _has_word(self._columns[name], "meta.main")]
        order = dict.fromkeys((*main, *told, *self._columns))
        return next((name for name in order if self._tells_apart(name)), None)

    def _tells_apart(self, name: str) -> bool:
        column = self.result.table.column(name)
        if column.null_count or not (pa.types.is_integer(column.type) or pa.types.is_string(column.type)):
            return False
        return int(pc.count_distinct(column).as_py()) == len(self)

    @cached_property
    def _columns(self) -> dict[str, Column]:
        return {column.name: column for column in self.result.columns}


def result_of(rows: Any) -> Result:  # noqa: ANN401 -- pandas and astropy are optional
    """Rows of any kind as a result: one of ours, an Arrow table, a pandas DataFrame or an astropy Table.

    Raises
    ------
    RequestError
        It is something else.
    """
    if isinstance(rows, Result):
        return rows
    if hasattr(rows, "colnames") and hasattr(rows, "to_pandas"):
        return _of_astropy(rows)
    table = rows
    if hasattr(rows, "iloc") and hasattr(rows, "columns"):
        table = pa.Table.from_pandas(rows, preserve_index=False)
    if not isinstance(table, pa.Table):
        raise RequestError(
            f"A {type(rows).__name__} cannot be browsed; give a saved query, a Result, or a table of Arrow, pandas or "
            "astropy."
        )
    return Result(table=table, columns=columns_of(table.schema))


def quoted(name: str) -> str:
    """A column's name as ADQL writes it (ADQL 2.1, section 2.1.3)."""
    return name if _PLAIN_NAME.fullmatch(name) else '"' + name.replace('"', '""') + '"'


def _of_astropy(rows: Any) -> Result:  # noqa: ANN401 -- astropy is optional
    table = pa.Table.from_pandas(rows.to_pandas(), preserve_index=False)
    columns = tuple(
        Column(
            name=name,
            datatype=str(table.schema.field(name).type),
            unit=str(rows[name].unit) if rows[name].unit else None,
            ucd=rows[name].meta.get("ucd"),
            description=rows[name].description,
        )
        for name in table.column_names
    )
    return Result(table=table, columns=columns)


def _first(columns: Sequence[Column], ucd: str, name: str) -> str | None:
    """The main column of a UCD, else the first of it, else the one of that name."""
    found = [column for column in columns if _has_word(column, ucd)]
    found.sort(key=lambda column: not _has_word(column, "meta.main"))
    named = [column for column in columns if column.name.lower() == name]
    return next((column.name for column in (*found, *named)), None)


def _has_word(column: Column, word: str) -> bool:
    return word in (column.ucd or "").lower().split(";")


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name
