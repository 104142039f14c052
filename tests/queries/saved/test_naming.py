"""Releases in a text: which it names, and the same text on another."""

from __future__ import annotations

import pytest

from pachon.core.errors import UsageError
from pachon.queries.saved.naming import releases_named, renamed

TEXT = """SELECT sky.stars.ra, 'sky.stars' AS label, s.sky -- sky.stars
FROM "sky"."stars", SKY.stars AS s JOIN other.sky AS o ON s.id = o.id
WHERE EXISTS (SELECT 1 AS one FROM sky.more) AND 'sky.' <> s.name"""


def test_only_schemas_are_renamed_and_all_else_stays_as_it_was_written() -> None:
    assert renamed(TEXT, source="sky", target="dr2") == (
        "SELECT dr2.stars.ra, 'sky.stars' AS label, s.sky -- sky.stars\n"
        'FROM dr2."stars", dr2.stars AS s JOIN other.sky AS o ON s.id = o.id\n'
        "WHERE EXISTS (SELECT 1 AS one FROM dr2.more) AND 'sky.' <> s.name"
    )


def test_a_text_names_its_releases_once_and_none_if_it_is_no_query_yet() -> None:
    assert releases_named(TEXT) == ("other", "sky")
    assert releases_named("SELECT table_name FROM tap_schema.tables") == ()
    assert releases_named("SELECT ra FROM sky.stars WHERE") == ()


def test_a_release_that_the_text_does_not_name_is_not_replaced() -> None:
    with pytest.raises(UsageError, match="does not ask release 'dr1'"):
        renamed(TEXT, source="dr1", target="dr2")
