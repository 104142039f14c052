"""Words of a text, the same for every database: what full-text search compares."""

from __future__ import annotations

import hashlib
import re
import unicodedata

_WORD = re.compile(r"[^\W_]+")
_MAX_CHARS = 64
_MAX_WORDS = 5_000
_MAX_ASKED = 20
_PRIVATE = "\ue000"


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


def marker(kind: str, label: str) -> str:
    """A word that `words_of` never makes, for a property by which a search is narrowed: owner, tag or release.

    It begins with a letter for private use, which both databases take for a letter.
    """
    return f"{_PRIVATE}{hashlib.sha256(f'{kind} {label}'.encode()).hexdigest()[:24]}"


def _folded(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))
