import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from pachon.app.settings import DataSettings, Settings
from pachon.core.errors import ConflictError, NotFoundError, SetupError
from pachon.releases import commands
from pachon.releases.description import read_description, write_description
from pachon.releases.registry import Registry
from support.history import describe, texts, write_sources

Run = Callable[..., Result]
WORDS = texts("hist_dr3")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs `pachon release ...`; what it raises is what the program `pachon` shows as one sentence."""

    def settled(home: Path | None) -> Settings:
        return Settings(home=home or tmp_path / "home", data=DataSettings(keep_replaced_hours=0))

    def run(*words: object) -> Result:
        return CliRunner().invoke(commands.app, [str(word) for word in words], obj=settled, catch_exceptions=False)

    return run


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    folder = tmp_path / "sources"
    folder.mkdir()
    write_description(describe("hist_dr3"), folder / "release.yaml")
    return write_sources(folder, "hist_dr3")


def _publish(run: Run, sources: Path) -> str:
    run("create", "hist_dr3", "--from", sources / "release.yaml", "--schema", sources / "schema.yaml")
    for name in ("table", "visits"):
        run("add-table", "hist_dr3", WORDS[name], sources / f"{name}.csv")
    run("add-images", "hist_dr3", "coadds", sources / "images", "--embargo-hours", 80)
    run("add-files", "hist_dr3", "raw", sources / "files" / "raw", "--kind", "raw", "--link")
    return run("publish", "hist_dr3").output


def test_a_release_is_made_published_and_shown_by_commands(run: Run, sources: Path) -> None:
    assert _publish(run, sources) == "hist_dr3: published, current.\n"
    listed = json.loads(run("list", "--json").output)["releases"]
    assert [(each["id"], each["state"], each["row_count"], each["title"]) for each in listed] == [
        ("hist_dr3", "current", 4, WORDS["title"])
    ]
    assert listed[0]["contents"]["images/coadds"] == {"file_count": 1, "size_bytes": 5760, "row_count": None}
    shown = run("show", "hist_dr3").output
    assert "SIMULATED" in shown
    assert WORDS["provenance"] in shown
    assert shown.rstrip().endswith("published")
    assert run("verify").output == "1 releases, every file as published.\n"


def test_more_images_keep_what_is_said_of_their_collection_and_links_that_can_be_written_are_told(
    run: Run, sources: Path, tmp_path: Path
) -> None:
    run("create", "hist_dr3", "--from", sources / "release.yaml")
    told = ("--title", "Visits", "--description", "Of last night")
    run("add-images", "hist_dr3", "visits", sources / "images", "--embargo-hours", 80, *told)
    (more,) = (sources / "embargoed").iterdir()
    more.chmod(0o444)
    assert run("add-images", "hist_dr3", "visits", more, "--link").stderr == ""
    drafts = Registry(tmp_path / "home" / "releases").drafts
    (kept,) = read_description(drafts / "hist_dr3" / "release.yaml").images
    assert (kept.title, kept.description, kept.embargo_hours) == ("Visits", "Of last night", 80)
    with pytest.raises(ConflictError, match="under embargo for 80 hours"):
        run("add-images", "hist_dr3", "visits", more, "--embargo-hours", 0)
    run("add-images", "hist_dr3", "visits", more, "--embargo-hours", 0, "--shorten-embargo")
    raw = sources / "files" / "raw"
    run("add-files", "hist_dr3", "raw", raw, "--kind", "raw", "--title", "All of it")
    run("add-files", "hist_dr3", "raw", raw, "--kind", "raw")
    described = read_description(drafts / "hist_dr3" / "release.yaml")
    assert (described.images[0].embargo_hours, described.files[0].title) == (0, "All of it")
    warning = run("add-files", "hist_dr3", "telemetry", sources / "files" / "telemetry", "--kind=telemetry", "--link")
    assert "are links to files that can still be written" in warning.stderr


def test_options_win_over_the_file_and_what_is_missing_or_unknown_is_named(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "release.yaml"
    file.write_text("title: T\ndescription: D\nkind: prompt\ndate: 2026-01-01\naudience: holders\nsource: S\n")
    with pytest.raises(SetupError, match=r"release\.yaml: simulated: Field required"):
        run("create", "new", "--from", file, "--licence", "CC0")
    run("create", "new", "--from", file, "--licence", "CC0", "--observed", "--kind", "catalogue", "--group", "team")
    (draft,) = json.loads(run("show", "new", "--json").output)["releases"]
    assert (draft["state"], draft["kind"], draft["groups"]) == ("draft", "catalogue", ["team"])
    file.write_text(file.read_text() + "colour: red\n")
    with pytest.raises(SetupError, match=r"release\.yaml: colour: Extra inputs are not permitted"):
        run("create", "new", "--from", file, "--licence", "CC0", "--simulated", "--anew")
    with pytest.raises(SetupError, match=r"The options: id: String should match"):
        run("create", "New!", "--title", "T")


def test_a_mirror_of_a_release_is_taken_over_with_all_it_holds(run: Run, sources: Path, tmp_path: Path) -> None:
    _publish(run, sources)
    copy = tmp_path / "home" / "releases" / "hist_dr3"
    other = ("--home", tmp_path / "other")
    with pytest.raises(SetupError, match="Option --copy-of takes all descriptions"):
        run("create", "hist_dr3", "--copy-of", copy, "--title", "T", *other)
    with pytest.raises(SetupError, match="is release 'hist_dr3', not 'hist_dr4'"):
        run("create", "hist_dr4", "--copy-of", copy, *other)
    run("create", "hist_dr3", "--copy-of", copy, "--link", *other)
    run("publish", "hist_dr3", *other)
    theirs, ours = (json.loads(run("show", "hist_dr3", "--json", *home).output)["releases"][0] for home in ((), other))
    assert theirs["contents"] == ours["contents"]
    manifests = [tmp_path / home / "releases" / "hist_dr3" / "manifest.jsonl" for home in ("home", "other")]
    assert manifests[0].read_bytes() == manifests[1].read_bytes()


def test_a_damaged_release_is_named_with_what_is_wrong(run: Run, sources: Path, tmp_path: Path) -> None:
    _publish(run, sources)
    path = tmp_path / "home" / "releases" / "hist_dr3" / "schema.yaml"
    path.write_text(path.read_text().replace("Visits", "visits"))
    assert run("verify", "--quick").output == "1 releases, every file as published.\n"
    with pytest.raises(SetupError, match="Not as they should be: hist_dr3; the lines above say why"):
        run("verify", "hist_dr3")
    with pytest.raises(NotFoundError, match="There is no release 'hist_dr9'"):
        run("verify", "hist_dr9")


def test_releases_that_cannot_be_moved_are_named_after_a_publication_and_moved_by_verification(
    run: Run, tmp_path: Path
) -> None:
    raw = tmp_path / "raw.txt"
    raw.write_text("raw")
    mass = tmp_path / "home" / "mass"
    mass.parent.mkdir()
    mass.write_text("in the way")
    options = ("--title=T", "--description=D", "--kind=data-release", "--date=2026-01-01", "--audience=world",
               "--simulated", "--source=S", "--licence=CC0")  # fmt: skip
    for release_id in ("dr1", "dr2", "dr3"):
        run("create", release_id, *options)
        run("add-files", release_id, "raw", raw, "--kind", "raw")
        if release_id != "dr3":
            run("publish", release_id)
    with pytest.raises(SetupError, match="dr3 is published, but not moved to mass storage are: dr1"):
        run("publish", "dr3")
    mass.unlink()
    assert run("verify").output == (
        "dr1: moved to mass storage.\n1 folders that nobody reads any more were removed.\n"
        "3 releases, every file as published.\n"
    )
    assert [each["tier"] for each in json.loads(run("list", "--json").output)["releases"]] == ["mass", "fast", "fast"]
    run("retire", "dr2")
    assert "dr2                  retired" in run("list").output
    run("retire", "dr2", "--delete")
    assert "dr2" not in run("list").output
