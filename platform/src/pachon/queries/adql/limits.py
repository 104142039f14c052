"""How large one query may be.

Together they keep binding, which holds no worker and has no deadline, below a second of processor time.
"""

from __future__ import annotations

from pachon.core.errors import LimitError

MAX_TOKENS = 10_000
MAX_LISTED = 12_000
"""Constants with a comma after them, as in a list after IN or the vertices of a polygon."""
MAX_PARENTHESES = 32
MAX_NESTING = 100
MAX_TABLES = 50
MAX_COLUMNS = 5_000
MAX_NAME_CHARS = 128
MAX_NUMBER_CHARS = 100
MAX_TEXT_CHARS = 10_000
"""The longest string a CAST makes."""


def too_many_tokens(count: int) -> LimitError:
    """Too long a text, counted in words and signs."""
    message = f"The query has {count} words and signs; at most {MAX_TOKENS} are allowed: ask in several queries."
    return LimitError(message, parameter="QUERY")


def too_long_list(count: int) -> LimitError:
    """Constants in lists."""
    message = (
        f"The query lists {count} constants; at most {MAX_LISTED} are allowed: upload them as a table and join it."
    )
    return LimitError(message, parameter="QUERY")


def too_many_parentheses(count: int) -> LimitError:
    """Parentheses within parentheses."""
    message = f"The query has {count} levels of parentheses; at most {MAX_PARENTHESES} are allowed."
    return LimitError(message, parameter="QUERY")


def too_deep() -> LimitError:
    """Operators, functions and queries within one another; a chain of AND or OR is one level."""
    message = (
        f"The query is nested too deeply: at most {MAX_NESTING} operators, functions and queries may stand within one "
        "another (a chain of AND or OR counts as one)."
    )
    return LimitError(message, parameter="QUERY")


def too_many_tables(count: int) -> LimitError:
    """Tables of all FROM clauses together."""
    message = f"The query names {count} tables after FROM and JOIN; at most {MAX_TABLES} are allowed."
    return LimitError(message, parameter="QUERY")


def too_many_columns() -> LimitError:
    """Columns of all SELECTs together."""
    message = f"The query has more than {MAX_COLUMNS} result columns, those of inner queries included; name fewer."
    return LimitError(message, parameter="QUERY")
