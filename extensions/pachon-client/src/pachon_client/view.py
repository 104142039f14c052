"""View state of a saved query: what was done with its rows in the Portal or in JupyterLab."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


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
    def filters(self) -> tuple[Mapping[str, Any], ...]:
        """Filters, each with `column`, `op` and `value` or `values`."""
        return tuple(self.document.get("filters", ()))

    @property
    def sort(self) -> tuple[Mapping[str, Any], ...]:
        """Columns by which rows are sorted."""
        return tuple(self.document.get("sort", ()))

    @property
    def selection(self) -> Mapping[str, Any] | None:
        """The selection: `kind` is `box`, `polygon`, `rows` or `adql`."""
        return self.document.get("selection")

    @property
    def plots(self) -> tuple[Mapping[str, Any], ...]:
        """Plots with their axes and scales."""
        return tuple(self.document.get("plots", ()))

    @property
    def sky(self) -> Mapping[str, Any] | None:
        """Where the sky map looks: `ra_deg`, `dec_deg` (ICRS) and `fov_deg`."""
        return self.document.get("sky")
