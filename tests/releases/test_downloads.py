from __future__ import annotations

import hashlib
import itertools
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from pathlib import Path
from urllib.parse import quote, urlsplit

import httpx
import pytest

from pachon.releases.downloads import Downloads
from pachon.releases.tiers import remove_replaced
from releases.shelf import EMPTY, NOISE, ODD, SECRET, Shelf, running_shelf, slow_reader
from support.app import AS_HOLDER, AS_NO_SCOPE, AS_VISITOR

PER_PERSON = 250


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    with running_shelf(tmp_path_factory.mktemp("shelf"), max_streams_per_person=PER_PERSON) as running:
        yield running


def address(path: str, release_id: str = "sky") -> str:
    return f"/api/releases/{release_id}/files/{quote(path)}"


def test_the_list_says_path_size_digest_tier_and_collection_of_every_file(shelf: Shelf) -> None:
    told = shelf.client.get("/api/releases/sky/files").json()

    assert (told["release"], told["lifecycle"], told["tier"]) == ("sky", "archived", "mass")
    on_disk = shelf.files()
    assert {each["path"]: (each["size_bytes"], each["sha256"]) for each in told["files"]} == {
        path: (len(content), hashlib.sha256(content).hexdigest()) for path, content in on_disk.items()
    }
    collections = {each["path"]: each["collection"] for each in told["files"]}
    assert (collections[NOISE], collections["release.yaml"]) == ("files/raw", None)
    assert {each["tier"] for each in told["files"]} == {"mass"}


def test_the_list_is_the_same_in_lines_and_is_cut_to_a_folder_or_a_collection(shelf: Shelf) -> None:
    def paths(**params: str) -> list[str]:
        answer = shelf.client.get("/api/releases/sky/files", params={"format": "jsonl", **params})
        assert int(answer.headers["content-length"]) == len(answer.content)
        return [json.loads(line)["path"] for line in answer.text.splitlines()]

    every = [each["path"] for each in shelf.client.get("/api/releases/sky/files").json()["files"]]
    assert paths() == every == sorted(every)
    assert set(paths(under="files/")) == {NOISE, ODD, EMPTY} == set(paths(collection="raw"))
    assert paths(under="file") == []
    assert paths(collection="stars") == [path for path in every if path.startswith("tables/stars/")]
    refused = shelf.client.get("/api/releases/sky/files", params={"collection": "rav"})
    assert refused.status_code == 400
    assert refused.json()["error"]["message"] == "Release 'sky' has no table or collection 'rav'; it has: stars, raw."


def test_sha256sum_checks_the_text_list(shelf: Shelf, tmp_path: Path) -> None:
    (tmp_path / "SHA256SUMS").write_bytes(shelf.client.get("/api/releases/sky/files?format=text").content)
    folder = shutil.copytree(shelf.folder(), tmp_path / "sky")
    check = ["sha256sum", "--check", "--strict", "--quiet", str(tmp_path / "SHA256SUMS")]

    assert subprocess.run(check, cwd=folder, check=False, capture_output=True).stderr == b""
    (folder / NOISE).write_bytes(b"damaged")
    assert subprocess.run(check, cwd=folder, check=False, capture_output=True).returncode == 1


def test_an_unchanged_list_is_not_sent_again(shelf: Shelf) -> None:
    tag = shelf.client.get("/api/releases/sky/files").headers["etag"]

    again = shelf.client.get("/api/releases/sky/files", headers={"If-None-Match": tag})
    assert shelf.client.head("/api/releases/sky/files").headers["etag"] == tag
    assert (again.status_code, again.content) == (304, b"")
    other = shelf.client.get("/api/releases/sky/files?under=files", headers={"If-None-Match": tag})
    assert other.status_code == 200


@pytest.mark.parametrize("path", [NOISE, ODD, EMPTY, "schema.yaml"])
def test_a_file_is_sent_as_it_is_whatever_its_name_size_or_the_accepted_encodings(shelf: Shelf, path: str) -> None:
    answer = shelf.client.get(address(path), headers={"Accept-Encoding": "gzip"})

    content = (shelf.folder() / path).read_bytes()
    assert (answer.status_code, answer.content) == (200, content)
    assert answer.headers["etag"] == f'"{hashlib.sha256(content).hexdigest()}"'
    assert answer.headers["repr-digest"].startswith("sha-256=:")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "private, no-cache"
    assert answer.headers["content-disposition"].startswith("attachment; filename=")
    assert "content-encoding" not in answer.headers
    head = shelf.client.head(address(path), headers={"Range": "bytes=0-9"})
    assert (head.status_code, head.content) == (200, b"")
    varying = {"date", "x-request-id"}
    assert {k: v for k, v in head.headers.items() if k not in varying} == {
        k: v for k, v in answer.headers.items() if k not in varying
    }


def test_an_interrupted_download_goes_on_where_it_ended_unless_the_file_has_changed(shelf: Shelf) -> None:
    tag = shelf.client.head(address(NOISE)).headers["etag"]

    rest = shelf.client.get(address(NOISE), headers={"Range": "bytes=1000000-", "If-Range": tag})
    assert (rest.status_code, rest.content) == (206, shelf.noise[1_000_000:])
    assert rest.headers["content-range"] == f"bytes 1000000-{len(shelf.noise) - 1}/{len(shelf.noise)}"
    other = shelf.client.get(address(NOISE), headers={"Range": "bytes=1000000-", "If-Range": '"other"'})
    assert (other.status_code, other.content) == (200, shelf.noise)


def test_several_ranges_come_as_parts_and_one_out_of_range_is_refused(shelf: Shelf) -> None:
    answer = shelf.client.get(address(NOISE), headers={"Range": "bytes=0-9,600000-1199999,-5"})

    assert answer.status_code == 206
    head = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode()
    parts = [part.get_payload(decode=True) for part in message_from_bytes(head + answer.content).walk()][1:]
    assert parts == [shelf.noise[:10], shelf.noise[600_000:1_200_000], shelf.noise[-5:]]
    refused = shelf.client.get(address(NOISE), headers={"Range": f"bytes={len(shelf.noise)}-"})
    assert (refused.status_code, refused.headers["content-range"]) == (416, f"bytes */{len(shelf.noise)}")
    assert refused.json()["error"]["message"].startswith("None of the ranges begins within the file")


@pytest.mark.parametrize("headers", [{}, AS_VISITOR])
def test_of_a_release_that_a_person_may_not_see_no_door_gives_anything(shelf: Shelf, headers: dict[str, str]) -> None:
    content = (shelf.folder("future") / SECRET).read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    hidden = address(SECRET, "NAME").replace("NAME", "{}")
    guesses = [
        {}, {"Range": "bytes=0-3"}, {"Range": "bytes=99999-"}, {"If-None-Match": f'"{digest}"'}, {"If-Match": "*"},
    ]  # fmt: skip

    for path in ("/api/releases/{}", "/api/releases/{}/files", "/api/releases/{}/files?collection=no", hidden):
        for guess, method in itertools.product(guesses, ("GET", "HEAD")):
            closed, absent = (
                shelf.client.request(method, path.format(name), headers={**headers, **guess})
                for name in ("future", "futurf")
            )
            assert closed.status_code == absent.status_code == 404
            assert list(closed.headers) == list(absent.headers)
            assert told(closed).replace("'future'", "?") == told(absent).replace("'futurf'", "?")
            assert digest not in str(closed.headers) + closed.text

    assert shelf.client.get(address(SECRET, "future"), headers=AS_HOLDER).content == content
    assert shelf.client.get(address(SECRET, "future"), headers=AS_NO_SCOPE).status_code == 403


def told(answer: httpx.Response) -> str:
    return str(answer.json()["error"]["message"]) if answer.content else ""


@pytest.mark.parametrize(
    "path", ["files/raw", "../future/release.yaml", "files/raw/no", "%2e%2e/future/release.yaml", "manifest.jsonl"]
)
def test_what_is_not_in_the_list_is_not_there(shelf: Shelf, path: str) -> None:
    with socket.create_connection((urlsplit(shelf.url).hostname, urlsplit(shelf.url).port), timeout=10) as raw:
        raw.sendall(f"GET /api/releases/sky/files/{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        assert raw.makefile("rb").readline() == b"HTTP/1.1 404 Not Found\r\n"


def test_the_release_says_what_this_person_may_do_with_it(shelf: Shelf) -> None:
    sky, future = (shelf.client.get(f"/api/releases/{id_}", headers=AS_HOLDER).json() for id_ in ("sky", "future"))

    assert (sky["lifecycle"], sky["tier"], sky["may_query"], sky["may_download"]) == ("archived", "mass", False, True)
    assert (future["audience"], future["may_query"], future["may_download"]) == ("holders", True, True)
    assert future["public_from"] == future["date"].replace(future["date"][:4], str(int(future["date"][:4]) + 2))
    short = shelf.client.get("/api/releases").json()["releases"][0]
    assert "columns" not in short["tables"][0]
    assert short.items() <= {**sky, "tables": short["tables"]}.items()


def test_two_hundred_slow_readers_leave_the_platform_quick_and_further_ones_are_told_when(tmp_path: Path) -> None:
    limits = {"max_streams": 200, "max_streams_per_person": PER_PERSON, "stall_timeout_s": 600}
    with running_shelf(tmp_path, noise_bytes=24_000_000, **limits) as shelf, ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(slow_reader(shelf.url, address(NOISE)))
        waits = [timed(shelf.client, "/api/status") for _ in range(10)]
        refused = shelf.client.get(address("schema.yaml"))

    assert sorted(waits)[5] < 0.5
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) > 0
    assert refused.json()["error"]["message"] == "All 200 places for downloads are taken; try again in 20 s."


def timed(client: httpx.Client, path: str) -> float:
    began = time.monotonic()
    assert client.get(path).status_code == 200
    return time.monotonic() - began


def test_one_person_cannot_take_all_places_and_gets_them_back_from_readers_that_stall(tmp_path: Path) -> None:
    with ExitStack() as stack:
        limits = {"max_streams_per_person": 2, "stall_timeout_s": 0.5}
        shelf = stack.enter_context(running_shelf(tmp_path, noise_bytes=24_000_000, **limits))
        stalled = [stack.enter_context(slow_reader(shelf.url, address(NOISE))) for _ in range(2)]
        refused = shelf.client.get(address("schema.yaml"))
        assert refused.status_code == 503
        assert "You have 2 downloads under way" in refused.json()["error"]["message"]
        assert shelf.client.get(address("schema.yaml"), headers=AS_HOLDER).status_code == 200
        eventually(lambda: shelf.client.get(address("schema.yaml")).status_code == 200)
        time.sleep(1)
        with pytest.raises(ConnectionResetError):
            stalled[0].makefile("rb").read()


def test_readers_that_leave_free_their_places_at_once(tmp_path: Path) -> None:
    with running_shelf(tmp_path, noise_bytes=24_000_000, max_streams_per_person=1) as shelf:
        with slow_reader(shelf.url, address(NOISE)):
            assert shelf.client.get(address("schema.yaml")).status_code == 503
        eventually(lambda: shelf.client.get(address("schema.yaml")).status_code == 200)


def eventually(holds: Callable[[], bool], *, within_s: float = 10.0) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_many_quick_downloads_at_once_bring_the_right_bytes(shelf: Shelf) -> None:
    with ThreadPoolExecutor(16) as pool:
        bodies = pool.map(lambda _: httpx.get(f"{shelf.url}{address(NOISE)}", trust_env=False).content, range(32))

        assert all(body == shelf.noise for body in bodies)


def test_a_file_that_is_not_as_the_list_says_is_not_sent(shelf: Shelf) -> None:
    for content, problem in ((b"longer", "has not the size that its manifest says"), (None, "cannot be read")):
        with shelf.changed(EMPTY, content):
            answer = shelf.client.get(address(EMPTY))
            assert answer.status_code == 503
            assert f"File '{EMPTY}' {problem}" in answer.json()["error"]["message"]
            assert str(shelf.folder()) not in answer.text
    assert shelf.client.get(address(EMPTY)).status_code == 200


def test_a_download_that_is_under_way_when_another_build_comes_ends_with_the_bytes_it_began_with(
    tmp_path: Path,
) -> None:
    with running_shelf(tmp_path, noise_bytes=8_000_000) as shelf:
        tag, began_in = shelf.client.head(address(NOISE)).headers["etag"], shelf.folder()
        with slow_reader(shelf.url, address(NOISE)) as reader, reader.makefile("rb") as answer:
            shelf.publish_anew({NOISE: b"another"})
            remove_replaced(shelf.registry, at=datetime.now(tz=UTC), keep=timedelta())
            assert not began_in.exists()
            for _ in itertools.takewhile(bytes.strip, itertools.islice(answer, 1, None)):
                pass
            assert answer.read(len(shelf.noise)) == shelf.noise
        again = shelf.client.get(address(NOISE), headers={"Range": "bytes=3-", "If-Range": tag})
        assert (again.status_code, again.content) == (200, b"another")


def test_a_list_that_is_under_way_when_another_build_comes_is_the_whole_list_that_was_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure = Downloads.measure

    async def measure_and_publish(downloads: Downloads, person: str, pieces: Iterator[bytes]) -> tuple[str, int]:
        measured = await measure(downloads, person, pieces)
        shelf.publish_anew({"files/raw/one-more.txt": b"more"})
        return measured

    with running_shelf(tmp_path) as shelf:
        before = shelf.client.get("/api/releases/sky/files?format=text").text
        monkeypatch.setattr(Downloads, "measure", measure_and_publish)
        assert shelf.client.get("/api/releases/sky/files?format=text").text == before
        monkeypatch.setattr(Downloads, "measure", measure)
        after = shelf.client.get("/api/releases/sky/files?format=text").text
    (new,) = set(after.splitlines()) - set(before.splitlines())
    assert new.endswith("  files/raw/one-more.txt")
