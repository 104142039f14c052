"""The demo accounts of an installation and where their passwords come from."""

from __future__ import annotations

from dataclasses import dataclass

from pachon.app.secrets import Secrets, load_or_make
from pachon.app.settings import Settings
from pachon.hub.accounts import DEMO_ACCOUNTS, DEMO_AUTHENTICATOR


@dataclass(frozen=True, slots=True)
class AccountWithPassword:
    """What somebody needs to log in."""

    name: str
    password: str
    description: str
    groups: tuple[str, ...]


def make_secrets(settings: Settings) -> Secrets:
    """The installation's secrets, made where missing."""
    return load_or_make(settings.home, tuple(account.name for account in DEMO_ACCOUNTS))


def demo_accounts(settings: Settings) -> tuple[AccountWithPassword, ...]:
    """The demo accounts, or none where another authenticator is set. Passwords given as settings come first."""
    if settings.hub.authenticator_class != DEMO_AUTHENTICATOR:
        return ()
    made = make_secrets(settings).demo_passwords
    given = {name: password.get_secret_value() for name, password in settings.hub.demo_passwords.items()}
    holders = tuple(sorted(settings.rights.holder_groups)[:1])
    return tuple(
        AccountWithPassword(
            account.name,
            (given or made).get(account.name, ""),
            account.description,
            holders if account.is_holder else (),
        )
        for account in DEMO_ACCOUNTS
    )


def account_lines(settings: Settings) -> list[str]:
    """A small table for people."""
    return [f"  {account.name:<12}{account.password:<18}{account.description}" for account in demo_accounts(settings)]
