"""View state in is view state out, through all checks and every database, and its schema is the documented one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from pachon.core.errors import LimitError, UsageError
from pachon.queries.saved import documents
from pachon.queries.saved.content import checked_content
from pachon.queries.saved.models import SavedLimits
from pachon.queries.saved.sql_storage import SqlSavedQueryStore
from pachon.queries.saved.view_state import MAX_VIEW_BYTES, SCHEMA_VERSION, ViewState, checked_view
from support.saved_queries import VIEW, content, query

KEPT = Path(documents.__file__).with_name("query.schema.json")

words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
numbers = st.floats(allow_nan=False, allow_infinity=False)
values = st.one_of(words, st.booleans(), st.integers(-(2**63), 2**63), numbers, st.none())
any_json = st.recursive(values, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3))


def part(**members: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """A part with some of its members; those named with a trailing underscore are always there."""
    always = {name.rstrip("_"): each for name, each in members.items() if name.endswith("_")}
    return st.fixed_dictionaries(always, optional={n: each for n, each in members.items() if not n.endswith("_")})


axes = part(
    expression_=words, scale=st.sampled_from(["linear", "log", "sqrt", "asinh"]), low=st.none() | numbers,
    high=st.none() | numbers, inverted=st.booleans(), label=words,
)  # fmt: skip
pairs = st.lists(numbers, min_size=2, max_size=2)
selections = st.one_of(
    part(kind_=st.just("adql"), condition_=words),
    part(kind_=st.just("box"), x_=words, y_=words, x_range_=pairs, y_range_=pairs),
    part(kind_=st.just("polygon"), x_=words, y_=words, vertices_=st.lists(pairs, min_size=3, max_size=6)),
    part(kind_=st.just("rows"), column_=words, values_=st.lists(values, max_size=4)),
)
views = part(
    schema_version=st.just(SCHEMA_VERSION),
    columns=st.none() | st.lists(part(name_=words, visible=st.booleans(), width_px=st.integers(0, 10_000)), max_size=3),
    filters=st.lists(
        part(column_=words, op_=st.sampled_from(["=", "<", "in", "between", "is null"]), value=values), max_size=3
    ),
    sort=st.lists(part(column_=words, descending=st.booleans()), max_size=2),
    selection=st.none() | selections,
    plots=st.lists(
        part(
            id_=words, kind_=st.sampled_from(["scatter", "histogram", "sky"]), x=st.none() | axes, y=axes, colour=axes
        ),
        max_size=2,
    ),
    sky=part(ra_deg_=st.floats(0, 360), dec_deg_=st.floats(-90, 90), fov_deg_=st.floats(0.001, 360)),
    image=st.none() | st.dictionaries(words, any_json, max_size=3),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(view=views)
def test_every_view_state_comes_back_as_it_was_given(database: Engine, view: dict[str, Any]) -> None:
    store = SqlSavedQueryStore(database)
    received = json.loads(json.dumps(view))
    made = query("person", checked_content(content(view=received), SavedLimits()))
    store.add(made, limit=10**9)
    kept = store.get(made.id).newest.content.view
    assert json.dumps(kept) == json.dumps(view)
    ViewState.model_validate(kept)


@settings(max_examples=60, deadline=None)
@given(view=views)
def test_every_view_state_obeys_the_documented_schema(view: dict[str, Any]) -> None:
    schema = json.loads(KEPT.read_text())
    jsonschema.validate(view, {"$ref": "#/$defs/ViewState", "$defs": schema["$defs"]})


def test_members_of_a_newer_minor_version_are_kept_wherever_they_stand() -> None:
    newer = {
        "schema_version": "1.7",
        "mood": "calm",
        "sky": VIEW["sky"] | {"stars": [1]},
        "sort": [{"column": "ra", "by": 2}],
    }
    assert checked_view(newer) == newer


@pytest.mark.parametrize(
    ("view", "words"),
    [
        ({"mood": "calm"}, "view.mood is not part of schema_version 1.0"),
        ({"sort": [{"column": "a"}, {"column": "ra", "by": 2}]}, r"view.sort\[1\].by is not part"),
        ({"schema_version": "2.0", "mood": "calm"}, "view.schema_version 2.0 is newer"),
        ({"schema_version": "one"}, "view.schema_version"),
        ({"selection": {"kind": "lasso"}}, "view.selection"),
        ({"sky": {"ra_deg": 0.0, "dec_deg": 91.0, "fov_deg": 1.0}}, "view.sky.dec_deg"),
        ({"filters": [{"column": "ra", "op": "<", "value": float("nan")}]}, "finite numbers"),
        ({"filters": [{"column": "\ud800", "op": "is null"}]}, "whole characters"),
        ({"columns": [{"name": "ra", "visible": "yes"}]}, r"view.columns\[0\].visible"),
    ],
)
def test_what_is_no_view_state_is_refused_with_its_place(view: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        checked_view(view)


def test_a_view_state_has_a_size_limit() -> None:
    with pytest.raises(LimitError, match=f"at most {MAX_VIEW_BYTES}"):
        checked_view({"image": {"pixels": "x" * MAX_VIEW_BYTES}})


def test_the_kept_schema_is_that_of_the_models_and_of_the_version() -> None:
    """A change of the models changes this file, and then `schema_version` has to change with it."""
    kept = json.loads(KEPT.read_text())
    assert kept == documents.query_schema()
    assert kept["version"] == SCHEMA_VERSION
    jsonschema.Draft202012Validator.check_schema(kept)
