"""View state of a saved query: what was done with its rows in the Portal or in JupyterLab."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

Value = str | bool | int | float | None
"""One value of a column; 64-bit identifiers are strings of digits."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Rows that are kept: those whose `column` compares so with `value`; `between` and `in` take `values`.

    Parameters
    ----------
    op
        `=`, `!=`, `<`, `<=`, `>`, `>=`, `between`, `in`, `contains`, `starts with`, `is null` or `is not null`.
    """

    column: str
    op: str
    value: Value = None
    values: tuple[Value, ...] = ()


@dataclass(frozen=True, slots=True)
class BoxSelection:
    """Rows inside a box in the plane of the columns `x` and `y`, edges included."""

    x: str
    y: str
    x_range: tuple[float, float]
    y_range: tuple[float, float]


@dataclass(frozen=True, slots=True)
class PolygonSelection:
    """Rows inside a polygon in the plane of the columns `x` and `y`; `vertices` are pairs."""

    x: str
    y: str
    vertices: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class RowSelection:
    """Rows picked one by one, by the values of a column that tells them apart."""

    column: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class AdqlSelection:
    """Rows for which a condition of ADQL on the columns of the result holds."""

    condition: str


Selection = BoxSelection | PolygonSelection | RowSelection | AdqlSelection
_KINDS: Mapping[str, type[Selection]] = {
    "box": BoxSelection,
    "polygon": PolygonSelection,
    "rows": RowSelection,
    "adql": AdqlSelection,
}


@dataclass(frozen=True, slots=True)
class View:
    """What a person did with the rows of a result; read-only. Change it by `Query.edit(view=...)`.

    Parameters
    ----------
    document
        The whole view state as JSON has it; see the reference of view states.
    """

    document: Mapping[str, Any] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...] | None:
        """Names of the columns shown, in order; None for all."""
        columns = self.document.get("columns")
        return None if columns is None else tuple(each["name"] for each in columns if each.get("visible", True))

    @property
    def filters(self) -> tuple[Filter, ...]:
        """Filters: rows must pass all."""
        return tuple(
            Filter(each["column"], each["op"], each.get("value"), tuple(each.get("values", ())))
            for each in self.document.get("filters", ())
        )

    @property
    def sort(self) -> tuple[Mapping[str, Any], ...]:
        """Columns by which rows are sorted."""
        return tuple(self.document.get("sort", ()))

    @property
    def selection(self) -> Selection | None:
        """The selection; None for no one, and for one of a kind that this client does not know."""
        document = self.document.get("selection") or {}
        kind = _KINDS.get(document.get("kind", ""))
        if kind is None:
            return None
        return kind(**{name: _frozen(document[name]) for name in kind.__dataclass_fields__})

    @property
    def plots(self) -> tuple[Mapping[str, Any], ...]:
        """Plots with their axes and scales."""
        return tuple(self.document.get("plots", ()))

    @property
    def sky(self) -> Mapping[str, Any] | None:
        """Where the sky map looks: `ra_deg`, `dec_deg` (ICRS) and `fov_deg`."""
        return self.document.get("sky")

    def with_filters(self, filters: Sequence[Filter]) -> View:
        """The same view with these filters instead of its own."""
        written: list[dict[str, Any]] = []
        for each in filters:
            document = {"column": each.column, "op": each.op}
            given = {"value": each.value} if each.value is not None else {}
            written.append({**document, **given, **({"values": list(each.values)} if each.values else {})})
        return View({**self.document, "filters": written})

    def with_selection(self, selection: Selection | None) -> View:
        """The same view with this selection instead of its own."""
        if selection is None:
            return View({**self.document, "selection": None})
        kind = next(name for name, each in _KINDS.items() if isinstance(selection, each))
        written = {"kind": kind, **json.loads(json.dumps(asdict(selection)))}  # lists instead of tuples
        return View({**self.document, "selection": written})


def _frozen(value: Any) -> Any:  # noqa: ANN401 -- values of JSON
    """Lists as tuples, all the way down."""
    return tuple(_frozen(each) for each in value) if isinstance(value, list) else value
