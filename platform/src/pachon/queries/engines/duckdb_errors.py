"""What DuckDB says of a value that does not fit, in the words of ADQL."""

from __future__ import annotations

import re

from pachon.core.errors import UsageError

_TYPES = {"INT16": "SMALLINT", "INT32": "INTEGER", "INT64": "BIGINT", "FLOAT": "REAL", "DOUBLE": "DOUBLE PRECISION"}
_TOO_LARGE = re.compile(r"Type \w+ with value (\S{1,400}) can't be cast .* out of range for the destination type (\w+)")
_NO_NUMBER = re.compile(r"Could not convert string '(.*?)' to (\w+)|not (\w+): (.*)", re.DOTALL)
_NO_TIMESTAMP = re.compile(r'timestamp field (?:format|value).*?: "(.*?)"|not TIMESTAMP: (.*)', re.DOTALL)
_OVERFLOW = re.compile(r"Overflow in \w+ of \w+ \((.{1,100}?)\)")
_SHOWN_CHARS = 60


def value_error(kind: str, detail: str) -> UsageError:
    """The error that names the value; `kind` is `range` or `conversion`."""
    if found := _TOO_LARGE.search(detail):
        name = _TYPES.get(found[2], found[2])
        message = f"The value {_short(found[1])} does not fit {name}; a CAST to a wider type may hold it."
    elif found := _OVERFLOW.search(detail):
        message = f"{found[1]} is out of the range of BIGINT (64 bits); a CAST to DOUBLE PRECISION before may hold it."
    elif found := _NO_TIMESTAMP.search(detail):
        message = (
            f"'{_short(found[1] or found[2])}' is not a timestamp: expected YYYY-MM-DD or YYYY-MM-DDThh:mm:ss[.SSS][Z]."
        )
    elif found := _NO_NUMBER.search(detail):
        text, name = (found[1], found[2]) if found[3] is None else (found[4], found[3])
        message = f"'{_short(text)}' cannot be converted to {_TYPES.get(name, name)}."
    elif kind == "range":
        message = "A number in the query is out of the range of its type (integers have 64 bits)."
    else:
        message = "A value could not be converted to the type the query asks for."
    return UsageError(message, parameter="QUERY")


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARS else text[:_SHOWN_CHARS] + "..."
