"""The gate: taplint, the validator of TAP services, over every stage that this service has something for.

ObsLocTAP is left out, which is not offered.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pachon.rights.models import Audience
from support.app import HOLDER, Site, running_site
from support.curves import publish_curves
from support.stilts import DEBIANS, NEWER, Lint, logged_in, needs_newer_stilts, needs_stilts, taplint

STAGES = ("TMV", "TME", "TMS", "TMC", "CPV", "CAP", "AVV", "QGE", "QPO", "QAS", "UWS", "MDQ", "OBS", "UPL", "EXA")
CLEAN = {"error": 0, "warning": 0, "failure": 0}
NEWER_THAN_DEBIANS = "ivo://ivoa.net/std/TAPRegExt#features-adql-conditional"
"""The key under which ADQL 2.1 declares COALESCE: STILTS 3.4 is older."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(Path(tmp_path_factory.mktemp("gate"))) as running:
        publish_curves(running.services.settings.releases_path)
        publish_curves(running.services.settings.releases_path, release_id="closed", audience=Audience.HOLDERS)
        yield running


def lint(site: Site, *stilts: str, **options: str) -> Lint:
    found = taplint(stilts, f"{site.url}/api/tap", STAGES, **options)
    assert found.stages == list(STAGES)
    return found


@needs_newer_stilts
def test_taplint_finds_nothing_as_a_stranger(site: Site) -> None:
    found = lint(site, *NEWER)

    assert (found.found, found.totals) == ([], CLEAN)


@needs_newer_stilts
def test_taplint_finds_nothing_as_a_rights_holder_who_logs_in_where_challenged(site: Site) -> None:
    begun = datetime.now(tz=UTC)

    found = lint(site, *logged_in(HOLDER), auth="true")

    assert (found.found, found.totals) == ([], CLEAN)
    runs = [run for run in site.services.executions.list("novice", limit=500) if run.started_at >= begun]
    assert {"future.stars", "closed.objects", "sky.stars"} <= {table for run in runs for table in run.tables}


@needs_stilts
def test_debians_taplint_finds_only_what_it_is_too_old_to_know(site: Site) -> None:
    found = lint(site, *DEBIANS)

    unknown = f'E-CAP-KEYX: Unknown standard feature key "{NEWER_THAN_DEBIANS}" for language ADQL'
    assert (found.found, found.totals) == ([unknown], CLEAN | {"error": 1})
