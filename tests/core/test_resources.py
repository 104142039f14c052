from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from pachon.core.errors import UsageError
from pachon.core.resources import Resources, pod_limits, quantity


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2", 2), ("0.5", Fraction(1, 2)), (".5", Fraction(1, 2)), ("2.", 2), ("500m", Fraction(1, 2)),
        ("1n", Fraction(1, 10**9)),
        ("1Ki", 1024), ("1.5Gi", 1536 * 1024**2), ("1k", 1000), ("1M", 10**6), ("1E", 10**18), ("1Ei", 2**60),
        ("2e3", 2000),
        ("2E3", 2000), ("1e-3", Fraction(1, 1000)), (8589934592, 2**33), (0.1, Fraction(1, 10)),
    ],
)  # fmt: skip
def test_quantities_are_read_exactly(text: str | float, value: Fraction) -> None:
    assert quantity(text) == value


@pytest.mark.parametrize("text", ["", "Gi", "1K", "1gi", "-1", "1 Gi", "1e100", "NaN", "1" * 31, "1.2.3", "1mi"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no quantity of Kubernetes"):
        quantity(text)


def container(cpu: str, memory: str, **more: str) -> dict[str, Any]:
    return {"name": "c", "resources": {"limits": {"cpu": cpu, "memory": memory}}, **more}


def test_a_pod_takes_the_larger_of_its_containers_and_its_greediest_moment_of_initialisation() -> None:
    running = [container("1", "1Gi"), container("500m", "512Mi")]
    assert pod_limits({"containers": running}) == Resources(1500, 1536 * 1024**2)
    first = [container("4", "1Mi")]
    assert pod_limits({"containers": running, "initContainers": first}) == Resources(4000, 1536 * 1024**2)
    side = [container("1", "1Gi", restartPolicy="Always")]
    assert pod_limits({"containers": running, "initContainers": side}) == Resources(2500, 2560 * 1024**2)
    assert pod_limits({"containers": running, "initContainers": side + first}).cpu_millicores == 5000
    assert pod_limits({"containers": running, "initContainers": first + side}).cpu_millicores == 4000
    with_overhead = {"containers": [container("1", "1")], "overhead": {"cpu": "100m", "memory": "9"}}
    assert pod_limits(with_overhead) == Resources(1100, 10)


def test_parts_of_the_smallest_unit_count_in_full_and_a_share_is_rounded_down() -> None:
    assert pod_limits({"containers": [container("1n", "100m")]}) == Resources(1, 1)
    assert Resources(15, 29).share(0.1) == Resources(1, 2)
    assert Resources(100_000, 10**12).share(0.07) == Resources(7_000, 7 * 10**10)


@pytest.mark.parametrize("kind", ["containers", "initContainers"])
def test_a_container_without_limits_is_named(kind: str) -> None:
    spec = {"containers": [container("1", "1Gi")], kind: [{"name": "free", "resources": {"limits": {"cpu": "1"}}}]}
    with pytest.raises(UsageError, match="'free' has no limit for memory"):
        pod_limits(spec)
