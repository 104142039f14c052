"""How DuckDB spells the geometry of a plan: plain arithmetic where a row is a position, functions of ours elsewhere.

A coordinate that is no number, and a declination beyond a pole, give NULL as a missing one does: `nullif` and CASE say
so where a comparison would not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from pachon.core.polygons import TOUCH_RAD
from pachon.core.sky import GnomonicFrame, gnomonic_frame
from pachon.queries.plan import Call, Expression, Literal, Op
from pachon.queries.sphere import function_name

_HALF_TURN_DEG = 180.0
_MORE_THAN_ANY_SINE = 2.0


def _known(number: str) -> str:
    """NULL instead of what is not a number, which DuckDB holds to be larger than all."""
    return f"nullif({number}, 'nan'::DOUBLE)"


def _haversine(ra: str, dec: str, ra0: str, dec0: str) -> str:
    half_ra, half_dec = f"sin(radians({ra} - {ra0}) / 2)", f"sin(radians({dec} - {dec0}) / 2)"
    return f"({half_dec} * {half_dec} + cos(radians({dec})) * cos(radians({dec0})) * {half_ra} * {half_ra})"


def _on_sky(positions: Sequence[tuple[Expression, str]]) -> str:
    """That computed or stored declinations are not beyond a pole; constant ones are checked as they are bound."""
    return " AND ".join(
        f"{dec} BETWEEN -90.0::DOUBLE AND 90.0::DOUBLE"
        for expression, dec in positions
        if not isinstance(expression, Literal)
    )


def _where_on_sky(call: Call, args: list[str], value: str, *, decs: tuple[int, ...]) -> str:
    """NULL for a declination beyond a pole."""
    on_sky = _on_sky([(call.arguments[place], args[place]) for place in decs])
    return f"CASE WHEN {on_sky} THEN {value} END" if on_sky else value


def _separation(call: Call, args: list[str]) -> str:
    return _where_on_sky(call, args, _known(_separation_or_nan(args)), decs=(1, 3))


def near_filter(call: Call, args: list[str], limit: str) -> str:
    """A separation below a limit (`< 1.5`) where NULL and false are one, as for a term of WHERE."""
    return _and_on_sky(call, args, f"{_separation_or_nan(args)} {limit}")


def _and_on_sky(call: Call, args: list[str], condition: str) -> str:
    on_sky = _on_sky([(call.arguments[place], args[place]) for place in (1, 3)])
    return f"({condition} AND {on_sky})" if on_sky else f"({condition})"


def _separation_or_nan(args: list[str]) -> str:
    """Half the angle from its sine and cosine; `least` would turn NULL into a number."""
    squared_sine = _haversine(*args)
    return f"degrees(2 * atan2(sqrt({squared_sine}), sqrt(abs(1.0::DOUBLE - {squared_sine}))))"


def _in_circle(call: Call, args: list[str]) -> str:
    constant = constant_of(call.arguments[4])
    if constant is None:
        return f"({_separation(call, args[:4])} <= {args[4]})"
    near = f"({_known(_haversine(*args[:4]))} <= {_squared_sine(constant)!r}::DOUBLE)"
    return _where_on_sky(call, args, near, decs=(1, 3))


def circle_filter(call: Call, args: list[str]) -> str:
    """`_in_circle` where NULL and false are one, as for a term of WHERE: NaN is in no circle anyway."""
    constant = constant_of(call.arguments[4])
    if constant is None:
        return _in_circle(call, args)
    return _and_on_sky(call, args, f"{_haversine(*args[:4])} <= {_squared_sine(constant)!r}::DOUBLE")


def _squared_sine(radius_deg: float) -> float:
    """Of half the radius; of one that holds all the sky, more than there is."""
    return math.sin(math.radians(radius_deg) / 2) ** 2 if radius_deg < _HALF_TURN_DEG else _MORE_THAN_ANY_SINE


def _in_box(call: Call, args: list[str]) -> str:
    ra, dec, ra0, dec0, width, height = args
    d_ra, d, d0 = f"radians({ra} - {ra0})", f"radians({dec})", f"radians({dec0})"
    ahead = _known(f"(sin({d0}) * sin({d}) + cos({d0}) * cos({d}) * cos({d_ra}))")
    east = f"(cos({d}) * sin({d_ra}))"
    north = f"(cos({d0}) * sin({d}) - sin({d0}) * cos({d}) * cos({d_ra}))"
    inside = (
        f"({ahead} > 0 AND abs({east}) <= {ahead} * tan(radians({width}) / 2)"
        f" AND abs({north}) <= {ahead} * tan(radians({height}) / 2))"
    )
    return _where_on_sky(call, args, inside, decs=(1, 3))


def _in_polygon(call: Call, args: list[str]) -> str:
    """Crossing number in the gnomonic plane, where great circles are straight lines; or on an edge."""
    numbers = np.array([constant_of(argument) for argument in call.arguments[2:]], dtype=np.float64)
    frame = gnomonic_frame(numbers[0::2], numbers[1::2])
    ahead, x, y = (_dot(axis, args[0], args[1]) for axis in (frame.centre, frame.east, frame.north))
    crossings = " + ".join(_crossing(edge, ahead, x, y) for edge in _edges(frame)) or "0"  # no area: nothing inside
    inside = f"({crossings}) % 2 = 1 OR {_on_edge(frame, ahead, x, y)}"
    value = f"CASE WHEN {_known(ahead)} IS NULL THEN NULL WHEN {ahead} <= 0 THEN false ELSE {inside} END"
    return _where_on_sky(call, args, value, decs=(1,))


def _on_edge(frame: GnomonicFrame, ahead: str, x: str, y: str) -> str:
    """Whether a position touches an edge: near its great circle, and between its ends."""
    ends = np.stack([frame.x, frame.y, np.ones_like(frame.x)], axis=1)
    ends /= np.linalg.norm(ends, axis=1, keepdims=True)
    starts = np.roll(ends, 1, axis=0)
    normals = np.cross(starts, ends - starts)
    lengths = np.linalg.norm(normals, axis=1)
    tests = []
    for edge in np.flatnonzero(lengths):
        normal = normals[edge] / lengths[edge]
        walls = np.cross(normal, starts[edge]), np.cross(ends[edge], normal)
        height, *along = (_product(each.tolist(), (x, y, ahead)) for each in (normal, *walls))
        between = " AND ".join(f"{each} >= -{TOUCH_RAD!r}::DOUBLE" for each in along)
        tests.append(f"(abs({height}) <= {TOUCH_RAD!r}::DOUBLE AND {between})")
    return "(" + " OR ".join(tests or ["false"]) + ")"


def _product(vector: Sequence[float], place: tuple[str, str, str]) -> str:
    return (
        "("
        + " + ".join(f"{float(number)!r}::DOUBLE * {axis}" for number, axis in zip(vector, place, strict=True))
        + ")"
    )


_Edge = tuple[float, float, float, float]


def _edges(frame: GnomonicFrame) -> list[_Edge]:
    x, y = frame.x.tolist(), frame.y.tolist()
    return [(x[i - 1], y[i - 1], x[i], y[i]) for i in range(len(x)) if y[i - 1] != y[i]]


def _crossing(edge: _Edge, ahead: str, x: str, y: str) -> str:
    x1, y1, x2, y2 = edge
    slope = (x2 - x1) / (y2 - y1)
    straddles = f"(({y1!r}::DOUBLE * {ahead} > {y}) <> ({y2!r}::DOUBLE * {ahead} > {y}))"
    left = f"{x} < {slope!r}::DOUBLE * ({y} - {y1!r}::DOUBLE * {ahead}) + {x1!r}::DOUBLE * {ahead}"
    return f"CAST({straddles} AND {left} AS INTEGER)"


def _dot(axis: tuple[float, float, float], ra: str, dec: str) -> str:
    x, y, z = (f"{value!r}::DOUBLE" for value in axis)
    plane = f"cos(radians({dec})) * ({x} * cos(radians({ra})) + {y} * sin(radians({ra})))"
    return f"({plane} + {z} * sin(radians({dec})))"


def constant_of(expression: Expression) -> float | None:
    """The number that an expression is, if it is a constant one."""
    if isinstance(expression, Literal) and isinstance(expression.value, int | float):
        return float(expression.value)
    return None


def _function(call: Call, args: list[str]) -> str:
    name = function_name(call.op, tuple(argument.field.xtype for argument in call.arguments))
    return f"{name}({', '.join(args)})"


_Write = Callable[[Call, list[str]], str]

GEOMETRY: Mapping[Op, _Write] = {
    Op.SEPARATION: _separation,
    Op.IN_CIRCLE: _in_circle,
    Op.IN_BOX: _in_box,
    Op.IN_POLYGON: _in_polygon,
    **dict.fromkeys(
        (Op.COVERED_BY, Op.CONTAINS, Op.INTERSECTS, Op.AREA, Op.CENTROID, Op.BOX_CORNERS),
        _function,
    ),
}
