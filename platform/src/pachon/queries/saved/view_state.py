"""View state: what a person did with the rows of a result, so that another door shows the same.

A document has `schema_version` `<major>.<minor>`. A newer minor version only adds members: they are kept as they came
and given back, though this code does not know them. A newer major version, and unknown members in a version that is
known, are refused. What is stored is the very document that was checked, so nothing is lost on the way.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pachon.core.errors import LimitError, UsageError
from pachon.core.row_filter import Value

MAJOR, MINOR = 1, 0
SCHEMA_VERSION: Final = f"{MAJOR}.{MINOR}"
MAX_VIEW_BYTES = 128 * 1024
_MAX_ENTRIES = 2_000
_MAX_PLOTS = 50
_MAX_VERTICES = 1_000
_MAX_SELECTED = 5_000

Name = Annotated[str, Field(min_length=1, max_length=256)]
"""Name of a column of the result."""
Words = Annotated[str, Field(max_length=2_000)]
JsonObject = dict[str, Any]


class Part(BaseModel):
    """A part of the view state; members of newer minor versions are kept."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True, allow_inf_nan=False)


class ColumnView(Part):
    """How one column is shown."""

    name: Name
    visible: bool = True
    width_px: int | None = Field(None, ge=0, le=10_000)
    pinned: bool = False
    format: str | None = Field(None, max_length=64, description="How numbers are written, such as `.3f`.")


class Filter(Part):
    """Rows that are kept: those whose value compares so. Nulls pass `is null` only."""

    column: Name
    op: Literal["=", "!=", "<", "<=", ">", ">=", "between", "in", "contains", "starts with", "is null", "is not null"]
    value: Value = Field(None, description="What to compare with; `between` and `in` take `values`.")
    values: list[Value] = Field([], max_length=_MAX_SELECTED, description="Both ends included of `between`; or a set.")


class SortKey(Part):
    """A column by which rows are sorted; nulls come last."""

    column: Name
    descending: bool = False


class AdqlSelection(Part):
    """Rows for which an ADQL condition on the columns of the result holds."""

    kind: Literal["adql"]
    condition: Annotated[str, Field(min_length=1, max_length=20_000)]


class BoxSelection(Part):
    """Rows inside a box in the plane of two columns, edges included."""

    kind: Literal["box"]
    x: Name
    y: Name
    x_range: Annotated[list[float], Field(min_length=2, max_length=2)]
    y_range: Annotated[list[float], Field(min_length=2, max_length=2)]


class PolygonSelection(Part):
    """Rows inside a polygon in the plane of two columns."""

    kind: Literal["polygon"]
    x: Name
    y: Name
    vertices: Annotated[
        list[Annotated[list[float], Field(min_length=2, max_length=2)]], Field(min_length=3, max_length=_MAX_VERTICES)
    ]


class RowSelection(Part):
    """Rows picked one by one, by the value of a column that tells them apart."""

    kind: Literal["rows"]
    column: Name
    values: list[Value] = Field(max_length=_MAX_SELECTED)


Selection = Annotated[
    AdqlSelection | BoxSelection | PolygonSelection | RowSelection, Field(discriminator="kind", description="Rows.")
]


class Axis(Part):
    """What an axis, a colour or a size shows, and how."""

    expression: Annotated[str, Field(min_length=1, max_length=2_000, description="A column, or arithmetic on some.")]
    scale: Literal["linear", "log", "sqrt", "asinh"] = "linear"
    low: float | None = None
    high: float | None = None
    inverted: bool = False
    label: Words = ""


class Plot(Part):
    """One plot."""

    id: Annotated[str, Field(min_length=1, max_length=64)]
    kind: Literal["scatter", "density", "histogram", "line", "sky"]
    title: Words = ""
    x: Axis | None = None
    y: Axis | None = None
    colour: Axis | None = None
    size: Axis | None = None
    bins: int | None = Field(None, ge=1, le=100_000)
    palette: str | None = Field(None, max_length=64)


class SkyView(Part):
    """Where the sky map looks (ICRS, degrees)."""

    ra_deg: float = Field(ge=0, le=360)
    dec_deg: float = Field(ge=-90, le=90)
    fov_deg: float = Field(gt=0, le=360)
    rotation_deg: float = Field(0.0, ge=-360, le=360)
    projection: str | None = Field(None, max_length=16, description="FITS code, such as `SIN` or `AIT`.")
    survey: Words = Field("", description="HiPS behind the sources.")


class ViewState(Part):
    """What a person did with the rows of a result."""

    schema_version: Annotated[str, Field(pattern=r"^[1-9][0-9]*\.[0-9]+$")] = SCHEMA_VERSION
    columns: list[ColumnView] | None = Field(None, max_length=_MAX_ENTRIES, description="In order; null for all as is.")
    filters: list[Filter] = Field([], max_length=_MAX_ENTRIES)
    sort: list[SortKey] = Field([], max_length=_MAX_ENTRIES)
    selection: Selection | None = None
    plots: list[Plot] = Field([], max_length=_MAX_PLOTS)
    sky: SkyView | None = None
    image: JsonObject | None = Field(None, description="State of an image viewer: any JSON object, kept as it is.")


def checked_view(document: Mapping[str, Any]) -> dict[str, Any]:
    """A view state that may be stored: the document itself, once it is known to be one.

    Raises
    ------
    UsageError
        If it is none, naming the member; or is of a newer major version.
    LimitError
        If it is too large.
    """
    size_bytes = len(plain_json(document, "view"))
    if size_bytes > MAX_VIEW_BYTES:
        raise LimitError(f"view has {size_bytes} bytes; at most {MAX_VIEW_BYTES} are allowed.", parameter="view")
    minor = _minor_of(document)
    try:
        view = ViewState.model_validate(dict(document))
    except ValidationError as error:
        raise _explained(error) from None
    unknown = next(_unknown(view, "view"), None)
    if unknown is not None and minor <= MINOR:
        message = f"{unknown} is not part of schema_version {SCHEMA_VERSION}; GET /api/queries/schema tells what is."
        raise UsageError(message, parameter=unknown)
    return dict(document)


def plain_json(document: object, name: str) -> bytes:
    """A document as UTF-8 JSON.

    Raises
    ------
    UsageError
        If JSON or UTF-8 cannot hold it: NaN, infinities, lone surrogates.
    """
    try:
        return json.dumps(document, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, TypeError, RecursionError):
        message = f"{name} must be JSON that other programs can read: finite numbers and whole characters."
        raise UsageError(message, parameter=name) from None


def _minor_of(document: Mapping[str, Any]) -> int:
    given = str(document.get("schema_version", SCHEMA_VERSION))
    major, _, minor = given.partition(".")
    if major.isdecimal() and int(major[:9]) > MAJOR:
        message = f"view.schema_version {given[:20]} is newer than this platform reads: at most {MAJOR}.x is allowed."
        raise UsageError(message, parameter="view.schema_version")
    return int(minor[:9]) if minor.isdecimal() else 0


def _unknown(part: Part, path: str) -> Iterator[str]:
    """Where members stand that this version does not know."""
    yield from (f"{path}.{name}" for name in part.model_extra or {})
    for name in type(part).model_fields:
        value = getattr(part, name)
        for index, each in enumerate(value if isinstance(value, list) else [value]):
            if isinstance(each, Part):
                yield from _unknown(each, f"{path}.{name}[{index}]" if isinstance(value, list) else f"{path}.{name}")


def _explained(error: ValidationError) -> UsageError:
    complaint = error.errors(include_url=False)[0]
    path = "view" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in complaint["loc"])
    return UsageError(f"{path}: {complaint['msg']}.", parameter=path)
