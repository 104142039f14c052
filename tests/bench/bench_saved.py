"""One person's 100,000 saved queries: how long a page of 50 takes, and to find some by their words."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, insert, text

from bench.figures import Figure, save
from bench.timing import interleaved, median_ms, p95_ms
from pachon.identity.models import Principal
from pachon.queries.saved.models import Wanted, Whose
from pachon.queries.saved.sql_search import markers
from pachon.queries.saved.sql_storage import SqlSavedQueryStore
from pachon.queries.saved.sql_tables import LABELS, QUERIES
from pachon.queries.saved.words import words_of
from pachon.state.database import migrate, open_database, reading, writing
from support import postgres

_COUNT, _PAGE, _CHUNK, _ROUNDS = 100_000, 50, 5_000, 30
_OWNER = Principal("astronomer", frozenset({"rights-holders"}))
_START = datetime(2026, 1, 1, tzinfo=UTC)
_PATHS = ("platform/src/pachon/queries/saved", "platform/src/pachon/state")
_SOURCES = ("hipparcos.stars", "tycho2.stars", "sim_dp1.object", "sim_dp1.source", "gaia.bright")
_WORDS = [
    f"{first}{second}" for first in ("neb", "qua", "cep", "pul", "gal") for second in ("ula", "sar", "heid", "axy")
]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlSavedQueryStore]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('saved') / 'state.sqlite'}"
        yield from _filled(url)
        return
    bin_folder = postgres.binaries()
    if bin_folder is None:
        pytest.skip(f"PostgreSQL is not installed: apt-get install {postgres.PACKAGE}")
    with postgres.running_postgres(bin_folder) as server:
        yield from _filled(server.create_database())


def _filled(url: str) -> Iterator[SqlSavedQueryStore]:
    migrate(url)
    engine = open_database(url)
    chance = random.Random(1)
    for first in range(0, _COUNT, _CHUNK):
        _fill(engine, range(first, first + _CHUNK), chance)
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))
    yield SqlSavedQueryStore(engine)
    engine.dispose()


def _fill(engine: Engine, numbers: range, chance: random.Random) -> None:
    """Rows as the store makes them, many at once; the versions behind them are not listed and are left out."""
    rows = [_row(number, chance) for number in numbers]
    words = [
        (*words_of(row["name"], *row["tags"], row["adql"]), *markers(row["owner"], row["tags"], row["releases"]))
        for row in rows
    ]
    with writing(engine) as connection:
        connection.execute(insert(QUERIES), rows)
        labels = [{"query_id": row["id"], "kind": "tag", "label": tag} for row in rows for tag in row["tags"]]
        connection.execute(insert(LABELS), labels)
        if engine.dialect.name == "postgresql":
            statement = "INSERT INTO query_words (query_id, words) VALUES (:id, array_to_tsvector(:words))"
            given = [{"id": row["id"], "words": list(own)} for row, own in zip(rows, words, strict=True)]
        else:
            statement = "INSERT INTO query_words (rowid, words) VALUES (:place, :words)"
            given = [{"place": row["place"], "words": " ".join(own)} for row, own in zip(rows, words, strict=True)]
        connection.execute(text(statement), given)


def _row(number: int, chance: random.Random) -> dict[str, object]:
    at = _START + timedelta(minutes=number)
    source = chance.choice(_SOURCES)
    return {
        "id": f"{number:026d}",
        "owner": _OWNER.name,
        "name": f"{chance.choice(_WORDS)} {number}",
        "adql": f"SELECT ra, dec, flux_{number % 997} FROM {source} WHERE mag < {number % 25} AND id <> {number}",
        "tags": [f"tag{number % 40}"],
        "releases": [source.partition(".")[0]],
        "state": "COMPLETED",
        "version": 1,
        "row_count": number,
        "created_at": at,
        "changed_at": at,
        "place": int(at.timestamp() * 1e9),
        "parent_id": None,
        "parent_version": None,
    }


def test_a_page_and_a_search_take_a_moment(store: SqlSavedQueryStore) -> None:
    engine = store._engine
    database = "PostgreSQL" if engine.dialect.name == "postgresql" else "SQLite"
    with reading(engine) as connection:
        newest = connection.scalar(text("SELECT max(place) FROM queries")) or 0

    def page(number: int) -> object:
        before = newest - number * 10**12 if number else None
        return store.list(_OWNER, Wanted(before=before), limit=_PAGE)

    def common(number: int) -> object:
        return store.list(_OWNER, Wanted(text=f"{_WORDS[number % len(_WORDS)]} sel"), limit=_PAGE)

    def rare(number: int) -> object:
        return store.list(_OWNER, Wanted(text=f"flux {number * 31 % 997} nebula"), limit=_PAGE)

    def narrowed(number: int) -> object:
        wanted = Wanted(whose=Whose.MINE, text="stars", tag=f"tag{number % 40}", release="tycho2")
        return store.list(_OWNER, wanted, limit=_PAGE)

    searches = {"common": common, "rare": rare, "narrowed": narrowed}
    assert len(store.list(_OWNER, Wanted(), limit=_PAGE)) == _PAGE
    seconds = interleaved({"page": page, **searches}, rounds=_ROUNDS)
    slowest = max(searches, key=lambda name: median_ms(seconds[name]))
    told = ", ".join(f"{name} {median_ms(seconds[name]):.1f} ms" for name in searches)
    figures = [
        Figure(
            name=f"a page of {_PAGE} of {_COUNT:,} saved queries ({database})",
            value=round(median_ms(seconds["page"]), 2),
            unit="ms",
            target="< 50",
            passed=median_ms(seconds["page"]) < 50,
            paths=_PATHS,
            note=f"p95 {p95_ms(seconds['page']):.1f} ms",
        ),
        Figure(
            name=f"full-text search of {_COUNT:,} saved queries ({database})",
            value=round(median_ms(seconds[slowest]), 2),
            unit="ms",
            target="< 150",
            passed=median_ms(seconds[slowest]) < 150,
            paths=_PATHS,
            note=f"the slowest of: {told}; p95 {p95_ms(seconds[slowest]):.1f} ms",
        ),
    ]
    save(figures)
    assert [figure.name for figure in figures if not figure.passed] == []
