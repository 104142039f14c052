"""ADQL as it stands in a cell: short names of tables, and carets below mistakes."""

from __future__ import annotations

import pytest

from pachon_client.adql_text import pointed, qualify

TABLES = ("dp1.objects", "dp1.stars")


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("SELECT ra FROM stars", "SELECT ra FROM dp1.stars"),
        (
            "SELECT s.ra\nfrom Stars AS s JOIN objects o ON o.id = s.id",
            "SELECT s.ra\nfrom dp1.Stars AS s JOIN dp1.objects o ON o.id = s.id",
        ),
        ("SELECT ra FROM (SELECT ra FROM stars) AS x", "SELECT ra FROM (SELECT ra FROM dp1.stars) AS x"),
        ("SELECT ra FROM sky.stars", "SELECT ra FROM sky.stars"),
        ("SELECT ra FROM stars . stars", "SELECT ra FROM stars . stars"),
        ("SELECT ra FROM stars2", "SELECT ra FROM stars2"),
        ("SELECT 'x FROM stars' FROM other -- FROM stars", "SELECT 'x FROM stars' FROM other -- FROM stars"),
        ('/* FROM\nstars */ SELECT ra FROM "stars"', '/* FROM\nstars */ SELECT ra FROM "stars"'),
        (
            "WITH stars AS (SELECT ra FROM objects) SELECT ra FROM stars",
            "WITH stars AS (SELECT ra FROM dp1.objects) SELECT ra FROM stars",
        ),
    ],
)
def test_tables_named_without_a_release_are_those_of_the_one_meant_and_nothing_else_is(written: str, sent: str) -> None:
    assert qualify(written, "dp1", TABLES) == sent


def test_a_caret_stands_below_the_place_that_the_server_names() -> None:
    text = "SELECT ra,\n\tdecc\nFROM sky.stars\n"
    said = pointed("line 2, column 2: unknown column 'decc'", text).splitlines()
    assert said == ["line 2, column 2: unknown column 'decc'", "", "   2 | \tdecc", "     | \t^"]


@pytest.mark.parametrize("message", ["The server is busy.", "line 9, column 1: beyond", "line 0, column 1: before"])
def test_a_sentence_without_a_place_in_the_text_stays_as_it_is(message: str) -> None:
    assert pointed(message, "SELECT 1") == message
