"""Conditional and range requests (RFC 9110, sections 13 and 14): pure functions of headers and of what is sent."""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

OK, PARTIAL, NOT_MODIFIED, FAILED_CONDITION, NOT_SATISFIABLE = 200, 206, 304, 412, 416
MAX_RANGES = 32

_RANGE = re.compile(r"(\d*)-(\d*)", re.ASCII)
_MAX_DIGITS = 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Representation:
    """What can be sent.

    Parameters
    ----------
    sha256
        Digest of the bytes, hexadecimal: it makes the strong entity tag.
    modified_at
        When the bytes last changed (UTC); HTTP keeps whole seconds.
    """

    media_type: str
    size_bytes: int
    sha256: str
    modified_at: datetime

    @property
    def etag(self) -> str:
        """Strong entity tag, quoted (RFC 9110, section 8.8.3)."""
        return f'"{self.sha256}"'

    @property
    def last_modified(self) -> str:
        """HTTP date (RFC 9110, section 5.6.7)."""
        return format_datetime(self.modified_at.astimezone(UTC), usegmt=True)

    @property
    def digest(self) -> str:
        """Digest of the whole, whatever part of it is sent (`Repr-Digest`, RFC 9530, section 3)."""
        return f"sha-256=:{base64.b64encode(bytes.fromhex(self.sha256)).decode()}:"


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes `start` to `stop`, half-open."""

    start: int
    stop: int

    @property
    def size_bytes(self) -> int:
        """How many."""
        return self.stop - self.start


@dataclass(frozen=True, slots=True)
class Selection:
    """What of a representation a request is answered with.

    Parameters
    ----------
    status
        HTTP status: 200 or 206 with ranges to send; 304, 412 or 416 without.
    ranges
        In the order asked for; more than one for `multipart/byteranges`.
    problem
        With 412 and 416, one sentence that says what is wrong.
    """

    status: int
    ranges: tuple[ByteRange, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Layout:
    """A body: each range behind the text that precedes it, then the text that ends it.

    Parameters
    ----------
    headers
        `Content-Type`, `Content-Length` and, for one range, `Content-Range`.
    """

    headers: dict[str, str]
    parts: tuple[tuple[bytes, ByteRange], ...]
    end: bytes = b""


def select(headers: Mapping[str, str], representation: Representation) -> Selection:
    """Evaluate preconditions, then the range, in the order of RFC 9110, section 13.2.2.

    Parameters
    ----------
    headers
        Of a GET, whatever the case of their names. Another method has no ranges: leave `Range` out for it.
    """
    if not _is_wanted_state(headers, representation):
        return Selection(
            FAILED_CONDITION, problem="The file is not the one that If-Match or If-Unmodified-Since names."
        )
    if _is_known(headers, representation):
        return Selection(NOT_MODIFIED)
    unit, _, wanted = headers.get("range", "").partition("=")
    whole = Selection(OK, (ByteRange(0, representation.size_bytes),))
    if unit.strip().lower() != "bytes" or not _may_be_partial(headers, representation):
        return whole
    return _select_ranges(wanted, representation.size_bytes) or whole


def layout(selection: Selection, representation: Representation) -> Layout:
    """The body of an answer with status 200 or 206 (`multipart/byteranges`: RFC 9110, section 14.6)."""
    if len(selection.ranges) == 1:
        (only,) = selection.ranges
        headers = {"Content-Type": representation.media_type, "Content-Length": str(only.size_bytes)}
        if selection.status == PARTIAL:
            headers["Content-Range"] = _content_range(only, representation.size_bytes)
        return Layout(headers, ((b"", only),))
    boundary = secrets.token_hex(16)
    parts = tuple((_part_head(boundary, each, representation), each) for each in selection.ranges)
    end = f"\r\n--{boundary}--\r\n".encode()
    size_bytes = sum(len(head) + each.size_bytes for head, each in parts) + len(end)
    media_type = f"multipart/byteranges; boundary={boundary}"
    return Layout({"Content-Type": media_type, "Content-Length": str(size_bytes)}, parts, end)


def _is_wanted_state(headers: Mapping[str, str], representation: Representation) -> bool:
    if (tags := headers.get("if-match")) is not None:
        return _matches(tags, representation.etag, weak=False)
    return _compares(headers.get("if-unmodified-since"), representation, lambda modified, given: modified <= given)


def _is_known(headers: Mapping[str, str], representation: Representation) -> bool:
    if (tags := headers.get("if-none-match")) is not None:
        return _matches(tags, representation.etag, weak=True)
    given = headers.get("if-modified-since")
    return given is not None and _compares(
        given, representation, lambda modified, since: modified <= since, wrong=False
    )


def _may_be_partial(headers: Mapping[str, str], representation: Representation) -> bool:
    """Whether `If-Range`, if given, holds: an entity tag by strong comparison, or the exact date (section 13.1.5)."""
    condition = headers.get("if-range")
    if condition is None:
        return True
    if condition.strip().startswith(('"', "W/")):
        return condition.strip() == representation.etag
    return _compares(condition, representation, lambda modified, given: modified == given, wrong=False)


def _matches(tags: str, etag: str, *, weak: bool) -> bool:
    given = [tag.strip() for tag in tags.split(",")]
    return "*" in given or etag in (tag.removeprefix("W/") if weak else tag for tag in given)


def _compares(
    date: str | None,
    representation: Representation,
    compare: Callable[[datetime, datetime], bool],
    *,
    wrong: bool = True,
) -> bool:
    """Compare the time of the last change with an HTTP date; `wrong` where there is no date or one that is none."""
    try:
        given = parsedate_to_datetime(date or "")
    except ValueError:
        return wrong
    aware = given if given.tzinfo else given.replace(tzinfo=UTC)
    return compare(representation.modified_at.replace(microsecond=0), aware)


def _select_ranges(wanted: str, size_bytes: int) -> Selection | None:
    """The satisfiable ones of the ranges; None where a suffix of an empty file was asked for, which is all of it."""
    texts = [text.strip() for text in wanted.split(",") if text.strip()]
    if len(texts) > MAX_RANGES:
        return Selection(NOT_SATISFIABLE, problem=f"A request may ask for at most {MAX_RANGES} ranges.")
    found = [_RANGE.fullmatch(text) for text in texts]
    if not texts or not all(match and _is_range(match[1], match[2]) for match in found):
        return Selection(NOT_SATISFIABLE, problem=f"Range is '{wanted[:80]}'; it may be like bytes=0-99, 500-, -100.")
    ranges = [_byte_range(match[1], match[2], size_bytes) for match in found if match]
    satisfiable = tuple(each for each in ranges if 0 <= each.start < each.stop)
    if not satisfiable:
        is_suffix = size_bytes == 0 and any(text.startswith("-") and int(text[1:]) for text in texts)
        problem = f"None of the ranges begins within the file, which has {size_bytes} bytes."
        return None if is_suffix else Selection(NOT_SATISFIABLE, problem=problem)
    if sum(each.size_bytes for each in satisfiable) > size_bytes:
        return Selection(NOT_SATISFIABLE, problem=f"The ranges overlap: together they exceed the {size_bytes} bytes.")
    return Selection(PARTIAL, satisfiable)


def _is_range(first: str, last: str) -> bool:
    """Whether the two ends make a range (RFC 9110, section 14.1.1)."""
    is_short = max(len(first), len(last)) <= _MAX_DIGITS
    return is_short and bool(first or last) and not (first and last and int(last) < int(first))


def _byte_range(first: str, last: str, size_bytes: int) -> ByteRange:
    if not first:
        return ByteRange(max(0, size_bytes - int(last)), size_bytes)
    return ByteRange(int(first), min(int(last) + 1, size_bytes) if last else size_bytes)


def _content_range(part: ByteRange, size_bytes: int) -> str:
    return f"bytes {part.start}-{part.stop - 1}/{size_bytes}"


def _part_head(boundary: str, part: ByteRange, representation: Representation) -> bytes:
    content_range = _content_range(part, representation.size_bytes)
    head = f"\r\n--{boundary}\r\nContent-Type: {representation.media_type}\r\nContent-Range: {content_range}\r\n\r\n"
    return head.encode("ascii")
