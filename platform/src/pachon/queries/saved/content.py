"""What people may write of a query, checked before anything is kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pachon.core.errors import LimitError, UsageError
from pachon.queries.saved.models import Content, SavedLimits, Upload
from pachon.queries.saved.view_state import checked_view, plain_json

_MAX_NAME_CHARS, _MAX_NOTES_CHARS, _MAX_NOTE_CHARS = 200, 20_000, 1_000
_MAX_TAGS, _MAX_TAG_CHARS = 20, 50
_MAX_UPLOADS, _MAX_UPLOAD_CHARS = 10, 2_000
_MAX_FORM_BYTES = 64 * 1024
_UNNAMED_CHARS = 60


def checked_content(content: Content, limits: SavedLimits) -> Content:
    """The content, if it may be kept; without a name it gets the beginning of its text as one.

    Raises
    ------
    UsageError
        If a part cannot be kept.
    LimitError
        If a part is too large.
    """
    if not content.adql.strip():
        raise UsageError("adql is missing: the text of the query.", parameter="adql")
    _bound("adql", content.adql, limits.max_adql_chars)
    _bound("name", content.name, _MAX_NAME_CHARS)
    _bound("notes", content.notes, _MAX_NOTES_CHARS)
    if len(content.tags) > _MAX_TAGS:
        raise LimitError(f"tags holds {len(content.tags)} tags; at most {_MAX_TAGS} are allowed.", parameter="tags")
    for tag in content.tags:
        _bound("tags", tag, _MAX_TAG_CHARS)
    _check_uploads(content.uploads)
    if content.max_rows is not None and content.max_rows < 0:
        raise UsageError(f"max_rows must be 0 or more, not {content.max_rows}.", parameter="max_rows")
    form, view = _checked_form(content.form), content.view
    return Content(
        name=content.name.strip() or _first_words(content.adql),
        adql=content.adql,
        notes=content.notes,
        tags=tuple(dict.fromkeys(tag.strip() for tag in content.tags if tag.strip())),
        form=form,
        max_rows=content.max_rows,
        uploads=content.uploads,
        view=None if view is None else checked_view(view),
    )


def checked_note(note: str) -> str:
    """What an author says of a change.

    Raises
    ------
    LimitError
        If it is too long.
    """
    _bound("note", note, _MAX_NOTE_CHARS)
    return note


def _check_uploads(uploads: tuple[Upload, ...]) -> None:
    if len(uploads) > _MAX_UPLOADS:
        raise LimitError(f"uploads holds {len(uploads)} tables; at most {_MAX_UPLOADS} are allowed.")
    for upload in uploads:
        _bound("uploads", f"{upload.name}{upload.uri}", _MAX_UPLOAD_CHARS)
        if not upload.name.isidentifier() or any(mark in upload.uri for mark in ";, \n"):
            raise UsageError("uploads must each have the name of a table and a URI without blanks, ',' and ';'.")


def _checked_form(form: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    if form is not None and len(plain_json(form, "form")) > _MAX_FORM_BYTES:
        raise LimitError(f"form may have at most {_MAX_FORM_BYTES} bytes.", parameter="form")
    return form


def _bound(name: str, text: str, most: int) -> None:
    plain_json(text, name)
    if len(text) > most:
        raise LimitError(f"{name} has {len(text)} characters; at most {most} are allowed.", parameter=name)


def _first_words(adql: str) -> str:
    text = " ".join(adql.split())
    return text if len(text) <= _UNNAMED_CHARS else f"{text[: _UNNAMED_CHARS - 3]}..."
