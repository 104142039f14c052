from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pachon.core.errors import NotFoundError, UsageError
from pachon.core.healpix import pixel_of
from pachon.identity.models import ANONYMOUS, Principal
from pachon.queries.tiles import TILE_SIZE, TileService
from pachon.releases.folder_storage import FolderReleaseStore
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
    store = FolderReleaseStore(root)
    releases = ReleaseService(store, RightsPolicy(frozenset({"rights-holders"})))
    return TileService(releases, lambda snapshot: store.catalogue(snapshot.table.qualified_name))


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
    store = FolderReleaseStore(root)
    held: list[int] = []

    class Watched:
        def __init__(self) -> None:
            self.catalogue = store.catalogue("sky.stars")

        def density(self, *, order: int = 8) -> np.ndarray:
            return self.catalogue.density(order=order)

        def indices(self, start: int, stop: int) -> np.ndarray:
            found = self.catalogue.indices(start, stop)
            held.append(len(found))
            return found

    releases = ReleaseService(store, RightsPolicy(frozenset()))
    tiles = TileService(releases, lambda _: Watched(), rows_at_once=500)
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
