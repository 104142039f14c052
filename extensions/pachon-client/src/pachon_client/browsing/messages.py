"""What the widget in the browser asks, and the answers; every answer is JSON and perhaps one picture, deflated."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from pachon_client.browsing.graticule import graticule
from pachon_client.browsing.model import Browsing
from pachon_client.browsing.planes import SkyPlane, Window
from pachon_client.browsing.selecting import Mode
from pachon_client.errors import PachonClientError, RequestError

Answer = tuple[dict[str, Any], list[bytes]]

_MOST_PIXELS = 4096
_MOST_VERTICES = 5_000
_MOST_PAGE_ROWS = 200
_MOST_COLUMNS = 60
_LONGEST_CELL = 120
_QUICK = 1


def answer(browsing: Browsing, message: Mapping[str, Any]) -> list[Answer]:
    """Do what a message says; what cannot be done is said in words, and nothing has changed.

    Parameters
    ----------
    message
        `kind` is `start`, `draw`, `select`, `row`, `clear`, `axes` or `table`; `view` says which view asks.
    """
    acts = {
        "start": _start,
        "draw": _draw,
        "select": _select,
        "row": _row,
        "clear": _clear,
        "axes": _axes,
        "table": _table,
    }
    try:
        act = acts.get(str(message.get("kind")))
        if act is None:
            raise RequestError(f"The widget asks for '{message.get('kind')}'; it may ask for {', '.join(acts)}.")
        return act(browsing, message)
    except PachonClientError as error:
        return [({"kind": "said", "text": str(error)}, [])]
    except (KeyError, TypeError, ValueError) as error:
        text = f"The widget and this kernel do not understand each other ({error!r}): run the cell again."
        return [({"kind": "said", "text": text}, [])]


def state(browsing: Browsing) -> dict[str, Any]:
    """What each view shows beside pictures and table."""
    result = browsing.rows.result
    return {
        "kind": "state",
        "rows": len(browsing.rows),
        "overflow": result.overflow,
        "selected": int(browsing.mask.sum()),
        "adql": _shown_adql(browsing),
        "planes": {name: _plane(browsing, name) for name in browsing.planes},
        "numeric": list(browsing.rows.numeric),
        "sort": list(browsing.sort) if browsing.sort else None,
        "has_position": browsing.rows.position is not None,
        "remark": browsing.remark,
    }


def _plane(browsing: Browsing, name: str) -> dict[str, Any]:
    window = browsing.window(name)
    return {**browsing.plane(name).document(), "window": [*window.x_range, *window.y_range]}


def _shown_adql(browsing: Browsing) -> str:
    try:
        return browsing.selection.adql(browsing.rows)
    except RequestError as error:
        return f"-- {error}"


def _start(browsing: Browsing, _: Mapping[str, Any]) -> list[Answer]:
    return [(state(browsing), [])]


def _draw(browsing: Browsing, message: Mapping[str, Any]) -> list[Answer]:
    name, window = str(message["plane"]), _window(message["window"])
    width, height = (int(side) for side in message["size"])
    if not (0 < width <= _MOST_PIXELS and 0 < height <= _MOST_PIXELS):
        raise RequestError(
            f"A picture of {width} x {height} pixels cannot be drawn; each side may be 1 to {_MOST_PIXELS}."
        )
    picture = browsing.draw(name, window, size=(width, height))
    told = {
        "kind": "picture",
        "view": message.get("view"),
        "plane": name,
        "window": [*window.x_range, *window.y_range],
        "size": [width, height],
        "rows": picture.row_count,
        "selected": picture.selected_count,
        "lines": _lines(browsing, name, window),
    }
    return [(told, [zlib.compress(picture.shades.tobytes(), _QUICK)])]


def _lines(browsing: Browsing, name: str, window: Window) -> list[dict[str, Any]]:
    plane = browsing.plane(name)
    if not isinstance(plane, SkyPlane):
        return []
    lines = graticule(plane, window)
    return [
        {"points": [_point(point) for point in line.points], "label": line.label, "meridian": line.is_meridian}
        for line in lines
    ]


def _point(point: np.ndarray[Any, np.dtype[np.float64]]) -> list[float] | None:
    return [float(point[0]), float(point[1])] if np.isfinite(point).all() else None


def _select(browsing: Browsing, message: Mapping[str, Any]) -> list[Answer]:
    name, mode = str(message["plane"]), Mode(message["mode"])
    if message["shape"] == "box":
        browsing.select_box(name, _window(message["window"]), mode)
    else:
        points = [(float(x), float(y)) for x, y in message["points"][:_MOST_VERTICES]]
        browsing.select_lasso(name, points, mode)
    return _changed(browsing)


def _row(browsing: Browsing, message: Mapping[str, Any]) -> list[Answer]:
    browsing.choose_row(int(message["row"]), chosen=bool(message["chosen"]))
    return _changed(browsing)


def _clear(browsing: Browsing, _: Mapping[str, Any]) -> list[Answer]:
    browsing.clear()
    return _changed(browsing)


def _axes(browsing: Browsing, message: Mapping[str, Any]) -> list[Answer]:
    browsing.set_axes(str(message["x"]), str(message["y"]))
    return [({**state(browsing), "axes": True}, [])]


def _changed(browsing: Browsing) -> list[Answer]:
    return [({**state(browsing), "changed": True}, [])]


def _table(browsing: Browsing, message: Mapping[str, Any]) -> list[Answer]:
    wanted = (message.get("sort"), bool(message.get("descending")))
    if wanted != (browsing.sort or (None, False)):
        browsing.sort_by(wanted[0], descending=wanted[1])
    listed = browsing.listed(selected_only=bool(message.get("selected_only")))
    count = min(_MOST_PAGE_ROWS, max(1, int(message["count"])))
    first = max(0, min(int(message["first"]), (len(listed) - 1) // count * count))
    numbers = listed[first : first + count]
    result = browsing.rows.result
    table = result.table.select(result.table.column_names[:_MOST_COLUMNS])
    page = pa.concat_tables([table.slice(0, 0), *(table.slice(int(number), 1) for number in numbers)])
    told = {
        "kind": "table",
        "view": message.get("view"),
        "first": first,
        "total": len(listed),
        "columns": [
            {"name": column.name, "unit": column.unit or "", "about": column.description or ""}
            for column in result.columns[:_MOST_COLUMNS]
        ],
        "left_out": max(0, len(result.columns) - _MOST_COLUMNS),
        "sort": list(browsing.sort) if browsing.sort else None,
        "numbers": numbers.tolist(),
        "chosen": browsing.mask[numbers].tolist(),
        "cells": [[_cell(value) for value in row.values()] for row in page.to_pylist()],
    }
    return [(told, [])]


def _cell(value: object) -> str | None:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    text = f"{value:.8g}" if isinstance(value, float) else str(value)
    return text if len(text) <= _LONGEST_CELL else f"{text[:_LONGEST_CELL]}\N{HORIZONTAL ELLIPSIS}"


def _window(ends: Any) -> Window:  # noqa: ANN401 -- what came from the browser
    left, right, low, high = (float(end) for end in ends)
    if not (np.isfinite((left, right, low, high)).all() and left < right and low < high):
        raise RequestError(f"A window runs from left to right and from low to high, not {ends}.")
    return Window((left, right), (low, high))
