"""The typed bound plan: what an engine is given instead of text.

Every name is resolved to a source and a column position, every expression carries its field (type, unit, UCD), every
function is one of `Op`. Nothing here names an engine; nothing a person typed reaches an engine but literal values.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import pyarrow as pa

from pachon.core.fields import Field
from pachon.releases.models import Snapshot, Table

UPLOAD_SCHEMA = "TAP_UPLOAD"
"""Schema of the tables that a request brings along (TAP 1.1, section 2.7.6)."""

IndexRanges = tuple[tuple[int, int], ...]
"""Half-open ranges of order 29 HEALPix indices, sorted and disjoint."""


class Op(StrEnum):
    """What a `Call` computes. Angles are degrees unless said; NULL in gives NULL out unless said."""

    AND = "and"
    OR = "or"
    NOT = "not"
    EQ = "="
    NE = "<>"
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="
    IS_NULL = "is null"
    LIKE = "like"
    ILIKE = "ilike"
    IN = "in"
    BETWEEN = "between"
    ADD = "+"
    SUBTRACT = "-"
    MULTIPLY = "*"
    DIVIDE = "/"
    INTEGER_DIVIDE = "div"
    NEGATE = "negate"
    CONCAT = "||"
    CAST = "cast"
    COALESCE = "coalesce"
    LOWER = "lower"
    UPPER = "upper"
    ABS = "abs"
    CEILING = "ceiling"
    FLOOR = "floor"
    ROUND = "round"
    TRUNCATE = "truncate"
    DEGREES = "degrees"
    RADIANS = "radians"
    EXP = "exp"
    LN = "ln"
    LOG10 = "log10"
    MOD = "mod"
    PI = "pi"
    POWER = "power"
    RANDOM = "random"
    SQRT = "sqrt"
    ACOS = "acos"
    ASIN = "asin"
    ATAN = "atan"
    ATAN2 = "atan2"
    COS = "cos"
    COT = "cot"
    SIN = "sin"
    TAN = "tan"
    ARRAY = "array"
    """The arguments as one numeric array: the value of a geometry (DALI 1.1, section 3.3)."""
    ELEMENT = "element"
    """(array, position from 1)."""
    SEPARATION = "separation"
    """(ra1, dec1, ra2, dec2): great-circle distance."""
    IN_CIRCLE = "in circle"
    """(ra, dec, centre ra, centre dec, radius): inside or on the boundary."""
    IN_BOX = "in box"
    """(ra, dec, centre ra, centre dec, width, height): inside or on the great circles of an ADQL BOX."""
    IN_POLYGON = "in polygon"
    """(ra, dec, then the constant vertices ra1, dec1, ra2, ...): inside a simple polygon within a hemisphere."""
    HEALPIX_INDEX = "healpix index"
    """(constant order, ra, dec): the nested HEALPix pixel; NULL for what is no position."""
    HAS_WORD = "has word"
    """(text, word): whether the word stands in the text, no letter or digit beside it, whatever the case."""
    HAS_TEXT = "has text"
    """(text, part): whether the part stands in the text."""
    MJD = "mjd"
    """A timestamp as a Modified Julian Date, days."""
    COVERED_BY = "covered by"
    """(ra, dec, text of a MOC): in one of its cells."""
    CONTAINS = "contains"
    """(inner, outer): whether the outer shape holds the inner one. Shapes are arrays whose field's xtype says which."""
    INTERSECTS = "intersects"
    """(first, second): whether two shapes share a point."""
    AREA = "area"
    """(shape or text of a MOC): square degrees."""
    CENTROID = "centroid"
    """(polygon): the mean position over it, an array."""
    BOX_CORNERS = "box corners"
    """(centre ra, centre dec, width, height): an ADQL BOX as the array of a polygon."""


class AggregateOp(StrEnum):
    """Aggregates over the rows of a group."""

    COUNT = "count"
    SUM = "sum"
    AVG = "avg"
    MIN = "min"
    MAX = "max"
    STRING_AGG = "string_agg"
    """All texts in ascending order, NULLs left out, with `Aggregate.delimiter` between them."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant; None is NULL. Timestamps are ISO text with a field of that type."""

    value: int | float | str | bool | None
    field: Field


@dataclass(frozen=True, slots=True)
class ColumnRef:
    """Column number `index` of the source numbered `source`; numbers are unique in a plan, so outer references work."""

    source: int
    index: int
    field: Field


@dataclass(frozen=True, slots=True)
class Call:
    """An operator or function applied to arguments."""

    op: Op
    arguments: tuple[Expression, ...]
    field: Field


@dataclass(frozen=True, slots=True)
class Aggregate:
    """An aggregate; without an argument it counts rows."""

    op: AggregateOp
    argument: Expression | None
    distinct: bool
    field: Field
    delimiter: str = ""


@dataclass(frozen=True, slots=True)
class InQuery:
    """Whether a value is among the only column of a query."""

    operand: Expression
    query: Query
    field: Field


@dataclass(frozen=True, slots=True)
class Exists:
    """Whether a query has any row."""

    query: Query
    field: Field


Expression = Literal | ColumnRef | Call | Aggregate | InQuery | Exists


@dataclass(frozen=True, slots=True)
class MemorySnapshot:
    """A table whose rows are at hand: metadata tables, later uploads. Columns of `rows` follow those of `table`."""

    table: Table
    rows: pa.Table

    def __hash__(self) -> int:
        return hash(self.table.qualified_name)


@dataclass(frozen=True, slots=True)
class Scan:
    """The rows of a table as it stands.

    Parameters
    ----------
    ranges
        If set, rows whose order 29 index is outside may be left out: a promise that no answer needs them.
    """

    source: int
    snapshot: Snapshot | MemorySnapshot
    ranges: IndexRanges | None = None


@dataclass(frozen=True, slots=True)
class Derived:
    """The rows of a query in FROM."""

    source: int
    query: Query


@dataclass(frozen=True, slots=True)
class NamedRows:
    """The rows of the common table expression number `name`.

    Parameters
    ----------
    demands
        Columns of right ascension and declination, and index ranges outside of which no row is needed here.
    """

    source: int
    name: int
    demands: tuple[tuple[int, int, IndexRanges], ...] = ()


class JoinKind(StrEnum):
    """Kinds of join."""

    INNER = "inner"
    LEFT = "left"
    RIGHT = "right"
    FULL = "full"


Position = tuple[Expression, Expression]
"""Right ascension and declination, ICRS degrees."""


@dataclass(frozen=True, slots=True)
class Near:
    """That pairs of rows count only if two positions are close: what lets an engine find them without trying all pairs.

    Parameters
    ----------
    around
        The position of one side, which is the smaller one or the one that knows the radius.
    others
        The position of the other side.
    radius_deg
        Pairs further apart than this (ICRS degrees) do not count; it reads no column but those of the side of `around`.
    """

    around: Position
    others: Position
    radius_deg: Expression


@dataclass(frozen=True, slots=True)
class Join:
    """Two relations side by side; without a condition every pair.

    Parameters
    ----------
    near
        If set, a promise that pairs for which it does not hold are not needed; the exact test stays where it was.
    """

    kind: JoinKind
    left: Relation
    right: Relation
    condition: Expression | None
    near: Near | None = None


Relation = Scan | Derived | NamedRows | Join


@dataclass(frozen=True, slots=True)
class Output:
    """A result column."""

    name: str
    expression: Expression

    @property
    def field(self) -> Field:
        """The expression's field (its name is that of the output)."""
        return self.expression.field


@dataclass(frozen=True, slots=True)
class Ordering:
    """A sort key; NULLs come last."""

    expression: Expression
    descending: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Select:
    """One query block, evaluated in the order source, where, groups, having, outputs, distinct, order, offset, limit.

    Parameters
    ----------
    groups
        Grouping expressions; None if the block does not aggregate, empty if it aggregates to one row.
    """

    outputs: tuple[Output, ...]
    source: Relation
    where: Expression | None = None
    groups: tuple[Expression, ...] | None = None
    having: Expression | None = None
    distinct: bool = False
    order: tuple[Ordering, ...] = ()
    offset: int | None = None
    limit: int | None = None


class SetKind(StrEnum):
    """Kinds of set operation."""

    UNION = "union"
    EXCEPT = "except"
    INTERSECT = "intersect"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetOperation:
    """Two queries with the same number of columns; `order` holds (output position from 0, descending)."""

    kind: SetKind
    all_rows: bool
    left: Query
    right: Query
    outputs: tuple[Output, ...]
    order: tuple[tuple[int, bool], ...] = ()
    offset: int | None = None


Query = Select | SetOperation


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A whole bound query.

    Parameters
    ----------
    named
        Common table expressions by number, each may use those before it.
    max_rows
        Rows to deliver at most, whatever the query says.
    warnings
        What the query may not mean, with line and column, for the person who asks.
    """

    query: Query
    named: tuple[Query, ...] = ()
    max_rows: int | None = None
    warnings: tuple[str, ...] = ()

    @property
    def fields(self) -> tuple[Field, ...]:
        """Columns of the result."""
        return tuple(output.field for output in self.query.outputs)

    @property
    def scans(self) -> tuple[Scan, ...]:
        """All scans, in the order of the text."""
        leaves = (leaf for query in (*self.named, self.query) for leaf in _leaves_of_query(query))
        return tuple(leaf for leaf in leaves if isinstance(leaf, Scan))

    @property
    def tables(self) -> tuple[str, ...]:
        """Qualified names of the tables read, each once."""
        return tuple(dict.fromkeys(scan.snapshot.table.qualified_name for scan in self.scans))

    @property
    def reads_upload(self) -> bool:
        """Whether it reads what somebody sent."""
        return any(scan.snapshot.table.schema == UPLOAD_SCHEMA for scan in self.scans)


def sources_of(relation: Relation) -> frozenset[int]:
    """Numbers of the sources of a relation, derived ones as one."""
    if isinstance(relation, Join):
        return sources_of(relation.left) | sources_of(relation.right)
    return frozenset({relation.source})


def terms_of(condition: Expression | None) -> tuple[Expression, ...]:
    """The terms that all must be true."""
    if condition is None:
        return ()
    if isinstance(condition, Call) and condition.op is Op.AND:
        return tuple(term for argument in condition.arguments for term in terms_of(argument))
    return (condition,)


def named_rows(query: Query) -> tuple[NamedRows, ...]:
    """All uses of common table expressions in a query, subqueries included."""
    return tuple(leaf for leaf in _leaves_of_query(query) if isinstance(leaf, NamedRows))


def _leaves_of_query(query: Query) -> Iterator[Scan | NamedRows]:
    if isinstance(query, SetOperation):
        yield from _leaves_of_query(query.left)
        yield from _leaves_of_query(query.right)
        return
    yield from _leaves_of_relation(query.source)
    orderings = tuple(ordering.expression for ordering in query.order)
    outputs = tuple(output.expression for output in query.outputs)
    for expression in (*outputs, query.where, query.having, *(query.groups or ()), *orderings):
        yield from _leaves_of_expression(expression)


def _leaves_of_relation(relation: Relation) -> Iterator[Scan | NamedRows]:
    match relation:
        case Scan() | NamedRows():
            yield relation
        case Derived():
            yield from _leaves_of_query(relation.query)
        case Join():
            yield from _leaves_of_relation(relation.left)
            yield from _leaves_of_relation(relation.right)
            yield from _leaves_of_expression(relation.condition)


def _leaves_of_expression(expression: Expression | None) -> Iterator[Scan | NamedRows]:
    match expression:
        case Call():
            for argument in expression.arguments:
                yield from _leaves_of_expression(argument)
        case Aggregate():
            yield from _leaves_of_expression(expression.argument)
        case InQuery():
            yield from _leaves_of_expression(expression.operand)
            yield from _leaves_of_query(expression.query)
        case Exists():
            yield from _leaves_of_query(expression.query)
        case _:
            return
