"""How the platform is: the answer of `/api/status`, open to all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from anyio.to_thread import run_sync

import pachon
from pachon.core.errors import PachonError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pachon.app.wiring import Services
    from pachon.queries.engines.engine import Engine

_OK, _DEGRADED = "ok", "degraded"


async def status(services: Services) -> dict[str, Any]:
    """Each part with `ok` or what is wrong; the whole is degraded if one part is."""
    parts = {
        "database": await run_sync(_told, lambda: services.executions.list("", limit=1)),
        "workers": _workers(services.engine),
        "hub": _OK if await services.principals.is_up() else "not answering",
    }
    whole = _OK if set(parts.values()) == {_OK} else _DEGRADED
    return {"status": whole, "version": pachon.__version__, "parts": parts}


def _workers(engine: Engine) -> str:
    if broken := engine.broken():
        return f"those of {' and '.join(broken)} queries do not start"
    return _OK if engine.ready() else "starting"


def _told(check: Callable[[], object]) -> str:
    try:
        check()
    except PachonError as error:
        return error.message
    return _OK
