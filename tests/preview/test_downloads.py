import hashlib
import stat
from pathlib import Path

import pytest

from pachon.core.errors import SetupError
from pachon.preview.debian import source_list
from pachon.preview.downloads import obtain
from pachon.preview.models import Channel, Download, LineReporter, Places

CONTENT = b"stars"
QUIET = LineReporter(lambda _: None)
FILE = Download(
    channel=Channel.DEBIAN_SOURCE,
    package="sky",
    filename="sky.tar.xz",
    size_bytes=len(CONTENT),
    sha256=hashlib.sha256(CONTENT).hexdigest(),
)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path / "releases", tmp_path / "downloads", tmp_path / "packages")


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose apt knows one archive and brings `content`, which tests may change."""
    lists, programs, content = tmp_path / "etc", tmp_path / "bin", tmp_path / "content"
    lists.mkdir()
    programs.mkdir()
    content.write_bytes(CONTENT)
    (lists / "debian.sources").write_text("Types: deb\nURIs: http://archive.invalid\nSuites: x\nComponents: main\n")
    _program(
        programs / "apt-config",
        f'case "$3" in *list/f) echo "FOUND=\'/nowhere\'";; *) echo "FOUND=\'{lists}/\'";; esac',
    )
    _program(
        programs / "apt-get",
        f'case "$*" in *update*) exit 0;; esac; test -s {content} || {{ echo "E: Unable to connect" >&2; exit 100; }}\n'
        f"cat {content} > sky.tar.xz; ls {tmp_path}/downloads -A > {tmp_path}/seen",
    )
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    return content


def _program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.mark.usefixtures("apt")
def test_a_file_is_kept_only_when_it_is_complete_and_then_not_fetched_again(places: Places, tmp_path: Path) -> None:
    path = obtain(FILE, places, QUIET)
    assert path == places.downloads / "sky.tar.xz"
    assert path.read_bytes() == CONTENT
    assert (tmp_path / "seen").read_text().split() == [".partial-sky.tar.xz"]
    assert [each.name for each in places.downloads.iterdir()] == ["sky.tar.xz"]
    (tmp_path / "seen").unlink()
    assert obtain(FILE, places, QUIET) == path
    assert not (tmp_path / "seen").exists()


def test_a_file_that_is_not_the_one_expected_is_refused_and_removed(places: Places, apt: Path) -> None:
    apt.write_bytes(b"something else")
    with pytest.raises(SetupError, match=r"sky\.tar\.xz is not the file expected"):
        obtain(FILE, places, QUIET)
    assert list(places.downloads.iterdir()) == []


def test_an_archive_that_cannot_be_reached_is_one_sentence_and_what_came_is_kept(places: Places, apt: Path) -> None:
    apt.write_bytes(b"")
    partial = places.downloads / ".partial-sky.tar.xz" / "sky.tar.xz"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(b"st")
    with pytest.raises(SetupError, match=r"Debian source package sky failed: Unable to connect$"):
        obtain(FILE, places, QUIET)
    assert partial.read_bytes() == b"st"


@pytest.mark.usefixtures("apt")
def test_a_file_laid_ready_is_used_in_its_place_unless_it_is_damaged(places: Places) -> None:
    assert places.packages is not None
    places.packages.mkdir()
    ready = places.packages / "sky.tar.xz"
    ready.write_bytes(CONTENT)
    assert obtain(FILE, places, QUIET) == ready
    ready.write_bytes(b"damaged")
    assert obtain(FILE, places, QUIET) == places.downloads / "sky.tar.xz"


def test_lists_of_archives_ask_for_sources_and_keep_the_rest() -> None:
    stanzas = "Types: deb deb-src\nURIs: http://archive.invalid\nSigned-By: /key\n\nTypes: deb\nEnabled: no\n"
    assert source_list(stanzas, is_stanzas=True) == stanzas.replace("deb deb-src", "deb-src").replace(
        "Types: deb\n", "Types: deb-src\n"
    )
    lines = "# deb x\ndeb [signed-by=/key] http://archive.invalid x main\ndeb-src http://archive.invalid x main\n"
    assert source_list(lines, is_stanzas=False) == "deb-src [signed-by=/key] http://archive.invalid x main\n"
