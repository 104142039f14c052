from __future__ import annotations

import base64
import hashlib
import io
import json
import pkgutil
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import pachon_client
from client.double import Double, Reply, running_double
from pachon_client import Client, UnavailableError, waiting
from pachon_client.jobs import Job

LONG_ID = 2**53 + 1
SCHEMA = pa.schema(
    [
        pa.field("id", pa.int64(), metadata={"ucd": "meta.id;meta.main"}),
        pa.field("ra", pa.float64(), metadata={"unit": "deg", "description": "Right ascension, ICRS"}),
        pa.field("pm", pa.float32(), metadata={"unit": "mas.yr**-1"}),
        pa.field("name", pa.string()),
        pa.field("epoch", pa.timestamp("us")),
        pa.field("is_variable", pa.bool_()),
    ]
)
ROWS = pa.table(
    {
        "id": [LONG_ID, None],
        "ra": [10.5, 11.25],
        "pm": [1.5, None],
        "name": ["<b>ω</b>", None],
        "epoch": [datetime(2020, 1, 1), None],  # noqa: DTZ001 -- Arrow columns of the platform hold naive UTC
        "is_variable": [True, None],
    },
    schema=SCHEMA,
)


@pytest.fixture
def double() -> Iterator[Double]:
    with running_double() as running:
        yield running


@pytest.fixture
def client(double: Double) -> Iterator[Client]:
    with Client(double.url, "secret") as made:
        yield made


def arrow(rows: pa.Table, *, status: str | None) -> Reply:
    """Rows as an Arrow stream with its closing word."""
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
        if status:
            empty = pa.RecordBatch.from_pylist([], schema=rows.schema)
            writer.write_batch(empty, custom_metadata={"QUERY_STATUS": status})
    return Reply(sink.getvalue(), headers={"X-Pachon-Execution": "e1"})


def npy(counts: np.ndarray) -> Reply:
    sink = io.BytesIO()
    np.save(sink, counts)
    return Reply(sink.getvalue())


def test_a_query_sends_adql_limit_and_token_and_brings_rows_with_units(double: Double, client: Client) -> None:
    double.replies["/api/tap/sync"] = arrow(ROWS, status="OVERFLOW")
    result = client.query("SELECT * FROM sky.stars", max_rows=2)
    [asked] = double.asked
    assert asked.authorization == "Bearer secret"
    assert asked.form["QUERY"] == ["SELECT * FROM sky.stars"]
    assert asked.form["MAXREC"] == ["2"]
    assert result.table.equals(ROWS)
    assert (len(result), result.overflow, result.execution_id) == (2, True, "e1")
    assert [column.unit for column in result.columns[:3]] == [None, "deg", "mas.yr**-1"]


def test_long_ids_units_and_nulls_survive_into_astropy_and_pandas(double: Double, client: Client) -> None:
    double.replies["/api/tap/sync"] = arrow(ROWS, status="OK")
    result = client.query("SELECT * FROM sky.stars")
    table = result.to_astropy()
    assert table["id"][0] == LONG_ID
    assert table["ra"].unit == "deg"
    assert table["pm"].unit.to_string("vounit") == "mas.yr**-1"
    assert [bool(table[name].mask[1]) for name in ("id", "pm", "name", "epoch", "is_variable")] == [True] * 5
    frame = result.to_pandas()
    assert frame["id"].iloc[0] == LONG_ID
    assert frame["id"].isna().tolist() == [False, True]
    assert result["id"].tolist() == [LONG_ID, None]
    assert np.isnan(result["pm"][1])
    assert [row["ra"] for row in result] == [10.5, 11.25]


def test_a_notebook_shows_the_first_rows_escaped_and_says_when_they_are_cut(double: Double, client: Client) -> None:
    double.replies["/api/tap/sync"] = arrow(ROWS, status="OVERFLOW")
    shown = client.query("SELECT * FROM sky.stars")._repr_html_()
    assert "&lt;b&gt;ω&lt;/b&gt;" in shown
    assert "<b>" not in shown
    assert "cut at the row limit" in shown
    assert ">deg<" in shown


def test_an_empty_answer_keeps_its_columns(double: Double, client: Client) -> None:
    double.replies["/api/tap/sync"] = arrow(ROWS.slice(0, 0), status="OK")
    result = client.query("SELECT * FROM sky.stars WHERE 1 = 0")
    assert len(result) == 0
    assert result.table.column_names == ROWS.column_names
    assert len(result.to_astropy()) == 0
    assert not result.overflow


VOTABLE_ERROR = b"""<?xml version="1.0"?><VOTABLE xmlns="http://www.ivoa.net/xml/VOTable/v1.3"><RESOURCE type="results">
<INFO name="QUERY_STATUS" value="ERROR">line 1, column 8: there is no column 'raa'</INFO></RESOURCE></VOTABLE>"""
CONE_ERROR = b"""<VOTABLE xmlns="http://www.ivoa.net/xml/VOTable/v1.3"><RESOURCE>
<INFO name="Error" value="SR must be at most 10"/></RESOURCE></VOTABLE>"""
JSON_ERROR = json.dumps({"error": {"code": "NotFoundError", "message": "No table 'x.y'.", "parameter": None}}).encode()


@pytest.mark.parametrize(
    ("reply", "error", "sentence"),
    [
        (
            Reply(VOTABLE_ERROR, 400, {"Content-Type": "application/x-votable+xml"}),
            pachon_client.RequestError,
            "line 1, column 8: there is no column 'raa'",
        ),
        (
            Reply(JSON_ERROR, 404, {"Content-Type": "application/json"}),
            pachon_client.NotFoundError,
            "No table 'x.y'.",
        ),
        (Reply(b"", 401), pachon_client.AuthenticationError, "answered 401"),
        (Reply(b"<html>no</html>", 403, {"Content-Type": "text/html"}), pachon_client.ForbiddenError, "answered 403"),
        (Reply(b"not { json", 400, {"Content-Type": "application/json"}), pachon_client.RequestError, "answered 400"),
        (Reply(b"<not xml", 400, {"Content-Type": "text/xml"}), pachon_client.RequestError, "answered 400"),
        (Reply(b"", 500), pachon_client.AnswerError, "answered 500"),
        (Reply(b"", 302, {"Location": "/hub/login"}), pachon_client.AnswerError, "answered 302"),
        (Reply(b"hello, no arrow here", 200), pachon_client.AnswerError, "not an Arrow stream"),
        (arrow(ROWS, status=None), pachon_client.AnswerError, "ended early: 2 rows"),
    ],
)
def test_each_failure_is_one_sentence_of_one_tree(
    double: Double, client: Client, reply: Reply, error: type[Exception], sentence: str
) -> None:
    double.replies["/api/tap/sync"] = reply
    with pytest.raises(error, match=sentence.replace("(", r"\(")) as caught:
        client.query("SELECT raa FROM sky.stars")
    assert isinstance(caught.value, pachon_client.PachonClientError)


def test_a_connection_that_breaks_in_the_middle_is_never_a_short_answer(double: Double, client: Client) -> None:
    whole = arrow(ROWS, status="OK")
    double.replies["/api/tap/sync"] = Reply(whole.body[:-40], headers=whole.headers, cut=True)
    with pytest.raises(pachon_client.AnswerError, match="ended early"):
        client.query("SELECT * FROM sky.stars")


def test_a_busy_server_says_when_to_come_back(double: Double, client: Client) -> None:
    double.replies["/api/releases"] = Reply(b"", 503, {"Retry-After": "7"})
    with pytest.raises(pachon_client.UnavailableError) as caught:
        client.releases()
    assert caught.value.retry_after_s == 7


def test_nobody_at_the_address_is_said_so() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/api"
        with Client(url) as client, pytest.raises(pachon_client.UnreachableError, match="Nothing answers at"):
            client.releases()


def test_address_and_token_come_from_the_lab(double: Double, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PACHON_API_URL", raising=False)
    with pytest.raises(pachon_client.SetupError, match="PACHON_API_URL"):
        Client()
    monkeypatch.setenv("PACHON_API_URL", double.url + "/")
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "from-the-lab")
    double.replies["/api/releases"] = Reply(b'{"releases": []}')
    with Client() as client:
        assert client.releases() == ()
        assert client.tap()._session.headers["Authorization"] == "Bearer from-the-lab"
        assert "from-the-lab" not in repr(client)
    assert double.asked[0].authorization == "Bearer from-the-lab"


def test_density_sums_tiles_to_the_order_asked_for(double: Double, client: Client) -> None:
    tile = np.arange(65536, dtype=np.uint32)
    double.replies["/api/tiles/sky.stars"] = npy(tile)
    assert np.array_equal(client.tile("sky.stars", 3, 7), tile)
    assert double.asked[0].query == {"order": ["3"], "pixel": ["7"]}
    counts = client.density("sky.stars", 7)
    assert counts.shape == (12 * 4**7,)
    assert np.array_equal(counts[:2], [0 + 1 + 2 + 3, 4 + 5 + 6 + 7])
    assert counts.sum() == 12 * tile.sum(dtype=np.uint64)
    with pytest.raises(pachon_client.RequestError, match="0 to 11"):
        client.density("sky.stars", 12)


RELEASES = {
    "releases": [
        {
            "id": "sky",
            "title": "Sky",
            "simulated": True,
            "a_newer_key": 1,
            "tables": [
                {
                    "name": "sky.stars",
                    "has_position": True,
                    "ra_column": "ra",
                    "dec_column": "dec",
                    "columns": [{"name": "ra"}],
                },
                {"name": "sky.plates", "has_position": False},
            ],
        }
    ]
}


def test_a_cone_is_asked_of_the_cone_search_with_all_columns(double: Double, client: Client) -> None:
    double.replies["/api/scs/sky.stars"] = arrow(ROWS, status="OK")
    assert len(client.cone("sky.stars", 359.9, -89.5, 1e-7, max_rows=5)) == 2
    asked = double.asked[-1].query
    assert [float(asked[name][0]) for name in ("RA", "DEC", "SR", "VERB", "MAXREC")] == [359.9, -89.5, 1e-7, 3, 5]
    double.replies["/api/scs/sky.stars"] = Reply(CONE_ERROR, 400, {"Content-Type": "application/x-votable+xml"})
    with pytest.raises(pachon_client.RequestError, match="SR must be at most 10"):
        client.cone("sky.stars", 0, 0, 11)


def test_releases_are_read_and_keys_of_a_newer_platform_are_left_aside(double: Double, client: Client) -> None:
    double.replies["/api/releases"] = Reply(json.dumps(RELEASES).encode())
    [release] = client.releases()
    assert (release.simulated, release.tables[0].columns[0].name) == (True, "ra")
    assert [table.name for table in client.tables()] == ["sky.stars", "sky.plates"]
    assert double.asked[0].query == {"detail": ["columns"]}
    double.replies["/api/releases/sky"] = Reply(json.dumps(RELEASES["releases"][0]).encode())
    assert client.release("sky") == release


def test_a_file_of_a_release_is_listed_and_downloaded_with_the_digest_stated(
    double: Double, client: Client, tmp_path: Path
) -> None:
    entry = {"path": "files/raw/a b.fits", "size_bytes": 5, "sha256": "00", "tier": "mass", "collection": "files/raw"}
    double.replies["/api/releases/sky/files"] = Reply(json.dumps({"files": [entry]}).encode())
    [file] = client.files("sky", under="files")
    assert (file.path, file.tier, double.asked[-1].query) == ("files/raw/a b.fits", "mass", {"under": ["files"]})

    digest = base64.b64encode(hashlib.sha256(b"bytes").digest()).decode()
    headers = {"Repr-Digest": f"sha-256=:{digest}:"}
    double.replies["/api/releases/sky/files/files/raw/a%20b.fits"] = Reply(b"bytes", headers=headers)
    assert client.download("sky", file.path, tmp_path / "new").read_bytes() == b"bytes"
    double.replies["/api/releases/sky/files/files/raw/a%20b.fits"] = Reply(b"other", headers=headers)
    with pytest.raises(pachon_client.AnswerError, match="do not have the digest"):
        client.download("sky", file.path, tmp_path / "new")
    assert [path.read_bytes() for path in (tmp_path / "new").iterdir()] == [b"bytes"]


def test_executions_are_read_with_their_times(double: Double, client: Client) -> None:
    entry = {"id": "e1", "query": "SELECT 1", "phase": "COMPLETED", "tables": ["sky.stars"], "row_count": 3}
    double.replies["/api/queries/executions"] = Reply(json.dumps({"executions": [entry]}).encode())
    [execution] = client.executions()
    assert (execution.id, execution.tables, execution.row_count) == ("e1", ("sky.stars",), 3)
    double.replies["/api/queries/executions"] = Reply(b'["no"]')
    with pytest.raises(pachon_client.AnswerError, match="no list of executions"):
        client.executions()


def test_closing_ends_a_request_that_waits_in_another_thread_and_the_platform_learns_of_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, ThreadPoolExecutor(1) as pool:
        silent.settimeout(10)
        client = Client(f"http://127.0.0.1:{silent.getsockname()[1]}/api", "token")
        asked = pool.submit(client.releases)
        connection, _ = silent.accept()
        with connection:
            connection.settimeout(10)
            assert connection.recv(65_536).startswith(b"GET /api/releases")
            client.close()
            with pytest.raises(pachon_client.PachonClientError):
                asked.result(timeout=5)
            assert connection.recv(65_536) == b""


def test_as_many_executions_are_asked_for_as_are_wanted(double: Double, client: Client) -> None:
    double.replies["/api/queries/executions"] = Reply(b'{"executions": []}')
    assert client.executions(200) == ()
    assert double.asked[-1].query["limit"] == ["200"]


def test_no_module_takes_the_name_of_something_that_people_call() -> None:
    modules = {module.name for module in pkgutil.iter_modules(pachon_client.__path__)}
    assert not modules & set(pachon_client.__all__)


def test_who_waits_for_a_job_outlasts_a_platform_that_is_away_for_a_moment(
    double: Double, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = [Reply(status=503, headers={"Retry-After": "0"}), Reply(status=502), Reply(b"EXEC", cut=True)]
    answers = iter([*away, Reply(b"EXECUTING"), Reply(status=503), Reply(b"COMPLETED")])
    monkeypatch.setattr(double, "answer", lambda _: next(answers))
    phases = list[str]()
    Job(client._transport, "j1").wait(30, on_change=lambda job: phases.append(job.phase))
    assert phases == ["QUEUED", "EXECUTING", "COMPLETED"]


def test_who_waits_for_a_job_of_a_platform_that_stays_away_is_told_so_in_one_sentence(
    double: Double, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(double, "answer", lambda _: Reply(status=503))
    job = Job(client._transport, "j1")
    with pytest.raises(UnavailableError, match=r"^Job j1 may still run, but the platform has not answered for 0 s \("):
        job.wait(0.05, on_change=lambda _: None)
    monkeypatch.setattr(waiting, "PATIENCE_S", 0.2)
    with pytest.raises(UnavailableError, match=r"^Job j1 may still run"):
        job.wait(on_change=lambda _: None)


def test_an_interrupt_stops_the_job_or_says_that_it_could_not(double: Double, client: Client) -> None:
    def interrupt(_: Job) -> None:
        raise KeyboardInterrupt

    double.replies["/api/tap/async/j1/phase"] = Reply(b"ABORTED")
    with pytest.raises(KeyboardInterrupt):
        Job(client._transport, "j1").wait(on_change=interrupt)
    assert double.asked[0].form == {"PHASE": ["ABORT"]}
    double.replies["/api/tap/async/j1/phase"] = Reply(status=502)
    with pytest.raises(UnavailableError, match=r"^Job j1 could not be stopped and may still run: "):
        Job(client._transport, "j1").wait(on_change=interrupt)
