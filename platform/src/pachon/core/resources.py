"""Processors and memory, and how much of them a pod may use at most, as Kubernetes counts it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from pachon.core.errors import UsageError

_GIBIBYTE = 1024**3
_MILLICORES = 1000
_FACTORS = {"n": Fraction(1, 10**9), "u": Fraction(1, 10**6), "m": Fraction(1, 10**3), "": Fraction(1)}
_FACTORS |= {letter: Fraction(1000**power) for power, letter in enumerate("kMGTPE", start=1)}
_FACTORS |= {f"{letter}i": Fraction(1024**power) for power, letter in enumerate("KMGTPE", start=1)}
_QUANTITY = re.compile(r"([0-9]{1,30}(?:\.[0-9]{0,30})?|\.[0-9]{1,30})(?:([A-Za-z]{0,2})|[eE]([+-]?[0-9]{1,2}))")


@dataclass(frozen=True, slots=True)
class Resources:
    """An amount of processors (thousandths of one) and of memory."""

    cpu_millicores: int = 0
    memory_bytes: int = 0

    @classmethod
    def of(cls, cpu: float, memory_bytes: int) -> Resources:
        """From processors; a part of a thousandth is rounded down."""
        return cls(math.floor(Fraction(str(cpu)) * _MILLICORES), memory_bytes)

    def __add__(self, other: Resources) -> Resources:
        return Resources(self.cpu_millicores + other.cpu_millicores, self.memory_bytes + other.memory_bytes)

    def larger(self, other: Resources) -> Resources:
        """The larger of both, resource by resource."""
        return Resources(max(self.cpu_millicores, other.cpu_millicores), max(self.memory_bytes, other.memory_bytes))

    def share(self, part: float) -> Resources:
        """A part of this, rounded down, resource by resource."""
        exact = Fraction(str(part))
        return Resources(math.floor(self.cpu_millicores * exact), math.floor(self.memory_bytes * exact))

    def __str__(self) -> str:
        return f"{cpu_text(self.cpu_millicores)} and {memory_text(self.memory_bytes)} of memory"


NOTHING = Resources()


def cpu_text(millicores: int) -> str:
    """Processors in words."""
    return f"{millicores / _MILLICORES:.4g} CPU"


def memory_text(size_bytes: int) -> str:
    """Memory in words."""
    return f"{size_bytes / _GIBIBYTE:.4g} GiB"


def quantity(text: str | float) -> Fraction:
    """A quantity as Kubernetes writes it (`500m`, `1.5Gi`, `2e3`), exactly.

    Source: Kubernetes API, `k8s.io/apimachinery/pkg/api/resource.Quantity`.

    Raises
    ------
    UsageError
        If it is none.
    """
    found = _QUANTITY.fullmatch(str(text))
    factor = None if found is None else _FACTORS.get(found[2] or "")
    if found is None or factor is None:
        raise UsageError(f"'{text}' is no quantity of Kubernetes such as 500m, 2 or 1.5Gi.")
    exponent = Fraction(10) ** int(found[3] or 0)
    return Fraction(found[1].rstrip(".")) * factor * exponent


def pod_limits(spec: Mapping[str, Any]) -> Resources:
    """What a pod may use at most: the sum of its containers or, if larger, its greediest moment of initialisation.

    Containers that are restarted for the life of the pod (sidecars) count with the containers, and with every init
    container that starts after them. The overhead of a runtime class is added.

    Parameters
    ----------
    spec
        `spec` of a Pod, as in JSON.

    Raises
    ------
    UsageError
        If a container has no limit for processors or memory: such a pod may use all there is.
    """
    running = _sum(_limits(each) for each in spec.get("containers") or ())
    started = initial = NOTHING
    for each in spec.get("initContainers") or ():
        own = _limits(each)
        initial = initial.larger(started + own)
        if each.get("restartPolicy") == "Always":
            started += own
    overhead = spec.get("overhead") or {}
    return (running + started).larger(initial) + _resources(overhead.get("cpu", 0), overhead.get("memory", 0))


def _limits(container: Mapping[str, Any]) -> Resources:
    limits = (container.get("resources") or {}).get("limits") or {}
    missing = [name for name in ("cpu", "memory") if limits.get(name) is None]
    if missing:
        name = container.get("name", "")
        raise UsageError(
            f"The container '{name}' has no limit for {' and '.join(missing)}; every container needs both."
        )
    return _resources(limits["cpu"], limits["memory"])


def _resources(cpu: str | float, memory: str | float) -> Resources:
    """Kubernetes rounds parts of a thousandth of a processor, and of a byte, up."""
    return Resources(math.ceil(quantity(cpu) * _MILLICORES), math.ceil(quantity(memory)))


def _sum(amounts: Iterable[Resources]) -> Resources:
    total = NOTHING
    for amount in amounts:
        total += amount
    return total
