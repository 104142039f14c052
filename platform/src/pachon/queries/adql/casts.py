"""CAST (ADQL 2.1, section 4.8.1): the types it offers, what may become what, and constants that cannot."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import Protocol

from sqlglot import exp

from pachon.core.errors import QuerySyntaxError
from pachon.core.fields import DataType
from pachon.queries.adql import constants, limits
from pachon.queries.adql.functions import is_string, kind_of
from pachon.queries.plan import Call, Expression, Literal, Op

_WHOLE = re.compile(r"\s*[+-]?\d+\s*\Z", re.ASCII)
_TYPES = {
    exp.DataType.Type.SMALLINT: DataType.SHORT,
    exp.DataType.Type.INT: DataType.INT,
    exp.DataType.Type.BIGINT: DataType.LONG,
    exp.DataType.Type.FLOAT: DataType.FLOAT,
    exp.DataType.Type.DOUBLE: DataType.DOUBLE,
    exp.DataType.Type.CHAR: DataType.CHAR,
    exp.DataType.Type.VARCHAR: DataType.CHAR,
    exp.DataType.Type.TIMESTAMP: DataType.TIMESTAMP,
}
_NAMES = {DataType.SHORT: "SMALLINT", DataType.INT: "INTEGER", DataType.LONG: "BIGINT", DataType.FLOAT: "REAL"}
_BITS = {DataType.SHORT: 16, DataType.INT: 32, DataType.LONG: 64}
_LARGEST_REAL = 3.4028235677973366e38
"""From here on a number does not round to a 32-bit one."""


class Values(Protocol):
    """What is needed of the binder of values."""

    def value(self, node: exp.Expr) -> Expression:
        """A value."""
        ...

    def error(self, node: exp.Expr, message: str) -> QuerySyntaxError:
        """The error that refuses a node."""
        ...


@dataclass(frozen=True, slots=True)
class CastBinder:
    """Binds a CAST with the help of the binder of its operand."""

    values: Values

    def value(self, node: exp.Cast) -> Expression:
        """The converted value."""
        operand, target = self.values.value(node.this), node.args["to"]
        datatype = _TYPES[target.this]
        self._check(node, operand, datatype)
        size = self._size(node, target) if datatype is DataType.CHAR else None
        field = replace(operand.field, datatype=datatype, arraysize=size, xtype=None, utype=None)
        return Call(Op.CAST, (operand,), field)

    def _check(self, node: exp.Cast, operand: Expression, datatype: DataType) -> None:
        source = operand.field
        if source.arraysize is not None and not is_string(source):
            raise self.values.error(node, f"CAST cannot convert {kind_of(source)}.")
        if constants.is_null(operand):
            return
        if datatype is DataType.TIMESTAMP and not (is_string(source) or source.datatype is DataType.TIMESTAMP):
            raise self.values.error(node, f"CAST to TIMESTAMP needs a string, not {kind_of(source)}.")
        if datatype.is_numeric and source.datatype is DataType.TIMESTAMP:
            raise self.values.error(node, f"CAST to a number needs a number or a string, not {kind_of(source)}.")
        if isinstance(operand, Literal) and (reason := _misfit(operand, datatype)):
            raise self.values.error(node, reason)

    def _size(self, node: exp.Cast, target: exp.DataType) -> str:
        """The length of a text: `4` if fixed, `4*` at most, `*` if the value decides."""
        if not target.expressions:
            return "*"
        size = int(target.expressions[0].this.name)
        if not 1 <= size <= limits.MAX_TEXT_CHARS:
            message = f"the length of a string is between 1 and {limits.MAX_TEXT_CHARS}, not {size}."
            raise self.values.error(node, message)
        return f"{size}*" if target.this is exp.DataType.Type.VARCHAR else f"{size}"


def _misfit(literal: Literal, datatype: DataType) -> str | None:
    """Why a constant has no value of a type, if so."""
    value = literal.value
    if datatype is DataType.TIMESTAMP and isinstance(value, str) and constants.timestamp(value) is None:
        return f"'{value}' is not a timestamp: expected {constants.TIMESTAMP_FORM}."
    if not datatype.is_numeric or value is None:
        return None
    number = _number(value, whole=datatype.is_integer) if isinstance(value, str) else value
    if number is None or (datatype.is_integer and not math.isfinite(number)):
        return f"'{value}' is not a {'whole ' if datatype.is_integer else ''}number, as CAST needs here."
    if datatype is DataType.FLOAT and _LARGEST_REAL <= abs(number) < math.inf:
        return f"{value} does not fit REAL, which ends at 3.4e38."
    bits = _BITS.get(datatype)
    if bits is not None and not -(2 ** (bits - 1)) - 1 < number < 2 ** (bits - 1):
        return (
            f"{value} does not fit {_NAMES[datatype]}, which goes from {-(2 ** (bits - 1))} to {2 ** (bits - 1) - 1}."
        )
    return None


def _number(text: str, *, whole: bool) -> int | float | None:
    try:
        if whole:
            return int(text) if _WHOLE.match(text) else None
        return float(text) if text.isascii() and "_" not in text else None
    except ValueError:
        return None
