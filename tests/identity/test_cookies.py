from __future__ import annotations

import time

import pytest

from pachon.identity.cookies import Seal, cookie_counts

BASE = "https://sky.example"


def test_a_sealed_value_opens_only_for_its_purpose_secret_and_time(monkeypatch: pytest.MonkeyPatch) -> None:
    seal = Seal("secret", purpose="login")
    value = seal.close({"token": "abc"})
    assert "abc" not in value
    assert seal.open(value, max_age_s=60) == {"token": "abc"}
    assert Seal("secret", purpose="dance").open(value, max_age_s=60) is None
    assert Seal("other", purpose="login").open(value, max_age_s=60) is None
    assert seal.open(value[:-5] + "AAAA=", max_age_s=60) is None
    assert seal.open("not ours", max_age_s=60) is None
    later = time.time() + 61
    monkeypatch.setattr(time, "time", lambda: later)
    assert seal.open(value, max_age_s=60) is None


@pytest.mark.parametrize(
    ("method", "headers", "counts"),
    [
        ("GET", {}, True),
        ("HEAD", {"sec-fetch-site": "cross-site"}, True),
        ("POST", {"sec-fetch-site": "same-origin", "referer": f"{BASE}/portal/"}, True),
        ("POST", {"sec-fetch-site": "same-origin", "referer": "https://sky.example:443/"}, True),
        ("DELETE", {"origin": BASE, "referer": f"{BASE}/portal/"}, True),
        ("POST", {}, False),
        ("POST", {"sec-fetch-site": "same-origin"}, False),
        ("POST", {"sec-fetch-site": "same-site", "referer": f"{BASE}/portal/"}, False),
        ("POST", {"sec-fetch-site": "cross-site", "origin": BASE, "referer": f"{BASE}/portal/"}, False),
        ("POST", {"origin": "https://evil.example", "referer": f"{BASE}/"}, False),
        ("POST", {"origin": "null", "referer": f"{BASE}/"}, False),
        ("POST", {"origin": "http://sky.example", "referer": f"{BASE}/"}, False),
        ("POST", {"origin": "https://sky.example:bad", "referer": f"{BASE}/"}, False),
        ("POST", {"sec-fetch-site": "same-origin", "referer": f"{BASE}/user/eve/lab"}, False),
        ("DELETE", {"origin": BASE, "referer": f"{BASE}/user/eve/files/page.html"}, False),
        ("POST", {"sec-fetch-site": "same-origin", "referer": "https://sky.example.evil/"}, False),
    ],
)
def test_a_cookie_counts_only_for_reading_or_from_our_own_pages(
    method: str, headers: dict[str, str], *, counts: bool
) -> None:
    assert cookie_counts(method, headers, base_url=BASE) is counts
