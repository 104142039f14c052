"""Which release folders a lab sees: asked of the Web APIs, which decide, at every start; shown as links in the home.

Two functions make the seam: `ask` says which, `show` makes it so for a lab that is a local process. A spawner of pods
asks the same and makes volume mounts of the answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path

import httpx
from pydantic import BaseModel, Field, ValidationError

from pachon.core.errors import UnavailableError

FOLDER = "releases"
README = "README.md"
_ADDRESS = "/releases/mounts"
_AWAY = "The Web APIs did not say which releases you may read, so none is shown; stop this lab and start it again."
_HEADING = "# Releases you may read"
_NOTE = (
    "Each folder here is a data release as it is served: read it, copy from it, do not write there. Which ones you see "
    "was decided when this lab started, and is decided anew at every start."
)
_NONE = "There is none today."


class _Folder(BaseModel):
    release: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    path: Path


class _Answer(BaseModel):
    folders: tuple[_Folder, ...]


async def ask(
    api_url: str, token: str, *, name: str, groups: Iterable[str], timeout_s: float = 10.0
) -> Mapping[str, Path]:
    """The folders of the releases that somebody may read in a lab, by release id.

    Parameters
    ----------
    api_url
        Base of the Web APIs, without a trailing slash.
    token
        Of the hub's service `labs`.
    name, groups
        Whose lab it is, as the hub knows them.
    timeout_s
        How long the answer may take, seconds.

    Raises
    ------
    UnavailableError
        If there is no answer, or none that can be understood: nobody may read anything then.
    """
    owner = {"name": name, "groups": sorted(groups)}
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=timeout_s) as client:
            headers = {"Authorization": f"Bearer {token}"}
            response = await client.post(api_url + _ADDRESS, json=owner, headers=headers)
        answer = _Answer.model_validate_json(response.raise_for_status().content)
    except (httpx.HTTPError, ValidationError) as error:
        raise UnavailableError(_AWAY) from error
    return {folder.release: folder.path for folder in answer.folders}


def show(home: Path, folders: Mapping[str, Path], *, at: datetime, reason: str = "") -> None:
    """Make `releases` in a home hold links to exactly these folders. What a person keeps there besides stays.

    A file of that name is theirs too: then nothing is shown.

    Parameters
    ----------
    folders
        By release id.
    at
        The moment of the decision (UTC), for the note beside the links.
    reason
        Why there are none, for the same note.

    Raises
    ------
    OSError
        If the home cannot be written: links that should go may still be there.
    """
    shown = home / FOLDER
    if shown.is_symlink():
        shown.unlink()
    if shown.is_file():
        return
    shown.mkdir(exist_ok=True, mode=0o700)
    for path in shown.iterdir():
        if path.is_symlink() and path.name != README:
            path.unlink()
    laid = [release_id for release_id, target in sorted(folders.items()) if _link(shown / release_id, target)]
    _write_note(shown / README, laid, at=at, reason=reason)


def _link(path: Path, target: Path) -> bool:
    """Whether the link could be made: a file of the person's own with this name is in the way."""
    if path.exists():
        return False
    path.symlink_to(target, target_is_directory=True)
    return True


def _write_note(path: Path, laid: Iterable[str], *, at: datetime, reason: str) -> None:
    listed = "\n".join(f"- `{release_id}`" for release_id in laid) or reason or _NONE
    path.unlink(missing_ok=True)
    path.write_text(f"{_HEADING}\n\nAs of {at:%Y-%m-%d %H:%M} UTC.\n\n{listed}\n\n{_NOTE}\n", encoding="utf-8")
