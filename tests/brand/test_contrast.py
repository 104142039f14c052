"""Text of the brand is readable: WCAG 2.2, success criteria 1.4.3 (text, 4.5:1) and 1.4.11 (controls, 3:1)."""

from __future__ import annotations

import re

import pytest

from pachon import brand

TEXT = 4.5
CONTROL = 3.0
PAIRS = [
    *[
        (text, surface, TEXT)
        for text in ("text", "text-muted", "link")
        for surface in ("bg", "surface", "surface-sunken")
    ],
    ("on-accent", "accent", TEXT),
    ("on-accent", "accent-hover", TEXT),
    ("text", "accent-soft", TEXT),
    *[(state, f"{state}-soft", TEXT) for state in ("ok", "warning", "error", "simulated")],
    *[("text", f"{state}-soft", TEXT) for state in ("ok", "warning", "error")],
    *[("on-sky", surface, TEXT) for surface in ("sky-top", "sky-middle", "sky-horizon")],
    *[("on-sky-muted", surface, TEXT) for surface in ("sky-top", "sky-middle")],
    *[(control, surface, CONTROL) for control in ("border-strong", "focus", "accent") for surface in ("bg", "surface")],
    *[(f"plot-{number}", "surface", CONTROL) for number in range(1, 6)],
]


def colours(scheme: str) -> dict[str, str]:
    """The tokens that are colours, as they hold in a scheme."""
    light, dark = brand.path("tokens.css").read_text().split("@media (prefers-color-scheme: dark)")
    found = dict(re.findall(r"--pachon-([\w-]+): (#[0-9a-f]{6});", light))
    return found | dict(re.findall(r"--pachon-([\w-]+): (#[0-9a-f]{6});", dark)) if scheme == "dark" else found


def luminance(colour: str) -> float:
    """Relative luminance of an sRGB colour (WCAG 2.2 definition)."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_pair_of_text_and_surface_has_enough_contrast(scheme: str) -> None:
    colour = colours(scheme)
    weak = {
        f"{front} on {back}": round(ratio, 2)
        for front, back, least in PAIRS
        if (ratio := contrast(colour[front], colour[back])) < least
    }
    assert weak == {}


def test_every_token_used_is_defined() -> None:
    used = {
        name
        for file in ("base.css", "front.css", "tokens.css")
        for name in re.findall(r"var\((--pachon-[\w-]+)\)", brand.path(file).read_text())
    }
    assert used - set(re.findall(r"(--pachon-[\w-]+):", brand.path("tokens.css").read_text())) == set()
