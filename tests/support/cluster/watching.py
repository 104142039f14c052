"""Following objects of the Kubernetes API as they change."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any

from kubernetes_asyncio import client, watch

_WATCH_S = 240
_GONE = {404, 409, 410}


async def changes(list_objects: Callable[..., Any], **selectors: str) -> AsyncIterator[dict[str, Any]]:
    """Objects as they are now and whenever they are added or modified, again from the start when a watch ends."""
    listing = partial(list_objects)  # without a docstring, from which the watch would learn to build typed objects
    while True:
        async with watch.Watch() as watching:
            with suppress(client.ApiException, TimeoutError):
                async for event in watching.stream(listing, timeout_seconds=_WATCH_S, **selectors):
                    if event["type"] in {"ADDED", "MODIFIED"}:
                        yield event["raw_object"]


async def unless_gone(request: Awaitable[object]) -> None:
    """Await a request about an object that may have been deleted or replaced meanwhile."""
    try:
        await request
    except client.ApiException as error:
        if error.status not in _GONE:
            raise
