"""Walks people, days and requests, and gathers what an answer tells that it must not."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime

from pachon.identity.models import ANONYMOUS, Principal, Scope
from pachon.releases.models import Lifecycle
from support.asgi import Answer, Pairs, Request, ask
from support.canaries import PROBES, Probe, Quarry, as_told, echoes, found_in, requests
from support.history import EMBARGO_ENDS_AT, WORDS, canaries, embargoed_canaries
from support.worlds import HeldMoment, People, World

OVERRIDING = Principal("admin", frozenset(), frozenset({Scope.QUERY, Scope.ADMIN}))


@dataclass(frozen=True)
class Situation:
    """Somebody (nobody, if the name is empty) on a day, and the releases that they may see then."""

    person: str
    groups: frozenset[str]
    scopes: frozenset[str]
    day: date
    may_see: frozenset[str]

    @property
    def is_under_embargo(self) -> bool:
        """Whether the images of last night in `hist_prompt` are still for nobody."""
        return self.day <= EMBARGO_ENDS_AT.date() and Scope.ADMIN not in self.scopes

    @property
    def credentials(self) -> Pairs:
        return (("authorization", f"Bearer {self.person}"),) if self.person else ()

    def __str__(self) -> str:
        return f"{self.person or 'nobody'} on {self.day}"


@dataclass
class Findings:
    """What a walk found: leaks as sentences; for each situation the canaries that were shown; how much was asked."""

    leaks: list[str] = field(default_factory=list)
    shown: dict[str, set[bytes]] = field(default_factory=dict)
    asked: int = 0


@dataclass
class Ground:
    """Where a walk goes: an installation, and its twin from which hidden releases are taken away."""

    real: World
    twin: World
    people: People
    now: HeldMoment
    open_table: str
    jobs: Mapping[str, str]
    """For each release the id of a job of the keeper; the twin has none of them."""
    saved: Mapping[str, str]
    """For each release the id of a query that the keeper saved from that job."""

    def quarries(self) -> tuple[Quarry, ...]:
        """All releases, as somebody knows them who has seen everything."""
        found = []
        for release in (each for each in self.real.store.releases() if each.id in WORDS):
            table = next(each for each in release.tables if each.has_position)
            known = [c.name for c in table.columns if any(c.name.encode() in word for word in canaries(release.id))]
            is_queried = release.lifecycle is not Lifecycle.ARCHIVED
            tiles = self.real.services.tiles
            etag = tiles.etag(OVERRIDING, table.qualified_name, 0, 4) if is_queried else '"archived"'
            files = tuple(file.path for file in self.real.store.manifest(release))
            path = self.real.store.snapshot(release, table).partitions[0].path
            inside = "/".join(path.parts[path.parts.index("tables") :])
            digest = f'"{hashlib.sha256(path.read_bytes()).hexdigest()}"'
            job, saved = self.jobs[release.id], self.saved[release.id]
            found.append(
                Quarry(release.id, table.name, known[0], self.open_table, etag, inside, digest, files, job, saved)
            )
        return tuple(found)


async def walk(
    ground: Ground,
    situations: Sequence[Situation],
    probes: Iterable[Probe] = PROBES.values(),
) -> Findings:
    """Send the requests of these probes in each situation, in order, and judge every answer.

    Whoever sees everything only fills the caches: there is nothing to hide from them.
    """
    findings = Findings()
    for installation in (ground.real, ground.twin):
        installation.services.executions.forget(datetime.max.replace(tzinfo=UTC))
    quarries = ground.quarries()
    asked = requests(probes, quarries)
    said: dict[str, set[bytes]] = {}
    for situation in situations:
        enter(ground, situation)
        visit = Visit(situation, findings, said.setdefault(situation.person, set()))
        for request in (*_in_private(quarries, situation), *asked, *_in_reach(ground, situation)):
            answer = await ask(ground.real.app, request, situation.credentials)
            visit.judge(request, answer)
            if visit.hidden:
                visit.compare(request, answer, await ask(ground.twin.app, request, situation.credentials))
    return findings


class Visit:
    """Judges answers in one situation.

    Parameters
    ----------
    findings
        Grows with every answer.
    said
        The words of hidden releases that this person has written; grows with every request.
    """

    def __init__(self, situation: Situation, findings: Findings, said: set[bytes]) -> None:
        self.situation = situation
        self._findings = findings
        self._said = said
        embargoed = set(embargoed_canaries())
        self.hidden = {canary for each in WORDS if each not in situation.may_see for canary in canaries(each)}
        self.hidden |= embargoed if situation.is_under_embargo else set()
        self._theirs = {canary for each in situation.may_see for canary in canaries(each)}
        self._theirs |= set() if situation.is_under_embargo else embargoed
        self._shown = findings.shown.setdefault(str(situation), set())

    def remember(self, request: Request) -> None:
        """Take note of the words that this person has written, now or before."""
        self._said |= echoes(request, self.hidden)

    def judge(self, request: Request, answer: Answer) -> None:
        """Search an answer for what must not be in it, and note what may be."""
        self.remember(request)
        found = found_in(answer, self.hidden, said=self._said)
        told = f"{request} as {self.situation}"
        self._findings.leaks += [f"{told}: {canary.decode()} is in the answer" for canary in found]
        missed = self._theirs - self._shown
        self._shown |= set(found_in(answer, missed, said=echoes(request, missed)))
        self._findings.asked += 1

    def compare(self, request: Request, answer: Answer, other: Answer) -> None:
        """Compare an answer with that of the twin."""
        self._findings.leaks += _differences(request, self.situation, answer, other)


def _in_private(quarries: Iterable[Quarry], situation: Situation) -> Iterator[Request]:
    """What only somebody with rights can write: a query with a value of the release in it."""
    for quarry in quarries:
        if situation.person and quarry.release in situation.may_see:
            secret = max(canaries(quarry.release), key=len).decode()
            adql = f"SELECT id FROM {quarry.name} WHERE '{secret}' = '{secret}'"
            yield Request("/api/tap/sync", (("LANG", "ADQL"), ("QUERY", adql), ("RESPONSEFORMAT", "csv")))


def _in_reach(ground: Ground, situation: Situation) -> Iterator[Request]:
    """Queries of every name that the binder knows for somebody, views and the like included."""
    principal = ground.people.known.get(situation.person, ANONYMOUS)
    for name in ground.real.services.queries._catalogue(principal).tables:
        adql = f"SELECT s.* FROM {name} AS s, {ground.open_table} AS o ORDER BY 1, 2"
        yield Request("/api/tap/sync", (("LANG", "ADQL"), ("QUERY", adql), ("RESPONSEFORMAT", "csv")))


def enter(ground: Ground, situation: Situation) -> None:
    """Make a situation the present."""
    ground.now.at = datetime.combine(situation.day, datetime.min.time(), tzinfo=UTC)
    ground.twin.store.has_embargoed = not situation.is_under_embargo
    ground.twin.store.ids = situation.may_see | {ground.open_table.partition(".")[0]}
    if situation.person:
        ground.people.know(situation.person, groups=situation.groups, scopes=situation.scopes)


def _differences(request: Request, situation: Situation, answer: Answer, other: Answer) -> Collection[str]:
    if answer.body == other.body:
        answer, other = replace(answer, body=b""), replace(other, body=b"")
    names = ("status", "headers", "body")
    pairs = zip(names, as_told(answer, request), as_told(other, request), strict=True)
    unequal = [(name, one, two) for name, one, two in pairs if one != two]
    return [
        f"{request} as {situation}: the {name} differs if hidden releases do not exist: {one!r:.300} and {two!r:.300}"
        for name, one, two in unequal
    ]


def nobody(day: date, may_see: frozenset[str]) -> Situation:
    """An anonymous visitor."""
    return Situation(ANONYMOUS.name, frozenset(), frozenset(), day, may_see)


def somebody(
    name: str,
    day: date,
    may_see: frozenset[str],
    *,
    groups: Iterable[str] = (),
    scopes: Iterable[str] = (Scope.QUERY,),
) -> Situation:
    """A person in some groups, with a token that has some scopes."""
    return Situation(name, frozenset(groups), frozenset(scopes), day, may_see)
