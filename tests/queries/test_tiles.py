import shutil
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pachon.core.errors import NotFoundError, UsageError
from pachon.core.healpix import pixel_of
from pachon.identity.models import ANONYMOUS, Principal
from pachon.queries.tiles import TILE_SIZE, TileService
from pachon.releases.description import table_folder
from pachon.releases.folder_storage import FolderReleaseStore
from pachon.releases.hats.reader import HatsCatalogue, SnapshotCatalogue
from pachon.releases.living import write_validity
from pachon.releases.models import Snapshot
from pachon.releases.service import ReleaseService
from pachon.rights.models import Audience
from pachon.rights.policy import RightsPolicy
from support.skies import make_release

HOLDER = Principal("novice", frozenset({"rights-holders"}))


@pytest.fixture(scope="module")
def sky(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pa.Table]:
    root = tmp_path_factory.mktemp("releases")
    rows = make_release(root, release_id="sky")
    make_release(root, release_id="fresh", rows=500, audience=Audience.HOLDERS, release_date=date.today())  # noqa: DTZ011 -- any time zone
    return root, rows


def service(root: Path) -> TileService:
    releases = ReleaseService(FolderReleaseStore(root), RightsPolicy(frozenset({"rights-holders"})))
    return TileService(releases, SnapshotCatalogue)


def brute_force(rows: pa.Table, order: int, pixel: int) -> np.ndarray:
    children = pixel_of(rows["ra"].to_numpy(), rows["dec"].to_numpy(), order=order + 8)
    inside = children[children >> 16 == pixel]
    return np.bincount(inside - (pixel << 16), minlength=TILE_SIZE)


@pytest.mark.parametrize("order", [0, 1, 3, 12])
def test_tiles_count_what_brute_force_counts(sky: tuple[Path, pa.Table], order: int) -> None:
    root, rows = sky
    tiles = service(root)
    pixels = np.unique(pixel_of(rows["ra"].to_numpy(), rows["dec"].to_numpy(), order=order))
    some = {int(pixels[0]), int(pixels[len(pixels) // 2]), int(pixels[-1])}
    for pixel in some:
        counts = tiles.counts(ANONYMOUS, "sky.stars", order, pixel)
        np.testing.assert_array_equal(counts, brute_force(rows, order, pixel))
        assert counts.sum() > 0
        assert counts.dtype.kind == "u"


def test_the_twelve_tiles_of_order_0_hold_every_row(sky: tuple[Path, pa.Table]) -> None:
    root, rows = sky
    tiles = service(root)
    total = sum(int(tiles.counts(ANONYMOUS, "sky.stars", 0, pixel).sum()) for pixel in range(12))
    assert total == rows.num_rows


def test_a_wide_tile_is_counted_piece_by_piece(sky: tuple[Path, pa.Table]) -> None:
    root, rows = sky
    held: list[int] = []

    class Watched:
        def __init__(self, snapshot: Snapshot) -> None:
            self.catalogue = SnapshotCatalogue(snapshot)

        def skymap(self) -> np.ndarray | None:
            return self.catalogue.skymap()

        def indices(self, start: int, stop: int) -> np.ndarray:
            found = self.catalogue.indices(start, stop)
            held.append(len(found))
            return found

    releases = ReleaseService(FolderReleaseStore(root), RightsPolicy(frozenset()))
    tiles = TileService(releases, Watched, rows_at_once=500)
    pixels = pixel_of(rows["ra"].to_numpy(), rows["dec"].to_numpy(), order=1)
    fullest = int(np.bincount(pixels).argmax())
    np.testing.assert_array_equal(tiles.counts(ANONYMOUS, "sky.stars", 1, fullest), brute_force(rows, 1, fullest))
    assert len(held) >= 4
    assert max(held) < sum(held)


@pytest.mark.parametrize(
    ("order", "pixel", "parameter", "allowed"),
    [
        (-1, 0, "order", "0 to 12"),
        (13, 0, "order", "0 to 12"),
        (0, 12, "pixel", "0 to 11"),
        (2, -1, "pixel", "0 to 191"),
    ],
)
def test_a_tile_that_does_not_exist_is_refused_by_parameter_and_range(
    sky: tuple[Path, pa.Table], order: int, pixel: int, parameter: str, allowed: str
) -> None:
    with pytest.raises(UsageError, match=allowed) as refused:
        service(sky[0]).counts(ANONYMOUS, "sky.stars", order, pixel)
    assert refused.value.parameter == parameter


def test_tiles_of_a_release_for_holders_are_for_holders(sky: tuple[Path, pa.Table]) -> None:
    tiles = service(sky[0])
    with pytest.raises(NotFoundError):
        tiles.counts(ANONYMOUS, "fresh.stars", 0, 0)
    assert sum(int(tiles.counts(HOLDER, "fresh.stars", 0, pixel).sum()) for pixel in range(12)) == 500


def test_the_etag_changes_with_the_rows_and_only_then(tmp_path: Path) -> None:
    make_release(tmp_path, rows=300)
    tiles = service(tmp_path)
    first = tiles.etag(ANONYMOUS, "sky.stars", 0, 3)
    assert tiles.etag(ANONYMOUS, "SKY.stars", 0, 3) == first
    assert tiles.etag(ANONYMOUS, "sky.stars", 0, 4) != first
    make_release(tmp_path, rows=300, seed=2)
    assert tiles.etag(ANONYMOUS, "sky.stars", 0, 3) != first


@pytest.fixture
def living(tmp_path: Path) -> Path:
    make_release(tmp_path, rows=600, partition_rows=200)
    description = tmp_path / "sky" / "release.yaml"
    description.write_text(description.read_text().replace("kind: catalogue", "kind: prompt"))
    return tmp_path


def test_tiles_of_a_living_table_count_the_files_that_are_valid_now(living: Path) -> None:
    folder = table_folder(living / "sky", "stars")
    tiles = service(living)
    *kept, ended = HatsCatalogue(folder).partitions
    assert kept
    assert sum(int(tiles.counts(ANONYMOUS, "sky.stars", 0, pixel).sum()) for pixel in range(12)) == 600
    write_validity(folder, [*kept, replace(ended, valid_to=datetime(2026, 1, 1, tzinfo=UTC))])
    for order, tiles_there_are in ((0, 12), (1, 48)):
        counted = sum(int(tiles.counts(ANONYMOUS, "sky.stars", order, pixel).sum()) for pixel in range(tiles_there_are))
        assert counted == 600 - ended.row_count


def test_the_etag_changes_with_any_file_of_a_living_table_though_there_are_as_many_rows(living: Path) -> None:
    folder = table_folder(living / "sky", "stars")
    tiles = service(living)
    *kept, last = HatsCatalogue(folder).partitions
    write_validity(folder, [*kept, last])
    before = tiles.etag(ANONYMOUS, "sky.stars", 0, 3)
    other = Path(shutil.copyfile(last.path, folder / "other.parquet"))
    write_validity(folder, [*kept, replace(last, path=other)])
    assert tiles.etag(ANONYMOUS, "sky.stars", 0, 3) != before
