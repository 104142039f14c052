"""Headers of FITS files (FITS 4.0, section 4): cards of 80 bytes in blocks of 2880."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pachon.vo.cells import to_ascii

_BLOCK_BYTES = 2880
_CARD_BYTES = 80
_VALUE_BYTES = 68
_COMMENT_BYTES = 72

Card = tuple[str, str | int | bool]
"""A keyword and its value; HISTORY may come more than once and takes texts of any length."""


def header(cards: Iterable[Card]) -> bytes:
    """The header of a unit, END and padding included."""
    lines = [line for keyword, value in cards for line in _lines(keyword, value)]
    text = "".join(line.ljust(_CARD_BYTES) for line in [*lines, "END"])
    return text.ljust(-(-len(text) // _BLOCK_BYTES) * _BLOCK_BYTES).encode("ascii")


def padding(size_bytes: int) -> bytes:
    """Zeros from the end of the data to the end of their block."""
    return bytes(-size_bytes % _BLOCK_BYTES)


def _lines(keyword: str, value: str | int | bool) -> Iterator[str]:  # noqa: FBT001 -- a value of a card, not a switch
    if isinstance(value, bool):
        yield f"{keyword:8}= {'T' if value else 'F':>20}"
    elif isinstance(value, int):
        yield f"{keyword:8}= {value:>20}"
    elif keyword == "HISTORY":
        yield from (f"{keyword:8}{part}" for part in _parts(_printable(value), _COMMENT_BYTES))
    else:
        yield from _text_lines(keyword, value)


def _text_lines(keyword: str, value: str) -> Iterator[str]:
    """A text, over several cards if it is long (section 4.2.1.2); a quote is doubled and never cut in two."""
    quoted = [letter * 2 if letter == "'" else letter for letter in _printable(value)]
    parts = ["".join(quoted)] if sum(map(len, quoted)) <= _VALUE_BYTES else list(_cut(quoted))
    for number, part in enumerate(parts):
        start = f"{keyword:8}= " if number == 0 else "CONTINUE  "
        more = "&" if number < len(parts) - 1 else ""
        yield f"{start}'{part + more:8}'"


def _cut(letters: list[str]) -> Iterator[str]:
    line = ""
    for letter in letters:
        if len(line) + len(letter) > _VALUE_BYTES - 1:
            yield line
            line = ""
        line += letter
    yield line


def _parts(text: str, size: int) -> Iterator[str]:
    yield from (text[start : start + size] for start in range(0, len(text), size))


def _printable(text: str) -> str:
    return "".join(letter if " " <= letter <= "~" else " " for letter in to_ascii(text))
