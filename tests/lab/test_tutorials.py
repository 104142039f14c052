from __future__ import annotations

import json
import stat
from pathlib import Path

import nbformat
import pytest

from pachon_lab.doors import Doors
from pachon_lab.extension import FIRST_TUTORIAL, folder_in_home
from pachon_lab.tutorials import install, shipped_tutorials


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "shipped"
    folder.mkdir()
    (folder / "01.ipynb").write_text("first, as shipped")
    (folder / "02.ipynb").write_text("second, as shipped")
    (folder / "secret.key").write_text("not a tutorial")
    return folder


def test_tutorials_are_laid_once_and_only_tutorials(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "home" / "tutorials"
    assert install(source, target) == ("01.ipynb", "02.ipynb")
    assert install(source, target) == ()
    assert sorted(path.name for path in target.iterdir()) == [".installed.json", "01.ipynb", "02.ipynb"]
    assert stat.S_IMODE((target / "01.ipynb").stat().st_mode) & stat.S_IWUSR


def test_a_changed_file_is_its_owners_and_an_untouched_one_follows_new_versions(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "tutorials"
    install(source, target)
    (target / "01.ipynb").write_text("my own notes")
    (source / "01.ipynb").write_text("first, new version")
    (source / "02.ipynb").write_text("second, new version")
    assert install(source, target) == ("02.ipynb",)
    assert (target / "01.ipynb").read_text() == "my own notes"
    assert (target / "02.ipynb").read_text() == "second, new version"


def test_a_deleted_file_comes_back_fresh(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "tutorials"
    install(source, target)
    (target / "01.ipynb").write_text("spoilt")
    (target / "01.ipynb").unlink()
    assert install(source, target) == ("01.ipynb",)
    assert (target / "01.ipynb").read_text() == "first, as shipped"


@pytest.mark.parametrize("record", ["", "not json", "[]", None])
def test_a_lost_record_makes_every_file_its_owners(source: Path, tmp_path: Path, record: str | None) -> None:
    target = tmp_path / "tutorials"
    install(source, target)
    (source / "01.ipynb").write_text("first, new version")
    if record is None:
        (target / ".installed.json").unlink()
    else:
        (target / ".installed.json").write_text(record)
    assert install(source, target) == ()
    assert (target / "01.ipynb").read_text() == "first, as shipped"


def test_a_link_is_never_written_through(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "tutorials"
    target.mkdir()
    (target / "01.ipynb").symlink_to(tmp_path / "elsewhere")
    assert install(source, target) == ("02.ipynb",)
    assert not (tmp_path / "elsewhere").exists()


def test_the_folder_is_in_the_home_where_the_lab_can_see_it() -> None:
    assert folder_in_home("tutorials", Path("/"), Path("/home/ada")) == Path("/home/ada/tutorials")
    assert folder_in_home("tutorials", Path("/home/ada"), Path("/home/ada")) == Path("/home/ada/tutorials")
    assert folder_in_home("tutorials", Path("/data"), Path("/home/ada")) == Path("/data/tutorials")


def test_doors_are_built_from_the_address_of_the_apis() -> None:
    doors = Doors.from_environment({"PACHON_API_URL": "https://sky.example.org/survey/api/"})
    assert doors.portal == "https://sky.example.org/survey/portal/"
    assert doors.api == "https://sky.example.org/survey/api/docs"
    assert doors.documentation == "https://sky.example.org/survey/"
    assert Doors.from_environment({}) == Doors()


def test_shipped_notebooks_are_valid_and_stored_without_outputs() -> None:
    paths = sorted(shipped_tutorials().glob("*.ipynb"))
    assert FIRST_TUTORIAL in {path.name for path in paths}
    for path in paths:
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        assert code, f"{path.name} has no code"
        assert all(cell.outputs == [] and cell.execution_count is None for cell in code), f"{path.name} has outputs"
        assert json.dumps(notebook.metadata).find("/") == -1, f"{path.name} names a path of a machine"
