"""ADQL text -> a checked sqlglot tree: every node and every part of a node is on a whitelist."""

from __future__ import annotations

import re
from collections import deque

from sqlglot import exp
from sqlglot.errors import ErrorLevel, ParseError
from sqlglot.tokenizer_core import Token, TokenType

from pachon.core.errors import QuerySyntaxError
from pachon.queries.adql import limits
from pachon.queries.adql.dialect import ADQL
from pachon.queries.adql.gaps import ENDS
from pachon.queries.adql.text import error_at, spelled, start_of
from pachon.queries.adql.tokens import tokenize
from pachon.queries.adql.words import CLAUSE_KEYWORDS, FOREIGN_KEYWORDS, suggestion

_BINARY = frozenset({"this", "expression"})
_SET_PARTS = frozenset({"this", "expression", "distinct", "order", "offset", "with_"})

_ALLOWED: dict[type[exp.Expr], frozenset[str]] = {
    exp.Select: frozenset(
        {
            "expressions", "distinct", "limit", "from_", "joins", "where", "group", "having", "order", "offset",
            "with_",
        }
    ),
    exp.Union: _SET_PARTS,
    exp.Except: _SET_PARTS,
    exp.Intersect: _SET_PARTS,
    exp.With: frozenset({"expressions"}),
    exp.CTE: frozenset({"this", "alias"}),
    exp.TableAlias: frozenset({"this"}),
    exp.Subquery: frozenset({"this", "alias", "order", "offset", "with_", "joins"}),
    exp.Table: frozenset({"this", "db", "catalog", "alias", "joins"}),
    exp.From: frozenset({"this"}),
    exp.Join: frozenset({"this", "on", "using", "side", "kind", "method"}),
    exp.Where: frozenset({"this"}),
    exp.Group: frozenset({"expressions"}),
    exp.Having: frozenset({"this"}),
    exp.Order: frozenset({"expressions"}),
    exp.Ordered: frozenset({"this", "desc", "nulls_first"}),
    exp.Limit: frozenset({"expression"}),
    exp.Offset: frozenset({"expression"}),
    exp.Distinct: frozenset({"expressions"}),
    exp.Alias: frozenset({"this", "alias"}),
    exp.Column: frozenset({"this", "table", "db", "catalog"}),
    exp.Identifier: frozenset({"this", "quoted"}),
    exp.Star: frozenset(),
    exp.Literal: frozenset({"this", "is_string"}),
    exp.Null: frozenset(),
    exp.Boolean: frozenset({"this"}),
    exp.Paren: frozenset({"this"}),
    exp.Neg: frozenset({"this"}),
    exp.Not: frozenset({"this"}),
    exp.And: _BINARY,
    exp.Or: _BINARY,
    exp.Add: _BINARY,
    exp.Sub: _BINARY,
    exp.Mul: _BINARY,
    exp.Div: _BINARY | {"typed", "safe"},
    exp.DPipe: _BINARY | {"safe"},
    exp.EQ: _BINARY,
    exp.NEQ: _BINARY,
    exp.LT: _BINARY,
    exp.LTE: _BINARY,
    exp.GT: _BINARY,
    exp.GTE: _BINARY,
    exp.Like: _BINARY | {"negate"},
    exp.ILike: _BINARY | {"negate"},
    exp.Is: _BINARY,
    exp.Between: frozenset({"this", "low", "high"}),
    exp.In: frozenset({"this", "expressions", "query"}),
    exp.Exists: frozenset({"this"}),
    exp.Cast: frozenset({"this", "to"}),
    exp.DataType: frozenset({"this", "expressions"}),
    exp.DataTypeParam: frozenset({"this"}),
    exp.Anonymous: frozenset({"this", "expressions"}),
}  # fmt: skip

_LIKE_NAMES = frozenset(
    {
        TokenType.ASC, TokenType.DESC, TokenType.ALL, TokenType.LEFT, TokenType.RIGHT, TokenType.FULL, TokenType.INNER,
        TokenType.OUTER, TokenType.NATURAL, TokenType.OFFSET, TokenType.SMALLINT, TokenType.INT, TokenType.BIGINT,
        TokenType.FLOAT, TokenType.DOUBLE, TokenType.CHAR, TokenType.VARCHAR, TokenType.TIMESTAMP,
    }
)  # fmt: skip
"""Words that people give as names."""
_VALUES = frozenset({TokenType.VAR, TokenType.IDENTIFIER, TokenType.NUMBER, TokenType.STRING})
_CONDITION = "AND or OR"
_MISSING_IN = {
    TokenType.SELECT: "a comma or FROM",
    TokenType.WHERE: _CONDITION,
    TokenType.ON: _CONDITION,
    TokenType.HAVING: _CONDITION,
    TokenType.AND: _CONDITION,
    TokenType.OR: _CONDITION,
    TokenType.GROUP_BY: "a comma",
    TokenType.ORDER_BY: "a comma",
}
"""What stands between two values, by the clause they are in."""
_CLAUSES = frozenset({*_MISSING_IN, TokenType.FROM, TokenType.JOIN})
_COMPARED = frozenset(
    {
        TokenType.EQ, TokenType.NEQ, TokenType.LT, TokenType.LTE, TokenType.GT, TokenType.GTE, TokenType.LIKE,
        TokenType.ILIKE,
    }
)  # fmt: skip
_NAMES = {"DPipe": "||", "EQ": "=", "NEQ": "<>", "LT": "<", "LTE": "<=", "GT": ">", "GTE": ">=", "Add": "+", "Sub": "-"}
_MISSING = re.compile(r"Required keyword: '\w+' missing for <class '[\w.]*\.(\w+)'>")


class _Parser(ADQL.Parser):
    """Remembers at which token parsing failed, and which sources were joined by the word JOIN."""

    failed_at: Token | None = None

    def raise_error(self, message: str, token: Token | None = None, *args: object, **kwargs: object) -> None:
        """Note the place, then fail as the base class does."""
        self.failed_at = token or self._curr or self._prev
        super().raise_error(message, token, *args, **kwargs)  # type: ignore[arg-type]

    def _parse_join(self, *args: object, **kwargs: object) -> exp.Join | None:
        """A source after a comma or JOIN, which the tree of the base class does not tell apart: JOIN is INNER JOIN."""
        is_listed = self._curr is not None and self._curr.token_type is TokenType.COMMA
        join = super()._parse_join(*args, **kwargs)  # type: ignore[arg-type]
        if join is not None and not is_listed and not any(join.args.get(part) for part in ("side", "kind", "method")):
            join.set("kind", "INNER")
        return join


def parse(text: str) -> exp.Query:
    """Parse one ADQL query.

    Parameters
    ----------
    text
        ADQL 2.1.

    Raises
    ------
    QuerySyntaxError
        With the position, what was expected and the nearest words.
    LimitError
        If the query is too large: see `limits`.
    """
    tokens = tokenize(text)
    parser = _Parser(dialect=ADQL(), error_level=ErrorLevel.IMMEDIATE)
    try:
        tree = parser.parse(tokens, text)[0]
    except ParseError as error:
        token = parser.failed_at or tokens[-1]
        index = next((i for i, other in enumerate(tokens) if other.start == token.start), len(tokens) - 1)
        if missing := _missing_before(tokens, index):
            message = f"{missing} is expected before {spelled(text, token)}."
            raise error_at(text, token.start, message) from None
        raise _explain(text, tokens, token, index, error) from None
    except RecursionError:
        raise limits.too_deep() from None
    if not isinstance(tree, exp.Query):
        raise error_at(text, tokens[0].start, "expected a query that starts with SELECT or WITH.")
    _check_tree(text, tree)
    return tree


def _check_tree(text: str, tree: exp.Expr) -> None:
    """Every node, widest first; how deep it stands is counted on the way, a chain of AND or OR as one level."""
    tables, waiting = 0, deque([(tree, 1)])
    while waiting:
        node, depth = waiting.popleft()
        _check_node(text, node)
        if depth > limits.MAX_NESTING:
            raise limits.too_deep()
        tables += isinstance(node, exp.Table)
        chained = type(node) if isinstance(node, exp.And | exp.Or) else None
        waiting.extend((child, depth if type(child) is chained else depth + 1) for child in node.iter_expressions())
    if tables > limits.MAX_TABLES:
        raise limits.too_many_tables(tables)


def _check_node(text: str, node: exp.Expr) -> None:
    allowed = _ALLOWED.get(type(node))
    if allowed is None:
        raise error_at(text, start_of(node), f"ADQL 2.1 has no {_describe(node.key)} here.")
    for name, value in node.args.items():
        if name not in allowed and value:
            raise error_at(text, start_of(node), f"ADQL 2.1 has no {_describe(name)} here.")


def _describe(name: str) -> str:
    if name == "dot":
        return "name with more parts than catalog.schema.table.column"
    if name == "tuple":
        return "list of values"
    if name == "offset":
        return "second number after TOP"
    return name.strip("_").replace("_", " ").upper()


def _explain(text: str, tokens: list[Token], token: Token, index: int, error: ParseError) -> QuerySyntaxError:
    description = str(error.errors[0].get("description", "")) if error.errors else ""
    for place in (index, index - 1):
        if _may_be_misspelt(tokens, place) and (found := _word_hint(tokens[place])):
            return error_at(text, tokens[place].start, found)
    found = spelled(text, token)
    if index and tokens[index - 1].token_type is TokenType.TOP:
        message = f"TOP must be followed by a whole number, not {found}."
    elif token.token_type in _LIKE_NAMES:
        message = f"unexpected {found}, a reserved word: as a name it is written in double quotes."
    elif match := _MISSING.match(description):
        message = f"something is missing or misplaced at {found}{_for(match)}."
    elif description.startswith("Expecting "):
        message = f"expected '{description.removeprefix('Expecting ').strip()}' at {found}."
    elif index == len(tokens) - 1 and token.token_type not in _VALUES - {TokenType.STRING}:
        return error_at(text, token.end + 1, f"the query ends too early, after {found}.")
    else:
        message = f"unexpected {found}."
    return error_at(text, token.start, message)


def _missing_before(tokens: list[Token], index: int) -> str:
    """What is left out where a value or name follows another; nothing if either may be a misspelt keyword."""
    if index == 0 or not {tokens[index].token_type, tokens[index - 1].token_type} <= _VALUES:
        return ""
    depth, is_compared, clause = 0, False, None
    for token in reversed(tokens[:index]):
        kind = token.token_type
        depth += (kind is TokenType.R_PAREN) - (kind is TokenType.L_PAREN)
        if depth < 0:
            return ""
        is_compared = is_compared or kind in _COMPARED
        if depth == 0 and kind in _CLAUSES:
            clause = kind
            break
    missing = _MISSING_IN.get(clause, "") if clause else ""
    if missing == _CONDITION and not is_compared:
        return ""
    keywords = CLAUSE_KEYWORDS if clause is TokenType.ORDER_BY else CLAUSE_KEYWORDS - {"ASC", "DESC"}
    words = [tokens[i].text.upper() for i in (index - 1, index) if _may_be_misspelt(tokens, i)]
    is_misspelt = any(word in FOREIGN_KEYWORDS or suggestion(word, keywords, cutoff=0.7) for word in words)
    return "" if is_misspelt else missing


def _may_be_misspelt(tokens: list[Token], index: int) -> bool:
    """Whether a word may be meant for a keyword: where a name is due, as after BY, it is a name."""
    return index > 0 and tokens[index].token_type is TokenType.VAR and tokens[index - 1].token_type in ENDS


def _word_hint(token: Token) -> str:
    word = token.text.upper()
    if word in FOREIGN_KEYWORDS:
        return f"unexpected '{token.text}': {FOREIGN_KEYWORDS[word]}."
    near = suggestion(word, CLAUSE_KEYWORDS, cutoff=0.7)
    return f"unexpected '{token.text}'{near}" if near else ""


def _for(match: re.Match[str]) -> str:
    kind = match.group(1)
    if kind == "Between":
        return ": BETWEEN needs two ends, as in x BETWEEN 1 AND 2"
    return f": {_NAMES.get(kind, kind.upper())} needs more than this"
