"""ADQL as a cut-down sqlglot dialect: only the words and operators of ADQL 2.1, every call left anonymous.

sqlglot's own tables would silently change meanings (LOG, MOD, `^`, hexadecimal) and accept much that ADQL does not
have; here only what is listed is read at all, and `grammar` then refuses every tree that is not on its whitelist.
"""

from __future__ import annotations

from typing import ClassVar

from sqlglot import exp, tokens
from sqlglot.dialects.dialect import Dialect
from sqlglot.parser import Parser as BaseParser
from sqlglot.tokenizer_core import TokenType


def _only(table: dict, *keys: object) -> dict:  # type: ignore[type-arg]
    return {key: table[key] for key in keys}


_WORDS = {
    word: getattr(TokenType, word)
    for word in (
        "SELECT", "DISTINCT", "ALL", "TOP", "FROM", "WHERE", "AND", "OR", "NOT", "BETWEEN", "IN", "LIKE", "ILIKE", "IS",
        "NULL", "JOIN", "INNER", "LEFT", "RIGHT", "FULL", "OUTER", "NATURAL", "ON", "USING", "HAVING", "ASC", "DESC",
        "OFFSET", "WITH", "UNION", "EXCEPT", "INTERSECT", "EXISTS", "TRUE", "FALSE", "SMALLINT", "BIGINT", "CHAR",
        "VARCHAR", "TIMESTAMP",
    )
}  # fmt: skip
_PHRASES = {
    "AS": TokenType.ALIAS,
    "GROUP BY": TokenType.GROUP_BY,
    "ORDER BY": TokenType.ORDER_BY,
    "INTEGER": TokenType.INT,
    "REAL": TokenType.FLOAT,
    "DOUBLE PRECISION": TokenType.DOUBLE,
}
_SYMBOLS = {
    "||": TokenType.DPIPE,
    ">=": TokenType.GTE,
    "<=": TokenType.LTE,
    "<>": TokenType.NEQ,
    "!=": TokenType.NEQ,
}


class ADQL(Dialect):
    """Reads ADQL 2.1 text into a sqlglot tree; never used to write SQL."""

    class Tokenizer(tokens.Tokenizer):
        """Words and operators of ADQL; the only comment is `--`."""

        KEYWORDS: ClassVar[dict[str, TokenType]] = {**_WORDS, **_PHRASES, **_SYMBOLS}
        COMMENTS: ClassVar[list[str | tuple[str, str]]] = ["--"]
        COMMANDS: ClassVar[set[TokenType]] = set()
        NUMERIC_LITERALS: ClassVar[dict[str, str]] = {}

    class Parser(BaseParser):
        """Parses queries only."""

        ID_VAR_TOKENS: ClassVar = {TokenType.VAR}
        ALIAS_TOKENS: ClassVar = ID_VAR_TOKENS
        TABLE_ALIAS_TOKENS: ClassVar = ID_VAR_TOKENS
        RESERVED_TOKENS: ClassVar = BaseParser.RESERVED_TOKENS | set(_WORDS.values()) | set(_PHRASES.values())
        FUNCTIONS: ClassVar = {}
        NO_PAREN_FUNCTIONS: ClassVar = {}
        NO_PAREN_FUNCTION_PARSERS: ClassVar = {}
        FUNCTION_PARSERS: ClassVar = _only(BaseParser.FUNCTION_PARSERS, "CAST")
        STATEMENT_PARSERS: ClassVar = {}
        PROPERTY_PARSERS: ClassVar = {}
        LAMBDAS: ClassVar = {}
        PLACEHOLDER_PARSERS: ClassVar = {}
        BITWISE: ClassVar = {}
        ASSIGNMENT: ClassVar = {}
        TERM: ClassVar = _only(BaseParser.TERM, TokenType.PLUS, TokenType.DASH)
        FACTOR: ClassVar = _only(BaseParser.FACTOR, TokenType.STAR, TokenType.SLASH)
        EQUALITY: ClassVar = _only(BaseParser.EQUALITY, TokenType.EQ, TokenType.NEQ)
        UNARY_PARSERS: ClassVar = _only(BaseParser.UNARY_PARSERS, TokenType.PLUS, TokenType.DASH, TokenType.NOT)
        COLUMN_OPERATORS: ClassVar = _only(BaseParser.COLUMN_OPERATORS, TokenType.DOT)
        RANGE_PARSERS: ClassVar = _only(
            BaseParser.RANGE_PARSERS,
            TokenType.BETWEEN, TokenType.IN, TokenType.IS, TokenType.LIKE, TokenType.ILIKE,
        )  # fmt: skip
        PRIMARY_PARSERS: ClassVar = {
            **_only(BaseParser.PRIMARY_PARSERS, TokenType.STRING, TokenType.NUMBER, TokenType.STAR),
            TokenType.NULL: lambda self, token: self.expression(exp.Null(), token),
            TokenType.TRUE: lambda self, token: self.expression(exp.Boolean(this=True), token),
            TokenType.FALSE: lambda self, token: self.expression(exp.Boolean(this=False), token),
        }
        QUERY_MODIFIER_PARSERS: ClassVar = _only(
            BaseParser.QUERY_MODIFIER_PARSERS,
            TokenType.WHERE, TokenType.GROUP_BY, TokenType.HAVING, TokenType.ORDER_BY, TokenType.OFFSET,
        )  # fmt: skip
        QUERY_MODIFIER_TOKENS: ClassVar = set(QUERY_MODIFIER_PARSERS)
        SET_OP_MODIFIERS: ClassVar = {"order", "offset"}


Expression = exp.Expression
