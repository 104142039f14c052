"""A registry of 200 releases and 2,000 tables: how long it takes to list them, and to decide about one."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import yaml

from bench.figures import Figure, save
from bench.timing import interleaved, median_ms, p95_ms
from pachon.identity.models import Principal
from pachon.releases.description import write_description
from pachon.releases.folder_storage import FolderReleaseStore
from pachon.releases.manifest import Contents
from pachon.releases.models import LifecycleEvent, Release, ReleaseKind, Tier
from pachon.releases.registry import Entry, Place, Records, Registry
from pachon.releases.service import ReleaseService
from pachon.rights.models import Access, Audience
from pachon.rights.policy import RightsPolicy
from support.skies import felis

_RELEASES, _TABLES = 200, 10
_ROUNDS = 50
_DECISIONS = 20_000
_AT = datetime(2026, 11, 25, tzinfo=UTC)
_HOLDER = Principal("astronomer", frozenset({"rights-holders"}))
_POLICY = RightsPolicy(frozenset({"rights-holders"}))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("releases")
    records = Records()
    for number in range(_RELEASES):
        release = _release(number)
        (root / release.id).mkdir()
        write_description(release, root / release.id / "release.yaml")
        (root / release.id / "schema.yaml").write_text(_schema(release.id))
        contents = {f"tables/stars{table}": Contents(100, 10**9, 10**7) for table in range(_TABLES)}
        history = (LifecycleEvent(_AT, "published"), LifecycleEvent(_AT, "previous"))
        entry = Entry(
            kind=release.kind, place=Place(Tier.FAST, release.id), published_at=_AT, history=history, contents=contents
        )
        records = records.with_entry(release.id, entry)
    Registry(root).change(lambda _: records)
    return root


def _release(number: int) -> Release:
    return Release(
        id=f"r{number:03}",
        title=f"Release {number}",
        description="Invented.",
        kind=ReleaseKind.SPECIAL_PROGRAMME,
        date=date(2026, 1, 1),
        audience=Audience.HOLDERS,
        simulated=True,
        source="the benchmark",
        licence="CC0-1.0",
        groups=frozenset({"rights-holders", f"team-{number}"}),
    )


def _schema(release_id: str) -> str:
    document = yaml.safe_load(felis(release_id))
    text = yaml.safe_dump(document["tables"][0])
    document["tables"] = [yaml.safe_load(text.replace("stars", f"stars{number}")) for number in range(_TABLES)]
    return yaml.safe_dump(document, sort_keys=False)


def test_all_releases_are_listed_within_a_tenth_of_a_second(root: Path) -> None:
    store = FolderReleaseStore(root)
    start = time.perf_counter()
    releases = store.releases()
    cold_s = time.perf_counter() - start
    assert (len(releases), sum(len(release.tables) for release in releases)) == (_RELEASES, _RELEASES * _TABLES)
    service = ReleaseService(store, _POLICY, now=lambda: _AT)

    def after_a_change(number: int) -> object:
        event = LifecycleEvent(_AT, f"event {number}")
        change = Registry(root).read().entries["r000"].after(event.event, event.at)
        Registry(root).change(lambda records: records.with_entry("r000", change))
        start = time.perf_counter()
        service.tables(_HOLDER)
        changed_s.append(time.perf_counter() - start)
        return None

    changed_s: list[float] = []
    seconds = interleaved({"warm": lambda _: service.tables(_HOLDER), "change": after_a_change}, rounds=_ROUNDS)
    warm_ms, changed_ms = median_ms(seconds["warm"]), median_ms(changed_s)
    paths = ("platform/src/pachon/releases", "platform/src/pachon/rights")
    note = (
        f"p95 {p95_ms(seconds['warm']):.1f} ms; after a change of the registry {changed_ms:.0f} ms; cold {cold_s:.1f} s"
    )
    figure = Figure(
        name=f"listing {_RELEASES} releases with {_RELEASES * _TABLES:,} tables for one person",
        value=round(warm_ms, 2),
        unit="ms",
        target="< 100",
        passed=max(warm_ms, changed_ms) < 100,
        paths=paths,
        note=note,
    )
    save([figure])
    assert figure.passed, note


def test_a_decision_takes_microseconds() -> None:
    releases = [_release(number) for number in range(_RELEASES)]
    visitor = Principal("visitor", frozenset({f"group-{number}" for number in range(30)}))

    def decide(_: int) -> None:
        for number in range(_DECISIONS):
            _POLICY.decide(visitor, Access.QUERY, at=_AT, sources=(releases[number % _RELEASES],))

    seconds = interleaved({"decide": decide}, rounds=10)["decide"]
    decision_us = 1000 * median_ms(seconds) / _DECISIONS
    figure = Figure(
        name="one decision of the rights policy",
        value=round(decision_us, 2),
        unit="us",
        target="< 50",
        passed=decision_us < 50,
        paths=("platform/src/pachon/rights",),
        note="a refusal, which is the longest way, for a member of 30 groups",
    )
    save([figure])
    assert figure.passed
