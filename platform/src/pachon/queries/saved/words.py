"""Words of a text, the same for every database: what full-text search compares."""

from __future__ import annotations

import re
import unicodedata

_WORD = re.compile(r"[^\W_]+")
_MAX_CHARS = 64
_MAX_WORDS = 5_000
_MAX_ASKED = 20


def words_of(*texts: str) -> tuple[str, ...]:
    """The different words of some texts: without case and accents; a name such as `phot_g_mean` is three words."""
    plain = "\n".join(texts)
    found = _WORD.finditer(_folded(plain))
    distinct: dict[str, None] = {}
    for word in found:
        distinct[word.group()[:_MAX_CHARS]] = None
        if len(distinct) >= _MAX_WORDS:
            break
    return tuple(distinct)


def asked_words(text: str) -> tuple[str, ...]:
    """The words to look for; at most twenty count."""
    return words_of(text)[:_MAX_ASKED]


def _folded(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))
