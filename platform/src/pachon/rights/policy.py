"""The one rights policy: a pure function of who, what, which kind of access and which day.

Source: the survey's data policy as told in the LSST overview (data releases become public two years after their
date; Portal, Lab and mini-broker are for data rights holders; world-public data are open to everybody).

All kinds of access to a release follow one rule, `Access.METADATA` included: a proprietary release is not even named to
people without data rights, because names, columns and row counts of unpublished data are data too. So what a person
finds in lists, in suggestions after a typing error and in TAP_SCHEMA is what this person may query.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import MAXYEAR, date
from typing import Protocol

from pachon.identity.models import Principal
from pachon.rights.models import ALLOWED, Access, Audience, Decision

_HOLDERS_ONLY = {
    Access.SPAWN: "JupyterLab",
    Access.PORTAL: "The Portal",
}
_OPEN_TO_ALL = "Open to all without logging in: the front page, world-public catalogues through TAP and cone search."


class Holding(Protocol):
    """What the policy needs to know of a release."""

    @property
    def id(self) -> str:
        """Identifier, for the reason of a refusal."""
        ...

    @property
    def audience(self) -> Audience:
        """For whom it is on its date."""
        ...

    @property
    def date(self) -> date:
        """Release date (UTC)."""
        ...


@dataclass(frozen=True, slots=True)
class RightsPolicy:
    """Decides access.

    Parameters
    ----------
    holder_groups
        Hub groups whose members are data rights holders.
    years_until_public
        After how many years a release for holders becomes world public, to the day (UTC).
    """

    holder_groups: frozenset[str]
    years_until_public: int = 2

    def is_holder(self, principal: Principal) -> bool:
        """Whether this person holds data rights."""
        return bool(self.holder_groups & principal.groups)

    def public_from(self, holding: Holding) -> date:
        """The first day on which everybody may read a release; 29 February becomes 1 March.

        A term that leaves the calendar ends on its last day: never, for practical purposes.
        """
        if holding.audience is Audience.WORLD:
            return holding.date
        year = holding.date.year + self.years_until_public
        if year > MAXYEAR:
            return date.max
        try:
            return holding.date.replace(year=year)
        except ValueError:
            return date(year, 3, 1)

    def on_platform(self, principal: Principal, access: Access) -> Decision:
        """Whether this person may use an aspect (`Access.SPAWN`, `Access.PORTAL`)."""
        if access not in _HOLDERS_ONLY or self.is_holder(principal):
            return ALLOWED
        reason = f"{_HOLDERS_ONLY[access]} is for data rights holders. {_OPEN_TO_ALL}"
        return Decision(allowed=False, reason=reason)

    def on_release(self, principal: Principal, holding: Holding, access: Access, day: date) -> Decision:
        """Whether this person may have this kind of access to a release on a day (UTC)."""
        public_from = self.public_from(holding)
        if day >= public_from or self.is_holder(principal):
            return ALLOWED
        reason = f"{access.value.capitalize()} access to release {holding.id} needs data rights until {public_from}."
        return Decision(allowed=False, reason=reason)
