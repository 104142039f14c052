from __future__ import annotations

import ast
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pachon_client.snippets import python_literal, snippets
from pachon_lab.cells import Options, adql_of, options_of
from pachon_lab.errors import LabError

ADQL = "SELECT TOP 5 ra\nFROM sky.stars"


@pytest.mark.parametrize(
    "source",
    [
        f"%%adql --name r --maxrec 5\n{ADQL}",
        f"\n  {ADQL}\n",
        f'rows = pachon_client.query("""{ADQL}""")',
        f"%matplotlib inline\n!ls\nx = 'SELECTED'\nadql = '''\n{ADQL}\n'''\nother = 'SELECT 2'",
        'tap.search("SELECT TOP 5 ra\\n"\n           "FROM sky.stars")',
        f"rows = await client.ask({ADQL!r})",
        f"if here:\n    %timeit run()\n    adql = {ADQL!r}",
    ],
)
def test_the_query_of_a_cell_is_found_in_every_way_people_write_it(source: str) -> None:
    assert adql_of(source) == ADQL


@pytest.mark.parametrize(
    ("line", "options"),
    [
        ("%%adql --name r --release sim_dp1 --maxrec 5", Options(name="r", release="sim_dp1", max_rows=5)),
        ("%%adql --release='sim_dp1' --name \"two words\"", Options(name="two words", release="sim_dp1")),
        ("%%adql --release sim_dp1 --name 'open", Options(name="'open", release="sim_dp1")),
        ("%%adql --maxrec few --release", Options()),
        ("%%adql", Options()),
        ("--release sim_dp1", Options()),
    ],
)
def test_the_options_of_a_cell_are_those_of_its_first_line(line: str, options: Options) -> None:
    assert options_of(f"{line}\nSELECT ra FROM stars -- --release other") == options


def test_comments_of_adql_belong_to_the_query() -> None:
    assert adql_of(f"-- bright stars\n{ADQL}") == f"-- bright stars\n{ADQL}"


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("", "There is no ADQL in this cell"),
        ("# SELECT a comment FROM python\nx = 'not SELECT'", "There is no ADQL in this cell"),
        ("def broken(:", "There is no ADQL in this cell"),
        ("%%adql --name r\n \n", "There is nothing below %%adql"),
        ("q = f'SELECT ra FROM {table} WHERE x = {\"SELECT 1\"}'", "is an f-string"),
        ("q = f'SELECT {what} FROM t'", "is an f-string"),
    ],
)
def test_a_cell_without_a_query_is_told_so_in_one_sentence(source: str, told: str) -> None:
    with pytest.raises(LabError, match=told):
        adql_of(source)


@given(st.text(st.characters(codec="utf-8")))
def test_any_text_survives_as_a_literal_of_python(text: str) -> None:
    assert ast.literal_eval(python_literal(text)) == text


@given(st.text(st.sampled_from("\"'\\\n\r\t {}$a"), max_size=12))
def test_a_query_of_any_letters_reaches_pyvo_and_stilts_as_it_is(adql: str) -> None:
    query = {"current": {"adql": adql, "max_rows": 7}}
    told = snippets(query, "https://sky.example.org/api", "01abc")
    tree = ast.parse(told["pyvo"])
    (value,) = (
        node.value for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "adql"
    )
    assert ast.literal_eval(value) == adql
    command = told["topcat"].partition("stilts ")[2]
    assert shlex.split(command)[-1] == f"adql={adql}"
    assert shlex.split(command)[-2] == "maxrec=7"
    assert "tapurl=https://sky.example.org/api/tap" in shlex.split(command)
