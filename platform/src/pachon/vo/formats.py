"""Which document a client wants: RESPONSEFORMAT and its older name FORMAT (DALI 1.1, section 3.4.3)."""

from __future__ import annotations

from dataclasses import dataclass

from pachon.core.errors import UsageError
from pachon.vo import columnar, delimited, fits, votable
from pachon.vo.dali import Parameters
from pachon.vo.models import Writer


@dataclass(frozen=True, slots=True)
class Format:
    """One format of answers.

    Parameters
    ----------
    media_type
        Sent as Content-Type.
    names
        What clients may call it in RESPONSEFORMAT, besides its media type; the first is the usual one.
    extension
        File name extension.
    write
        The writer.
    """

    media_type: str
    names: tuple[str, ...]
    extension: str
    write: Writer

    @property
    def is_votable(self) -> bool:
        """Whether errors can be told inside a document of this format."""
        return self.media_type.startswith(votable.MEDIA_TYPE)

    def is_called(self, name: str) -> bool:
        """Whether a normal name, or media type with some of its parameters, means this format."""
        (kind, given), (own, parameters) = _split(name), _split(self.media_type.lower())
        return name in self.names or (kind == own and given <= parameters)


BINARY2 = Format(
    f"{votable.MEDIA_TYPE};serialization=BINARY2",
    ("votable", "votable/b2", "votable/binary2", votable.MEDIA_TYPE, "text/xml"),
    "vot",
    votable.write_binary2,
)
TABLEDATA = Format(
    f"{votable.MEDIA_TYPE};serialization=TABLEDATA", ("votable/td", "votable/tabledata"), "vot", votable.write_tabledata
)
BINARY = Format(
    f"{votable.MEDIA_TYPE};serialization=BINARY", ("votable/b", "votable/binary"), "vot", votable.write_binary
)
CSV = Format("text/csv;header=present", ("csv", "text/csv"), "csv", delimited.write_csv)
TSV = Format("text/tab-separated-values", ("tsv",), "tsv", delimited.write_tsv)
FITS = Format("application/fits", ("fits", "image/fits"), "fits", fits.write_fits)
JSON = Format("application/json", ("json",), "json", delimited.write_json)
PARQUET = Format(
    "application/vnd.apache.parquet", ("parquet", "application/x-parquet"), "parquet", columnar.write_parquet
)
ARROW = Format("application/vnd.apache.arrow.stream", ("arrow",), "arrow", columnar.write_arrow)

FORMATS = (BINARY2, TABLEDATA, BINARY, CSV, TSV, FITS, JSON, PARQUET, ARROW)
_VOTABLE_NAMES = frozenset({"votable", votable.MEDIA_TYPE})
_WITHOUT_MEANING = ("charset=utf-8", "content=", "version=")


def choose(parameters: Parameters, *, default: Format) -> Format:
    """The format a request asks for.

    Parameters
    ----------
    parameters
        RESPONSEFORMAT wins over FORMAT. Names have no case, and blanks do not count.
    default
        The format if none is asked for; if it is a VOTable, also what plain "votable" means.

    Raises
    ------
    UsageError
        If the format is not known, naming those that are.
    """
    wanted = parameters.text("RESPONSEFORMAT") or parameters.text("FORMAT")
    if wanted is None:
        return default
    name = _normal(wanted)
    if name in _VOTABLE_NAMES and default.is_votable:
        return default
    for known in FORMATS:
        if known.is_called(name):
            return known
    allowed = ", ".join(known.names[0] for known in FORMATS)
    raise UsageError(f"RESPONSEFORMAT '{wanted[:80]}' is not known; allowed are {allowed}.", parameter="RESPONSEFORMAT")


def _normal(name: str) -> str:
    """In lower case, without blanks, quotes and parameters that change nothing; a lost plus sign is set again."""
    lower = name.lower().replace("x-votable xml", "x-votable+xml").replace('"', "")
    kind, *given = "".join(lower.split()).split(";")
    parameters = [one for one in given if one and not one.startswith(_WITHOUT_MEANING)]
    return ";".join([votable.MEDIA_TYPE if kind == "text/xml" else kind, *parameters])


def _split(media_type: str) -> tuple[str, frozenset[str]]:
    kind, *parameters = media_type.split(";")
    return kind, frozenset(parameters)
