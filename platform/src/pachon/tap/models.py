"""Words of TAP: what is asked."""

from __future__ import annotations

from dataclasses import dataclass

from pachon.core.errors import UsageError
from pachon.queries.models import QueryLimits
from pachon.queries.uploads.models import Upload, UploadLimits, uploads_of
from pachon.vo import formats
from pachon.vo.dali import Parameters
from pachon.vo.formats import Format
from pachon.vo.models import Heading, Info

LANGUAGES = ("ADQL", "ADQL-2.1", "ADQL-2.0")


@dataclass(frozen=True, slots=True, kw_only=True)
class TapRequest:
    """One query.

    Parameters
    ----------
    max_rows
        MAXREC within the limits; None for the default, 0 for metadata only.
    run_id
        RUNID, echoed in the answer.
    uploads
        Tables that come with it.
    """

    adql: str
    form: Format
    max_rows: int | None = None
    run_id: str | None = None
    uploads: tuple[Upload, ...] = ()

    @classmethod
    def from_parameters(cls, parameters: Parameters, limits: QueryLimits, uploads: UploadLimits) -> TapRequest:
        """Read the parameters of TAP 1.1, section 2.7; those it does not know are ignored.

        Raises
        ------
        UsageError
            If one is missing, wrong or not offered.
        """
        _check_request(parameters)
        _check_language(parameters)
        adql = parameters.text("QUERY")
        if adql is None:
            raise UsageError("QUERY is missing: the text of the query, in ADQL.", parameter="QUERY")
        return cls(
            adql=adql,
            form=formats.choose(parameters, default=formats.BINARY2),
            max_rows=parameters.max_rows(limit=limits.max_rows),
            run_id=parameters.text("RUNID"),
            uploads=uploads_of(parameters.all("UPLOAD"), uploads),
        )

    def heading(self) -> Heading:
        """What stands around the rows of its answer."""
        infos = [Info("QUERY", self.adql)]
        if self.run_id is not None:
            infos.append(Info("RUNID", self.run_id))
        return Heading(infos=tuple(infos))


@dataclass(frozen=True, slots=True, kw_only=True)
class LightCurveRequest:
    """The rows of one object in a table that refers to it; see `tap.descriptors`.

    Parameters
    ----------
    table, column
        Where to look: the table that refers, and its column that holds the identifier.
    identifier
        Of the object.
    max_rows
        MAXREC within the limits; None for the default, 0 for metadata only.
    """

    table: str
    column: str
    identifier: str
    form: Format
    max_rows: int | None = None

    @classmethod
    def from_parameters(cls, parameters: Parameters, limits: QueryLimits) -> LightCurveRequest:
        """Read the parameters by the rules of DALI 1.1, section 3; those it does not know are ignored.

        Raises
        ------
        UsageError
            If one is missing or wrong.
        """
        return cls(
            table=_required(parameters, "TABLE", what="the table that refers to the object, such as schema.table"),
            column=_required(parameters, "COLUMN", what="the column of TABLE that holds the identifier"),
            identifier=_required(parameters, "ID", what="the identifier of the object"),
            form=formats.choose(parameters, default=formats.BINARY2),
            max_rows=parameters.max_rows(limit=limits.max_rows),
        )


def _required(parameters: Parameters, name: str, *, what: str) -> str:
    value = parameters.text(name)
    if not value:
        raise UsageError(f"{name} is missing: {what}.", parameter=name)
    return value


def _check_request(parameters: Parameters) -> None:
    request = parameters.text("REQUEST")
    if request is not None and request.lower() != "doquery":
        raise UsageError(f"REQUEST must be doQuery or left out, not '{request[:80]}'.", parameter="REQUEST")


def _check_language(parameters: Parameters) -> None:
    allowed = ", ".join(LANGUAGES)
    language = parameters.text("LANG")
    if language is None:
        raise UsageError(f"LANG is missing: the language of the query, one of {allowed}.", parameter="LANG")
    if language.upper() not in LANGUAGES:
        raise UsageError(f"LANG '{language[:80]}' is not known; allowed are {allowed}.", parameter="LANG")
