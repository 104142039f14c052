"""What can become of a pod on the fake node, as the statuses and events that a kubelet reports."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

Pod = dict[str, Any]
"""A pod in the API's own words: what JSON holds."""
Status = dict[str, Any]
Process = Callable[[Pod, str], AbstractContextManager[object]]
"""Starts what stands for a pod, given the pod and the address to listen at; left when the pod is deleted."""


@dataclass(frozen=True)
class Event:
    """What the node tells about a pod."""

    reason: str
    message: str
    type: str = "Normal"


@dataclass(frozen=True)
class Fate:
    """The status of a pod once it is on the node, what is told of it, and the process behind it, if any."""

    status: Callable[[Pod, str], Status]
    events: tuple[Event, ...] = ()
    process: Process | None = None


def runs(process: Process | None = None) -> Fate:
    """Its containers run and are ready; a process of the test may stand for them."""
    pulled = Event("Pulled", "Container image already present on machine")
    return Fate(running, (pulled, Event("Started", "Started container")), process)


def never_gets_ready() -> Fate:
    """Its containers run, and no readiness probe ever succeeds."""
    unready = Event("Unhealthy", "Readiness probe failed: connection refused", "Warning")
    return Fate(lambda pod, address: running(pod, address, is_ready=False), (unready,))


def succeeds() -> Fate:
    """Its containers end at once with exit code 0, as those of a job do."""
    return Fate(lambda pod, address: _ended(pod, address, reason="Completed", exit_code=0))


def fails(exit_code: int = 1) -> Fate:
    """Its containers end at once with an error."""
    return Fate(lambda pod, address: _ended(pod, address, reason="Error", exit_code=exit_code))


def image_cannot_be_pulled() -> Fate:
    """Its image does not exist: it stays pending."""
    events = (
        Event("Failed", "Failed to pull image: manifest unknown", "Warning"),
        Event("BackOff", "Back-off pulling image", "Warning"),
    )
    return Fate(_waiting_for_image, events)


def is_refused(reason: str = "OutOfmemory") -> Fate:
    """The node does not take it, as a kubelet whose own count differs from the scheduler's."""
    message = "Pod was rejected: Node didn't have enough resource: memory"
    return Fate(
        lambda _pod, _address: {"phase": "Failed", "reason": reason, "message": message},
        (Event(reason, message, "Warning"),),
    )


def running(pod: Pod, address: str, *, is_ready: bool = True, restarts: int = 0, last: Status | None = None) -> Status:
    """The status of a pod whose containers run; `last` says how they ended before, when they were started anew."""
    started = {"running": {"startedAt": now()}}
    each = {"ready": is_ready, "started": True, "restartCount": restarts, "state": started, "lastState": last or {}}
    return {
        "phase": "Running",
        **_placed(address),
        "containerStatuses": _statuses(pod, **each),
        "initContainerStatuses": _initialised(pod),
        "conditions": _conditions(is_ready=is_ready),
    }


def killed_for_memory(pod: Pod) -> Status:
    """The status of a running pod after the kernel killed its containers; its restart policy decides what follows."""
    address = pod["status"]["podIP"]
    if pod["spec"]["restartPolicy"] == "Never":
        return _ended(pod, address, reason="OOMKilled", exit_code=137)
    restarts = 1 + max(status["restartCount"] for status in pod["status"]["containerStatuses"])
    return running(pod, address, restarts=restarts, last=_termination("OOMKilled", 137))


def now() -> str:
    """This moment, as the API writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _ended(pod: Pod, address: str, *, reason: str, exit_code: int) -> Status:
    state = _termination(reason, exit_code)
    return {
        "phase": "Failed" if exit_code else "Succeeded",
        **_placed(address),
        "containerStatuses": _statuses(pod, ready=False, started=False, restartCount=0, state=state),
        "initContainerStatuses": _initialised(pod),
        "conditions": _conditions(is_ready=False),
    }


def _waiting_for_image(pod: Pod, address: str) -> Status:
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}}
    each = {"ready": False, "started": False, "restartCount": 0, "state": waiting}
    return {
        "phase": "Pending",
        **_placed(address),
        "containerStatuses": _statuses(pod, **each),
        "conditions": _conditions(is_ready=False),
    }


def _placed(address: str) -> Status:
    return {"hostIP": "127.0.0.1", "podIP": address, "podIPs": [{"ip": address}], "startTime": now()}


def _statuses(pod: Pod, **each: Any) -> list[Status]:
    return [
        {"name": container["name"], "image": container["image"], "imageID": "none", **each}
        for container in pod["spec"]["containers"]
    ]


def _initialised(pod: Pod) -> list[Status]:
    done = {"ready": True, "restartCount": 0, "state": _termination("Completed", 0)}
    return [
        {"name": container["name"], "image": container["image"], "imageID": "none", **done}
        for container in pod["spec"].get("initContainers", ())
    ]


def _termination(reason: str, exit_code: int) -> Status:
    times = {"startedAt": now(), "finishedAt": now()}
    return {"terminated": {"exitCode": exit_code, "reason": reason, **times}}


def _conditions(*, is_ready: bool) -> list[Status]:
    truth = {"PodScheduled": True, "Initialized": True, "ContainersReady": is_ready, "Ready": is_ready}
    return [{"type": name, "status": str(true), "lastTransitionTime": now()} for name, true in truth.items()]
