"""XML as text: elements and attributes, escaped, without the characters that XML 1.0 forbids."""

from __future__ import annotations

from html import escape


def text(content: str) -> str:
    """Escaped for an attribute or an element."""
    allowed = "".join(letter if letter >= " " or letter in "\t\n\r" else "\ufffd" for letter in content)
    return escape(allowed, quote=False).replace('"', "&quot;")


def element(name: str, content: str, **attributes: str) -> str:
    """An element that holds a text."""
    return f"<{name}{written(attributes)}>{text(content)}</{name}>\n"


def written(attributes: dict[str, str]) -> str:
    """Attributes, each after a blank."""
    return "".join(f' {key}="{text(value)}"' for key, value in attributes.items())
