"""That an embargo ends when it should and not a moment earlier."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pachon.core.errors import ConflictError, SetupError, UsageError
from pachon.identity.models import ANONYMOUS
from pachon.releases.description import DESCRIPTION, read_description, write_description
from pachon.releases.drafts import add_images, create
from pachon.releases.exposure import taken_at
from pachon.releases.models import ImageCollection
from pachon.releases.registry import Registry
from pachon.rights.models import Access, Embargo
from pachon.rights.policy import RightsPolicy
from support.history import describe, write_image

AT = datetime(2026, 11, 25, 12, tzinfo=UTC)
VISITS = ImageCollection(id="visits", title="Visits", embargo_hours=80)


def _image(folder: Path, *cards: str) -> Path:
    path = folder / "a.fits"
    head = ("SIMPLE  =                    T", "NAXIS   =                    2", *cards, "END")
    path.write_bytes("".join(card.ljust(80) for card in head).ljust(2880).encode())
    return path


@pytest.mark.parametrize(
    ("cards", "ended"),
    [
        (("DATE-OBS= '2026-11-25T12:00:00'", "EXPTIME =               3.0D+01"), AT + timedelta(seconds=30)),
        (("DATE-OBS= '2026-11-25T12:00:00'", "EXPOSURE=                 15.5"), AT + timedelta(seconds=15.5)),
        (("DATE-OBS= '2026-11-25T12:00:00'", "EXPTIME =       / not known"), AT),
        (("DATE-OBS= '2026-11-25'", "EXPTIME =                   30"),
         datetime(2026, 11, 26, 0, 0, 29, 999999, tzinfo=UTC)),
        (("DATE-END= '2026-11-25'",), datetime(2026, 11, 25, 23, 59, 59, 999999, tzinfo=UTC)),
    ],
)  # fmt: skip
def test_an_exposure_ends_at_the_latest_moment_that_its_header_allows(
    tmp_path: Path, cards: tuple[str, ...], ended: datetime
) -> None:
    assert taken_at(_image(tmp_path, *cards)) == ended


@pytest.mark.parametrize("value", ["-30.0", "NaN", "'INF'", "-1D300", "1E300", "thirty", "1E12"])
def test_an_exposure_time_that_is_none_is_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(SetupError, match=r"EXPTIME must be a number of seconds|does not end within the calendar"):
        taken_at(_image(tmp_path, "DATE-OBS= '2026-11-25T12:00:00'", f"EXPTIME = {value:>20}"))


@pytest.mark.parametrize("value", ["25/11/26", "2026-W48-3", "20261125", "2026-11-25T12"])
def test_a_date_that_is_not_in_the_form_of_fits_is_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(SetupError, match="must say when it was taken"):
        taken_at(_image(tmp_path, f"DATE-OBS= '{value}'"))


def test_an_embargo_is_shortened_only_by_those_who_say_so(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "releases")
    create(registry, describe("hist_dr2"))
    write_image(tmp_path / "a.fits", "x", AT)
    files = [tmp_path / "a.fits"]
    for hours in (80, 90):
        add_images(registry, "hist_dr2", replace(VISITS, embargo_hours=hours), files)
    with pytest.raises(ConflictError, match="'visits' are under embargo for 90 hours; --shorten-embargo allows fewer"):
        add_images(registry, "hist_dr2", VISITS, files)
    draft = registry.drafts / "hist_dr2" / DESCRIPTION
    assert read_description(draft).images[0].embargo_hours == 90
    add_images(registry, "hist_dr2", VISITS, files, shorten_embargo=True)
    assert read_description(draft).images[0].embargo_hours == 80


def test_an_embargo_lasts_ten_years_at_most_and_one_that_leaves_the_calendar_does_not_end(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"images\.0\.embargo_hours: Input should be less than or equal to 87660"):
        write_description(replace(describe("hist_dr2"), images=(replace(VISITS, embargo_hours=1e8),)), tmp_path / "x")
    policy, embargo = RightsPolicy(frozenset()), Embargo(1e8, AT)
    refused = policy.decide(ANONYMOUS, Access.IMAGE, at=AT + timedelta(days=3_000), embargo=embargo)
    assert refused.reason == "This image is under embargo until 9999-12-31 23:59 UTC."
