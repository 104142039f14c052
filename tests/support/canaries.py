"""Canaries: values found in one release only, and a search of every byte of every answer for those of hidden ones.

`PROBES` says for each route of the application what to ask it to make it tell something about a release. A route
without an entry fails `tests/rights/test_canaries.py`. Two things are looked for:

- a canary of a hidden release in an answer, whatever the encoding (`found_in`);
- a difference from what an installation answers in which the hidden releases do not exist (`as_told`): it shows
  numbers, statuses, headers and lengths that no list of canaries foresees.
"""

from __future__ import annotations

import base64
import gzip
import itertools
import json
import re
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from io import BytesIO

import pyarrow as pa
import pyarrow.parquet as pq
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.routing import BaseRoute, Mount

from support import history
from support.asgi import Answer, Pairs, Request

NO_PROBE = "this route has no probe: add one to support/canaries.py"
METHODS = ("GET", "HEAD", "POST", "OPTIONS")
FORMATS = ("votable/b2", "votable/td", "csv", "tsv", "json", "parquet", "arrow")


@dataclass(frozen=True)
class Quarry:
    """A release that probes are after.

    Parameters
    ----------
    table, column
        Unqualified names of one of its tables and of a column there, known by no other release.
    open_table
        A table, qualified, that everybody may query.
    etag
        The entity tag of the table's tile 0/4, as somebody with rights has seen it.
    file, file_etag
        The path of one of the table's files in the release, and the entity tag that its digest makes.
    files
        The paths of all files of the release.
    job
        The id of a job that somebody else, who may see everything, made of the table.
    query
        The id of a query that they saved of it, with its rows.
    """

    release: str
    table: str
    column: str
    open_table: str
    etag: str
    file: str
    file_etag: str
    files: tuple[str, ...]
    job: str
    query: str

    @property
    def name(self) -> str:
        """Qualified name of the table."""
        return f"{self.release}.{self.table}"

    @property
    def near(self) -> str:
        """The name with a typing error."""
        return _mistyped(self.name)

    @property
    def near_column(self) -> str:
        """The column with a typing error."""
        return _mistyped(self.column)


def _mistyped(name: str) -> str:
    return f"{name[:-2]}{name[-1]}{name[-2]}"


def _adql(q: Quarry) -> Iterator[str]:
    """Queries that name a table, or nearly, in every place of the language."""
    yield f"SELECT * FROM {q.name}"
    yield f"SELECT {q.near_column} FROM {q.name}"
    yield f"SELECT * FROM {q.near}"
    yield f"SELECT * FROM {q.table}"
    yield f"SELECT * FROM {q.name.upper()}"
    yield f'SELECT * FROM "{q.release}"."{q.table}"'
    yield f"SELECT {q.column} FROM {q.name} WHERE {q.column} > 0 ORDER BY 1"
    yield f"SELECT COUNT(*) AS n, MAX({q.column}) AS most FROM {q.name}"
    yield f"WITH c AS (SELECT * FROM {q.name}) SELECT * FROM c"
    yield f"WITH c AS (SELECT * FROM {q.open_table}) SELECT * FROM {q.name}"
    yield f"SELECT * FROM (SELECT * FROM {q.name}) AS s"
    yield f"SELECT id FROM {q.open_table} UNION SELECT id FROM {q.name} ORDER BY 1"
    yield f"SELECT id FROM {q.open_table} EXCEPT SELECT id FROM {q.name}"
    yield f"SELECT s.* FROM {q.open_table} AS o LEFT JOIN {q.name} AS s ON o.id <> s.id"
    yield f"SELECT * FROM {q.open_table} NATURAL JOIN {q.name}"
    yield f"SELECT * FROM {q.open_table}, {q.name}"
    yield f"SELECT id FROM {q.open_table} WHERE EXISTS (SELECT id FROM {q.name})"
    yield f"SELECT id FROM {q.open_table} WHERE id NOT IN (SELECT id FROM {q.name})"
    yield f"SELECT {q.near_column} FROM {q.open_table}"
    yield f"SELECT {q.name}.{q.column} FROM {q.open_table}"
    yield f"SELECT * FROM {q.name} WHERE"
    yield f"SELECT id FROM {q.name} WHERE 1 = CONTAINS(POINT(ra, dec), CIRCLE(56.75, 24.12, 5))"
    yield f"SELECT * FROM tap_schema.columns WHERE table_name = '{q.name}'"
    yield f"SELECT COUNT(*) AS n FROM tap_schema.tables WHERE schema_name >= '{q.release}'"
    for name in ("schemas", "tables", "columns", "keys", "key_columns"):
        yield f"SELECT * FROM tap_schema.{name}"


def _sync(q: Quarry) -> Iterator[Request]:
    path = "/api/tap/sync"
    for adql in _adql(q):
        yield Request(path, (("LANG", "ADQL"), ("QUERY", adql), ("RESPONSEFORMAT", "csv")))
    given = (("LANG", "ADQL"), ("QUERY", f"SELECT * FROM {q.name}"))
    for form in FORMATS:
        yield Request(path, method="POST", form=(*given, ("RESPONSEFORMAT", form)))
    yield Request(path, (*given, ("MAXREC", "0")))
    yield Request(path, (*given, ("UPLOAD", f"{q.table},param:{q.name}")))
    yield Request(path, (*given, ("RESPONSEFORMAT", "wrong")))


def _light_curve(q: Quarry) -> Iterator[Request]:
    path, words = "/api/tap/light-curve", history.texts(q.release)
    number = next(canary.decode() for canary in history.canaries(q.release) if canary.isdigit())
    visits = f"{q.release}.{words['visits']}"
    for table, column, identifier in (
        (visits, "object", number),
        (visits.upper(), "OBJECT", "1"),
        (visits, "object", "one"),
        (visits, "visit", number),
        (q.name, q.column, number),
        (_mistyped(visits), "object", number),
    ):
        for form in ("votable/td", "csv"):
            given = (("TABLE", table), ("COLUMN", column), ("ID", identifier), ("RESPONSEFORMAT", form))
            yield Request(path, given)
    yield Request(path, (("TABLE", visits), ("COLUMN", "object")))


def _estimate(q: Quarry) -> Iterator[Request]:
    path = "/api/queries/estimate"
    for adql in _adql(q):
        yield Request(path, (("QUERY", adql),))
    yield Request(path, method="POST", form=(("QUERY", f"SELECT * FROM {q.name}"), ("MAXREC", "3")))


def _jobs(q: Quarry) -> Iterator[Request]:
    yield Request("/api/tap/async", (("LAST", "500"),))
    yield Request("/api/tap/async", (("PHASE", "COMPLETED"), ("PHASE", "ERROR"), ("owner", "keeper")))
    pending = (("LANG", "ADQL"), ("QUERY", f"SELECT * FROM {q.name}"), ("RUNID", q.table))
    yield Request("/api/tap/async", method="POST", form=pending)


def _job(leaf: str, *forms: Pairs) -> Callable[[Quarry], Iterator[Request]]:
    """One part of a job of somebody else, and what would change it: the job must be as good as none."""

    def probe(q: Quarry) -> Iterator[Request]:
        path = f"/api/tap/async/{q.job}{leaf}"
        yield Request(path)
        for form in forms:
            yield Request(path, method="POST", form=form)

    return probe


def _whole_job(q: Quarry) -> Iterator[Request]:
    path = f"/api/tap/async/{q.job}"
    yield Request(path)
    yield Request(path, (("WAIT", "1"), ("PHASE", "COMPLETED")))
    yield Request(f"/api/tap/async/{q.job.upper()}")
    yield Request(path, method="DELETE")
    yield Request(path, method="POST", form=(("ACTION", "DELETE"),))


def _result(q: Quarry) -> Iterator[Request]:
    path = f"/api/tap/async/{q.job}/results/result"
    yield Request(path)
    yield Request(path, headers=(("range", "bytes=0-99"),))
    yield Request(path, headers=(("if-none-match", "*"),))


def _cone(q: Quarry) -> Iterator[Request]:
    around = (("RA", "56.75"), ("DEC", "24.12"), ("SR", "2"))
    for name in (q.name, q.name.upper(), q.near, q.table, q.release, f'"{q.release}"."{q.table}"'):
        yield Request(f"/api/scs/{name}", (*around, ("VERB", "3"), ("RESPONSEFORMAT", "csv")))
    for form in ("votable", "votable/b2", "parquet"):
        yield Request(f"/api/scs/{q.name}", (*around, ("RESPONSEFORMAT", form)))
    yield Request(f"/api/scs/{q.name}", (*around, ("MAXREC", "0")))
    yield Request(f"/api/scs/{q.name}", (*around[:2], ("SR", "0")))
    yield Request(f"/api/scs/{q.name}", (("RA", "here"), *around[1:]))
    yield Request(f"/api/scs/{q.name}")


def _tile(q: Quarry) -> Iterator[Request]:
    place = (("order", "0"), ("pixel", "4"))
    for name in (q.name, q.name.upper(), q.near, q.table):
        yield Request(f"/api/tiles/{name}", place)
    for tag in (q.etag, f"W/{q.etag}", "*"):
        yield Request(f"/api/tiles/{q.name}", place, headers=(("if-none-match", tag),))
    yield Request(f"/api/tiles/{q.name}", (("order", "3"), ("pixel", "70")), headers=(("range", "bytes=0-99"),))
    yield Request(f"/api/tiles/{q.name}", (("order", "0"), ("pixel", "12")))


def _table(q: Quarry) -> Iterator[Request]:
    for name in (q.name, q.name.upper(), q.near, q.table, q.release, "tap_schema.tables"):
        yield Request(f"/api/tap/tables/{name}")


def _tables(_: Quarry) -> Iterator[Request]:
    yield Request("/api/tap/tables")
    yield Request("/api/tap/tables", (("DETAIL", "min"),), headers=(("accept-encoding", "gzip"),))


def _release(q: Quarry) -> Iterator[Request]:
    for name in (q.release, q.release.upper(), _mistyped(q.release), q.table):
        yield Request(f"/api/releases/{name}")


def _files(q: Quarry) -> Iterator[Request]:
    for name in (q.release, q.release.upper(), _mistyped(q.release)):
        yield Request(f"/api/releases/{name}/files")
    path = f"/api/releases/{q.release}/files"
    for given in (("format", "jsonl"), ("format", "text"), ("under", "tables"), ("collection", q.table)):
        yield Request(path, (given,))
    yield Request(path, headers=(("if-none-match", "*"),))


def _file(q: Quarry) -> Iterator[Request]:
    folder = f"/api/releases/{q.release}/files"
    for path in (*q.files, _mistyped(q.file), q.file.upper(), "tables", "manifest", f"../{q.release}"):
        yield Request(f"{folder}/{path}")
    for value in ("bytes=0-99", "bytes=0-1,8-99", "bytes=-50", "bytes=99999999-"):
        yield Request(f"{folder}/{q.file}", headers=(("range", value),))
        yield Request(f"{folder}/{q.file}", headers=(("range", value), ("if-range", q.file_etag)))
    for tag in (q.file_etag, "*"):
        yield Request(f"{folder}/{q.file}", headers=(("if-none-match", tag),))


def _mounts(q: Quarry) -> Iterator[Request]:
    owner = f'{{"name": "{q.release}", "groups": ["rights-holders", "deep-team"]}}'
    json = (("content-type", "application/json"),)
    yield Request("/api/releases/mounts", method="POST", body=owner.encode(), headers=json)
    yield Request("/api/releases/mounts", method="POST", body=b"[]", headers=json)


def _claim(q: Quarry) -> dict[str, object]:
    names = {"namespace": q.release, "pod": q.table, "owner": q.release, "pool": q.release, "groups": [q.release]}
    return {**names, "cpu_millicores": 1, "memory_bytes": 1, "uid": q.table}


def _reservations(q: Quarry) -> Iterator[Request]:
    yield _json("/api/allocation/reservations", _claim(q))
    yield _json("/api/allocation/reservations", [])


def _reservation(q: Quarry) -> Iterator[Request]:
    yield Request(f"/api/allocation/reservations/{q.release}", method="DELETE")


def _confirmation(q: Quarry) -> Iterator[Request]:
    yield _json(f"/api/allocation/reservations/{q.release}/confirm", _claim(q))


def _gone_pod(q: Quarry) -> Iterator[Request]:
    yield Request(f"/api/allocation/pods/{q.release}/{q.table}", (("uid", q.column),), method="DELETE")


def _totals(_quarry: Quarry) -> Iterator[Request]:
    yield Request("/api/queries/totals", (("days", "366"),))


def _executions(_: Quarry) -> Iterator[Request]:
    yield Request("/api/queries/executions", (("limit", "500"),))
    yield Request("/api/queries/executions", (("before", "z" * 26), ("owner", "admin")))


def _events(q: Quarry) -> Iterator[Request]:
    yield Request("/api/queries/events", headers=(("last-event-id", "0"),))
    yield Request("/api/queries/events", (("query", q.query), ("link", "x" * 32)))


def _json(path: str, document: object, method: str = "POST", **headers: str) -> Request:
    given = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    body = json.dumps(document).encode()
    return Request(path, method=method, body=body, headers=(("content-type", "application/json"), *given))


def _queries(q: Quarry) -> Iterator[Request]:
    """Saving a text tells nothing of what it names; running it tells as much as asking it."""
    path = "/api/queries"
    yield Request(path, (("whose", "all"), ("limit", "200")))
    for given in (("text", q.table), ("release", q.release), ("state", "COMPLETED"), ("whose", "shared")):
        yield Request(path, (given,))
    yield _json(path, {"adql": f"SELECT * FROM {q.name}"})
    for name in (q.near, q.table, _mistyped(q.release)):
        yield _json(path, {"adql": f"SELECT * FROM {name}", "run": True})
    yield _json(path, {"job": q.job})
    yield _json(path, {"execution": q.job})


def _query(q: Quarry) -> Iterator[Request]:
    path = f"/api/queries/{q.query}"
    yield Request(path)
    yield Request(path, (("link", "x" * 32),))
    yield Request(path.replace(q.query, q.query.upper()))
    yield Request(path, headers=(("if-none-match", "*"),))
    yield _json(path, {"name": "mine"}, "PATCH", if_match="*")
    yield Request(path, method="DELETE")


def _of_query(leaf: str, *more: tuple[str, object]) -> Callable[[Quarry], Iterator[Request]]:
    """One part of somebody else's query, and requests that would change it: it must be as good as none."""

    def probe(q: Quarry) -> Iterator[Request]:
        path = f"/api/queries/{q.query}{leaf}"
        yield Request(path)
        yield Request(path, (("link", ""), ("from", "1"), ("version", "1"), ("number", "1"), ("limit", "9")))
        for method, document in more:
            yield _json(path, document, method)

    return probe


def _page(path: str) -> Callable[[Quarry], Iterator[Request]]:
    """A document that takes nothing."""

    def probe(_: Quarry) -> Iterator[Request]:
        yield Request(path)
        yield Request(path, headers=(("accept-encoding", "gzip"),))

    return probe


def _login(q: Quarry) -> Iterator[Request]:
    yield Request("/api/login", (("next", f"/api/releases/{q.release}"),))


def _callback(q: Quarry) -> Iterator[Request]:
    yield Request("/api/oauth_callback", (("code", q.release), ("state", q.table)))


def _brand(q: Quarry) -> Iterator[Request]:
    yield Request("/api/brand/logo.svg")
    yield Request(f"/api/brand/{q.release}")


Probe = Callable[[Quarry], Iterable[Request]]
PROBES: Mapping[str, Probe] = {
    "/": _page("/"),
    "/favicon.ico": _page("/favicon.ico"),
    "/api/front": _page("/api/front"),
    "/api/docs": _page("/api/docs"),
    "/api/openapi.json": _page("/api/openapi.json"),
    "/api/status": _page("/api/status"),
    "/api/brand/{name}": _brand,
    "/api/login": _login,
    "/api/logout": _page("/api/logout"),
    "/api/oauth_callback": _callback,
    "/api/releases": _page("/api/releases"),
    "/api/releases/{release_id}": _release,
    "/api/releases/{release_id}/files": _files,
    "/api/releases/{release_id}/files/{path:path}": _file,
    "/api/releases/mounts": _mounts,
    "/api/allocation": _page("/api/allocation"),
    "/api/allocation/reservations": _reservations,
    "/api/allocation/reservations/{reservation_id}": _reservation,
    "/api/allocation/reservations/{reservation_id}/confirm": _confirmation,
    "/api/allocation/pods/{namespace}/{pod}": _gone_pod,
    "/api/tap": _page("/api/tap"),
    "/api/tap/sync": _sync,
    "/api/tap/light-curve": _light_curve,
    "/api/tap/async": _jobs,
    "/api/tap/async/{job_id}": _whole_job,
    "/api/tap/async/{job_id}/phase": _job("/phase", (("PHASE", "RUN"),), (("PHASE", "ABORT"),)),
    "/api/tap/async/{job_id}/executionduration": _job("/executionduration", (("EXECUTIONDURATION", "1"),)),
    "/api/tap/async/{job_id}/destruction": _job("/destruction", (("DESTRUCTION", "2999-01-01T00:00:00Z"),)),
    "/api/tap/async/{job_id}/quote": _job("/quote"),
    "/api/tap/async/{job_id}/owner": _job("/owner"),
    "/api/tap/async/{job_id}/error": _job("/error"),
    "/api/tap/async/{job_id}/parameters": _job("/parameters", (("QUERY", "SELECT 1"),)),
    "/api/tap/async/{job_id}/results": _job("/results"),
    "/api/tap/async/{job_id}/results/result": _result,
    "/api/tap/capabilities": _page("/api/tap/capabilities"),
    "/api/tap/availability": _page("/api/tap/availability"),
    "/api/tap/tables": _tables,
    "/api/tap/tables/{name}": _table,
    "/api/tap/examples": _page("/api/tap/examples"),
    "/api/scs": _page("/api/scs"),
    "/api/scs/{table}": _cone,
    "/api/tiles/{table}": _tile,
    "/api/queries/estimate": _estimate,
    "/api/queries/executions": _executions,
    "/api/queries/totals": _totals,
    "/api/queries/events": _events,
    "/api/queries": _queries,
    "/api/queries/schema": _page("/api/queries/schema"),
    "/api/queries/quota": _page("/api/queries/quota"),
    "/api/queries/running": _page("/api/queries/running"),
    "/api/queries/{query_id}": _query,
    "/api/queries/{query_id}/versions": _of_query("/versions"),
    "/api/queries/{query_id}/versions/{number}": _of_query("/versions/1"),
    "/api/queries/{query_id}/versions/{number}/restore": _of_query("/versions/1/restore", ("POST", {})),
    "/api/queries/{query_id}/fork": _of_query("/fork", ("POST", {})),
    "/api/queries/{query_id}/run": _of_query("/run", ("POST", {}), ("POST", {"release": "sky"})),
    "/api/queries/{query_id}/result": _of_query("/result", ("DELETE", {})),
    "/api/queries/{query_id}/result/count": _of_query("/result/count"),
    "/api/queries/{query_id}/diff": _of_query("/diff"),
    "/api/queries/{query_id}/shares": _of_query("/shares", ("POST", {"audience": "public"})),
    "/api/queries/{query_id}/shares/{share_id}": _of_query("/shares/1", ("DELETE", {})),
}


def routes(app: FastAPI) -> frozenset[str]:
    """Every address of the application, those of mounted applications included."""
    return frozenset(_paths(app.routes, ""))


def _paths(found: Sequence[BaseRoute], prefix: str) -> Iterator[str]:
    for context in iter_route_contexts(found):
        path = f"{prefix}{context.path}"
        if isinstance(context.original_route, Mount):
            yield from _paths(context.original_route.routes, path)
        else:
            yield path


def requests(probes: Iterable[Probe], quarries: Iterable[Quarry]) -> tuple[Request, ...]:
    """All requests of these probes, each once; the first for each release also with the other methods."""
    made: dict[Request, None] = {}
    for probe, quarry in itertools.product(probes, tuple(quarries)):
        asked = tuple(probe(quarry))
        made |= dict.fromkeys((*asked, *_otherwise(asked[0])))
    return tuple(made)


def _otherwise(request: Request) -> Iterator[Request]:
    for method in METHODS:
        if method == "POST" and request.query:
            yield replace(request, method=method, query=(), form=request.query)
        elif method != request.method:
            yield replace(request, method=method)
    preflight = (("origin", "https://elsewhere.example"), ("access-control-request-method", "GET"))
    yield replace(request, method="OPTIONS", headers=(*request.headers, *preflight))


def echoes(request: Request, canaries: Iterable[bytes]) -> frozenset[bytes]:
    """The canaries that whoever sends a request knows already, in the words in which it has them."""
    words = {*re.findall(r"\w[\w.]*", request.text), *re.findall(r"\w+", request.text)}
    known = [canary.decode().lower() for canary in canaries]
    return frozenset(word.encode() for word in words if any(canary in word.lower() for canary in known))


def found_in(answer: Answer, canaries: Iterable[bytes], *, said: Iterable[bytes] = ()) -> tuple[bytes, ...]:
    """The canaries in an answer, whatever their case and encoding; words that the reader has said do not count."""
    wanted = tuple(canaries)
    if not wanted:
        return ()
    hay = b"\n".join(_readings(answer))
    for word in sorted(said, key=len, reverse=True):
        hay = hay.replace(word, b" ")
    lower = hay.lower()
    return tuple(canary for canary in wanted if canary.lower() in lower or any(form in hay for form in _packed(canary)))


@cache
def _packed(canary: bytes) -> tuple[bytes, ...]:
    """A number as formats without text write it."""
    if re.fullmatch(rb"\d{9,19}", canary):
        return tuple(struct.pack(order, int(canary)) for order in (">q", "<q"))
    if re.fullmatch(rb"\d+\.\d+", canary):
        return tuple(struct.pack(order, float(canary)) for order in (">d", "<d"))
    return ()


def _readings(answer: Answer) -> Iterator[bytes]:
    """An answer in all the ways a program may read it."""
    yield str(answer.status).encode()
    yield from (name + b": " + value for name, value in answer.headers)
    body = plain_body(answer)
    yield body
    if body != answer.body:
        yield answer.body
    for stream in re.findall(rb"<STREAM[^>]*>(.*?)</STREAM>", body, re.DOTALL):
        yield base64.b64decode(stream)
    if body.startswith(b"PAR1"):
        yield _read_parquet(body)
    elif answer.header("content-type").startswith("application/vnd.apache.arrow"):
        yield _told(pa.ipc.open_stream(body).read_all())


def _read_parquet(body: bytes) -> bytes:
    """The rows; of a part of a file, or a file of footers alone, what can be read of it."""
    try:
        return _told(pq.read_table(BytesIO(body)))
    except (pa.ArrowInvalid, OSError):
        with suppress(pa.ArrowInvalid, OSError):
            return str(pq.read_metadata(BytesIO(body)).to_dict()).encode()
    return body


def _told(rows: pa.Table) -> bytes:
    return f"{rows.schema.to_string()} {rows.schema.metadata} {rows.to_pylist()}".encode()


def plain_body(answer: Answer) -> bytes:
    """The body without its content encoding."""
    is_packed = answer.header("content-encoding") == "gzip" and answer.body
    return gzip.decompress(answer.body) if is_packed else answer.body


_VOLATILE_HEADERS = {b"x-request-id", b"x-pachon-execution"}
_VOLATILE = re.compile(
    rb"(?<![a-z0-9])0[0-9a-hjkmnp-tv-z]{25}(?![a-z0-9])|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[.\d]*(?:Z|\+00:00)?"
    rb"|(?:(?<=boundary=)|(?<=--))[0-9a-f]{32}|(?<=pachon-login-)[\w-]+|(?<=state=)[\w-]+|(?<=code_challenge=)[\w-]+"
    rb"|(?<=expires=)[\w,: ]+ GMT"
)
_LOG = "/api/queries"
_OF_ONE_RUN = re.compile(
    rb'"(?:phase|state)": ?"[A-Z]+"|"next_before": ?"\d+"|"(?:row_count|size_bytes)": ?\d+|"overflow": ?\w+|^id: \d+'
    rb'|"error": ?(?:"The query was stopped\."|null)',
    re.MULTILINE,
)
_BETWEEN_RUNS = re.compile(rb"\},\{|\n\n")
"""How a run ended whose reader left at once, as after HEAD, depends on who was quicker."""


def as_told(answer: Answer, request: Request) -> tuple[int, tuple[tuple[bytes, bytes], ...], bytes]:
    """An answer without what differs from one time to the next: ids of requests and runs, and moments."""
    is_log = request.path.startswith(_LOG)
    volatile = _VOLATILE_HEADERS | ({b"content-length"} if is_log else set())
    volatile |= {b"etag"} if is_log else set()
    headers = sorted((k, _VOLATILE.sub(b"#", v)) for k, v in answer.headers if k.lower() not in volatile)
    body = plain_body(answer)
    if body.startswith(b"PAR1"):
        body = _read_parquet(body)
    body = _VOLATILE.sub(b"#", body)
    if is_log:
        body = b"\n".join(sorted(_BETWEEN_RUNS.split(_OF_ONE_RUN.sub(b"#", body))))
    return answer.status, tuple(headers), body
