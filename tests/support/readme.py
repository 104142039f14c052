"""Code blocks of Markdown files, so that what people are told to type is run."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ADDRESS = "http://127.0.0.1:8000"


def code_blocks(path: Path, language: str, *, base_url: str = ADDRESS) -> list[str]:
    """The fenced blocks of a language, in order, those in lists too, with the platform's usual address replaced."""
    blocks = re.findall(
        rf"^( *)```{language}\n(.*?)^\1```$", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
    )
    return [textwrap.dedent(block).replace(ADDRESS, base_url.rstrip("/")) for _, block in blocks]
