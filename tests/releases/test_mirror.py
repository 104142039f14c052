from __future__ import annotations

import itertools
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from client.double import Reply, running_double
from pachon.app import cli
from pachon.core.errors import SetupError
from pachon.releases.folder_storage import FolderReleaseStore
from pachon.releases.mirror import Mirror, Outcome
from pachon.releases.remote import Remote
from releases.shelf import NOISE, SECRET, Shelf, running_shelf, slow_reader
from support.app import HOLDER


class Meter:
    """Counts; `then` is done once when the list is there."""

    def __init__(self, then: Callable[[], None] = lambda: None) -> None:
        self.files = self.expected = self.seen = 0
        self._then = then
        self._lock = threading.Lock()

    def expect(self, files: int, size_bytes: int) -> None:
        self.files, self.expected = files, size_bytes
        self._then()

    def add(self, size_bytes: int) -> None:
        with self._lock:
            self.seen += size_bytes


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    with running_shelf(tmp_path_factory.mktemp("shelf")) as running:
        yield running


def mirror(url: str, folder: Path, *, meter: Meter | None = None, jobs: int = 3, under: str = "") -> Outcome:
    with Remote(url, "sky", pause=lambda pause_s: time.sleep(min(pause_s, 0.05))) as remote:
        return Mirror(remote, folder, meter or Meter()).run(jobs=jobs, under=under)


def copied(folder: Path, release_id: str = "sky") -> dict[str, bytes]:
    root = folder / release_id
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_a_mirror_is_the_same_release_can_be_served_and_is_not_fetched_twice(shelf: Shelf, tmp_path: Path) -> None:
    meter = Meter()
    outcome = mirror(shelf.url, tmp_path / "copies", meter=meter)

    assert copied(tmp_path / "copies") == shelf.files()
    assert (outcome.fetched, outcome.present) == (meter.files, 0) == (len(shelf.files()), 0)
    assert meter.seen == meter.expected == sum(map(len, shelf.files().values()))
    (served,) = FolderReleaseStore(tmp_path / "copies").releases()
    assert (served.id, served.tables[0].row_count) == ("sky", 2_000)
    assert [path.name for path in (tmp_path / "copies").iterdir()] == ["sky"]

    (tmp_path / "copies" / "sky" / NOISE).write_bytes(b"x" * len(shelf.noise))
    (tmp_path / "copies" / "sky" / "schema.yaml").unlink()
    again = mirror(f"{shelf.url}/api/", tmp_path / "copies")
    assert (again.fetched, again.present) == (2, len(shelf.files()) - 2)
    assert copied(tmp_path / "copies") == shelf.files()


def test_a_download_that_is_cut_again_and_again_goes_on_where_it_was_cut(shelf: Shelf, tmp_path: Path) -> None:
    with cutting_proxy(shelf.url, cut_after_bytes=1_500_000) as (url, passed):
        mirror(url, tmp_path, under="files/raw", jobs=1)

    assert copied(tmp_path)[NOISE] == shelf.noise
    assert len(shelf.noise) < sum(passed) < 2 * len(shelf.noise)


def test_a_stopped_mirror_goes_on_with_what_is_there_and_begins_anew_where_that_is_wrong(
    shelf: Shelf, tmp_path: Path
) -> None:
    with cutting_proxy(shelf.url, cut_after_bytes=1_500_000, connections=2) as (url, _), pytest.raises(SetupError):
        mirror(url, tmp_path, under="files/raw", jobs=1)
    part = max((tmp_path / ".mirror-sky").glob("*.part"), key=lambda path: path.stat().st_size)
    began = part.stat().st_size
    assert 1_000_000 <= began < len(shelf.noise)
    assert part.read_bytes() == shelf.noise[:began]

    with cutting_proxy(shelf.url, cut_after_bytes=10**9) as (url, passed):
        mirror(url, tmp_path, under="files/raw", jobs=1)
        assert sum(passed) < len(shelf.noise) - began + 10_000
    assert copied(tmp_path)[NOISE] == shelf.noise

    (tmp_path / "sky" / NOISE).unlink()
    part.parent.mkdir()
    part.write_bytes(b"y" * began)
    mirror(shelf.url, tmp_path, under="files/raw")
    assert copied(tmp_path)[NOISE] == shelf.noise


def test_a_mirror_for_which_no_place_is_free_waits_as_long_as_the_platform_asks(tmp_path: Path) -> None:
    waited = []
    with running_shelf(tmp_path, noise_bytes=24_000_000, max_streams_per_person=1) as shelf, ExitStack() as others:
        others.enter_context(slow_reader(shelf.url, f"/api/releases/sky/files/{NOISE}"))

        def pause(pause_s: float) -> None:
            waited.append(pause_s)
            others.close()
            time.sleep(0.1)

        with Remote(shelf.url, "sky", pause=pause) as remote:
            Mirror(remote, tmp_path / "copies", Meter()).run(jobs=1, under="tables")

    assert copied(tmp_path / "copies").keys() == {path for path in shelf.files() if path.startswith("tables/")}
    assert set(waited) == {20.0}


def test_a_release_that_is_published_anew_meanwhile_is_told_by_the_files_that_differ_and_the_others_are_there(
    tmp_path: Path,
) -> None:
    copies = tmp_path / "copies"
    with running_shelf(tmp_path / "server") as shelf:
        another = Meter(then=lambda: shelf.publish_anew({NOISE: b"another"}))
        with pytest.raises(SetupError, match=rf"1 of the files .*: {NOISE} has changed on the platform meanwhile"):
            mirror(shelf.url, copies, meter=another)
        assert len(copied(copies)) == len([path for path in shelf.files() if "/" in path]) - 1
        assert FolderReleaseStore(copies).releases() == ()

        mirror(shelf.url, copies)
        assert copied(copies) == shelf.files()


def test_bytes_that_do_not_have_the_listed_digest_never_get_their_name(shelf: Shelf, tmp_path: Path) -> None:
    with (
        shelf.changed(NOISE, b"z" + shelf.noise[1:]),
        pytest.raises(SetupError, match=rf"1 of the files .*: {NOISE} arrived with another digest"),
    ):
        mirror(shelf.url, tmp_path)
    assert NOISE not in copied(tmp_path)


def test_a_file_that_the_platform_must_repair_is_told_and_not_waited_for(shelf: Shelf, tmp_path: Path) -> None:
    def pause(pause_s: float) -> None:
        pytest.fail(f"waits {pause_s} s")

    with (
        shelf.changed(NOISE, b"cut"),
        Remote(shelf.url, "sky", pause=pause) as remote,
        pytest.raises(SetupError, match=rf"1 of the files .*: File '{NOISE}' has not the size"),
    ):
        Mirror(remote, tmp_path, Meter()).run(jobs=3)
    assert len(copied(tmp_path)) == len([path for path in shelf.files() if "/" in path]) - 1


@pytest.mark.parametrize("path", ["../evil", "/evil", "tables/../../evil", "link/evil", ""])
def test_a_hostile_platform_writes_nothing_outside_the_copy(tmp_path: Path, path: str) -> None:
    (tmp_path / "sky").mkdir()
    (tmp_path / "sky" / "link").symlink_to(tmp_path)
    entry = {"path": path, "size_bytes": 4, "sha256": "0" * 64}
    with running_double() as double:
        double.replies["/api/releases/sky/files"] = Reply(json.dumps(entry).encode())
        with pytest.raises(SetupError, match="lists a file outside its release"):
            mirror(double.url, tmp_path)
    assert not list(tmp_path.rglob("evil"))


def test_a_closed_release_is_mirrored_with_a_token_by_the_command_and_else_not_found(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["pachon", "release", "mirror", shelf.url, "future", str(tmp_path), "--jobs", "2"]
    monkeypatch.setattr("sys.argv", command)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert capsys.readouterr().err == "pachon: There is no release 'future'; there are: sky.\n"

    monkeypatch.setattr("sys.argv", [*command, "--token", HOLDER])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 0
    assert copied(tmp_path, "future") == shelf.files("future")
    assert SECRET in copied(tmp_path, "future")
    assert capsys.readouterr().out.endswith("files fetched, 0 were there; all are verified.\n")


def test_a_second_mirror_to_the_same_place_is_refused(shelf: Shelf, tmp_path: Path) -> None:
    def begin_again() -> None:
        with pytest.raises(SetupError, match="Another process mirrors to"):
            mirror(shelf.url, tmp_path)

    assert mirror(shelf.url, tmp_path, meter=Meter(then=begin_again)).fetched


def test_a_mirror_that_is_stopped_does_not_sit_out_its_pauses(tmp_path: Path) -> None:
    with running_double() as double, Remote(double.url, "sky") as remote:
        double.replies["/api/releases/sky/files"] = Reply(b"", 503, {"Retry-After": "100"})
        threading.Timer(0.2, remote.stop).start()
        began = time.monotonic()
        with pytest.raises(SetupError, match="stopped"):
            remote.save_list(tmp_path / "list")
    assert time.monotonic() - began < 10


def test_where_nothing_answers_one_sentence_says_so(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with pytest.raises(SetupError, match=f"^{url} cannot be reached: .*refused"):
        mirror(url, tmp_path)


@contextmanager
def cutting_proxy(url: str, *, cut_after_bytes: int, connections: int = 10**6) -> Iterator[tuple[str, list[int]]]:
    """Passes connections on and cuts each after so many bytes of answers, which it counts; later ones are closed."""
    passed: list[int] = []

    def answer(client: socket.socket) -> None:
        with client, socket.create_connection((urlsplit(url).hostname, urlsplit(url).port)) as server:
            upward = threading.Thread(target=pump, args=(client, server, 10**9), daemon=True)
            upward.start()
            passed.append(pump(server, client, cut_after_bytes))
            upward.join()

    def accept() -> None:
        with suppress(OSError):
            for count in itertools.count():
                client, _ = listener.accept()
                if count < connections:
                    threading.Thread(target=answer, args=(client,), daemon=True).start()
                else:
                    client.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", passed
        listener.shutdown(socket.SHUT_RDWR)


def pump(source: socket.socket, sink: socket.socket, limit_bytes: int) -> int:
    """Pass bytes on until there are no more or enough, then end both; how many they were."""
    seen = 0
    with suppress(OSError):
        while seen < limit_bytes and (piece := source.recv(65_536)):
            sink.sendall(piece)
            seen += len(piece)
    for end in (source, sink):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
    return seen
