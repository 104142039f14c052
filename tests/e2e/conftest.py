"""One running platform for all end-to-end tests, and how to have it with the other proxy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from support.skies import make_release
from support.stack import Platform, running_platform


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The platform with a small synthetic sky (`sky.stars`, 20 000 rows)."""
    folder = tmp_path_factory.mktemp("platform")
    make_release(folder / "releases")
    quick = {"PACHON_JOBS__LEASE_S": "2"}
    with running_platform(folder / "home", folder / "releases", settings=quick) as running:
        yield running


@pytest.fixture(scope="session")
def other_proxy() -> Mapping[str, str]:
    """Settings of a platform behind configurable-http-proxy, at another address than that of the inner processes."""
    program = Path(__file__).parent / "proxy" / "node_modules" / ".bin" / "configurable-http-proxy"
    if not program.exists():
        pytest.skip(
            "configurable-http-proxy is missing: tools/system-packages.sh installs it where npm and a registry are"
        )
    return {
        "PACHON_HUB__PROXY": "configurable-http-proxy",
        "PACHON_HUB__PROXY_COMMAND": str(program),
        "PACHON_LISTEN__HOST": "127.0.0.2",
    }
