"""What can be refused before parsing: characters, words and commas that ADQL 2.1 does not have where they stand."""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise

from sqlglot.errors import TokenError
from sqlglot.tokenizer_core import Token, TokenType

from pachon.core.errors import QuerySyntaxError
from pachon.queries.adql import foreign, gaps, limits
from pachon.queries.adql.dialect import ADQL
from pachon.queries.adql.text import error_at
from pachon.queries.adql.words import (
    CLAUSE_KEYWORDS,
    FOREIGN_KEYWORDS,
    FOREIGN_SIGNS,
    FUNCTION_NAMES,
    UNUSED_RESERVED,
    plain_hint,
    suggestion,
)

_REGULAR = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")
_NUMBER = re.compile(r"(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\Z")
_PIECES = re.compile(r"--[^\n]*|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\d[\w.]*|\w+|[^\w\s]")
"""Comments, quoted texts, words and signs, told apart roughly: fast enough to count them in a text of any kind."""
_QUOTED = re.compile(r"--[^\n]*|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|(['\"])")
_FOREIGN = re.compile(r"--[^\n]*|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|([^\x00-\x7f])")
_STARTS = frozenset({TokenType.SELECT, TokenType.WITH, TokenType.L_PAREN})
_NEAR = 0.7
"""How near a word must be to a keyword to be taken for its misspelling: SELETC is, DELETE is not."""
_OPERANDS = frozenset({TokenType.VAR, TokenType.IDENTIFIER, TokenType.STRING, TokenType.NUMBER})
_PLAIN = frozenset(
    {
        TokenType.L_PAREN, TokenType.R_PAREN, TokenType.COMMA, TokenType.DOT, TokenType.PLUS, TokenType.DASH,
        TokenType.STAR, TokenType.SLASH, TokenType.EQ, TokenType.LT, TokenType.GT, TokenType.SEMICOLON, TokenType.VAR,
        TokenType.IDENTIFIER, TokenType.STRING, TokenType.NUMBER, *ADQL.Tokenizer.KEYWORDS.values(),
    }
)  # fmt: skip
_AFTER_COMMA = frozenset(
    {
        TokenType.L_PAREN, TokenType.PLUS, TokenType.DASH, TokenType.STAR, TokenType.VAR, TokenType.IDENTIFIER,
        TokenType.DOT, TokenType.STRING, TokenType.NUMBER, TokenType.NULL, TokenType.TRUE, TokenType.FALSE,
    }
)  # fmt: skip
_COMPARISONS = frozenset({TokenType.EQ, TokenType.NEQ, TokenType.LT, TokenType.LTE, TokenType.GT, TokenType.GTE})
_DIRECTIONS = frozenset({TokenType.ASC, TokenType.DESC})
_BEFORE_TOP = frozenset({TokenType.SELECT, TokenType.DISTINCT, TokenType.ALL})
_TEXT_TYPES = frozenset({TokenType.CHAR, TokenType.VARCHAR})
_TYPES = _TEXT_TYPES | {
    TokenType.SMALLINT, TokenType.INT, TokenType.BIGINT, TokenType.FLOAT, TokenType.DOUBLE, TokenType.TIMESTAMP,
}  # fmt: skip
_IN_NAME = frozenset({TokenType.VAR, TokenType.NUMBER, TokenType.DASH})
_LENGTH = [TokenType.L_PAREN, TokenType.NUMBER, TokenType.R_PAREN]
_AFTER_AS = frozenset(
    {
        TokenType.VAR, TokenType.IDENTIFIER, TokenType.L_PAREN, TokenType.INT, TokenType.FLOAT, TokenType.DOUBLE,
        TokenType.SMALLINT, TokenType.BIGINT, TokenType.CHAR, TokenType.VARCHAR, TokenType.TIMESTAMP,
    }
)  # fmt: skip


def tokenize(text: str) -> list[Token]:
    """The tokens of one ADQL statement.

    Raises
    ------
    QuerySyntaxError
        Where the text has something ADQL does not have.
    LimitError
        If it has too many words and signs, parentheses within parentheses, or tables.
    """
    tokens = _split(text)
    if tokens and tokens[-1].token_type is TokenType.SEMICOLON:
        tokens = tokens[:-1]
    if not tokens:
        raise QuerySyntaxError("The query is empty; a query starts with SELECT or WITH.")
    _check_start(text, tokens[0])
    _check_size(tokens)
    foreign.check(text, tokens)
    _check_casts(text, tokens)
    _check_typed_strings(text, tokens)
    _check_aliases(text, tokens)
    for token in tokens:
        _check_token(text, token)
    for left, right in pairwise(tokens):
        _check_pair(text, left, right)
    for top, _, after in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if top.token_type is TokenType.TOP and after.token_type in {TokenType.DISTINCT, TokenType.ALL}:
            word = after.text.upper()
            raise error_at(text, after.start, f"{word} stands before TOP: SELECT {word} TOP n ...")
    _check_end(text, tokens[-1])
    gaps.check_brackets(text, tokens)
    gaps.check_operands(text, tokens)
    gaps.check_clauses(text, tokens)
    return tokens


def _count(text: str) -> None:
    """How many words and signs there are; constants of a list, each with its comma, are counted apart."""
    count = listed = 0
    was_constant = False
    for match in _PIECES.finditer(text):
        piece = match.group()
        if piece == "," and was_constant:
            count, listed = count - 1, listed + 1
        else:
            count += not piece.startswith("--")
        was_constant = piece[0] == "'" or piece[0].isdigit()
    if listed > limits.MAX_LISTED:
        raise limits.too_long_list(listed)
    if count > limits.MAX_TOKENS:
        raise limits.too_many_tokens(count)


def _check_letters(text: str) -> None:
    """Only quoted names, strings and comments may hold other characters than those of ADQL (section 2.1.1)."""
    for match in _FOREIGN.finditer(text):
        if found := match.group(1):
            name = unicodedata.name(found, "a character without a name")
            message = f"the character U+{ord(found):04X} ({name}) may stand only inside quotes or comments"
            raise error_at(text, match.start(), f"{message}{plain_hint(found)}.")


def _split(text: str) -> list[Token]:
    for match in _QUOTED.finditer(text):
        if quote := match.group(1):
            what = "string" if quote == "'" else "quoted name"
            message = f"this {what} is never closed: expected a closing {quote}; one within it is written twice."
            raise error_at(text, match.start(), message)
    _count(text)
    if "\x00" in text:
        raise error_at(text, text.index("\x00"), "a query may not contain the character NUL.")
    if not text.isascii():
        _check_letters(text)
    try:
        return ADQL().tokenize(text)
    except TokenError:
        raise QuerySyntaxError("The query has a character sequence that ADQL does not have.") from None


def _check_start(text: str, first: Token) -> None:
    if first.token_type not in _STARTS:
        word = first.text[: limits.MAX_NAME_CHARS]
        started = f"a query starts with SELECT or WITH, not with '{word}'"
        if hint := foreign.statement_hint(text[first.start :]):
            raise error_at(text, first.start, f"{started}; {hint}.")
        near = suggestion(word, ["SELECT", "WITH"], cutoff=_NEAR).replace("?", "")
        raise error_at(text, first.start, f"{started}{near}; nothing but queries is allowed.")


def _check_token(text: str, token: Token) -> None:
    kind, word = token.token_type, token.text
    if kind not in _PLAIN:
        sign = text[token.start : token.end + 1]
        raise error_at(text, token.start, f"ADQL has no '{sign}'{FOREIGN_SIGNS.get(sign[0], '')}.")
    if kind is TokenType.SEMICOLON:
        raise error_at(text, token.start, "only one statement is allowed: nothing may follow ';'.")
    if kind is TokenType.NUMBER and len(word) > limits.MAX_NUMBER_CHARS:
        raise error_at(text, token.start, f"a number may have at most {limits.MAX_NUMBER_CHARS} digits.")
    if kind is TokenType.NUMBER and not _NUMBER.match(word):
        raise error_at(text, token.start, f"'{word}' is not a number.")
    if kind in {TokenType.VAR, TokenType.IDENTIFIER} and len(word) > limits.MAX_NAME_CHARS:
        raise error_at(text, token.start, f"a name may have at most {limits.MAX_NAME_CHARS} characters.")
    if kind is TokenType.IDENTIFIER and not word:
        raise error_at(text, token.start, "a quoted name may not be empty.")
    if kind is TokenType.VAR:
        _check_word(text, token)


def _check_word(text: str, token: Token) -> None:
    word = token.text.upper()
    if not _REGULAR.match(token.text):
        message = f"'{token.text}' is not a name: unquoted names have letters, digits and _ and start with a letter."
        raise error_at(text, token.start, message)
    if word in FOREIGN_KEYWORDS and word in UNUSED_RESERVED:
        raise error_at(text, token.start, f"unexpected '{token.text}': {FOREIGN_KEYWORDS[word]}.")
    if word in {"GROUP", "ORDER"}:
        raise error_at(text, token.start, f"expected BY after {word}; as a name write it in double quotes.")
    if word in UNUSED_RESERVED or word in CLAUSE_KEYWORDS:
        message = f"'{token.text}' is a reserved word; to use it as a name write it in double quotes: \"{token.text}\"."
        raise error_at(text, token.start, message)


def _check_casts(text: str, tokens: list[Token]) -> None:
    """The type in CAST(... AS type): one of those ADQL has, a length only after CHAR and VARCHAR."""
    waiting: list[bool] = []
    for number, token in enumerate(tokens):
        if token.token_type is TokenType.L_PAREN:
            before = tokens[number - 1] if number else token
            waiting.append(before.token_type is TokenType.VAR and before.text.upper() == "CAST")
        elif token.token_type is TokenType.R_PAREN and waiting:
            waiting.pop()
        elif token.token_type is TokenType.ALIAS and waiting and waiting[-1]:
            _check_cast_type(text, token, tokens[number + 1 : number + 5])


def _check_cast_type(text: str, before: Token, following: list[Token]) -> None:
    place = following[0] if following else before
    if not following or following[0].token_type not in _TYPES:
        spelled = text[place.start : place.end + 1] if following else "the end of the query"
        offered = "SMALLINT, INTEGER, BIGINT, REAL, DOUBLE PRECISION, CHAR, CHAR(n), VARCHAR, VARCHAR(n), TIMESTAMP"
        raise error_at(text, place.start, f"CAST offers {offered}, not {spelled}.")
    kinds = [token.token_type for token in following[1:]]
    if kinds[:1] == [TokenType.R_PAREN]:
        return
    has_length = kinds == [TokenType.L_PAREN, TokenType.NUMBER, TokenType.R_PAREN] and following[2].text.isdigit()
    if place.token_type not in _TEXT_TYPES or not has_length:
        expected = "a length in parentheses or ')'" if place.token_type in _TEXT_TYPES else "')'"
        raise error_at(text, place.end + 1, f"expected {expected} after the type {place.text} of CAST.")


def _check_typed_strings(text: str, tokens: list[Token]) -> None:
    """A string after the name of a type, as in TIMESTAMP '2026-01-31': ADQL converts by CAST alone."""
    for number, token in enumerate(tokens):
        if token.token_type not in _TYPES:
            continue
        has_length = [each.token_type for each in tokens[number + 1 : number + 4]] == _LENGTH
        following = tokens[number + (4 if has_length else 1) :][:1]
        if following and following[0].token_type is TokenType.STRING:
            written = text[token.start : following[0].start].strip()
            value = text[following[0].start : following[0].end + 1]
            raise error_at(text, token.start, f"ADQL has no typed strings: write CAST({value} AS {written}).")


def _check_aliases(text: str, tokens: list[Token]) -> None:
    """A name after AS with '-' in it, as in id AS my-name: such names are quoted."""
    for number, token in enumerate(tokens):
        if token.token_type is not TokenType.ALIAS:
            continue
        parts = tokens[number + 1 : number + 2]
        for part in tokens[number + 2 :]:
            if part.token_type not in _IN_NAME or part.start != parts[-1].end + 1:
                break
            parts.append(part)
        if len(parts) > 1 and parts[0].token_type is TokenType.VAR and parts[1].token_type is TokenType.DASH:
            name = text[parts[0].start : parts[-1].end + 1]
            message = f"a name with '-' stands in double quotes: write AS \"{name}\"."
            raise error_at(text, parts[0].start, message)


def _check_pair(text: str, left: Token, right: Token) -> None:
    first, second = left.token_type, right.token_type
    _check_repeated(text, left, right)
    if second is TokenType.TOP and first not in _BEFORE_TOP:
        raise error_at(text, right.start, "TOP stands after SELECT, before the columns: SELECT TOP n ...")
    if first is TokenType.TOP and second is TokenType.L_PAREN:
        raise error_at(text, right.start, "TOP must be followed by a whole number, without parentheses.")
    if first is TokenType.SLASH and second is TokenType.STAR:
        raise error_at(text, left.start, "ADQL has no /* comments */: a comment starts with -- and ends with the line.")
    if first is TokenType.COMMA and second not in _AFTER_COMMA:
        raise error_at(text, left.start, f"after this comma a further item is expected, not '{right.text}'.")
    if first is TokenType.ALIAS and second not in _AFTER_AS:
        raise error_at(text, right.start, f"expected a name after AS, not '{right.text}'.")
    if first is TokenType.NUMBER and right.start == left.end + 1 and second in _OPERANDS:
        raise error_at(text, left.start, f"'{left.text}{right.text}' is not a number.")
    if first is TokenType.VAR and left.text.upper() in FUNCTION_NAMES and second is not TokenType.L_PAREN:
        raise error_at(text, left.start, _function_name_message(left))


def _check_repeated(text: str, left: Token, right: Token) -> None:
    """Two of a kind in a row."""
    kinds = {left.token_type, right.token_type}
    signs = f"'{left.text}' and '{right.text}'"
    if kinds <= _COMPARISONS:
        raise error_at(text, right.start, f"two comparisons in a row, {signs}: expected a value; equal is '='.")
    if kinds <= _DIRECTIONS:
        raise error_at(text, right.start, f"{signs} in a row: one of ASC and DESC is expected.")
    if kinds == {TokenType.STRING}:
        raise error_at(text, right.start, "two strings in a row: join them with ||.")


def _check_end(text: str, last: Token) -> None:
    if last.token_type is TokenType.COMMA:
        raise error_at(text, last.start, "after this comma a further item is expected, not the end of the query.")
    if last.token_type is TokenType.VAR and last.text.upper() in FUNCTION_NAMES:
        raise error_at(text, last.start, _function_name_message(last))


def _function_name_message(token: Token) -> str:
    return (
        f"'{token.text}' is a function: expected '(' after it; as a name write it in double quotes: \"{token.text}\"."
    )


def _check_size(tokens: list[Token]) -> None:
    depth = deepest = tables = 0
    for token in tokens:
        kind = token.token_type
        depth += (kind is TokenType.L_PAREN) - (kind is TokenType.R_PAREN)
        deepest = max(deepest, depth)
        tables += kind in {TokenType.FROM, TokenType.JOIN}
    if deepest > limits.MAX_PARENTHESES:
        raise limits.too_many_parentheses(deepest)
    if tables > limits.MAX_TABLES:
        raise limits.too_many_tables(tables)
