"""The demo accounts: names and what they stand for; passwords are made per installation."""

from __future__ import annotations

from dataclasses import dataclass

DEMO_AUTHENTICATOR = "pachon.hub.demo.DemoAuthenticator"


@dataclass(frozen=True, slots=True)
class DemoAccount:
    """One account of the demo: who it stands for, and whether they hold data rights."""

    name: str
    description: str
    is_holder: bool = True


DEMO_ACCOUNTS = (
    DemoAccount("admin", "runs the platform, holds data rights"),
    DemoAccount("astronomer", "holds data rights, works in JupyterLab"),
    DemoAccount("novice", "holds data rights, starts in the Portal"),
    DemoAccount("visitor", "holds no data rights", is_holder=False),
)
