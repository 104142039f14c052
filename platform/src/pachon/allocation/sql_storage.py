"""The ledger in the state database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Engine,
    Index,
    Integer,
    RowMapping,
    Table,
    UniqueConstraint,
    case,
    delete,
    func,
    insert,
    select,
    text,
)

from pachon.allocation.models import Books, Claim, Observation, PodName, Reservation
from pachon.allocation.reconciling import claim_of, noted, reconciled, widened
from pachon.allocation.storage import Admit
from pachon.core import clock
from pachon.core.clock import Clock
from pachon.core.errors import PachonError
from pachon.core.ids import new_id
from pachon.core.resources import Resources
from pachon.state.database import reading, writing
from pachon.state.metadata import METADATA, Moment, Words

RESERVATIONS = Table(
    "allocation_reservations",
    METADATA,
    Column("id", Words, primary_key=True),
    Column("namespace", Words, nullable=False),
    Column("pod", Words, nullable=False),
    Column("uid", Words),
    Column("owner", Words, nullable=False),
    Column("server", Words, nullable=False),
    Column("pool", Words, nullable=False),
    Column("cpu_millicores", BigInteger, nullable=False),
    Column("memory_bytes", BigInteger, nullable=False),
    Column("reserved_at", Moment, nullable=False),
    UniqueConstraint("namespace", "pod"),
    Index(None, "owner"),
)
OBSERVED = Table(
    "allocation_observed",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("cpu_millicores", BigInteger, nullable=False),
    Column("memory_bytes", BigInteger, nullable=False),
    Column("observed_at", Moment, nullable=False),
)
_LEDGER_LOCK = 0x70616368_6F6E0005
_TAKE_TURN = text(f"SELECT pg_advisory_xact_lock({_LEDGER_LOCK})")
_ONLY = 1


class SqlLedgerStore:
    """Keeps the promise of `allocation.storage.LedgerStore` on SQLite and PostgreSQL."""

    def __init__(self, engine: Engine, *, now: Clock = clock.now) -> None:
        self._engine = engine
        self._now = now

    def reserve(self, claim: Claim, admit: Admit) -> Reservation:
        """Add a claim if it is admitted."""
        with writing(self._engine) as connection:
            _take_turn(connection)
            replaced = _of_pod(connection, claim.pod)
            if replaced is not None:
                claim = replace(claim, size=claim.size.larger(replaced.claim.size))
            admit(claim, _books(connection, claim))
            made = Reservation(id=new_id(), claim=claim, reserved_at=self._now())
            _put(connection, made)
        return made

    def confirm(self, reservation_id: str, claim: Claim, uid: str, admit: Admit) -> None:
        """Take note that the pod of a reservation was created."""
        created = Reservation(id=reservation_id, claim=claim, uid=uid, reserved_at=self._now())
        with writing(self._engine) as connection:
            _take_turn(connection)
            known = _of_pod(connection, claim.pod)
            if known is not None and known.id != reservation_id and known.uid is None:
                _put(connection, widened(known, claim.size))
                return
            was_admitted = known is not None and known.id == reservation_id and _covers(known.claim.size, claim.size)
            refusal = None if was_admitted else _refusal(admit, claim, _books(connection, claim))
            _put(connection, created)
        if refusal is not None:
            raise refusal

    def cancel(self, reservation_id: str) -> None:
        """Forget a reservation of which no pod was made."""
        with writing(self._engine) as connection:
            unseen = RESERVATIONS.c.uid.is_(None)
            connection.execute(delete(RESERVATIONS).where(RESERVATIONS.c.id == reservation_id, unseen))

    def release(self, pod: PodName, uid: str) -> None:
        """Forget the reservation of a pod that is gone."""
        with writing(self._engine) as connection:
            connection.execute(delete(RESERVATIONS).where(_is_pod(pod), RESERVATIONS.c.uid == uid))

    def snapshot(self) -> Mapping[str, str | None]:
        """The uids of all reservations, by their ids."""
        with reading(self._engine) as connection:
            return {row.id: row.uid for row in connection.execute(select(RESERVATIONS.c.id, RESERVATIONS.c.uid))}

    def reconcile(
        self, before: Mapping[str, str | None], seen: Observation, *, at: datetime, reserved_before: datetime
    ) -> None:
        """Make the ledger hold what was observed."""
        with writing(self._engine) as connection:
            _take_turn(connection)
            known = {row.claim.pod: row for row in map(_from_row, connection.execute(_ALL).mappings())}
            live = {pod.pod: pod for pod in seen.pods}
            for name, row in known.items():
                pod = live.pop(name, None)
                after = reconciled(
                    row,
                    pod,
                    None if pod is None else claim_of(pod, seen),
                    is_same=before.get(row.id, _CHANGED) == row.uid,
                    is_old=row.reserved_at < reserved_before,
                )
                if after != row:
                    _replace(connection, row.claim.pod, after)
            for pod in live.values():
                _put(connection, noted(pod, seen, at=at))
            _put_observed(connection, seen.capacity, at)

    def books(self, claim: Claim) -> Books:
        """The ledger as this claim would meet it."""
        with reading(self._engine) as connection:
            return _books(connection, claim)

    def of(self, owner: str) -> tuple[Reservation, ...]:
        """The reservations of a person."""
        own = _ALL.where(RESERVATIONS.c.owner == owner).order_by(RESERVATIONS.c.id)
        with reading(self._engine) as connection:
            return tuple(_from_row(row) for row in connection.execute(own).mappings())

    def owners(self) -> Mapping[str, Resources]:
        """What each person has reserved."""
        sums = select(RESERVATIONS.c.owner, *_sums("all")).group_by(RESERVATIONS.c.owner)
        with reading(self._engine) as connection:
            rows = connection.execute(sums).mappings().all()
        return {row["owner"]: _summed(row, "all") for row in rows}


_ALL = select(RESERVATIONS)
_CHANGED = ""
"""No pod has this uid: what was not there before an observation is not judged by it."""


def _take_turn(connection: Connection) -> None:
    """SQLite has one writer at a time; on PostgreSQL a lock that ends with the transaction makes it so."""
    if connection.dialect.name == "postgresql":
        connection.execute(_TAKE_TURN)


def _refusal(admit: Admit, claim: Claim, books: Books) -> Exception | None:
    try:
        admit(claim, books)
    except PachonError as error:
        return error
    return None


def _is_pod(pod: PodName) -> ColumnElement[bool]:
    return (RESERVATIONS.c.namespace == pod.namespace) & (RESERVATIONS.c.pod == pod.name)


def _of_pod(connection: Connection, pod: PodName) -> Reservation | None:
    row = connection.execute(_ALL.where(_is_pod(pod))).mappings().one_or_none()
    return None if row is None else _from_row(row)


def _put(connection: Connection, reservation: Reservation) -> None:
    _replace(connection, reservation.claim.pod, reservation)


def _replace(connection: Connection, pod: PodName, reservation: Reservation | None) -> None:
    connection.execute(delete(RESERVATIONS).where(_is_pod(pod)))
    if reservation is not None:
        connection.execute(insert(RESERVATIONS), _to_row(reservation))


def _put_observed(connection: Connection, capacity: Resources, at: datetime) -> None:
    connection.execute(delete(OBSERVED))
    row = {"cpu_millicores": capacity.cpu_millicores, "memory_bytes": capacity.memory_bytes}
    connection.execute(insert(OBSERVED), {"id": _ONLY, **row, "observed_at": at})


def _covers(reserved: Resources, needed: Resources) -> bool:
    return reserved.larger(needed) == reserved


def _books(connection: Connection, claim: Claim) -> Books:
    others = ~_is_pod(claim.pod)
    is_own, is_of_pool = RESERVATIONS.c.owner == claim.owner, RESERVATIONS.c.pool == claim.pool
    sums = select(*_sums("all"), *_sums("own", is_own), *_sums("pool", is_of_pool)).where(others)
    row = connection.execute(sums).mappings().one()
    servers = select(RESERVATIONS.c.server).where(others, is_own).order_by(RESERVATIONS.c.id)
    observed = connection.execute(select(OBSERVED)).mappings().one_or_none()
    return Books(
        capacity=None if observed is None else _size(observed),
        observed_at=None if observed is None else observed["observed_at"],
        total=_summed(row, "all"),
        own=_summed(row, "own"),
        pool=_summed(row, "pool"),
        own_servers=tuple(connection.scalars(servers)),
    )


def _sums(name: str, condition: ColumnElement[bool] | None = None) -> tuple[ColumnElement[Any], ...]:
    return tuple(
        func.coalesce(func.sum(column if condition is None else case((condition, column), else_=0)), 0).label(
            f"{name}_{column.name}"
        )
        for column in (RESERVATIONS.c.cpu_millicores, RESERVATIONS.c.memory_bytes)
    )


def _summed(row: RowMapping, name: str) -> Resources:
    return Resources(int(row[f"{name}_cpu_millicores"]), int(row[f"{name}_memory_bytes"]))


def _size(row: RowMapping) -> Resources:
    return Resources(row["cpu_millicores"], row["memory_bytes"])


def _to_row(reservation: Reservation) -> dict[str, Any]:
    claim = reservation.claim
    return {
        "id": reservation.id,
        "namespace": claim.pod.namespace,
        "pod": claim.pod.name,
        "uid": reservation.uid,
        "owner": claim.owner,
        "server": claim.server,
        "pool": claim.pool,
        "cpu_millicores": claim.size.cpu_millicores,
        "memory_bytes": claim.size.memory_bytes,
        "reserved_at": reservation.reserved_at,
    }


def _from_row(row: RowMapping) -> Reservation:
    claim = Claim(
        pod=PodName(row["namespace"], row["pod"]),
        owner=row["owner"],
        server=row["server"],
        pool=row["pool"],
        size=_size(row),
    )
    return Reservation(id=row["id"], claim=claim, uid=row["uid"], reserved_at=row["reserved_at"])
