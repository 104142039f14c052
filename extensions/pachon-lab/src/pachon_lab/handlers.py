"""`GET <lab>/pachon/config`: what the front end needs to know."""

from __future__ import annotations

import json
from dataclasses import asdict

from jupyter_server.base.handlers import APIHandler
from tornado import web

from pachon_lab.doors import Doors


class ConfigHandler(APIHandler):
    """Addresses of the other aspects, and where the first tutorial lies."""

    def initialize(self, *, doors: Doors, tutorial: str) -> None:
        """Take what was decided when the lab started."""
        self._answer = {**asdict(doors), "tutorial": tutorial}

    @web.authenticated
    async def get(self) -> None:
        """Answer `{portal, api, documentation, tutorial}`; the tutorial is a path below the lab's root folder."""
        await self.finish(json.dumps(self._answer))
