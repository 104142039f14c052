"""TAP_SCHEMA is made once for those who see the same releases, and kept for a bounded number of such sets."""

from __future__ import annotations

from pathlib import Path

import pytest

from pachon.identity.models import ANONYMOUS, Principal
from pachon.releases.folder_storage import FolderReleaseStore
from pachon.releases.service import ReleaseService
from pachon.rights.policy import RightsPolicy
from pachon.tap.schema import TapSchema
from support.skies import make_release


def test_the_set_asked_for_longest_ago_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        make_release(tmp_path, release_id=f"sky{number}", rows=10)
    releases = ReleaseService(FolderReleaseStore(tmp_path), RightsPolicy(frozenset()))
    all_of_them = releases.visible(ANONYMOUS)
    seen = {f"person{number}": all_of_them[: number + 1] for number in range(4)}
    monkeypatch.setattr(releases, "visible", lambda principal, _: seen[principal.name])
    schema = TapSchema(releases, most=2)

    def ask(number: int) -> object:
        return schema(Principal(f"person{number}"))

    first, second = ask(0), ask(1)
    assert ask(0) is first
    ask(2)
    assert ask(0) is first
    assert ask(1) is not second
    for number in range(4):
        ask(number)
    assert len(schema._made) == 2
