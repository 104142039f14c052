"""The answer to a query."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pachon_client.errors import SetupError
from pachon_client.models import Column

if TYPE_CHECKING:
    import pandas as pd
    from astropy.table import Table

_SHOWN_ROWS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Rows that a query selected.

    Parameters
    ----------
    table
        The rows as an Arrow table.
    columns
        Name, unit, UCD and description of each column, in order.
    overflow
        Whether there were more rows than the limit in force: the rows here are then a part of the answer.
    execution_id
        Id under which the platform remembers this run; empty when it gave none.
    warnings
        What ADQL allows but is hardly meant, such as a division of integers: a sentence each.
    """

    table: pa.Table
    columns: tuple[Column, ...]
    overflow: bool = False
    execution_id: str = ""
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for batch in self.table.to_batches():
            yield from batch.to_pylist()

    def __getitem__(self, name: str) -> np.ndarray:
        """Values of one column, shape (rows,); nulls of a number are NaN where its type has one, else masked."""
        if name not in self.table.column_names:
            raise KeyError(f"No column {name!r}; there are {', '.join(self.table.column_names)}.")
        column = self.table.column(name)
        if pa.types.is_floating(column.type):
            return np.asarray(column.to_numpy())
        return _masked(column) if column.null_count else np.asarray(column.to_numpy())

    def to_pandas(self) -> pd.DataFrame:
        """The rows as a pandas DataFrame. Integers with nulls keep their type (`Int64`), so long ids stay exact."""
        try:
            import pandas as pd  # noqa: PLC0415 -- optional
        except ImportError as error:
            raise SetupError("to_pandas needs pandas: pip install pachon-client[pandas].") from error
        nullable = {
            pa.int64(): pd.Int64Dtype(),
            pa.int32(): pd.Int32Dtype(),
            pa.int16(): pd.Int16Dtype(),
            pa.uint8(): pd.UInt8Dtype(),
            pa.bool_(): pd.BooleanDtype(),
        }
        nulls = {
            field.type for field, column in zip(self.table.schema, self.table.columns, strict=True) if column.null_count
        }
        mapper = {kind: dtype for kind, dtype in nullable.items() if kind in nulls}
        frame: pd.DataFrame = self.table.to_pandas(types_mapper=mapper.get)
        return frame

    def to_astropy(self) -> Table:
        """The rows as an astropy Table with units, descriptions and UCDs (in `column.meta`); nulls are masked."""
        try:
            from astropy.table import Table  # noqa: PLC0415 -- optional
        except ImportError as error:
            raise SetupError("to_astropy needs astropy: pip install pachon-client[astropy].") from error
        columns = [_astropy_column(column, self.table.column(column.name)) for column in self.columns]
        return Table(columns, meta={"overflow": self.overflow, "execution_id": self.execution_id})

    def to_html(self, first: int = 0, count: int = _SHOWN_ROWS, *, caption: str = "") -> str:
        """Some of the rows, with units, as an HTML table below a line that says how many there are.

        Parameters
        ----------
        first, count
            Which rows: the number of the first, from 0, and how many.
        caption
            Said before the number of rows.
        """
        head = "".join(f"<th>{_text(column.name)}</th>" for column in self.columns)
        units = "".join(f'<th style="font-weight:normal;opacity:.7">{_text(c.unit or "")}</th>' for c in self.columns)
        rows = "".join(
            "<tr>" + "".join(f"<td>{_cell(value)}</td>" for value in row.values()) + "</tr>"
            for row in self.table.slice(first, count).to_pylist()
        )
        header = f"<thead><tr>{head}</tr><tr>{units}</tr></thead>"
        said = f"{caption} {self._summary()}".strip()
        warnings = "".join(f"<p><strong>Warning:</strong> {_text(warning)}</p>" for warning in self.warnings)
        return f"<p>{_text(said)}</p>{warnings}<table>{header}<tbody>{rows}</tbody></table>"

    def _repr_html_(self) -> str:
        """The first rows, for a notebook."""
        return self.to_html()

    def __repr__(self) -> str:
        return f"<Result: {self._summary()}>"

    def _summary(self) -> str:
        size = f"{len(self):,} row{'' if len(self) == 1 else 's'} x {len(self.columns)} columns"
        return f"{size}, cut at the row limit" if self.overflow else size


def columns_of(schema: pa.Schema) -> tuple[Column, ...]:
    """Columns of an Arrow schema whose field metadata hold `unit`, `ucd` and `description`."""
    return tuple(_column_of(field) for field in schema)


def _column_of(field: pa.Field) -> Column:
    metadata = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
    return Column(
        name=field.name,
        datatype=str(field.type),
        unit=metadata.get("unit"),
        ucd=metadata.get("ucd"),
        description=metadata.get("description"),
    )


def _masked(column: pa.ChunkedArray) -> np.ma.MaskedArray[Any, Any]:
    mask = column.is_null().to_numpy()
    if pa.types.is_string(column.type):
        return np.ma.masked_array(pc.fill_null(column, "").to_numpy().astype(str), mask=mask)
    if pa.types.is_nested(column.type):
        return np.ma.masked_array(column.to_numpy(), mask=mask)
    zero = pa.scalar(0).cast(pa.int64()).cast(column.type)
    return np.ma.masked_array(pc.fill_null(column, zero).to_numpy(), mask=mask)


def _astropy_column(column: Column, values: pa.ChunkedArray) -> Any:  # noqa: ANN401 -- Column, MaskedColumn or Time
    from astropy import units as u  # noqa: PLC0415 -- optional
    from astropy.table import Column as PlainColumn  # noqa: PLC0415 -- optional
    from astropy.table import MaskedColumn  # noqa: PLC0415 -- optional

    unit = u.Unit(column.unit, format="vounit", parse_strict="silent") if column.unit else None
    data = _masked(values) if values.null_count else values.to_numpy()
    if data.dtype == object and pa.types.is_string(values.type):
        data = data.astype(str)
    kind = MaskedColumn if values.null_count else PlainColumn
    meta = {"ucd": column.ucd} if column.ucd else {}
    return kind(data, name=column.name, unit=unit, description=column.description, meta=meta)


def _cell(value: object) -> str:
    if value is None:
        return '<span style="opacity:.5">null</span>'
    return _text(f"{value:.6g}" if isinstance(value, float) else str(value))


def _text(value: str) -> str:
    return html.escape(value)
