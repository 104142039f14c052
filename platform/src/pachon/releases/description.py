"""`release.yaml`: what a release says of itself, and where in its folder its parts lie."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from pachon.core.errors import SetupError, UsageError
from pachon.releases.felis import LOADER, read_schema
from pachon.releases.hats.workplace import replacing
from pachon.releases.models import (
    RELEASE_ID,
    FileCollection,
    FileKind,
    ImageCollection,
    Release,
    ReleaseKind,
    Table,
)
from pachon.rights.models import Audience

DESCRIPTION = "release.yaml"
SCHEMA = "schema.yaml"
MAX_EMBARGO_HOURS = 87_660
"""Ten years."""
_COLLECTION_ID = r"^[a-z][a-z0-9_-]*$"
_RESERVED_IDS = frozenset({"tap_schema", "tap_upload"})
"""Schemas that every TAP service has (TAP 1.1, sections 2.5 and 4)."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Images(_Part):
    id: str = Field(pattern=_COLLECTION_ID)
    title: str
    description: str = ""
    embargo_hours: float = Field(0, ge=0, le=MAX_EMBARGO_HOURS, allow_inf_nan=False)


class _Files(_Part):
    id: str = Field(pattern=_COLLECTION_ID)
    kind: FileKind
    title: str
    description: str = ""


class _ReleaseFile(_Part):
    """The whole document."""

    id: str = Field(pattern=f"^{RELEASE_ID.pattern}$")
    title: str
    description: str
    kind: ReleaseKind
    date: dt.date
    audience: Audience
    simulated: bool
    source: str
    licence: str
    credit: str = ""
    doi: str | None = None
    provenance: tuple[str, ...] = ()
    groups: frozenset[str] = frozenset()
    images: tuple[_Images, ...] = ()
    files: tuple[_Files, ...] = ()

    @field_validator("id")
    @classmethod
    def _not_reserved(cls, release_id: str) -> str:
        if release_id in _RESERVED_IDS:
            message = f"'{release_id}' is a schema of the TAP service itself; any other id will do"
            raise ValueError(message)
        return release_id

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        for collections in (self.images, self.files):
            twins = [name for name, count in Counter(each.id for each in collections).items() if count > 1]
            if twins:
                message = f"collection '{twins[0]}' is there twice"
                raise ValueError(message)
        return self


def read_description(path: Path) -> Release:
    """Read a `release.yaml`: a release without its tables.

    Raises
    ------
    SetupError
        If the file is missing or wrong, with the key that is.
    """
    return description_from(read_document(path), source=str(path))


def read_document(path: Path) -> dict[str, Any]:
    """The plain contents of a `release.yaml`, unchecked.

    Raises
    ------
    SetupError
        If the file is missing or no YAML mapping.
    """
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=LOADER)  # noqa: S506 -- a safe loader
    except FileNotFoundError:
        raise SetupError(f"{path} is missing.") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise SetupError(f"{path} is not YAML.") from None
    if not isinstance(document, dict):
        raise SetupError(f"{path} must be a mapping, with the id of the release and more.")
    return document


def description_from(document: object, *, source: str) -> Release:
    """A release from the contents of a `release.yaml`; `source` names it in errors.

    Raises
    ------
    SetupError
        If anything is wrong, with the key that is.
    """
    try:
        described = _ReleaseFile.model_validate(document)
    except ValidationError as error:
        raise SetupError(f"{source}: {_first(error)}.") from None
    plain = {name: value for name, value in described if name not in {"images", "files"}}
    images = tuple(ImageCollection(**each.model_dump()) for each in described.images)
    files = tuple(FileCollection(**each.model_dump()) for each in described.files)
    return Release(**plain, images=images, files=files)


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    return f"{'.'.join(str(part) for part in first['loc']) or 'the document'}: {first['msg']}"


def write_description(release: Release, path: Path) -> None:
    """Write a `release.yaml` in one instant.

    Raises
    ------
    UsageError
        As `document_of`.
    """
    document = document_of(release)
    with replacing(path) as unfinished:
        unfinished.write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), encoding="utf-8")


def document_of(release: Release) -> dict[str, Any]:
    """The contents of the `release.yaml` of a release.

    Raises
    ------
    UsageError
        If a release cannot be described so, such as with a collection of a wrong id.
    """
    given: dict[str, Any] = {name: getattr(release, name) for name in _ReleaseFile.model_fields}
    given["images"] = [{name: getattr(each, name) for name in _Images.model_fields} for each in release.images]
    given["files"] = [{name: getattr(each, name) for name in _Files.model_fields} for each in release.files]
    try:
        checked = _ReleaseFile.model_validate(given)
    except ValidationError as error:
        raise UsageError(f"Release '{release.id}' cannot be described so: {_first(error)}.") from None
    document = checked.model_dump(mode="json", exclude_defaults=True)
    document["date"] = release.date
    if release.groups:
        document["groups"] = sorted(release.groups)
    return document


def read_tables(folder: Path, release: Release) -> tuple[Table, ...]:
    """The tables that the schema of a release describes, without their row counts; none without a `schema.yaml`.

    Raises
    ------
    UsageError
        If the schema is wrong.
    SetupError
        If it is the schema of another release.
    """
    path = folder / SCHEMA
    if not path.exists():
        return ()
    tables = read_schema(path)
    if tables[0].schema != release.id:
        raise SetupError(f"The schema of release '{release.id}' must have its name, not '{tables[0].schema}'.")
    return tables


def table_folder(release: Path, table: str) -> Path:
    """Where a release keeps the files of a table."""
    return release / "tables" / table
