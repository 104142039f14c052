import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pachon.core.errors import SetupError
from pachon.preview import build as building
from pachon.preview.build import build, build_missing, is_current, published_folder
from pachon.preview.models import Catalogue, LineReporter, Places
from pachon.preview.tycho2 import TYCHO2
from pachon.releases.folder_storage import FolderReleaseStore
from pachon.releases.publishing import retire
from pachon.releases.registry import Registry
from pachon.releases.upkeep import problems
from support.stores import snapshot_of

# The first lines of the catalogue's own format: a normal star, one without mean position (X) and without BT, a
# photocentre of two (P) with a Hipparcos number and a component, and one without VT.
LINES = (
    "0001 00008 1| |  2.31750494|  2.23184345|  -16.3|   -9.0| 68| 73| 1.7| 1.8|1958.89|1951.94| 4|1.0|1.0|0.9|1.0|"
    "12.146|0.158|12.046|0.223|999| |         |  2.31754222|  2.23186444|1.67|1.54| 88.0|100.8| |-0.2\n"
    "0001 00012 3|X|            |            |       |       |   |   |    |    |       |       |  |   |   |   |   |"
    "      |     | 9.512|0.030| 12|T|         |  1.12551889| -2.26739556|1.81|1.52|  9.3| 12.7|D|-0.2\n"
    "9537 12121 2|P|359.99999999| 89.99999999|   27.7|   -0.5|  9| 12| 1.2| 1.2|1990.76|1989.25| 8|1.0|0.8|1.0|0.7|"
    "10.488|0.038| 8.670|0.015|999|T|120404AB |359.99999998| 89.99999998|1.81|1.52|  9.3| 12.7|P| 0.2\n"
    "0001 00013 1| |  1.12558209|  2.26739400|   27.7|   -0.5|  9| 12| 1.2| 1.2|1990.76|1989.25| 2|   |   |   |   |"
    "10.488|0.038|      |     |999| |     7   |  1.12551889|  2.26739556|1.81|1.52|  9.3| 12.7| |-0.2\n"
)


@dataclass
class Told:
    lines: list[str] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)

    def say(self, line: str) -> None:
        self.lines.append(line)

    def rows(self, catalogue: Catalogue, done: int) -> None:
        assert done <= catalogue.row_count
        self.counts.append(done)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    (tmp_path / "packages").mkdir()
    return Places(tmp_path / "releases", tmp_path / "downloads", tmp_path / "packages")


@pytest.fixture
def tycho2(places: Places) -> Catalogue:
    """Four stars in two files, packed as the catalogue is."""
    return _packed(places, [LINES[: len(LINES) // 2], LINES[len(LINES) // 2 :]])


def _packed(places: Places, parts: list[str]) -> Catalogue:
    assert places.packages is not None
    path = places.packages / TYCHO2.download.filename
    with tarfile.open(path, "w:xz") as archive:
        for name, text in [("ReadMe", "?"), *((f"./tyc2.dat.{n:02}", part) for n, part in enumerate(parts))]:
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return replace(TYCHO2, row_count=4, download=replace(TYCHO2.download, sha256=digest))


def _stars(places: Places) -> dict[str, dict[str, object]]:
    snapshot = snapshot_of(FolderReleaseStore(places.releases), "tycho2.stars")
    tables = [pq.read_table(part.path, partitioning=None) for part in snapshot.partitions]
    return {row["tyc"]: row for row in pa.concat_tables(tables).to_pylist()}


def test_tycho2_lines_become_the_columns_of_the_schema(places: Places, tycho2: Catalogue) -> None:
    told = Told()
    build(tycho2, places, told)
    stars = _stars(places)
    normal = stars["1-8-1"]
    assert (normal["ra"], normal["dec"], normal["has_mean_position"]) == (2.31750494, 2.23184345, True)
    assert normal["v_mag"] == pytest.approx(12.046 - 0.090 * 0.1)
    assert normal["b_v"] == pytest.approx(0.085)
    assert normal["prox"] == pytest.approx(99.9)
    assert (normal["hip"], normal["mean_flag"], normal["is_tycho1"]) == (None, None, False)
    pair = stars["9537-12121-2"]
    assert (pair["hip"], pair["ccdm"], pair["mean_flag"], pair["solution_flag"]) == (120404, "AB", "P", "P")
    assert (pair["tyc1"], pair["tyc2"], pair["tyc3"]) == (9537, 12121, 2)
    assert pair["epoch_ra_observed"] == pytest.approx(1991.81)
    assert (stars["1-13-1"]["hip"], stars["1-13-1"]["v_mag"], stars["1-13-1"]["vt_mag"]) == (7, None, None)
    assert told.counts[-1] == 4


def test_a_star_without_mean_position_is_placed_where_it_was_observed(places: Places, tycho2: Catalogue) -> None:
    build(tycho2, places, Told())
    star = _stars(places)["1-12-3"]
    assert (star["ra"], star["dec"], star["has_mean_position"]) == (1.12551889, -2.26739556, False)
    assert (star["pmra"], star["mean_flag"], star["b_v"]) == (None, "X", None)


def test_building_again_makes_the_same_files_and_building_what_is_there_does_nothing(
    places: Places, tycho2: Catalogue
) -> None:
    build(tycho2, places, Told())
    first = published_folder(tycho2, places)
    build(tycho2, places, Told())
    second = published_folder(tycho2, places)
    assert first != second
    assert _digests(first) == _digests(second)
    told = Told()
    build_missing(places, told, [tycho2])
    assert told.lines == []


def _digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_a_new_description_makes_a_build_old(places: Places, tycho2: Catalogue, tmp_path: Path) -> None:
    build(tycho2, places, Told())
    assert is_current(tycho2, places)
    folder = tmp_path / "descriptions" / "tycho2"
    folder.mkdir(parents=True)
    for path in tycho2.folder.iterdir():
        (folder / path.name).write_text(path.read_text().replace("Complete main catalogue", "All of it"))
    assert not is_current(replace(tycho2, descriptions=folder.parent), places)


def test_a_catalogue_that_was_retired_is_not_built_again_by_itself(places: Places, tycho2: Catalogue) -> None:
    build(tycho2, places, Told())
    retire(Registry(places.releases), "tycho2", at=datetime.now(tz=UTC))
    told = Told()
    build_missing(places, told, [tycho2])
    assert told.lines == []
    assert FolderReleaseStore(places.releases).releases() == ()


def test_a_build_that_stops_half_way_publishes_nothing_and_the_next_one_succeeds(
    places: Places, tycho2: Catalogue
) -> None:
    def stopped(path: Path) -> Iterator[pa.RecordBatch]:
        yield next(tycho2.read(path))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(replace(tycho2, read=stopped), places, Told())
    assert FolderReleaseStore(places.releases).releases() == ()
    assert not list(places.releases.glob(".drafts/*"))
    build(tycho2, places, Told())
    assert len(_stars(places)) == 4


def test_a_catalogue_with_rows_missing_is_not_published(places: Places) -> None:
    short = _packed(places, [LINES[: len(LINES) // 2]])
    with pytest.raises(SetupError, match="should have 4 rows, not 2"):
        build(short, places, Told())
    assert FolderReleaseStore(places.releases).releases() == ()


def test_a_damaged_archive_with_the_right_digest_is_one_sentence(places: Places, tycho2: Catalogue) -> None:
    assert places.packages is not None
    path = places.packages / tycho2.download.filename
    path.write_bytes(path.read_bytes()[:200])
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    damaged = replace(tycho2, download=replace(tycho2.download, sha256=digest))
    with pytest.raises(SetupError, match="cannot be read as the Tycho-2 catalogue"):
        build(damaged, places, Told())


def test_a_catalogue_that_cannot_be_had_is_left_out_with_one_sentence_and_the_others_are_built(
    places: Places, tycho2: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    unreachable = replace(TYCHO2, id="other")
    told = Told()
    build_missing(places, told, [unreachable, tycho2])
    assert any(line.startswith("other is left out: Getting a Debian source package needs apt") for line in told.lines)
    assert len(_stars(places)) == 4


def test_when_nothing_can_be_had_it_is_an_error(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    with pytest.raises(SetupError, match="No catalogue could be built"):
        build_missing(places, LineReporter(lambda _: None), [TYCHO2])


def test_verification_tells_changed_missing_and_foreign_files(places: Places, tycho2: Catalogue) -> None:
    build(tycho2, places, Told())
    release = places.releases / "tycho2"
    assert list(problems(release)) == []
    parts = sorted(release.rglob("Npix=*.parquet"))
    parts[0].unlink()
    (release / "release.yaml").write_text("id: tycho2")
    (release / "more.txt").write_text("?")
    found = list(problems(release))
    assert f"{parts[0].relative_to(release)} is missing" in found
    assert "release.yaml has another size" in found
    assert "more.txt does not belong to it" in found
    assert found[0].endswith("release.yaml: title: Field required")


def test_the_manifest_names_the_file_it_was_made_from(places: Places, tycho2: Catalogue) -> None:
    build(tycho2, places, Told())
    manifest = json.loads((places.releases / "tycho2" / "manifest.json").read_text())
    assert manifest["source"] == {"tycho2_2.orig.tar.xz": tycho2.download.sha256}


def test_the_catalogues_are_known_by_their_full_size() -> None:
    assert {catalogue.id: catalogue.row_count for catalogue in building.DEFAULT} == {
        "openngc": 14_026,
        "hipparcos": 117_955,
        "tycho2": 2_539_913,
    }
    assert {catalogue.id: catalogue.row_count for catalogue in building.OPTIONAL} == {
        "gaia_dr3_bright": 482_176,
        "vsx": 1_933_544,
        "gcvs": 59_099,
        "mangrove": 295_341,
    }
