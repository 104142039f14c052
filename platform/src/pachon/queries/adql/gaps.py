"""What is left out between the words and signs of a query: operands, conditions, tables, and brackets that close."""

from __future__ import annotations

from itertools import pairwise

from sqlglot.tokenizer_core import Token, TokenType

from pachon.core.errors import QuerySyntaxError
from pachon.queries.adql.text import error_at, spelled

_COMPARISONS = frozenset(
    {TokenType.EQ, TokenType.NEQ, TokenType.LT, TokenType.LTE, TokenType.GT, TokenType.GTE}
)  # fmt: skip
_CONDITIONS = dict.fromkeys(
    (TokenType.WHERE, TokenType.HAVING, TokenType.ON, TokenType.AND, TokenType.OR, TokenType.NOT), "a condition"
)
_OPERATORS = dict.fromkeys(
    (
        *_COMPARISONS, TokenType.PLUS, TokenType.DASH, TokenType.SLASH, TokenType.DPIPE, TokenType.LIKE,
        TokenType.ILIKE, TokenType.BETWEEN,
    ),
    "a value",
)  # fmt: skip
_EXPECTED = {
    **_CONDITIONS,
    **_OPERATORS,
    **dict.fromkeys((TokenType.FROM, TokenType.JOIN), "a table"),
    **dict.fromkeys((TokenType.GROUP_BY, TokenType.ORDER_BY), "a column or an expression"),
    **dict.fromkeys((TokenType.UNION, TokenType.EXCEPT, TokenType.INTERSECT), "a query"),
    **dict.fromkeys((TokenType.TOP, TokenType.OFFSET), "a whole number"),
    TokenType.DOT: "a name",
    TokenType.SELECT: "a column, an expression or *",
    TokenType.DISTINCT: "a column or an expression",
    TokenType.IN: "a list of values or a query in parentheses",
    TokenType.EXISTS: "a query in parentheses",
    TokenType.USING: "names of columns in parentheses",
    TokenType.IS: "NULL or NOT NULL",
    TokenType.WITH: "a name and AS (SELECT ...)",
    TokenType.ALIAS: "a name",
}
"""What must follow a word or sign."""
_NO_OPERAND = frozenset(
    {
        TokenType.R_PAREN, TokenType.COMMA, TokenType.FROM, TokenType.WHERE, TokenType.GROUP_BY, TokenType.HAVING,
        TokenType.ORDER_BY, TokenType.AND, TokenType.OR, TokenType.ON, TokenType.USING, TokenType.JOIN, TokenType.UNION,
        TokenType.EXCEPT, TokenType.INTERSECT, TokenType.OFFSET, TokenType.ALIAS, TokenType.ASC, TokenType.DESC,
    }
)  # fmt: skip
"""With what no value, condition, table or name begins."""
_BEFORE_BRACKET = frozenset({TokenType.IN, TokenType.EXISTS, TokenType.USING})
_AFTER_DOT = frozenset({TokenType.VAR, TokenType.IDENTIFIER, TokenType.STAR, TokenType.NUMBER})
_INFIX = _COMPARISONS | {TokenType.STAR, TokenType.SLASH, TokenType.DPIPE}
ENDS = frozenset(
    {
        TokenType.VAR, TokenType.IDENTIFIER, TokenType.NUMBER, TokenType.STRING, TokenType.R_PAREN, TokenType.STAR,
        TokenType.NULL, TokenType.TRUE, TokenType.FALSE, TokenType.WITH,
    }
)  # fmt: skip
"""What a name, a value or a query may end with."""
_LOGIC = frozenset({TokenType.AND, TokenType.OR, TokenType.BETWEEN, TokenType.WHERE, TokenType.ON, TokenType.HAVING})
_SETS = frozenset({TokenType.UNION, TokenType.EXCEPT, TokenType.INTERSECT})
_ORDER = {
    kind: number
    for number, kind in enumerate(
        (
            TokenType.SELECT, TokenType.FROM, TokenType.WHERE, TokenType.GROUP_BY, TokenType.HAVING, TokenType.ORDER_BY,
            TokenType.OFFSET,
        )
    )
}  # fmt: skip
"""Clauses in the order of ADQL 2.1, section 2.1.2."""
_CLAUSES = frozenset({TokenType.FROM, TokenType.WHERE, TokenType.GROUP_BY, TokenType.HAVING})
_INNER_STARTS = frozenset({TokenType.SELECT, TokenType.WITH, TokenType.L_PAREN})
"""After '(': what clauses may follow within the brackets."""


def check_operands(text: str, tokens: list[Token]) -> None:
    """Refuse a word or sign that something must follow, and that is followed by something else or by nothing.

    Raises
    ------
    QuerySyntaxError
        At `left`, with what is expected after it.
    """
    for number, (left, right) in enumerate(pairwise(tokens)):
        wants_operand = left.token_type in _CONDITIONS or left.token_type in _OPERATORS
        is_nothing = right.token_type in _NO_OPERAND or (wants_operand and right.token_type in _INFIX)
        if left.token_type in _BEFORE_BRACKET:
            is_nothing = right.token_type is not TokenType.L_PAREN
        elif left.token_type is TokenType.DOT:
            is_nothing = right.token_type not in _AFTER_DOT
        if is_nothing and left.token_type in _EXPECTED:
            raise _left_out(text, tokens, number, spelled(text, right))
    if tokens[-1].token_type in _EXPECTED:
        raise _left_out(text, tokens, len(tokens) - 1, "the end of the query")


def check_brackets(text: str, tokens: list[Token]) -> None:
    """Refuse brackets without a partner.

    Raises
    ------
    QuerySyntaxError
        At the bracket that closes nothing, or at the one that is never closed: the last of them, or the one within
        which a clause begins.
    """
    waiting: list[int] = []
    for number, token in enumerate(tokens):
        if token.token_type is TokenType.L_PAREN:
            waiting.append(number)
        elif token.token_type is TokenType.R_PAREN:
            if not waiting:
                raise error_at(text, token.start, "this ')' closes nothing: there is no '(' before it.")
            waiting.pop()
        elif token.token_type in _CLAUSES and waiting and tokens[waiting[-1] + 1].token_type not in _INNER_STARTS:
            raise _never_closed(text, tokens, waiting[-1], f"before {spelled(text, token)}")
    if waiting:
        raise _never_closed(text, tokens, waiting[-1], "before the end of the query")


def check_clauses(text: str, tokens: list[Token]) -> None:
    """Refuse clauses that stand twice or in another order than that of ADQL.

    Raises
    ------
    QuerySyntaxError
        At the clause that comes too late.
    """
    last: list[TokenType | None] = [None]
    for token in tokens:
        kind = token.token_type
        if kind is TokenType.L_PAREN:
            last.append(None)
        elif kind is TokenType.R_PAREN:
            last.pop()
        elif kind in _SETS:
            last[-1] = None
        elif kind in _ORDER:
            before, last[-1] = last[-1], kind
            if before is not None and _ORDER[before] >= _ORDER[kind]:
                raise _misplaced(text, token, before)


def _misplaced(text: str, token: Token, before: TokenType) -> QuerySyntaxError:
    if token.token_type is TokenType.SELECT:
        return error_at(text, token.start, "a query within another stands in parentheses: (SELECT ...).")
    word, other = token.text.upper(), before.name.replace("_", " ")
    if token.token_type is before:
        join = "; join conditions with AND" if before in _CONDITIONS else ""
        return error_at(text, token.start, f"{word} stands twice in one SELECT{join}.")
    return error_at(text, token.start, f"{word} stands before {other}, not after it.")


def _never_closed(text: str, tokens: list[Token], number: int, where: str) -> QuerySyntaxError:
    before = tokens[number - 1] if number else None
    is_call = before is not None and before.token_type is TokenType.VAR
    of_call = f" of {before.text}(" if before is not None and is_call else ""
    return error_at(text, tokens[number].start, f"the '('{of_call} here is never closed: expected a ')' {where}.")


def _left_out(text: str, tokens: list[Token], number: int, found: str) -> QuerySyntaxError:
    token = tokens[number]
    expected = "the upper end of BETWEEN" if _is_between(tokens, number) else _EXPECTED[token.token_type]
    return error_at(text, token.start, f"after {spelled(text, token)} {expected} is expected, not {found}.")


def _is_between(tokens: list[Token], number: int) -> bool:
    """Whether a word is the AND of BETWEEN ... AND ..."""
    if tokens[number].token_type is not TokenType.AND:
        return False
    before = (token.token_type for token in reversed(tokens[:number]))
    return next((kind for kind in before if kind in _LOGIC), None) is TokenType.BETWEEN
