import shutil
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from pachon.app.settings import Settings
from pachon.preview import build as building
from pachon.preview import commands
from pachon.preview.models import Catalogue


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> typer.Typer:
    monkeypatch.setenv("PATH", str(tmp_path))
    program = typer.Typer()
    settled = lambda home: Settings(home=home or tmp_path)  # noqa: E731 -- one expression
    program.add_typer(commands.app, name="data", context_settings={"obj": settled})
    return program


def _run(program: typer.Typer, *words: str) -> Result:
    return CliRunner().invoke(program, ["data", *words])


def test_the_list_tells_state_licence_and_source_of_each_catalogue(program: typer.Typer) -> None:
    done = _run(program, "list")
    assert done.exit_code == 0
    assert "tycho2: not built." in done.output
    assert "BSD-2-Clause" in done.output
    assert "2000A&A...355L..27H" in done.output
    assert "gaia_dr3_bright (optional): not built." in done.output
    assert "482,176 rows, 16 MB to download. CC-BY-SA-3.0-IGO" in done.output


@pytest.mark.parametrize(("words", "chosen"), [([], building.DEFAULT), (["--all"], commands.CATALOGUES)])
def test_the_optional_catalogues_are_built_only_when_asked_for(
    program: typer.Typer, monkeypatch: pytest.MonkeyPatch, words: list[str], chosen: tuple[Catalogue, ...]
) -> None:
    asked: list[Catalogue] = []
    monkeypatch.setattr(commands, "build_missing", lambda _places, _reporter, catalogues: asked.extend(catalogues))
    assert _run(program, "build", *words).exit_code == 0
    assert tuple(asked) == chosen


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["build", "--only", "gaia"],
            "There is no catalogue 'gaia'; there are openngc, hipparcos, tycho2, gaia_dr3_bright",
        ),
        (["build", "--only", "tycho2"], "Getting a Debian source package needs apt, which is not on this machine."),
        (["build", "--only", "vsx", "--all"], "Options --only and --all exclude each other"),
        (["verify"], "No catalogue is built in"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_exit_code_2(
    program: typer.Typer, words: list[str], sentence: str
) -> None:
    done = _run(program, *words)
    assert done.exit_code == 2
    assert done.stderr.startswith(f"pachon: {sentence}")
    assert done.stderr.count("\n") == 1


def test_verification_of_damaged_releases_says_what_to_do(program: typer.Typer, tmp_path: Path) -> None:
    for damaged, catalogue in (("tycho2", building.TYCHO2), ("vsx", building.VSX)):
        shutil.copytree(catalogue.folder, tmp_path / "releases" / damaged)
    done = _run(program, "verify")
    assert done.exit_code == 2
    assert "tycho2: it has no manifest." in done.stdout
    assert "'pachon data build --force --only tycho2 --only vsx' builds them anew" in done.stderr
