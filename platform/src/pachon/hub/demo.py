"""Login with demo accounts on one machine: no registration, passwords made once by `pachon up`."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from jupyterhub.auth import Authenticator
from traitlets import Dict, Unicode

from pachon.hub.accounts import DEMO_ACCOUNTS


class DemoAuthenticator(Authenticator):  # type: ignore[misc]
    """Checks a name and a password against the demo accounts and hands their groups to the hub."""

    passwords = Dict(value_trait=Unicode(), key_trait=Unicode(), help="Passwords by account name.").tag(config=True)
    holder_group = Unicode("rights-holders", help="Group of the accounts that hold data rights.").tag(config=True)

    async def authenticate(self, handler: object, data: Mapping[str, str]) -> dict[str, Any] | None:
        """Name and groups of the account, or None; takes the same time for a wrong name and a wrong password."""
        del handler
        expected = self.passwords.get(data["username"], "")
        matches = secrets.compare_digest(data["password"].encode(), expected.encode())
        account = next((known for known in DEMO_ACCOUNTS if known.name == data["username"]), None)
        if account is None or not expected or not matches:
            return None
        return {"name": account.name, "groups": [self.holder_group] if account.is_holder else []}
