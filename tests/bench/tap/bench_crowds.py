"""Many at once: the rate of small answers, and how long each waits when dozens ask together."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pytest

from bench.figures import Figure
from bench.importers import FIRST_ID
from bench.tap.bench_answers import CATALOGUES, centres, scan_of
from bench.tap.record import ANSWERS, keep
from bench.tap.server import Api, Client
from bench.tap.sky import SKY_ROWS
from bench.timing import median_ms, p95_ms

_CLIENTS = 8
_REQUESTS_A_CLIENT = 60
_FULL = 0.9
_CONES_AND_IDS = 50
_SCANS = 20

pytestmark = [pytest.mark.stack, pytest.mark.catalogues]


@dataclass(frozen=True)
class Rush:
    """What a crowd met: seconds of each answer, of all of it, and of the processors."""

    seconds: list[float]
    wall_s: float
    api_cpu_s: float
    own_cpu_s: float


def rush(api: Api, askers: Sequence[Callable[[Client], list[float]]]) -> Rush:
    """All of them at once, each with a connection of its own; a refusal fails the run."""

    def ask(asker: Callable[[Client], list[float]]) -> list[float]:
        with api.client() as client:
            return asker(client)

    cpu_s, own_s, start = api.cpu_s(), time.process_time(), time.perf_counter()
    with ThreadPoolExecutor(len(askers)) as threads:
        seconds = [each for answers in threads.map(ask, askers) for each in answers]
    wall_s = time.perf_counter() - start
    return Rush(seconds, wall_s, api.cpu_s() - cpu_s, time.process_time() - own_s)


def asking(adql: str, *, times: int = 1) -> Callable[[Client], list[float]]:
    """Somebody who asks the same again and again, and takes the time."""

    def ask(client: Client) -> list[float]:
        seconds = []
        for _ in range(times):
            start = time.perf_counter()
            client.tap(adql)
            seconds.append(time.perf_counter() - start)
        return seconds

    return ask


def test_eight_clients_keep_the_cores_full(api: Api) -> None:
    adql = "SELECT TOP 1 * FROM sky.objects"
    rush(api, [asking(adql, times=5)] * _CLIENTS)
    found = rush(api, [asking(adql, times=_REQUESTS_A_CLIENT)] * _CLIENTS)
    cores = os.cpu_count() or 1
    busy = (found.api_cpu_s + found.own_cpu_s) / found.wall_s
    keep(
        [
            Figure(
                name=f"{_CLIENTS} clients, TOP 1",
                value=round(len(found.seconds) / found.wall_s),
                unit="answers/s",
                target=f"cores full: >= {_FULL * cores:g} of {cores} busy",
                passed=busy >= _FULL * cores,
                paths=ANSWERS,
                note=f"{found.api_cpu_s / found.wall_s:.2f} cores taken by the service, {busy:.2f} with the clients; "
                f"{1000 * found.api_cpu_s / len(found.seconds):.1f} ms of processor an answer",
                times_ms={"ours": (median_ms(found.seconds), p95_ms(found.seconds))},
            )
        ]
    )


def test_fifty_cones_and_identifiers_at_once_are_all_answered(api: Api) -> None:
    cones = [
        f"SELECT * FROM sky.objects WHERE 1 = CONTAINS(POINT(ra, dec), "
        f"CIRCLE({cone.ra_deg!r}, {cone.dec_deg!r}, {cone.radius_deg!r}))"
        for cone in centres(_CONES_AND_IDS // 2, 10 / 60)
    ]
    numbers = np.random.default_rng(7).integers(0, SKY_ROWS, _CONES_AND_IDS // 2)
    ids = [f"SELECT * FROM sky.objects WHERE id = {FIRST_ID + int(number)}" for number in numbers]
    found = rush(api, [asking(adql) for pair in zip(cones, ids, strict=True) for adql in pair])
    _keep_crowd(f"{_CONES_AND_IDS} at once: cones of 10' and single identifiers", found, asked=_CONES_AND_IDS)


def test_twenty_full_scans_at_once_are_all_answered(api: Api) -> None:
    (catalogue,) = CATALOGUES[0].values
    found = rush(api, [asking(scan_of(catalogue))] * _SCANS)
    _keep_crowd(f"{_SCANS} at once: full scans of 10 M rows", found, asked=_SCANS)


def _keep_crowd(name: str, found: Rush, *, asked: int) -> None:
    keep(
        [
            Figure(
                name=name,
                value=round(p95_ms(found.seconds)),
                unit="ms, p95",
                target=f"all {asked} answered",
                passed=len(found.seconds) == asked,
                paths=ANSWERS,
                note=f"all after {found.wall_s:.1f} s",
                times_ms={"ours": (median_ms(found.seconds), p95_ms(found.seconds))},
            )
        ]
    )
