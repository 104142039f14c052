"""Which words fit where the cursor is in a cell of ADQL, and what they mean."""

from __future__ import annotations

import threading
import time

import pytest

from pachon_client import Column, Function, Table, UnreachableError
from pachon_client.adql_cell import Place, cell_at
from pachon_client.completion import explain, suggest
from pachon_client.vocabulary import Vocabulary, VocabularyShelf

RA = Column(name="ra", datatype="double", unit="deg", ucd="pos.eq.ra", description="Longitude", principal=True)
SIZE = Column(name="size", datatype="float")
LIGHT = Column(name="flux", datatype="float", unit="nJy")
STARS = Table(name="sky.stars", row_count=20_000, columns=(RA, SIZE, Column(name="r_mag")))
FLUX = Table(name="sky.flux", description="Measured light", columns=(LIGHT,))
OTHER = Table(name="deep.stars", columns=(Column(name="raw_id", datatype="long"),))
KNOWN = Vocabulary(
    tables=(STARS, FLUX, OTHER), functions=(Function(form="ivo_hasword(haystack, needle)", description="A word."),)
)
OPTIONS = ("--name", "--release", "--maxrec")


def words(source: str, known: Vocabulary = KNOWN) -> list[str]:
    """Suggestions where `|` stands in the source."""
    cell = cell_at(source.replace("|", ""), source.index("|"))
    assert cell is not None
    return [suggestion.text for suggestion in suggest(cell, known, OPTIONS)]


@pytest.mark.parametrize(
    ("source", "offered"),
    [
        ("%%adql\nSELECT ra FROM |", ["sky.stars", "sky.flux", "deep.stars"]),
        ("%%adql\nSELECT ra FROM sky.s|", ["sky.stars"]),
        ("%%adql\nSELECT ra FROM ST|", ["sky.stars", "deep.stars"]),
        ("%%adql --release sky\nSELECT ra FROM st|", ["stars", "sky.stars", "deep.stars"]),
        ("%%adql\nSELECT ra FROM sky.stars AS s, sky.f|", ["sky.flux"]),
        ("%%adql\nSELECT 1 FROM sky.stars AS s JOIN sky.f| ON s.ra = 1", ["sky.flux"]),
        ("%%adql\nSELECT 1 FROM sky.stars AS a JOIN sky.flux AS b ON a.ra = b.flux, deep|", ["deep.stars"]),
        ("%%adql\nSELECT (SELECT COUNT(*) FROM sky.fl|) FROM sky.stars", ["sky.flux"]),
    ],
)
def test_tables_are_offered_where_a_query_names_tables(source: str, offered: list[str]) -> None:
    assert words(source) == offered


@pytest.mark.parametrize(
    ("source", "offered"),
    [
        ("%%adql\nSELECT s.| FROM sky.stars AS s", ["s.ra", 's."size"', "s.r_mag"]),
        ("%%adql\nSELECT s.R| FROM sky.stars s JOIN deep.stars AS t ON 1=1", ["s.ra", "s.r_mag"]),
        ("%%adql --release sky\nSELECT stars.ra| FROM stars, deep.stars AS d", ["stars.ra"]),
        ("%%adql\nSELECT sky.stars.ra| FROM sky.stars", ["sky.stars.ra"]),
        ("%%adql --release deep\nSELECT raw|", ["raw_id"]),
        ("%%adql\nSELECT ra FROM sky.stars AS star WHERE star.ra > 1 AND sta|", ["star"]),
        ("%%adql\nSELECT 'it''s FROM deep.stars', flu| -- FROM deep.stars\nFROM sky.flux", ["flux"]),
        ("%%adql\nSELECT a.ra, DISTANCE(a.ra, b.fl|) FROM sky.stars AS a, sky.flux AS b", ["b.flux"]),
    ],
)
def test_columns_are_those_of_the_tables_that_the_query_names(source: str, offered: list[str]) -> None:
    assert words(source) == offered


def test_functions_and_keywords_come_after_columns_and_are_written_as_they_were_begun() -> None:
    assert words("%%adql\nSELECT r| FROM sky.stars") == ["ra", "r_mag", "radians", "rand", "round", "region", "right"]
    assert words("%%adql\nSELECT DIST| FROM sky.stars") == ["DISTANCE", "DISTINCT"]
    assert words("%%adql\nSELECT IVO| FROM sky.stars") == ["ivo_hasword"]


def test_options_and_releases_are_offered_in_the_first_line() -> None:
    assert words("%%adql --|\nSELECT 1") == list(OPTIONS)
    assert words("%%adql --release |\nSELECT 1") == ["deep", "sky"]


@pytest.mark.parametrize(
    "source",
    [
        "%%adql\nSELECT 'ra|' FROM sky.stars",
        "%%adql\nSELECT ra -- the ra|",
        "%%adql\nSELECT ra AS r|",
        "%%adql\nSELECT TOP 10|",
        '%%adql\nSELECT "ra|',
        "%%adql\nSELECT none.r| FROM sky.stars",
    ],
)
def test_nothing_is_offered_inside_texts_comments_numbers_and_names_of_ones_own(source: str) -> None:
    assert words(source) == []


def test_a_cell_of_python_is_none_of_ours() -> None:
    assert cell_at("adql = '%%adql'", 3) is None


def test_an_enormous_cell_takes_a_moment() -> None:
    source = "%%adql\nSELECT ra FROM sky.stars WHERE ra IN (" + ", ".join(["1"] * 10_000) + ") AND r|"
    started_s = time.monotonic()
    assert words(source)[0] == "ra"
    assert time.monotonic() - started_s < 1


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (
            "SELECT s.r|a FROM sky.stars AS s",
            "ra: double [deg]\nLongitude\nUCD pos.eq.ra\nColumn of sky.stars",
        ),
        ("SELECT flux FROM sky.fl|ux", "sky.flux: 1 columns\nMeasured light"),
        ("SELECT ra FROM sky.stars|", "sky.stars: 20,000 rows, 3 columns\nMain columns: ra"),
        ("SELECT Ivo_has|word('a', 'b') FROM sky.stars", "ivo_hasword(haystack, needle)\nA word."),
        ("SELECT SQRT|(2) FROM sky.stars", "SQRT(x)\nsquare root"),
        ("SELECT nothing| FROM sky.stars", ""),
    ],
)
def test_a_word_is_explained(source: str, told: str) -> None:
    source = f"%%adql\n{source}"
    cell = cell_at(source.replace("|", ""), source.index("|"))
    assert cell is not None
    assert cell.place is not Place.NOTHING
    assert explain(cell, KNOWN) == told


def test_who_types_waits_a_moment_only_and_the_platform_is_asked_once() -> None:
    asked, may_answer, clock = list[int](), threading.Event(), [0.0]

    def fetch() -> Vocabulary:
        asked.append(1)
        may_answer.wait(10)
        return KNOWN

    shelf = VocabularyShelf(fetch, now=lambda: clock[0])
    started_s = time.monotonic()
    assert shelf.get(patience_s=0.02) == Vocabulary()
    assert shelf.get(patience_s=0.02) == Vocabulary()
    assert time.monotonic() - started_s < 0.2
    may_answer.set()
    assert shelf.get(patience_s=10) is KNOWN
    assert len(asked) == 1
    clock[0] = 3_600
    assert shelf.get(patience_s=0) is KNOWN
    assert len(asked) == 2


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("error", [UnreachableError("Nothing answers."), KeyError("tables"), TypeError("no list")])
def test_a_platform_without_an_answer_is_asked_again_later_and_in_silence(
    capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    asked, clock = list[int](), [0.0]

    def fetch() -> Vocabulary:
        asked.append(1)
        raise error

    shelf = VocabularyShelf(fetch, now=lambda: clock[0])
    for _ in range(3):
        assert shelf.get(patience_s=10) == Vocabulary()
    assert len(asked) == 1
    clock[0] = 60
    shelf.get(patience_s=10)
    assert len(asked) == 2
    assert capsys.readouterr() == ("", "")
