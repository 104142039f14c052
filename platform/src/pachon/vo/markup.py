"""XML as text: elements and attributes, escaped, without the characters that XML 1.0 forbids."""

from __future__ import annotations

import re
from html import escape

_SPECIAL = re.compile('[\x00-\x08\x0b\x0c\x0e-\x1f&<>"]')
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")


def text(content: str) -> str:
    """Escaped for an attribute or an element."""
    if _SPECIAL.search(content) is None:
        return content
    return escape(_FORBIDDEN.sub("\ufffd", content), quote=False).replace('"', "&quot;")


def element(name: str, content: str, **attributes: str) -> str:
    """An element that holds a text."""
    return f"<{name}{written(attributes)}>{text(content)}</{name}>\n"


def written(attributes: dict[str, str]) -> str:
    """Attributes, each after a blank."""
    return "".join(f' {key}="{text(value)}"' for key, value in attributes.items())
