"""The addresses people leave the lab for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """Addresses a browser can open; empty where unknown."""

    portal: str = ""
    api: str = ""
    documentation: str = ""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Derive them from `PACHON_API_URL` (`<base>/api`) and, if given, `PACHON_DOCS_URL`.

        `PACHON_PUBLIC_URL` is the base where a lab reaches the Web APIs under another address than browsers do.
        """
        public_url = environment.get("PACHON_PUBLIC_URL", "").rstrip("/")
        api_url = f"{public_url}/api" if public_url else environment.get("PACHON_API_URL", "").rstrip("/")
        documentation = environment.get("PACHON_DOCS_URL", "")
        if not api_url:
            return cls(documentation=documentation)
        base_url = api_url.removesuffix("/api")
        return cls(
            portal=f"{base_url}/portal/",
            api=f"{api_url}/docs",
            documentation=documentation or f"{base_url}/",
        )
