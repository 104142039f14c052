"""The query service: who may ask what, how much is delivered, and what is remembered."""

from __future__ import annotations

import logging
from datetime import timedelta

import pyarrow as pa
import pytest

from pachon.core.errors import ForbiddenError, LimitError, NotFoundError, QuerySyntaxError, UsageError
from pachon.core.fields import DataType, Field
from pachon.core.sky import Cone
from pachon.identity.models import ANONYMOUS, Principal, Scope
from pachon.queries.models import Phase, Protocol, QueryLimits
from pachon.queries.plan import MemorySnapshot
from pachon.releases.models import Column, Table
from support.asking import Sky

HOLDER = Principal("novice", frozenset({"rights-holders"}), frozenset({Scope.QUERY}))


def test_rows_over_the_limit_are_left_out_and_told(sky: Sky) -> None:
    service = sky.service(limits=QueryLimits(default_rows=7, max_rows=9))
    for asked, delivered in ((None, 7), (3, 3), (100, 9), (0, 0)):
        answer = service.ask(ANONYMOUS, "SELECT id FROM sky.stars", max_rows=asked)
        assert sum(batch.num_rows for batch in answer.batches) == delivered
        assert answer.overflow
        answer.close()
    exact = service.ask(ANONYMOUS, "SELECT TOP 7 id FROM sky.stars")
    assert sum(batch.num_rows for batch in exact.batches) == 7
    assert not exact.overflow
    exact.close()
    with pytest.raises(UsageError) as caught:
        service.ask(ANONYMOUS, "SELECT id FROM sky.stars", max_rows=-1)
    assert caught.value.parameter == "MAXREC"


def test_every_run_is_remembered_once_failed_ones_too(sky: Sky) -> None:
    service, kept = sky.service(), sky.executions.kept
    answer = service.ask(HOLDER, "SELECT id FROM secret.stars")
    execution_id, before = answer.execution_id, len(kept)
    list(answer.batches)
    assert len(kept) == before
    answer.close()
    answer.close()
    assert len(kept) == before + 1
    run = kept[-1]
    assert (run.id, run.owner, run.phase, run.row_count) == (execution_id, "novice", Phase.COMPLETED, 100)
    assert (run.tables, run.protocol, run.size_bytes >= 800) == (("secret.stars",), Protocol.TAP_SYNC, True)
    assert (run.destruction - run.ended_at).days == 7
    with pytest.raises(QuerySyntaxError):
        service.ask(ANONYMOUS, "SELECT id FROM secret.stars")
    assert (kept[-1].phase, kept[-1].owner) == (Phase.ERROR, "")
    assert "unknown table" in (kept[-1].error or "")


def test_an_answer_is_delivered_even_if_its_record_cannot_be_kept(sky: Sky, caplog: pytest.LogCaptureFixture) -> None:
    sky.executions.broken = True
    try:
        with caplog.at_level(logging.ERROR):
            assert sky.ask("SELECT TOP 3 id FROM sky.stars").num_rows == 3
    finally:
        sky.executions.broken = False
    assert "could not be kept" in caplog.text


def test_a_token_without_the_scope_is_refused_by_name(sky: Sky) -> None:
    with pytest.raises(ForbiddenError) as caught:
        sky.service().ask(Principal("novice"), "SELECT id FROM sky.stars")
    assert caught.value.scope == Scope.QUERY


def test_a_cone_names_what_is_wrong(sky: Sky) -> None:
    service = sky.service()
    with pytest.raises(NotFoundError, match=r"did you mean sky\.stars"):
        service.prepare_cone(ANONYMOUS, "sky.star", Cone(0, 0, 1))
    with pytest.raises(NotFoundError):
        service.prepare_cone(ANONYMOUS, "secret.stars", Cone(0, 0, 1))
    with pytest.raises(NotFoundError, match="did you mean g_mag"):
        service.prepare_cone(ANONYMOUS, "sky.stars", Cone(0, 0, 1), columns=("gmag",))


def test_a_query_longer_than_allowed_is_refused(sky: Sky) -> None:
    with pytest.raises(LimitError, match="at most 10"):
        sky.service(limits=QueryLimits(max_query_chars=10)).ask(ANONYMOUS, "SELECT id FROM sky.stars")


def test_tables_in_memory_are_asked_like_any_other(sky: Sky) -> None:
    name = Field(name="table_name", datatype=DataType.CHAR, arraysize="*")
    size = Field(name="size", datatype=DataType.INT)
    table = Table(schema="TAP_SCHEMA", name="tables", description="", columns=(Column(field=name), Column(field=size)))
    rows = pa.table({"table_name": ["a", "b", None], "size": pa.array([1, 2, 3], pa.int32())})
    extra = {"TAP_SCHEMA.tables": MemorySnapshot(table, rows)}
    query = (
        'SELECT t.table_name AS n, COUNT(*) AS c FROM tap_schema.tables AS t JOIN sky.stars ON t."size" = MOD(id, 3) '
        "GROUP BY t.table_name ORDER BY n"
    )
    found = sky.ask(query, extra_tables=lambda _who: extra)
    assert found["n"].to_pylist() == ["a", "b"]
    assert sum(found["c"].to_pylist()) == 8_000


def test_refused_text_is_kept_in_part_only(sky: Sky) -> None:
    with pytest.raises(UsageError):
        sky.service(limits=QueryLimits(max_query_chars=50_000)).ask(ANONYMOUS, "x" * 40_000)
    execution = sky.executions.kept[-1]
    assert len(execution.query) == 10_000
    assert execution.destruction - execution.ended_at == timedelta(hours=6)
