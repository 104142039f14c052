from __future__ import annotations

import pytest

from pachon.core.errors import UsageError
from pachon.vo.dali import Parameters


def given(*pairs: tuple[str, str]) -> Parameters:
    return Parameters.from_pairs(pairs)


def test_names_have_no_case_and_repeated_values_are_kept() -> None:
    parameters = given(("upload", "a"), ("Upload", "b"), ("query", " SELECT 1 "))

    assert parameters.all("UPLOAD") == ("a", "b")
    assert parameters.text("QUERY") == "SELECT 1"


def test_one_value_given_twice_is_one_value() -> None:
    assert given(("LANG", "ADQL"), ("lang", "ADQL")).text("LANG") == "ADQL"


def test_two_values_for_one_are_refused_by_name() -> None:
    with pytest.raises(UsageError, match="RA is given more than once") as refusal:
        given(("RA", "1"), ("ra", "2")).number("RA", allowed="degrees")
    assert refusal.value.parameter == "RA"


@pytest.mark.parametrize("text", ["abc", "nan", "inf", "-Infinity", "1,5", "1e999", "x" * 5000])
def test_a_number_that_is_none_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(UsageError, match=r"^RA must be a number \(decimal degrees\), not '") as refusal:
        given(("RA", text)).number("RA", allowed="decimal degrees")
    assert len(refusal.value.message) < 200


@pytest.mark.parametrize("text", ["-1", "-0001", "--5", "+-5", "-+1", "1.5", "1e3", "ten", "NaN", "²", "9" * 5000])
def test_a_wrong_maxrec_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(UsageError, match=r"^MAXREC must be a whole number of rows, 0 .* at most 500 rows") as refusal:
        given(("maxrec", text)).max_rows(limit=500)
    assert refusal.value.parameter == "MAXREC"


@pytest.mark.parametrize(("text", "rows"), [("0", 0), ("+7", 7), ("500", 500), ("501", 500), ("9" * 30, 500)])
def test_maxrec_is_clipped_to_the_limit(text: str, rows: int) -> None:
    assert given(("MAXREC", text)).max_rows(limit=500) == rows


def test_no_maxrec_is_no_maxrec() -> None:
    assert given(("MAXREC", " ")).max_rows(limit=500) is None
