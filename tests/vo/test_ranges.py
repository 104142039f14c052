from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pachon.vo.ranges import ByteRange, Representation, layout, select

SHA256 = "ab" * 32
FILE = Representation(
    media_type="application/fits",
    size_bytes=1000,
    sha256=SHA256,
    modified_at=datetime(2026, 11, 1, 12, 0, 0, 654_321, tzinfo=UTC),
)
EMPTY = Representation(media_type="application/fits", size_bytes=0, sha256=SHA256, modified_at=FILE.modified_at)
THEN, BEFORE, AFTER = (f"Sun, 01 Nov 2026 {hour}:00:00 GMT" for hour in (12, 11, 13))


@pytest.mark.parametrize(
    ("wanted", "ranges"),
    [
        ("bytes=0-99", [(0, 100)]),
        ("bytes=900-", [(900, 1000)]),
        ("bytes=-1", [(999, 1000)]),
        ("bytes=-5000", [(0, 1000)]),
        ("bytes=0-5000", [(0, 1000)]),
        ("BYTES=0-0, 5000-6000 ,, 10-19", [(0, 1), (10, 20)]),
        ("bytes=990-, 0-9", [(990, 1000), (0, 10)]),
    ],
)
def test_ranges_are_cut_to_the_file_and_kept_in_their_order(wanted: str, ranges: list[tuple[int, int]]) -> None:
    selection = select({"range": wanted}, FILE)

    assert selection.status == 206
    assert selection.ranges == tuple(ByteRange(*each) for each in ranges)


@pytest.mark.parametrize(
    ("wanted", "problem"),
    [
        ("bytes=1000-", "None of the ranges begins within the file, which has 1000 bytes."),
        ("bytes=-0", "None of the ranges"),
        ("bytes=9-3", "Range is '9-3'; it may be like bytes=0-99, 500-, -100."),
        ("bytes=-", "Range is '-'"),
        ("bytes=", "Range is ''"),
        ("bytes=1-2-3", "Range is"),
        ("bytes=٣-٤", "Range is"),
        ("bytes=" + "9" * 40 + "-", "Range is"),
        ("bytes=" + ",".join(f"{n}-{n}" for n in range(33)), "at most 32 ranges"),
        ("bytes=0-,0-,0-", "The ranges overlap: together they exceed the 1000 bytes."),
    ],
)
def test_a_range_that_cannot_be_answered_is_refused_with_a_sentence(wanted: str, problem: str) -> None:
    selection = select({"range": wanted}, FILE)

    assert (selection.status, selection.ranges) == (416, ())
    assert problem in selection.problem


@pytest.mark.parametrize("headers", [{}, {"range": "lines=1-2"}, {"range": "bytes=0-9", "if-range": '"other"'}])
def test_no_range_an_unknown_unit_or_another_version_brings_the_whole(headers: dict[str, str]) -> None:
    selection = select(headers, FILE)

    assert (selection.status, selection.ranges) == (200, (ByteRange(0, 1000),))


def test_an_empty_file_has_an_empty_end_and_no_first_byte() -> None:
    assert select({"range": "bytes=-5"}, EMPTY).status == 200
    assert select({"range": "bytes=0-"}, EMPTY).status == 416


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"if-none-match": FILE.etag}, 304),
        ({"if-none-match": f'"x", W/{FILE.etag}'}, 304),
        ({"if-none-match": "*"}, 304),
        ({"if-none-match": '"x"', "if-modified-since": AFTER}, 200),
        ({"if-modified-since": THEN}, 304),
        ({"if-modified-since": BEFORE}, 200),
        ({"if-modified-since": "yesterday"}, 200),
        ({"if-match": FILE.etag}, 200),
        ({"if-match": f"W/{FILE.etag}"}, 412),
        ({"if-match": '"x"', "if-none-match": FILE.etag}, 412),
        ({"if-unmodified-since": BEFORE}, 412),
        ({"if-unmodified-since": THEN}, 200),
        ({"range": "bytes=0-9", "if-range": FILE.etag}, 206),
        ({"range": "bytes=0-9", "if-range": f"W/{FILE.etag}"}, 200),
        ({"range": "bytes=0-9", "if-range": THEN}, 206),
        ({"range": "bytes=0-9", "if-range": AFTER}, 200),
        ({"range": "bytes=0-9", "if-none-match": FILE.etag}, 304),
        ({"range": "bytes=5000-", "if-range": '"x"'}, 200),
    ],
)
def test_conditions_are_evaluated_in_the_order_of_rfc_9110(headers: dict[str, str], status: int) -> None:
    assert select(headers, FILE).status == status


def test_the_stated_length_of_several_ranges_is_the_one_sent() -> None:
    body = layout(select({"range": "bytes=0-9,500-599,-1"}, FILE), FILE)

    sent = sum(len(head) + part.size_bytes for head, part in body.parts) + len(body.end)
    assert body.headers["Content-Length"] == str(sent)
    assert b"Content-Range: bytes 500-599/1000" in body.parts[1][0]
