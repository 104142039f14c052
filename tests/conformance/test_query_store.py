"""The stores of saved queries and of their runs keep their promises on every database."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Engine, func, select

from pachon.core import clock
from pachon.core.errors import ConflictError, LimitError, NotFoundError
from pachon.core.ids import new_id
from pachon.identity.models import Principal
from pachon.queries.saved.models import Audience, SavedQuery, Share, Upload, Wanted, Whose
from pachon.queries.saved.sql_runs import SqlQueryRunStore
from pachon.queries.saved.sql_storage import SqlSavedQueryStore
from pachon.queries.saved.sql_tables import LABELS, RUNS, SHARES, VERSIONS
from pachon.queries.saved.storage import QUERY_CHANGED, QueryRunStore, SavedQueryStore, group_key, query_key
from pachon.state.database import reading
from pachon.state.outbox import Outbox
from support.saved_queries import NOON, VIEW, content, query, run


@pytest.fixture
def store(database: Engine) -> SavedQueryStore:
    return SqlSavedQueryStore(database)


@pytest.fixture
def runs(database: Engine) -> QueryRunStore:
    return SqlQueryRunStore(database)


@pytest.fixture
def owner() -> str:
    """A person nobody has heard of: the tests of a module share a database."""
    return f"person-{new_id()}"


def kept(store: SavedQueryStore, made: SavedQuery) -> SavedQuery:
    store.add(made, limit=1000)
    return made


def next_version(name: str) -> object:
    def make(present: SavedQuery) -> SavedQuery:
        newest = present.newest
        changed = replace(newest, number=newest.number + 1, content=replace(newest.content, name=name))
        return replace(present, newest=changed)

    return make


def share(audience: Audience, who: str = "", **more: object) -> Share:
    return Share(id=new_id(), audience=audience, who=who, created_at=NOON, **more)


def names(store: SavedQueryStore, reader: Principal, **wanted: object) -> list[str]:
    return [each.name for each in store.list(reader, Wanted(**wanted), limit=50)]


def test_a_query_comes_back_as_it_was_kept(store: SavedQueryStore, owner: str) -> None:
    given = content(
        "Vía Láctea ✨",
        notes="two\nlines",
        tags=("star", "été"),
        form={"table": "sky.stars", "rows": [1, 2.5, None]},
        max_rows=2**40,
        uploads=(Upload("mine", "param:mine"),),
        view=VIEW,
    )
    made = query(owner, given)
    made = kept(store, replace(made, newest=replace(made.newest, run=run(made)), parent_id="p", parent_version=3))
    assert store.get(made.id) == made
    assert store.version(made.id, 1) == made.newest


def test_versions_are_never_changed_and_the_newest_is_current(store: SavedQueryStore, owner: str) -> None:
    made = kept(store, query(owner))
    second = store.append(made.id, next_version("second"))
    third = store.append(made.id, next_version("third"))
    assert store.get(made.id) == third
    assert store.versions(made.id, limit=9) == (third.newest, second.newest, made.newest)
    assert store.versions(made.id, limit=1, before=3) == (second.newest,)
    with pytest.raises(NotFoundError, match="version 4"):
        store.version(made.id, 4)


def test_two_who_edit_at_once_make_two_versions(store: SavedQueryStore, owner: str) -> None:
    made = kept(store, query(owner))
    threads = [
        threading.Thread(target=store.append, args=(made.id, next_version(f"edit {number}"))) for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    versions = store.versions(made.id, limit=99)
    assert [version.number for version in versions] == list(range(9, 0, -1))
    assert {version.content.name for version in versions} == {"Pleiades", *(f"edit {number}" for number in range(8))}


def test_a_change_that_fails_leaves_everything_as_it_was(store: SavedQueryStore, owner: str, database: Engine) -> None:
    made = kept(store, query(owner))
    before = Outbox(database).latest_id()

    def fail(_: SavedQuery) -> SavedQuery:
        raise LimitError("no")

    with pytest.raises(LimitError):
        store.append(made.id, fail)
    assert store.get(made.id) == made
    assert Outbox(database).read(before) == ()


def test_a_person_keeps_as_many_queries_as_are_allowed(store: SavedQueryStore, owner: str) -> None:
    store.add(query(owner), limit=1)
    with pytest.raises(LimitError, match="You keep 1 queries"):
        store.add(query(owner), limit=1)


def test_a_list_is_newest_change_first_in_pages(store: SavedQueryStore, owner: str) -> None:
    made = [kept(store, query(owner, content(f"q{number}"))) for number in range(5)]
    store.append(made[1].id, next_version("q1 again"))
    reader = Principal(owner)
    first = store.list(reader, Wanted(), limit=3)
    rest = store.list(reader, Wanted(before=first[-1].place), limit=3)
    assert [each.name for each in (*first, *rest)] == ["q1 again", "q4", "q3", "q2", "q0"]


def test_conditions_of_a_list_all_count(store: SavedQueryStore, owner: str, runs: QueryRunStore) -> None:
    day = timedelta(days=1)
    old = replace(query(owner, content("old", tags=("a", "b"))), changed_at=NOON - 9 * day)
    other = query(owner, content("other", tags=("b",)), releases=("tycho2", "sky"))
    for made in (old, other):
        kept(store, made)
    runs.add(run(other, phase="COMPLETED"))
    reader = Principal(owner)
    assert names(store, reader, tag="b") == ["other", "old"]
    assert names(store, reader, tag="b", release="tycho2") == ["other"]
    assert names(store, reader, state="DRAFT") == ["old"]
    assert names(store, reader, since=NOON - day) == ["other"]
    assert names(store, reader, until=NOON - day) == ["old"]
    assert names(store, reader, tag="b", state="COMPLETED", until=NOON - day) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("pleiades", ["Pleiades"]),
        ("PARALLAX err", ["Errors"]),
        ("galaxie", ["Étoiles et galaxies"]),
        ("étoiles", ["Étoiles et galaxies"]),
        ("etoiles", ["Étoiles et galaxies"]),
        ("hipparcos.stars", ["Errors", "Pleiades"]),
        ("blue", ["Pleiades"]),
        ("remember", ["Étoiles et galaxies"]),
        ("parallax remember", []),
        ("lax", []),
        ("'; DROP TABLE queries; --", []),
        ('"stars" OR NEAR(*', []),
        ("  .. ", ["Étoiles et galaxies", "Errors", "Pleiades"]),
    ],
)
def test_words_are_found_in_name_tags_notes_and_adql(
    store: SavedQueryStore, owner: str, text: str, found: list[str]
) -> None:
    for given in (
        content("Pleiades", "SELECT * FROM hipparcos.stars", tags=("blue",)),
        content("Errors", "SELECT parallax_error FROM hipparcos.stars"),
        content("Étoiles et galaxies", "SELECT 1 AS one FROM sky.rows", notes="to remember"),
    ):
        kept(store, query(owner, given))
    assert names(store, Principal(owner), text=text) == found


def test_what_is_not_there_any_more_is_not_found(store: SavedQueryStore, owner: str, runs: QueryRunStore) -> None:
    made = kept(store, query(owner, content("quasar")))
    store.append(made.id, next_version("blazar"))
    runs.add(run(made))
    reader = Principal(owner)
    assert (names(store, reader, text="quasar"), names(store, reader, text="blazar")) == ([], ["blazar"])
    store.delete(made.id)
    assert names(store, reader, text="blazar") == []


def test_a_list_holds_what_is_shared_with_a_person_or_their_groups_until_it_ends(
    store: SavedQueryStore, owner: str
) -> None:
    reader, group = f"reader-{new_id()}", f"group-{new_id()}"
    shares = {
        "own": share(Audience.PERSON, "somebody"),
        "person": share(Audience.PERSON, reader),
        "group": share(Audience.GROUP, group),
        "other": share(Audience.PERSON, group),
        "link": share(Audience.LINK, "0" * 64),
        "public": share(Audience.PUBLIC),
        "ended": share(Audience.PERSON, reader, expires_at=clock.now() - timedelta(seconds=1)),
        "lasts": share(Audience.PERSON, reader, expires_at=clock.now() + timedelta(days=1)),
    }
    for name, each in shares.items():
        made = kept(store, query(reader if name == "own" else owner, content(name)))
        store.share(made.id, each, limit=9)
    person = Principal(reader, frozenset({group}))
    assert names(store, person) == ["lasts", "group", "person", "own"]
    assert names(store, person, whose=Whose.SHARED) == ["lasts", "group", "person"]
    assert names(store, person, whose=Whose.MINE) == ["own"]
    assert names(store, Principal(reader)) == ["lasts", "person", "own"]
    assert names(store, Principal()) == []


def test_sharing_again_replaces_and_too_many_shares_are_refused(store: SavedQueryStore, owner: str) -> None:
    made = kept(store, query(owner))
    first = store.share(made.id, share(Audience.PERSON, "eve"), limit=1)
    again = store.share(made.id, share(Audience.PERSON, "eve", may_edit=True), limit=1)
    assert (again.id, store.get(made.id).shares) == (first.id, (again,))
    with pytest.raises(LimitError, match="shared 1 times"):
        store.share(made.id, share(Audience.PERSON, "mallory"), limit=1)


def test_everybody_who_may_see_a_query_is_told_of_a_change_and_whoever_lost_it_that_it_is_gone(
    store: SavedQueryStore, owner: str, database: Engine
) -> None:
    made = kept(store, query(owner))
    outbox, team = Outbox(database), f"team-{new_id()}"
    reader = f"reader-{new_id()}"
    lent = store.share(made.id, share(Audience.PERSON, reader), limit=9)
    store.share(made.id, share(Audience.GROUP, team), limit=9)
    store.share(made.id, share(Audience.LINK, "0" * 64), limit=9)
    before = outbox.latest_id()
    store.append(made.id, next_version("new"))
    edited = outbox.read(before)
    assert {event.key for event in edited} == {owner, reader, group_key(team), query_key(made.id)}
    change = edited[0].payload["change"]
    expected = {"id": made.id, "version": 2, "state": "DRAFT", "what": "edited", "change": change}
    assert [(event.kind, dict(event.payload)) for event in edited] == [(QUERY_CHANGED, expected)] * 4
    before = outbox.latest_id()
    store.unshare(made.id, lent.id)
    told = {event.key: event.payload["what"] for event in outbox.read(before)}
    assert told == {owner: "shared", group_key(team): "shared", query_key(made.id): "shared", reader: "gone"}
    assert [event.key for event in outbox.read(0, key={reader, group_key(team)})].count(reader) == 5


def test_a_run_shows_in_the_list_and_is_found_by_its_job(
    store: SavedQueryStore, runs: QueryRunStore, owner: str
) -> None:
    made = kept(store, query(owner))
    begun = run(made, job_id=f"job-{made.id}")
    runs.add(begun)
    assert runs.of_job(f"job-{made.id}") == (begun,)
    ended = runs.change(
        begun.id, lambda old: replace(old, phase="COMPLETED", row_count=7, result_bytes=100, tables=("sky.stars",))
    )
    assert store.get(made.id).newest.run == ended
    (summary,) = store.list(Principal(owner), Wanted(), limit=9)
    assert (summary.state, summary.row_count) == ("COMPLETED", 7)
    assert runs.used_bytes(owner) == 100
    assert runs.has_version(begun.id)
    assert runs.known({begun.id, "none"}) == {begun.id}
    assert runs.of_execution(owner, job_id=f"job-{made.id}", execution_id=None) == made.id
    later = replace(begun, id=new_id())
    runs.add(later)
    assert runs.get(later.id).former_id == store.get(made.id).newest.former.id == begun.id
    assert (runs.has_version(begun.id), runs.has_version(begun.id, besides=later.id)) == (True, False)
    assert runs.of_execution("eve", job_id=f"job-{made.id}", execution_id=None) is None
    with pytest.raises(NotFoundError, match="no version 5"):
        runs.add(replace(begun, id=new_id(), version=5))


def test_of_runs_that_begin_at_once_a_version_has_one(store: SavedQueryStore, runs: QueryRunStore, owner: str) -> None:
    made, refused = kept(store, query(owner)), list[str]()
    ready = threading.Barrier(8)

    def begin() -> None:
        ready.wait(10)
        try:
            runs.add(run(made, job_id=f"job-{made.id}"))
        except ConflictError as error:
            refused.append(error.message)

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert refused == ["Version 1 of this query is running already."] * 7
    assert runs.of_job(f"job-{made.id}") == (store.get(made.id).newest.run,)


def test_deleting_leaves_nothing_behind(
    store: SavedQueryStore, runs: QueryRunStore, owner: str, database: Engine
) -> None:
    made = kept(store, query(owner, content(tags=("a",))))
    store.share(made.id, share(Audience.PUBLIC), limit=9)
    runs.add(run(made, result_bytes=5))
    store.delete(made.id)
    with pytest.raises(NotFoundError, match=made.id):
        store.get(made.id)
    with reading(database) as connection:
        left = [
            connection.scalar(select(func.count()).select_from(table).where(table.c.query_id == made.id))
            for table in (VERSIONS, RUNS, SHARES, LABELS)
        ]
    assert left == [0, 0, 0, 0]
    assert runs.used_bytes(owner) == 0
