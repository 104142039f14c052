"""The handbook that `make docs` builds, served at `/docs/` from the moment it is there."""

from __future__ import annotations

from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

import pachon
from pachon.app.settings import Settings

_BUILT = Path(pachon.__file__).parents[3] / "docs" / "_build" / "html"
"""Where `make docs` puts it, seen from an editable installation."""
_NOT_FOUND = 404


class Handbook:
    """Serves the folder that is there now: the handbook may be built, or cleaned away, while the platform runs.

    Where there is none, `/docs/` leads to the page of the Web APIs, so links to it stay good.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection."""
        folder = handbook(self._settings)
        if folder is not None:
            await StaticFiles(directory=folder, html=True)(scope, receive, send)
        elif scope["path"].endswith("/docs/"):
            await RedirectResponse(f"{self._settings.base_url}/api/docs", status_code=303)(scope, receive, send)
        else:
            raise HTTPException(_NOT_FOUND)


def handbook(settings: Settings) -> Path | None:
    """Folder of the built handbook; None where there is none."""
    folder = settings.docs_path or _BUILT
    return folder if (folder / "index.html").is_file() else None
