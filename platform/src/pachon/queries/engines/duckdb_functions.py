"""How DuckDB spells each operation of a plan, so that results are what ADQL 2.1 says."""

from __future__ import annotations

from collections.abc import Callable

from pachon.core.fields import DataType, Field
from pachon.core.healpix import SPATIAL_INDEX_ORDER
from pachon.queries.engines.duckdb_geometry import GEOMETRY, constant_of
from pachon.queries.engines.duckdb_near import PIXEL
from pachon.queries.plan import Call, Expression, Op

_TYPES = {
    DataType.BOOLEAN: "BOOLEAN",
    DataType.UNSIGNED_BYTE: "UTINYINT",
    DataType.SHORT: "SMALLINT",
    DataType.INT: "INTEGER",
    DataType.LONG: "BIGINT",
    DataType.FLOAT: "FLOAT",
    DataType.DOUBLE: "DOUBLE",
    DataType.CHAR: "VARCHAR",
    DataType.TIMESTAMP: "TIMESTAMP",
}


_MOMENT = r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?Z?)?"
_WHOLE_FROM = "9007199254740992.0::DOUBLE"
"""Doubles from here on have no fraction."""
_UNIX_EPOCH_MJD = "40587.0::DOUBLE"
_DAY_US = "86400000000.0::DOUBLE"


def type_sql(field: Field) -> str:
    """The DuckDB type of a field."""
    is_array = field.arraysize is not None and field.datatype is not DataType.CHAR
    return _TYPES[field.datatype] + ("[]" if is_array else "")


def string_literal(text: str) -> str:
    """A quoted string."""
    return "'" + text.replace("'", "''") + "'"


def call_sql(call: Call, arguments: list[str]) -> str:
    """The SQL of a call whose arguments are SQL already."""
    if call.op in _INFIX:
        return "(" + f" {_INFIX[call.op]} ".join(arguments) + ")"
    if call.op in _PLAIN:
        return f"{_PLAIN[call.op]}({', '.join(arguments)})"
    return _SPECIAL[call.op](call, arguments)


_INFIX = {
    Op.AND: "AND",
    Op.OR: "OR",
    Op.EQ: "=",
    Op.NE: "<>",
    Op.LT: "<",
    Op.LE: "<=",
    Op.GT: ">",
    Op.GE: ">=",
    Op.CONCAT: "||",
    Op.LIKE: "LIKE",
    Op.ILIKE: "ILIKE",
}

_PLAIN = {
    Op.COALESCE: "coalesce",
    Op.LOWER: "lower",
    Op.UPPER: "upper",
    Op.ABS: "abs",
    Op.CEILING: "ceil",
    Op.FLOOR: "floor",
    Op.DEGREES: "degrees",
    Op.RADIANS: "radians",
    Op.EXP: "exp",
    Op.PI: "pi",
    Op.RANDOM: "random",
    Op.ATAN: "atan",
    Op.ATAN2: "atan2",
    Op.COS: "cos",
    Op.SIN: "sin",
    Op.TAN: "tan",
    Op.ARRAY: "list_value",
    Op.ELEMENT: "list_extract",
    Op.HAS_TEXT: "contains",
}


def _where(condition: str, function: str) -> Callable[[Call, list[str]], str]:
    """Outside its domain a function has no value: NULL, not an error that ends the query."""
    return lambda _call, args: f"CASE WHEN {condition.format(args[0])} THEN {function.format(args[0])} END"


def _arithmetic(symbol: str) -> Callable[[Call, list[str]], str]:
    def write(call: Call, args: list[str]) -> str:
        if call.field.datatype is DataType.LONG:
            args = [f"CAST({arg} AS BIGINT)" for arg in args]
        else:
            args = [f"CAST({arg} AS DOUBLE)" for arg in args]
        return "(" + f" {symbol} ".join(args) + ")"

    return write


def _power(_call: Call, args: list[str]) -> str:
    base, exponent = args
    undefined = f"({base} = 0 AND {exponent} < 0) OR ({base} < 0 AND {exponent} <> trunc({exponent}))"
    return f"CASE WHEN {undefined} THEN NULL ELSE pow({base}, {exponent}) END"


def _integer_divide(_call: Call, args: list[str]) -> str:
    return f"(CAST({args[0]} AS BIGINT) // NULLIF(CAST({args[1]} AS BIGINT), 0))"


def _modulo(call: Call, args: list[str]) -> str:
    name = type_sql(call.field)
    return f"(CAST({args[0]} AS {name}) % NULLIF(CAST({args[1]} AS {name}), 0))"


def _truncate(_call: Call, args: list[str]) -> str:
    if len(args) == 1:
        return f"trunc({args[0]})"
    scale = f"pow(10.0::DOUBLE, {_places(args[1], 300)})"
    scaled = f"({args[0]} * {scale})"
    return (
        f"(CASE WHEN abs({scaled}) < {_WHOLE_FROM} THEN trunc({scaled}) / {scale} ELSE CAST({args[0]} AS DOUBLE) END)"
    )


def _round(_call: Call, args: list[str]) -> str:
    return f"round({args[0]})" if len(args) == 1 else f"round({args[0]}, {_places(args[1], 400)})"


def _places(places: str, most: int) -> str:
    """Decimal places as the 32-bit integer the engine takes; beyond a double's range more change nothing."""
    bounded = f"CASE WHEN {places} > {most} THEN {most} WHEN {places} < -{most} THEN -{most} ELSE {places} END"
    return f"CAST({bounded} AS INTEGER)"


def _cast(call: Call, args: list[str]) -> str:
    source, target = call.arguments[0].field, call.field
    value, name = args[0], type_sql(target)
    if target.datatype is DataType.CHAR:
        return _cast_to_text(source, target, value)
    if target.datatype.is_integer and source.datatype in {DataType.FLOAT, DataType.DOUBLE}:
        return f"CAST(trunc({value}) AS {name})"
    if target.datatype.is_integer and source.datatype is DataType.CHAR:
        no_number = f"error('not {name}: ' || {value})"
        whole = f"regexp_full_match(trim({value}), '[+-]?[0-9]+')"
        return f"CASE WHEN {whole} THEN CAST(trim({value}) AS {name}) WHEN {value} IS NOT NULL THEN {no_number} END"
    if source.datatype is DataType.CHAR and target.datatype in {DataType.FLOAT, DataType.DOUBLE}:
        no_number = f"error('not {name}: ' || {value})"  # the engine reads 1_000
        number = f"CASE WHEN contains({value}, '_') THEN {no_number} ELSE CAST({value} AS DOUBLE) END"
        return f"CAST({number} AS {name})"  # to FLOAT directly, what is too large would become infinite
    if source.datatype is DataType.CHAR and target.datatype is DataType.TIMESTAMP:
        moment, no_moment = f"CAST({value} AS TIMESTAMP)", f"error('not TIMESTAMP: ' || {value})"
        is_moment = f"regexp_full_match({value}, '{_MOMENT}') AND {moment} >= TIMESTAMP '0001-01-01'"
        return f"CASE WHEN {is_moment} THEN {moment} WHEN {value} IS NOT NULL THEN {no_moment} END"
    return f"CAST({value} AS {name})"


def _cast_to_text(source: Field, target: Field, value: str) -> str:
    """Cut to the length of the target, and filled with blanks if that is fixed."""
    text = value if source.datatype is DataType.CHAR else f"CAST({value} AS VARCHAR)"
    if source.datatype is DataType.TIMESTAMP:
        text = f"replace({text}, ' ', 'T')"
    size = target.arraysize or "*"
    if size == "*":
        return text
    return f"left({text}, {size[:-1]})" if size.endswith("*") else f"rpad({text}, {size}, ' ')"


def _in(call: Call, args: list[str]) -> str:
    """One list for whole numbers and one for others, where the engine would compare all as doubles."""
    operand, *items = call.arguments
    is_whole = [operand.field.datatype.is_integer and item.field.datatype.is_integer for item in items]
    lists = [[arg for arg, each in zip(args[1:], is_whole, strict=True) if each is kind] for kind in (True, False)]
    return "(" + " OR ".join(f"{args[0]} IN ({', '.join(found)})" for found in lists if found) + ")"


def _negate(call: Call, args: list[str]) -> str:
    name = type_sql(call.field)
    return f"CAST(- CAST({args[0]} AS {name}) AS {name})"


def _has_word(_call: Call, args: list[str]) -> str:
    pattern = f"'(^|[^\\pL\\pN])' || regexp_escape({args[1]}) || '([^\\pL\\pN]|$)'"
    return f"({args[1]} <> '' AND regexp_matches({args[0]}, {pattern}, 'i'))"


def coarser(index: str, order: Expression) -> str:
    """The nested pixel at a constant order that holds an order 29 index."""
    return f"({index} >> {2 * (SPATIAL_INDEX_ORDER - int(constant_of(order) or 0))})"


def _mjd(_call: Call, args: list[str]) -> str:
    return f"(epoch_us({args[0]}) / {_DAY_US} + {_UNIX_EPOCH_MJD})"


_SPECIAL: dict[Op, Callable[[Call, list[str]], str]] = {
    Op.NOT: lambda _call, args: f"(NOT {args[0]})",
    Op.IS_NULL: lambda _call, args: f"({args[0]} IS NULL)",
    Op.IN: _in,
    Op.BETWEEN: lambda _call, args: f"({args[0]} BETWEEN {args[1]} AND {args[2]})",
    Op.ADD: _arithmetic("+"),
    Op.SUBTRACT: _arithmetic("-"),
    Op.MULTIPLY: _arithmetic("*"),
    Op.DIVIDE: lambda _call, args: f"({args[0]} / NULLIF({args[1]}, 0))",
    Op.POWER: _power,
    Op.INTEGER_DIVIDE: _integer_divide,
    Op.NEGATE: _negate,
    Op.MOD: _modulo,
    Op.ROUND: _round,
    Op.TRUNCATE: _truncate,
    Op.CAST: _cast,
    Op.LN: _where("{} > 0", "ln({})"),
    Op.LOG10: _where("{} > 0", "log10({})"),
    Op.SQRT: _where("{} >= 0", "sqrt({})"),
    Op.ACOS: _where("abs({}) <= 1", "acos({})"),
    Op.ASIN: _where("abs({}) <= 1", "asin({})"),
    Op.COT: lambda _call, args: f"(1.0::DOUBLE / NULLIF(tan({args[0]}), 0))",
    Op.HAS_WORD: _has_word,
    Op.HEALPIX_INDEX: lambda call, args: coarser(f"{PIXEL}({args[1]}, {args[2]})", call.arguments[0]),
    Op.MJD: _mjd,
    **GEOMETRY,
}
