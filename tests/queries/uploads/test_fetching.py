"""Addresses are fetched from public places only, unless a private one is listed itself."""

from __future__ import annotations

import socket
from contextlib import closing
from pathlib import Path

import pytest

from pachon.core.errors import UsageError
from pachon.queries.uploads.fetching import fetch
from pachon.queries.uploads.models import UploadLimits, uploads_of
from pachon.queries.uploads.storage import ReceivedPart


@pytest.mark.parametrize("number", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "::ffff:127.0.0.1"])
def test_a_listed_name_that_stands_for_a_private_address_is_not_connected_to(
    number: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected: list[object] = []
    entry = (socket.AF_INET, socket.SOCK_STREAM, 6, "", (number, 80))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_given: [entry])
    monkeypatch.setattr(socket, "create_connection", lambda place, **_given: connected.append(place))
    limits = UploadLimits(hosts=frozenset({"archive.example.org"}), reserve_bytes=0)
    (upload,) = uploads_of(["mine,http://archive.example.org/list"], limits)

    with (
        closing(ReceivedPart("mine", tmp_path / "raw", limits)) as part,
        pytest.raises(UsageError, match="stands for no public address"),
    ):
        fetch(upload, part, limits)
    assert connected == []
