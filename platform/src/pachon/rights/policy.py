"""The one rights policy: a pure function of who, what, which kind of access and which moment.

Source: the survey's data policy as told in the LSST overview (data releases become public two years after their
date; Portal, Lab and mini-broker are for data rights holders; alerts as sent and world-public data are for everybody).

All kinds of access to a release follow one rule, `Access.METADATA` included: a proprietary release is not even named to
people without data rights, because names, columns and row counts of unpublished data are data too. So what a person
finds in lists, in suggestions after a typing error and in TAP_SCHEMA is what this person may query.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import MAXYEAR, date, datetime

from pachon.identity.models import Principal, Scope
from pachon.rights.models import ALLOWED, Access, Audience, Decision, Embargo, Holding

_ASPECTS = {
    Access.SPAWN: "JupyterLab",
    Access.PORTAL: "The Portal",
    Access.FILTER: "The mini-broker",
    Access.ALERT_STREAM: "The alert stream",
    Access.ALERT_ARCHIVE: "The alert archive",
}
_OPEN_TO_ALL = "Open to all without logging in: the front page, world-public catalogues through TAP and cone search."
_OVERRIDE = Decision(allowed=True, by_override=True)


@dataclass(frozen=True, slots=True)
class RightsPolicy:
    """Decides access.

    Parameters
    ----------
    holder_groups
        Hub groups whose members are data rights holders.
    years_until_public
        After how many years a release for holders becomes world public, to the day (UTC).
    open_to_all
        Parts of the platform that are for everybody; the others are for data rights holders.
    """

    holder_groups: frozenset[str]
    years_until_public: int = 2
    open_to_all: frozenset[Access] = frozenset({Access.ALERT_STREAM})

    def decide(
        self,
        principal: Principal,
        access: Access,
        *,
        at: datetime,
        sources: Sequence[Holding] = (),
        embargo: Embargo | None = None,
    ) -> Decision:
        """Whether this person has this kind of access at a moment, or why not.

        Parameters
        ----------
        at
            The moment (UTC).
        sources
            The release, or all releases that a product was derived from: the strictest decides. None for a part of the
            platform, such as `Access.PORTAL`.
        embargo
            Of an image, if its collection has one.
        """
        refusal = self._refusal(principal, access, at, sources, embargo)
        if refusal is None:
            return ALLOWED
        is_override = access.is_to_a_release and Scope.ADMIN in principal.scopes
        return _OVERRIDE if is_override else Decision(allowed=False, reason=refusal)

    def is_holder(self, principal: Principal) -> bool:
        """Whether this person holds data rights."""
        return bool(self.holder_groups & principal.groups)

    def public_from(self, holding: Holding) -> date:
        """The first day on which everybody may read a release; 29 February becomes 1 March.

        A living release does not become public by age. A term that leaves the calendar ends on its last day: never, for
        practical purposes.
        """
        if holding.audience is Audience.WORLD:
            return holding.date
        year = holding.date.year + self.years_until_public
        if holding.is_living or year > MAXYEAR:
            return date.max
        try:
            return holding.date.replace(year=year)
        except ValueError:
            return date(year, 3, 1)

    def _refusal(
        self, principal: Principal, access: Access, at: datetime, sources: Iterable[Holding], embargo: Embargo | None
    ) -> str | None:
        if not access.is_to_a_release:
            return self._refusal_of_aspect(principal, access)
        if embargo is not None and at < embargo.ends_at:
            return f"This image is under embargo until {embargo.ends_at:%Y-%m-%d %H:%M} UTC."
        refusals = (self._refusal_of_release(principal, access, at.date(), source) for source in sources)
        return next((refusal for refusal in refusals if refusal is not None), None)

    def _refusal_of_aspect(self, principal: Principal, access: Access) -> str | None:
        if access in self.open_to_all or self.is_holder(principal):
            return None
        return f"{_ASPECTS[access]} is for data rights holders. {_OPEN_TO_ALL}"

    def _refusal_of_release(self, principal: Principal, access: Access, day: date, holding: Holding) -> str | None:
        public_from = self.public_from(holding)
        if day >= public_from or (holding.groups or self.holder_groups) & principal.groups:
            return None
        needed = f"membership of {' or '.join(sorted(holding.groups))}" if holding.groups else "data rights"
        until = "" if public_from == date.max else f" until {public_from}"
        return f"{access.value.capitalize()} access to release {holding.id} needs {needed}{until}."
