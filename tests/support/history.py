"""A little history: five tiny releases made as an administrator makes them, each with values found nowhere else.

`hist_dr1` is older than two years and archived, `hist_dr2` previous, `hist_dr3` current; `hist_deep` is a special
programme for a group of its own, and `hist_prompt` lives, with images under embargo.
"""

from __future__ import annotations

import tempfile
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import yaml

from pachon.releases.drafts import add_files, add_images, add_table, create
from pachon.releases.models import FileCollection, FileKind, ImageCollection, Release, ReleaseKind
from pachon.releases.publishing import publish
from pachon.releases.registry import Registry
from pachon.releases.tiers import move_archived
from pachon.rights.models import Audience

WORDS = {
    "hist_dr1": "quollhedge",
    "hist_dr2": "zibbetmoor",
    "hist_dr3": "wolvercairn",
    "hist_deep": "vexlagoon",
    "hist_prompt": "jynxferrow",
}
DATES = {"hist_dr1": date(2020, 1, 1), "hist_dr2": date(2025, 6, 15), "hist_dr3": date(2026, 6, 1)}
_OTHER_DATE = date(2025, 9, 1)
KINDS = {"hist_deep": ReleaseKind.SPECIAL_PROGRAMME, "hist_prompt": ReleaseKind.PROMPT}
GROUPS = {"hist_deep": frozenset({"deep-team"})}
EMBARGO_HOURS = 80.0
EMBARGOED_SINCE = datetime(2026, 11, 24, 6, 0, 30, tzinfo=UTC)
"""End of the exposure under embargo."""
_SEEN = "2019-05-01T00:00:00"
EMBARGO_ENDS_AT = EMBARGOED_SINCE + timedelta(hours=EMBARGO_HOURS)
_FIRST_IDS = {name: 7_310_000_000_000_000_000 + 1_001_003 * number for number, name in enumerate(WORDS, start=1)}
_FILE_KINDS = (FileKind.RAW, FileKind.CALIBRATION, FileKind.TELEMETRY, FileKind.CONFIGURATION)
_KINDS_OF_TEXT = (
    "title", "about", "table", "tableabout", "visits", "column", "columnabout", "value", "source", "licence", "credit",
    "provenance", "images", "imagesabout", "image", "object", *(kind.name.lower() for kind in _FILE_KINDS),
)  # fmt: skip


def make_history(root: Path, mass: Path | None = None) -> None:
    """Publish all of them, oldest first, in a folder of releases and one of the mass tier."""
    registry = Registry(root, mass)
    for release_id in WORDS:
        make_draft(registry, release_id)
        day = DATES.get(release_id, _OTHER_DATE)
        publish(registry, release_id, at=datetime.combine(day, time(12), tzinfo=UTC))
    move_archived(registry, at=datetime(2026, 6, 1, 13, tzinfo=UTC), report=lambda _: None)


def canaries(release_id: str) -> tuple[bytes, ...]:
    """What only this release holds: words, and numbers; those of images under embargo are apart."""
    number = _FIRST_IDS[release_id]
    words = (*texts(release_id).values(), release_id, str(number), f"{number % 9973}.0625")
    return tuple(word.encode() for word in words)


def embargoed_canaries() -> tuple[bytes, ...]:
    """What only the images under embargo in `hist_prompt` hold: the name of a file, and a value in its header."""
    word = WORDS["hist_prompt"]
    return (f"{word}hush".encode(), f"{word}veil".encode())


def texts(release_id: str) -> dict[str, str]:
    """The words of a release by what they are for."""
    return {kind: f"{WORDS[release_id]}{kind}" for kind in _KINDS_OF_TEXT}


def make_draft(registry: Registry, release_id: str) -> None:
    """Everything but the publication."""
    words = texts(release_id)
    with tempfile.TemporaryDirectory() as folder:
        sources = write_sources(Path(folder), release_id)
        create(registry, describe(release_id), schema=sources / "schema.yaml")
        for name in ("table", "visits"):
            add_table(registry, release_id, words[name], [sources / f"{name}.csv"])
        coadds = ImageCollection(id="coadds", title=words["images"], description=words["imagesabout"])
        add_images(registry, release_id, coadds, [sources / "images"])
        if release_id == "hist_prompt":
            visits = ImageCollection(id="visits", title="Last night", embargo_hours=EMBARGO_HOURS)
            add_images(registry, release_id, visits, [sources / "embargoed"])
        for kind in _FILE_KINDS:
            name = kind.name.lower()
            collection = FileCollection(id=name, kind=kind, title=kind.value.capitalize())
            add_files(registry, release_id, collection, [sources / "files" / name])


def describe(release_id: str) -> Release:
    """The release without its parts."""
    words = texts(release_id)
    return Release(
        id=release_id,
        title=words["title"],
        description=words["about"],
        kind=KINDS.get(release_id, ReleaseKind.DATA_RELEASE),
        date=DATES.get(release_id, _OTHER_DATE),
        audience=Audience.HOLDERS,
        simulated=True,
        source=words["source"],
        licence=words["licence"],
        credit=words["credit"],
        provenance=(words["provenance"],),
        groups=GROUPS.get(release_id, frozenset()),
    )


def write_sources(folder: Path, release_id: str) -> Path:
    """What an administrator has: a schema, two CSV files, FITS images, and files of four kinds."""
    words, number = texts(release_id), _FIRST_IDS[release_id]
    (folder / "schema.yaml").write_text(yaml.safe_dump(_felis(release_id)), encoding="utf-8")
    rows = (
        f"id,ra,dec,{words['column']},note",
        f"{number},56.75,24.12,{number % 9973}.0625,{words['value']}",
        f"{number + 1},57.0,24.2,1.5,",
    )
    (folder / "table.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    (folder / "visits.csv").write_text(
        f"visit,object,at\n1,{number},{_SEEN}\n2,{number + 1},{_SEEN}\n", encoding="utf-8"
    )
    write_image(folder / "images" / f"{words['image']}.fits", words["object"], datetime(2019, 1, 1, tzinfo=UTC))
    name, value = (canary.decode() for canary in embargoed_canaries())
    write_image(folder / "embargoed" / f"{name}.fits", value, EMBARGOED_SINCE)
    for kind in _FILE_KINDS:
        path = folder / "files" / kind.name.lower() / "2019-01-01" / f"{words[kind.name.lower()]}.txt"
        path.parent.mkdir(parents=True)
        path.write_text(f"{words[kind.name.lower()]} holds this\n", encoding="utf-8")
    return folder


def write_image(path: Path, target: str, taken_at: datetime) -> None:
    """A FITS image of 2 x 2 pixels whose exposure of 30 s ended at a moment."""
    begun_at = taken_at - timedelta(seconds=30)
    cards = (
        "SIMPLE  =                    T",
        "BITPIX  =                    8",
        "NAXIS   =                    2",
        "NAXIS1  =                    2",
        "NAXIS2  =                    2",
        f"DATE-OBS= '{begun_at:%Y-%m-%dT%H:%M:%S.%f}' / start",
        "EXPTIME =                 30.0 / seconds",
        f"OBJECT  = '{target}'",
        "END",
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    header = "".join(card.ljust(80) for card in cards).ljust(2880).encode()
    path.write_bytes(header + bytes(range(4)).ljust(2880, b"\0"))


def _felis(release_id: str) -> dict[str, object]:
    words = texts(release_id)
    table, visits = words["table"], words["visits"]
    kinds = {
        "id": ("long", "meta.id;meta.main"),
        "ra": ("double", "pos.eq.ra;meta.main"),
        "dec": ("double", "pos.eq.dec;meta.main"),
        words["column"]: ("double", "phot.flux"),
        "note": ("string", "meta.note"),
    }
    columns = [
        {
            "name": column,
            "@id": f"#{table}.{column}",
            "datatype": datatype,
            "ivoa:ucd": ucd,
            "description": words["columnabout"] if ucd == "phot.flux" else column,
            **({"length": 64} if datatype == "string" else {}),
            **({"fits:tunit": "deg"} if ucd.startswith("pos.") else {}),
        }
        for column, (datatype, ucd) in kinds.items()
    ]
    visit_columns = [
        {"name": name, "@id": f"#{visits}.{name}", "datatype": kind, "description": name}
        for name, kind in {"visit": "long", "object": "long", "at": "timestamp"}.items()
    ]
    key = {
        "name": f"{visits}_key",
        "@id": f"#{visits}_key",
        "@type": "ForeignKey",
        "columns": [f"#{visits}.object"],
        "referencedColumns": [f"#{table}.id"],
    }
    tables = [
        {"name": table, "@id": f"#{table}", "description": words["tableabout"], "columns": columns},
        {
            "name": visits,
            "@id": f"#{visits}",
            "description": "Visits",
            "columns": visit_columns,
            "primaryKey": f"#{visits}.visit",
            "constraints": [key],
        },
    ]
    return {"name": release_id, "@id": f"#{release_id}", "description": words["about"], "tables": tables}
