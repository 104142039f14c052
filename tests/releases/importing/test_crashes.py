"""kill -9 at every point: no reader takes what is left for a table, and the same import goes on to the same bytes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pachon.core.errors import ConflictError, SetupError
from pachon.core.failpoints import NAMES
from pachon.core.fields import arrow_schema
from pachon.releases.hats.reader import HatsCatalogue
from pachon.releases.importing import csv_source, import_table
from support.crashes import PARTITION_ROWS, PASSES, is_plain
from support.imports import NO_SKY, STARS, contents, write_csv
from support.skies import make_stars

POINTS = [name for name in NAMES if name.startswith("import.")]
COMPLETE = "import.before-cleanup"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    schema = arrow_schema(tuple(column.field for column in STARS.columns))
    return write_csv(make_stars(6_000).cast(schema), tmp_path_factory.mktemp("files") / "stars.csv")


@pytest.fixture(scope="module")
def expected(file: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[bool, dict[str, bytes]]:
    """The bytes of an import that nothing interrupted, of a plain table and of a catalogue."""
    folder = tmp_path_factory.mktemp("whole")
    for plain, table in ((True, NO_SKY), (False, STARS)):
        import_table([file], table, folder / str(plain), partition_rows=PARTITION_ROWS)
    return {plain: contents(folder / str(plain)) for plain in (True, False)}


@pytest.fixture(scope="module")
def crashed(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder a point, as the crash at it left it."""
    root = tmp_path_factory.mktemp("crashed")
    done = subprocess.run(
        [sys.executable, "-m", "support.crashes", str(file), str(root), *POINTS],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=240, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout) == dict.fromkeys(POINTS, -signal.SIGKILL)
    shutil.copytree(root / "import.after-spill", root / "other")
    return root


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_source, "_BLOCK_BYTES", 40_000)


def _rows_kept(folder: Path) -> int:
    """Rows in complete runs, up to the first gap between them, or in complete parts."""
    spans = sorted(path.stem.split("-")[1:] for path in (folder / ".build").rglob("run-*.arrow"))
    kept = 0
    for first, stop in spans:
        kept = int(stop) if int(first) == kept else kept
    return kept or PARTITION_ROWS * len(_parts_kept(folder))


def _parts_kept(folder: Path) -> list[Path]:
    """Complete files of a plain table, up to the first gap: two threads write them, and either may be ahead."""
    parts = sorted((folder / "dataset").glob("part-*.parquet"))
    return [path for number, path in enumerate(parts) if int(path.stem.removeprefix("part-")) == number]


@pytest.mark.parametrize("point", POINTS)
def test_an_import_goes_on_after_a_crash_to_the_same_bytes(
    file: Path, expected: dict[bool, dict[str, bytes]], crashed: Path, point: str
) -> None:
    folder = crashed / point
    if point == COMPLETE:
        assert HatsCatalogue(folder).row_count == 6_000
    else:
        with pytest.raises(SetupError, match="not a complete"):
            _ = HatsCatalogue(folder).partitions
    whole = (*(folder / "dataset").rglob("Npix=*.parquet"), *_parts_kept(folder))
    written = {path: path.stat().st_mtime_ns for path in whole}
    kept = _rows_kept(folder)
    done: list[int] = []
    table = NO_SKY if is_plain(point) else STARS
    import_table([file], table, folder, partition_rows=PARTITION_ROWS, report=done.append)
    assert contents(folder) == expected[is_plain(point)]
    assert {path: path.stat().st_mtime_ns for path in written} == written
    assert kept > 0 or point == COMPLETE
    assert all(rows > kept for rows in done)
    assert bool(done) == (point in PASSES and point != "import.before-partition")


def test_what_is_left_of_another_import_is_thrown_away(
    file: Path, expected: dict[bool, dict[str, bytes]], crashed: Path
) -> None:
    os.utime(file)
    import_table([file], STARS, crashed / "other", partition_rows=PARTITION_ROWS)
    assert contents(crashed / "other") == expected[False]


def test_a_folder_that_holds_anything_else_is_left_alone(file: Path, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(ConflictError, match="must be empty"):
        import_table([file], STARS, tmp_path)
    assert contents(tmp_path) == {"letter.txt": b"mine"}
