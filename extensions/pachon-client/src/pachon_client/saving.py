"""Files on their way to disk."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from pachon_client.errors import AnswerError

if TYPE_CHECKING:
    import httpx

_PIECE_BYTES = 1024 * 1024


def save(response: httpx.Response, path: Path) -> Path:
    """Write the body beside `path` and give it that name once its digest (`Repr-Digest`, RFC 9530) is right."""
    part = path.with_name(f"{path.name}.part")
    part.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    try:
        with part.open("wb") as written:
            for piece in response.iter_bytes(_PIECE_BYTES):
                written.write(piece)
                digest.update(piece)
        if response.headers.get("Repr-Digest") != f"sha-256=:{base64.b64encode(digest.digest()).decode()}:":
            raise AnswerError(f"The bytes of {response.url} do not have the digest that the platform states.")
        return part.replace(path)
    finally:
        part.unlink(missing_ok=True)
