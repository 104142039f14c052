"""Debian's Chromium, driven by Playwright, on a leash: it reaches this host only, and tells what it tried.

with chromium() as browser, visiting(browser) as visit:
    visit.page.goto(f"{base_url}/hub/login")
    visit.picture("login")                                  # tests/artefacts/login.png
    assert count_colours(visit.pixels("canvas")) > 50       # something is painted
    visit.assert_clean()                                    # no console error, no request that left the host
"""

from __future__ import annotations

import io
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Locator,
    Page,
    Request,
    Route,
    WebSocket,
    expect,
    sync_playwright,
)

ARTEFACTS = Path(__file__).parents[1] / "artefacts"

_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)
_PATIENCE_MS = 30_000
"""How long a page may take to show what is expected: what a bar says of time is measured, never waited for."""
expect.set_options(timeout=_PATIENCE_MS)
_HOME = frozenset({"127.0.0.1", "localhost"})
_INLINE_SCHEMES = frozenset({"data", "blob", "about"})


@dataclass
class Visit:
    """One clean browser context with one page, and what happened in it.

    Parameters
    ----------
    page
        The page; its context has no cookies at first.
    foreign
        Addresses of other hosts that were asked for (all refused).
    errors
        Console messages of level error and uncaught exceptions, each with its address.
    failed
        `status address` of answers with status 400 and above.
    """

    page: Page
    foreign: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def picture(self, name: str, *, full_page: bool = False) -> Path:
        """Keep what the page shows as `tests/artefacts/<name>.png`."""
        ARTEFACTS.mkdir(parents=True, exist_ok=True)
        path = ARTEFACTS / f"{name}.png"
        self.page.screenshot(path=path, full_page=full_page)
        return path

    def pixels(self, target: str | Locator) -> np.ndarray:
        """What one element shows, shape (height, width, 3), uint8; `target` is a selector or a locator."""
        locator = self.page.locator(target).first if isinstance(target, str) else target
        return np.asarray(Image.open(io.BytesIO(locator.screenshot())).convert("RGB"))

    def settled(
        self, target: str | Locator, *, other_than: np.ndarray | None = None, timeout_s: float = 15.0
    ) -> np.ndarray:
        """What an element shows once two looks a moment apart are the same, and differ from `other_than`."""
        deadline = time.monotonic() + timeout_s
        seen = self.pixels(target)
        while True:
            before, seen = seen, self.pixels(target)
            changed = other_than is None or not np.array_equal(seen, other_than)
            if changed and np.array_equal(seen, before):
                return seen
            assert time.monotonic() < deadline, f"{target} does not come to rest"
            self.page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def assert_clean(self, *, allow: str | None = None) -> None:
        """Fail on console errors (but those that match the pattern `allow`) and on requests that left the host."""
        assert self.foreign == [], f"requests that leave the host: {self.foreign}"
        ours = [error for error in self.errors if allow is None or not re.search(allow, error)]
        assert ours == [], f"console errors: {ours}\nanswers: {self.failed}"


def count_colours(pixels: np.ndarray) -> int:
    """Distinct colours of a picture of shape (height, width, 3)."""
    return len(np.unique(pixels.reshape(-1, pixels.shape[-1]), axis=0))


@contextmanager
def chromium() -> Iterator[Browser]:
    """One running browser; the test is skipped where Debian's `chromium` package is missing."""
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("Chromium is missing: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(_FLAGS))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def visiting(
    browser: Browser,
    *,
    width: int = 1280,
    height: int = 900,
    colour_scheme: Literal["light", "dark"] = "light",
    timeout_s: float = 30.0,
) -> Iterator[Visit]:
    """A fresh context and page that refuses every request to another host."""
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=colour_scheme,
        reduced_motion="reduce",
        service_workers="block",
        accept_downloads=True,
    )
    context.set_default_timeout(timeout_s * 1000)
    try:
        yield _watched(context.new_page())
    finally:
        context.close()


def _watched(page: Page) -> Visit:
    visit = Visit(page)

    def admit(route: Route, request: Request) -> None:
        if _is_home(request.url):
            route.fallback()
        else:
            visit.foreign.append(request.url)
            route.abort("blockedbyclient")

    def hear(message: ConsoleMessage) -> None:
        if message.type == "error":
            visit.errors.append(f"{message.text} ({message.location.get('url', '')})")

    def see_socket(socket: WebSocket) -> None:
        if not _is_home(socket.url):
            visit.foreign.append(socket.url)

    page.context.route("**/*", admit)
    page.context.on("console", hear)
    page.context.on("weberror", lambda error: visit.errors.append(f"uncaught: {error.error}"))
    page.context.on(
        "response",
        lambda answer: visit.failed.append(f"{answer.status} {answer.url}") if answer.status >= 400 else None,
    )
    page.on("websocket", see_socket)
    return visit


def _is_home(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in _INLINE_SCHEMES or parts.hostname in _HOME
