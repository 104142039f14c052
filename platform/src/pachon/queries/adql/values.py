"""Binds value expressions and conditions: names resolved, types checked, every node given a field."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import NoReturn

import astropy.units as u
from sqlglot import exp

from pachon.core.errors import QuerySyntaxError
from pachon.core.fields import DataType, Field
from pachon.queries.adql import constants, functions, geometry
from pachon.queries.adql.functions import Kind, is_number, is_string, kind_of
from pachon.queries.adql.geometry import Shape, ShapeError
from pachon.queries.adql.scope import Scope
from pachon.queries.adql.text import error_at, start_of
from pachon.queries.adql.words import suggestion
from pachon.queries.plan import (
    Aggregate,
    AggregateOp,
    Call,
    Exists,
    Expression,
    InQuery,
    Literal,
    Op,
    Query,
)

BOOLEAN = Field(name="value", datatype=DataType.BOOLEAN)
_NULL = Literal(None, Field(name="value", datatype=DataType.INT))
_ARITHMETIC = {exp.Add: Op.ADD, exp.Sub: Op.SUBTRACT, exp.Mul: Op.MULTIPLY, exp.Div: Op.DIVIDE}
_COMPARE = {exp.EQ: Op.EQ, exp.NEQ: Op.NE, exp.LT: Op.LT, exp.LTE: Op.LE, exp.GT: Op.GT, exp.GTE: Op.GE}
_CONDITIONS = (
    exp.And, exp.Or, exp.Not, exp.Like, exp.ILike, exp.Is, exp.Between, exp.In, exp.Exists, *_COMPARE,
)  # fmt: skip
_CASTS = {
    exp.DataType.Type.SMALLINT: DataType.SHORT,
    exp.DataType.Type.INT: DataType.INT,
    exp.DataType.Type.BIGINT: DataType.LONG,
    exp.DataType.Type.FLOAT: DataType.FLOAT,
    exp.DataType.Type.DOUBLE: DataType.DOUBLE,
    exp.DataType.Type.CHAR: DataType.CHAR,
    exp.DataType.Type.VARCHAR: DataType.CHAR,
    exp.DataType.Type.TIMESTAMP: DataType.TIMESTAMP,
}


@dataclass(slots=True)
class ValueBinder:
    """Binds the expressions of one clause.

    Parameters
    ----------
    bind_query
        Binds a subquery whose outer block is `scope`.
    no_aggregates
        Why aggregates are refused here; empty if they are allowed.
    """

    text: str
    scope: Scope
    bind_query: Callable[[exp.Expr, Scope], Query]
    no_aggregates: str = ""
    _in_aggregate: bool = field(default=False, init=False)

    def condition(self, node: exp.Expr) -> Expression:
        """A search condition."""
        match node:
            case exp.Paren():
                return self.condition(node.this)
            case exp.And() | exp.Or():
                op = Op.AND if isinstance(node, exp.And) else Op.OR
                return Call(op, tuple(self.condition(part) for part in _flat(node)), BOOLEAN)
            case exp.Not():
                return Call(Op.NOT, (self.condition(node.this),), BOOLEAN)
            case exp.Exists():
                return Exists(self.bind_query(node.this, self.scope), BOOLEAN)
            case exp.Is():
                return self._is_null(node)
            case exp.Between():
                low, high = exp.GTE(this=node.this, expression=node.args["low"]), node.args["high"]
                at_least = self._compare(low)
                return Call(Op.AND, (at_least, self._compare(exp.LTE(this=node.this, expression=high))), BOOLEAN)
            case exp.In():
                return self._in(node)
            case exp.Like() | exp.ILike():
                return self._like(node)
            case _ if type(node) in _COMPARE:
                return self._compare(node)
        self.fail(node, "expected a condition here, such as a comparison" + _condition_hint(node))

    def value(self, node: exp.Expr) -> Expression:
        """A value; geometries become arrays."""
        match node:
            case exp.Paren():
                return self.value(node.this)
            case exp.Literal():
                return self._literal(node, node.name)
            case exp.Null():
                return _NULL
            case exp.Boolean():
                return Literal(bool(node.this), BOOLEAN)
            case exp.Column():
                if isinstance(node.this, exp.Star):
                    self.fail(node, "'*' may stand only as an item of SELECT or in COUNT(*).")
                return self.scope.resolve(node)
            case exp.Neg():
                return self._negate(node)
            case exp.DPipe():
                return self._concat(node)
            case exp.Cast():
                return self._cast(node)
            case exp.Anonymous():
                return self._function(node)
            case _ if type(node) in _ARITHMETIC:
                return self._arithmetic(node)
            case exp.Subquery() | exp.Query():
                self.fail(node, "a subquery may stand only in FROM, after IN or after EXISTS.")
            case exp.Star():
                self.fail(node, "'*' may stand only as an item of SELECT or in COUNT(*).")
        if isinstance(node, _CONDITIONS):
            self.fail(node, "a condition may not stand here: expected a value.")
        self.fail(node, "this is not a value.")

    def fail(self, node: exp.Expr, message: str) -> NoReturn:
        """Refuse a node, with its position."""
        raise error_at(self.text, start_of(node), message)

    def _literal(self, node: exp.Expr, spelled: str) -> Expression:
        if isinstance(node, exp.Literal) and node.is_string:
            return constants.string(node.name)
        digits = spelled.lstrip("-").isdigit()
        found = constants.number(int(spelled) if digits else float(spelled))
        if found is None:
            self.fail(node, f"the number {spelled} is too large{' for 64 bits' if digits else ''}.")
        return found

    def _negate(self, node: exp.Neg) -> Expression:
        if isinstance(node.this, exp.Literal) and not node.this.is_string:
            return self._literal(node.this, f"-{node.this.name}")
        operand = self._number(node.this, "'-'")
        return Call(Op.NEGATE, (operand,), _computed("negative", operand.field, unit=operand.field.unit))

    def _number(self, node: exp.Expr, what: str) -> Expression:
        operand = self.value(node)
        if not is_number(operand.field):
            self.fail(node, f"{what} needs a number, not {kind_of(operand.field)}.")
        return operand

    def _string(self, node: exp.Expr, what: str) -> Expression:
        operand = self.value(node)
        if not is_string(operand.field) and not _is_null(operand):
            self.fail(node, f"{what} needs a string, not {kind_of(operand.field)}.")
        return operand

    def _arithmetic(self, node: exp.Expr) -> Expression:
        op = _ARITHMETIC[type(node)]  # type: ignore[index]
        left, right = self._number(node.this, f"'{op}'"), self._number(node.expression, f"'{op}'")
        whole = left.field.datatype.is_integer and right.field.datatype.is_integer
        if op is Op.DIVIDE and whole:
            op = Op.INTEGER_DIVIDE
        if isinstance(left, Literal) and isinstance(right, Literal) and (known := constants.fold(op, left, right)):
            return known
        unit = left.field.unit if op in {Op.ADD, Op.SUBTRACT} and left.field.unit == right.field.unit else None
        datatype = DataType.LONG if whole else DataType.DOUBLE
        if op is Op.DIVIDE:
            left, right = _as_double(left), _as_double(right)
        return Call(op, (left, right), Field(name="value", datatype=datatype, unit=unit))

    def _concat(self, node: exp.DPipe) -> Expression:
        parts = self._string(node.this, "'||'"), self._string(node.expression, "'||'")
        return Call(Op.CONCAT, parts, Field(name="value", datatype=DataType.CHAR, arraysize="*"))

    def _cast(self, node: exp.Cast) -> Expression:
        operand, target = self.value(node.this), node.args["to"]
        datatype = _CASTS.get(target.this)
        if datatype is None:
            offered = "SMALLINT, INTEGER, BIGINT, REAL, DOUBLE PRECISION, CHAR, VARCHAR, TIMESTAMP"
            self.fail(node, f"CAST offers {offered}.")
        source = operand.field
        if source.arraysize is not None and not is_string(source):
            self.fail(node, f"CAST cannot convert {kind_of(source)}.")
        if datatype is DataType.TIMESTAMP and not (is_string(source) or source.datatype is DataType.TIMESTAMP):
            self.fail(node, f"CAST to TIMESTAMP needs a string, not {kind_of(source)}.")
        if datatype.is_numeric and not (is_number(source) or is_string(source)):
            self.fail(node, f"CAST to a number needs a number or a string, not {kind_of(source)}.")
        size = "*" if datatype is DataType.CHAR else None
        return Call(Op.CAST, (operand,), replace(source, datatype=datatype, arraysize=size, xtype=None, utype=None))

    def _compare(self, node: exp.Expr) -> Expression:
        op = _COMPARE[type(node)]  # type: ignore[index]
        left, right = self._pair(node, self.value(node.this), self.value(node.expression))
        return _simplified(op, left, right) or Call(op, (left, right), BOOLEAN)

    def _pair(self, node: exp.Expr, left: Expression, right: Expression) -> tuple[Expression, Expression]:
        """Both sides of a comparison, converted to one kind of value."""
        left, right = _adapted(left, right), _adapted(right, left)
        comparable = (
            (is_number(left.field) and is_number(right.field))
            or (is_string(left.field) and is_string(right.field))
            or (left.field.datatype is right.field.datatype and left.field.arraysize is right.field.arraysize is None)
            or _is_null(left)
            or _is_null(right)
        )
        if not comparable:
            self.fail(node, f"{kind_of(left.field)} cannot be compared with {kind_of(right.field)}.")
        return left, right

    def _is_null(self, node: exp.Is) -> Expression:
        if not isinstance(node.expression, exp.Null):
            self.fail(node, "after IS only NULL or NOT NULL may stand.")
        return Call(Op.IS_NULL, (self.value(node.this),), BOOLEAN)

    def _in(self, node: exp.In) -> Expression:
        operand = self.value(node.this)
        if (query := node.args.get("query")) is not None:
            bound = self.bind_query(query, self.scope)
            if len(bound.outputs) != 1:
                self.fail(query, f"the query after IN must have one column, not {len(bound.outputs)}.")
            self._pair(node, operand, bound.outputs[0].expression)
            return InQuery(operand, bound, BOOLEAN)
        if not node.expressions:
            self.fail(node, "IN needs a list of values or a query in parentheses.")
        items = [self._pair(item, operand, self.value(item)) for item in node.expressions]
        return Call(Op.IN, (items[0][0], *(right for _, right in items)), BOOLEAN)

    def _like(self, node: exp.Like | exp.ILike) -> Expression:
        word, op = ("LIKE", Op.LIKE) if isinstance(node, exp.Like) else ("ILIKE", Op.ILIKE)
        parts = self._string(node.this, word), self._string(node.expression, word)
        found = Call(op, parts, BOOLEAN)
        return Call(Op.NOT, (found,), BOOLEAN) if node.args.get("negate") else found

    def _function(self, node: exp.Anonymous) -> Expression:
        name = str(node.this).upper()
        if isinstance(node.this, exp.Expr) or name not in functions.KNOWN:
            reason = functions.REFUSED.get(name)
            near = suggestion(name, functions.KNOWN)
            self.fail(node, f"{reason}." if reason else f"unknown function '{node.this}'{near or '.'}")
        if name in functions.AGGREGATES:
            return self._aggregate(node, name)
        for argument in node.expressions:
            if isinstance(argument, exp.Star | exp.Distinct):
                self.fail(argument, f"{name} takes neither '*' nor DISTINCT.")
        if name in functions.PLAIN:
            return self._plain(node, name)
        if name in functions.GEOMETRY:
            return self._geometric(node, name)
        return {"MOD": self._mod, "COALESCE": self._coalesce, "IN_UNIT": self._in_unit}[name](node)

    def _count(self, node: exp.Anonymous, name: str, least: int, most: int) -> list[exp.Expr]:
        given = node.expressions
        if not least <= len(given) <= most:
            allowed = str(least) if least == most else f"{least} to {most}"
            self.fail(node, f"{name} takes {allowed} argument{'' if allowed == '1' else 's'}, not {len(given)}.")
        return list(given)

    def _plain(self, node: exp.Anonymous, name: str) -> Expression:
        signature = functions.PLAIN[name]
        given = self._count(node, name, signature.required, len(signature.kinds))
        arguments = []
        for argument, kind in zip(given, signature.kinds, strict=False):
            bound = self._string(argument, name) if kind is Kind.STRING else self._number(argument, name)
            if kind is Kind.INTEGER and not bound.field.datatype.is_integer:
                self.fail(argument, f"{name} needs {kind.value} here.")
            arguments.append(bound)
        datatype = signature.result or arguments[0].field.datatype
        inherits = arguments and signature.op in {Op.ABS, Op.CEILING, Op.FLOOR, Op.ROUND, Op.TRUNCATE}
        unit = signature.unit or (arguments[0].field.unit if inherits else None)
        size = "*" if datatype is DataType.CHAR else None
        if signature.result is DataType.DOUBLE:
            arguments = [
                _as_double(arg) if kind is Kind.NUMBER else arg
                for arg, kind in zip(arguments, signature.kinds, strict=False)
            ]
        return Call(
            signature.op, tuple(arguments), Field(name=name.lower(), datatype=datatype, arraysize=size, unit=unit)
        )

    def _mod(self, node: exp.Anonymous) -> Expression:
        left, right = (self._number(each, "MOD") for each in self._count(node, "MOD", 2, 2))
        whole = left.field.datatype.is_integer and right.field.datatype.is_integer
        datatype = DataType.LONG if whole else DataType.DOUBLE
        return Call(Op.MOD, (left, right), Field(name="mod", datatype=datatype))

    def _coalesce(self, node: exp.Anonymous) -> Expression:
        parts = [self.value(each) for each in self._count(node, "COALESCE", 1, 100)]
        first = next((part for part in parts if not _is_null(part)), parts[0])
        pairs = [self._pair(each, first, part) for each, part in zip(node.expressions, parts, strict=True)]
        known = [right for _, right in pairs]
        return Call(Op.COALESCE, tuple(known), _common(first.field, [part.field for part in known]))

    def _in_unit(self, node: exp.Anonymous) -> Expression:
        given = self._count(node, "IN_UNIT", 2, 2)
        operand, target = self._number(given[0], "IN_UNIT"), given[1]
        if not (isinstance(target, exp.Literal) and target.is_string):
            self.fail(target, "the second argument of IN_UNIT must be a string such as 'arcsec'.")
        if operand.field.unit is None:
            self.fail(given[0], "IN_UNIT needs a value whose unit is known; this one has none.")
        try:
            factor = float(u.Unit(operand.field.unit, format="vounit").to(u.Unit(target.name, format="vounit")))
        except (ValueError, u.UnitConversionError, TypeError):
            self.fail(target, f"'{operand.field.unit}' cannot be converted to '{target.name}'.")
        scale = Literal(factor, Field(name="value", datatype=DataType.DOUBLE))
        result = replace(operand.field, datatype=DataType.DOUBLE, unit=target.name, utype=None)
        return Call(Op.MULTIPLY, (operand, scale), result)

    def _aggregate(self, node: exp.Anonymous, name: str) -> Expression:
        if self.no_aggregates:
            self.fail(node, f"{name} is an aggregate and may not stand in {self.no_aggregates}.")
        if self._in_aggregate:
            self.fail(node, "an aggregate may not stand inside another.")
        op = functions.AGGREGATES[name]
        (given,) = self._count(node, name, 1, 1)
        distinct = isinstance(given, exp.Distinct)
        if isinstance(given, exp.Distinct):
            if len(given.expressions) != 1:
                self.fail(node, f"{name} takes one argument, not {len(given.expressions)}.")
            given = given.expressions[0]
        if isinstance(given, exp.Star):
            if op is not AggregateOp.COUNT or distinct:
                self.fail(node, "only COUNT(*) takes '*'.")
            return Aggregate(op, None, False, Field(name="count", datatype=DataType.LONG))  # noqa: FBT003 -- plan node
        self._in_aggregate = True
        try:
            argument = self.value(given)
        finally:
            self._in_aggregate = False
        if op in {AggregateOp.SUM, AggregateOp.AVG} and not is_number(argument.field):
            self.fail(given, f"{name} needs a number, not {kind_of(argument.field)}.")
        return Aggregate(op, argument, distinct, _aggregate_field(op, argument.field))

    def _geometric(self, node: exp.Anonymous, name: str) -> Expression:
        try:
            return self._geometric_value(node, name)
        except ShapeError as error:
            self.fail(node, str(error))

    def _geometric_value(self, node: exp.Anonymous, name: str) -> Expression:
        if name in {"CONTAINS", "INTERSECTS"}:
            first, second = (self._shape(each) for each in self._count(node, name, 2, 2))
            inside = geometry.contains(first, second) if name == "CONTAINS" else geometry.intersects(first, second)
            return Call(Op.CAST, (inside,), Field(name=name.lower(), datatype=DataType.INT))
        if name == "DISTANCE":
            return self._distance(node)
        if name in {"COORD1", "COORD2"}:
            (point,) = self._count(node, name, 1, 1)
            shape = self._shape_of(point, "point", name)
            coordinate = shape.numbers[0 if name == "COORD1" else 1]
            return Call(Op.CAST, (coordinate,), Field(name=name.lower(), datatype=DataType.DOUBLE, unit="deg"))
        if name == "AREA":
            return geometry.area(self._shape(self._count(node, name, 1, 1)[0]))
        return geometry.as_value(self._shape(node))

    def _distance(self, node: exp.Anonymous) -> Expression:
        given = node.expressions
        if len(given) == 4:  # noqa: PLR2004 -- two positions as four numbers
            numbers = tuple(self._number(each, "DISTANCE") for each in given)
            first, second = geometry.make_shape("point", numbers[:2]), geometry.make_shape("point", numbers[2:])
            return geometry.separation(first, second)
        if len(given) != 2:  # noqa: PLR2004 -- two points
            self.fail(node, f"DISTANCE takes two points or four numbers, not {len(given)} arguments.")
        first, second = (self._shape_of(each, "point", "DISTANCE") for each in given)
        return geometry.separation(first, second)

    def _shape_of(self, node: exp.Expr, kind: str, what: str) -> Shape:
        shape = self._shape(node)
        if shape.kind != kind:
            self.fail(node, f"{what} needs a {kind}, not a {shape.kind}.")
        return shape

    def _shape(self, node: exp.Expr) -> Shape:
        while isinstance(node, exp.Paren):
            node = node.this
        name = str(node.this).upper() if isinstance(node, exp.Anonymous) else ""
        if name == "CENTROID":
            (inner,) = self._count(node, name, 1, 1) if isinstance(node, exp.Anonymous) else ()
            whole = self._shape(inner)
            if whole.kind == "polygon":
                self.fail(node, "CENTROID of a polygon is not offered.")
            return Shape("point", whole.centre)
        if isinstance(node, exp.Anonymous) and name in {"POINT", "CIRCLE", "BOX", "POLYGON"}:
            return self._constructed(node, name)
        try:
            return geometry.from_value(self.value(node))
        except ShapeError as error:
            self.fail(node, str(error))

    def _constructed(self, node: exp.Anonymous, name: str) -> Shape:
        given = list(node.expressions)
        if given and isinstance(given[0], exp.Literal) and given[0].is_string:
            self._check_system(given.pop(0))
        numbers = self._coordinates(given, name)
        sizes = {"POINT": "two", "CIRCLE": "three", "BOX": "four"}
        expected = {"POINT": 2, "CIRCLE": 3, "BOX": 4}.get(name)
        if expected is not None and len(numbers) != expected:
            self.fail(node, f"{name} takes {sizes[name]} numbers (a point counts as two), not {len(numbers)}.")
        if name == "POLYGON" and (len(numbers) % 2 or len(numbers) < 6):  # noqa: PLR2004 -- a triangle
            self.fail(node, "POLYGON takes at least three vertices, each as two numbers or a point.")
        try:
            return geometry.make_shape(name.lower(), tuple(numbers))
        except ShapeError as error:
            self.fail(node, str(error))

    def _coordinates(self, given: list[exp.Expr], name: str) -> list[Expression]:
        if name == "POINT":
            return [self._number(each, name) for each in given]
        numbers: list[Expression] = []
        for each in given:
            is_call = isinstance(each, exp.Anonymous) and str(each.this).upper() in {"POINT", "CENTROID"}
            if is_call:
                numbers += self._shape_of(each, "point", name).numbers
                continue
            bound = self.value(each)
            if bound.field.xtype == "point":
                numbers += geometry.from_value(bound).numbers
            elif is_number(bound.field):
                numbers.append(bound)
            else:
                self.fail(each, f"{name} needs numbers or points, not {kind_of(bound.field)}.")
        return numbers

    def _check_system(self, node: exp.Literal) -> None:
        words = node.name.upper().split()
        if words and words[0] not in {"ICRS", "FK5", "J2000", "UNKNOWNFRAME"}:
            self.fail(node, f"positions here are ICRS; the coordinate system '{node.name}' is not offered.")


def _flat(node: exp.Expr) -> list[exp.Expr]:
    """The terms of a chain of AND or OR, without recursion: chains may be thousands long."""
    kind, terms = type(node), []
    while isinstance(node, kind):
        terms.append(node.expression)
        node = node.this
    terms.append(node)
    return terms[::-1]


def _condition_hint(node: exp.Expr) -> str:
    while isinstance(node, exp.Paren):
        node = node.this
    name = str(node.this).upper() if isinstance(node, exp.Anonymous) else ""
    if name in {"CONTAINS", "INTERSECTS"}:
        return f": write 1 = {name}(...)."
    if isinstance(node, exp.Column):
        return f": write {node.name} = TRUE for a column of truth values."
    return "."


def _simplified(op: Op, left: Expression, right: Expression) -> Expression | None:
    """`CONTAINS(...) = 1` and its relatives as the truth value they stand for."""
    if isinstance(left, Literal):
        left, right = right, left
    inside = _truth(left)
    if inside is None or op not in {Op.EQ, Op.NE} or not isinstance(right, Literal) or right.value not in {0, 1}:
        return None
    wanted = (right.value == 1) == (op is Op.EQ)
    return inside if wanted else Call(Op.NOT, (inside,), BOOLEAN)


def _truth(expression: Expression) -> Expression | None:
    is_cast = isinstance(expression, Call) and expression.op is Op.CAST
    if is_cast and isinstance(expression, Call) and expression.arguments[0].field == BOOLEAN:
        return expression.arguments[0]
    return None


def _adapted(side: Expression, other: Expression) -> Expression:
    """A literal in the type of the value it is compared with."""
    if not isinstance(side, Literal):
        return side
    target = other.field.datatype
    if target is DataType.TIMESTAMP and isinstance(side.value, str):
        return constants.timestamp(side.value) or side
    if target is DataType.BOOLEAN and side.value in {0, 1} and not isinstance(side.value, float):
        return Literal(bool(side.value), BOOLEAN)
    return side


def _is_null(expression: Expression) -> bool:
    return isinstance(expression, Literal) and expression.value is None


def _as_double(expression: Expression) -> Expression:
    if expression.field.datatype is DataType.DOUBLE:
        return expression
    if isinstance(expression, Literal) and isinstance(expression.value, int):
        return Literal(float(expression.value), replace(expression.field, datatype=DataType.DOUBLE))
    return Call(Op.CAST, (expression,), replace(expression.field, datatype=DataType.DOUBLE))


def _computed(name: str, operand: Field, *, unit: str | None) -> Field:
    datatype = DataType.LONG if operand.datatype.is_integer else DataType.DOUBLE
    return Field(name=name, datatype=datatype, unit=unit)


def _common(first: Field, others: list[Field]) -> Field:
    """The field that holds the values of all."""
    if not first.datatype.is_numeric:
        return first
    order = list(DataType)
    widest = max(
        (other.datatype for other in others if other.datatype.is_numeric), key=order.index, default=first.datatype
    )
    return replace(first, datatype=widest)


def _aggregate_field(op: AggregateOp, operand: Field) -> Field:
    name = op.value
    match op:
        case AggregateOp.COUNT:
            return Field(name=name, datatype=DataType.LONG)
        case AggregateOp.SUM:
            datatype = DataType.LONG if operand.datatype.is_integer else DataType.DOUBLE
            return Field(name=name, datatype=datatype, unit=operand.unit)
        case AggregateOp.AVG:
            return Field(name=name, datatype=DataType.DOUBLE, unit=operand.unit)
        case AggregateOp.MIN | AggregateOp.MAX:
            return replace(operand, name=name, description=None, utype=None)


__all__ = ["BOOLEAN", "QuerySyntaxError", "ValueBinder"]
