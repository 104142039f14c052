"""Words of the rights policy."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Access(StrEnum):
    """Kinds of access (DESIGN decision 4)."""

    METADATA = "metadata"
    QUERY = "query"
    IMAGE = "image"
    FILE = "file"
    SPAWN = "spawn"
    PORTAL = "portal"


class Audience(StrEnum):
    """For whom a release is meant on the day it appears."""

    WORLD = "world"
    HOLDERS = "holders"


@dataclass(frozen=True, slots=True)
class Decision:
    """An answer of the policy. A refusal says why, and what is open instead."""

    allowed: bool
    reason: str = ""


ALLOWED = Decision(allowed=True)
