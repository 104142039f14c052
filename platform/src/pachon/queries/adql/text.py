"""Positions in an ADQL text, and the errors that carry them."""

from __future__ import annotations

from sqlglot import exp
from sqlglot.tokenizer_core import Token

from pachon.core.errors import Position, QuerySyntaxError


def position_at(text: str, offset: int) -> Position:
    """Line and column (from 1) of a character offset."""
    before = text[:offset]
    return Position(before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1)


def error_at(text: str, offset: int, message: str) -> QuerySyntaxError:
    """An error at a character offset of the text."""
    return QuerySyntaxError(_visible(message), position=position_at(text, min(offset, len(text))))


def _visible(message: str) -> str:
    """Control and direction characters as their numbers: they would change how the message reads."""
    if message.isprintable():
        return message
    return "".join(letter if letter.isprintable() else f"<U+{ord(letter):04X}>" for letter in message)


def start_of(node: exp.Expr) -> int:
    """Offset of the first character of a tree that carries a position."""
    starts = [part.meta["start"] for part in node.walk() if "start" in part.meta]
    return min(starts, default=0)


def spelled(text: str, token: Token) -> str:
    """A word or sign as it is written, in quotes."""
    return f"'{text[token.start : token.end + 1]}'"
