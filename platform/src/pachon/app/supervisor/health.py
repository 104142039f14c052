"""Whether a process answers."""

from __future__ import annotations

from http import HTTPStatus

import httpx


def answers(url: str, *, any_answer: bool = False, timeout_s: float = 1.0) -> bool:
    """Whether an address answers 200; with `any_answer`, whether it speaks HTTP at all."""
    try:
        response = httpx.get(url, timeout=timeout_s, trust_env=False)
    except httpx.HTTPError:
        return False
    return any_answer or response.status_code == HTTPStatus.OK
