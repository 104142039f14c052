"""Why a lab does not start, in one sentence: read from the pod's state, its events, and answers of the API server."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pachon.core.resources import memory_text

_NO_IMAGE = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable"}
_HOPELESS_IMAGE = _NO_IMAGE - {"ErrImagePull"}
_WRONG_CONTAINER = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
_QUOTA = re.compile(r"exceeded quota: (?P<quota>[^,]+), requested: (?P<requested>.+?), used: .*?, limited: ")
_FORBIDDEN, _TOO_MANY = 403, 429

WAITS = {
    "Scheduled": "A place on the cluster is found.",
    "Pulling": "The software is being fetched, which takes some minutes when it is new to the machine.",
    "Pulled": "The software is there.",
    "Created": "Your lab is being prepared.",
    "Started": "JupyterLab is starting.",
    "FailedScheduling": "Waiting for a place on the cluster: all machines are busy.",
    "FailedMount": "Your files are not ready yet.",
    "FailedAttachVolume": "Your files are still in use by a lab that is ending, or are not ready yet.",
    "SuccessfulAttachVolume": "Your files are connected.",
    "Killing": "An older lab of yours is being ended first.",
    "BackOff": "A step failed and is tried again.",
}
"""What events of Kubernetes mean to people, by their reason."""


@dataclass(frozen=True, slots=True)
class StartFailure:
    """Why a lab did not start.

    Parameters
    ----------
    reason
        One word, for metrics.
    message
        One sentence for the person.
    status
        HTTP status.
    """

    reason: str
    message: str
    status: int = 503


def hopeless(pod: Mapping[str, Any]) -> StartFailure | None:
    """Why waiting longer for a pod is useless; None as long as it may still start.

    Parameters
    ----------
    pod
        A Pod, as in JSON.
    """
    status = pod.get("status") or {}
    if status.get("phase") == "Failed":
        told = status.get("message") or status.get("reason") or "it ended"
        return StartFailure("failed", f"The machine ended your lab while it started: {_sentence(told)} Start it again.")
    for container in _containers(status):
        if failure := _of_container(container, pod):
            return failure
    return None


def late(pod: Mapping[str, Any] | None, *, waited_s: int) -> StartFailure:
    """Why a pod did not start in time.

    Parameters
    ----------
    pod
        A Pod, as in JSON; None if it was never seen.
    waited_s
        How long was waited, seconds.
    """
    after = f"Your lab did not start within {waited_s} s"
    if pod is None:
        return StartFailure("unseen", f"{after}: the cluster did not make it; try again, or tell an administrator.")
    status = pod.get("status") or {}
    conditions = {each.get("type"): each for each in status.get("conditions") or ()}
    placed = conditions.get("PodScheduled") or {}
    if placed.get("status") == "False":
        return StartFailure(
            "unschedulable",
            f"{after}: no machine has room for it ({placed.get('message', 'none is free').rstrip('.')}); "
            "choose a smaller size, or try again later.",
        )
    waits_for = (each.get("state", {}).get("waiting") for each in _containers(status))
    waiting: Mapping[str, Any] = next((each for each in waits_for if each), {})
    if waiting.get("reason") in _NO_IMAGE:
        return _no_image(pod, waiting)
    if waiting.get("reason") == "ContainerCreating":
        return StartFailure("storage", f"{after}: its files or its software were not ready; try again in some minutes.")
    return StartFailure("slow", f"{after}; try again, or tell an administrator.")


def refused(status: int, body: str) -> StartFailure:
    """Why the API server did not take a pod, or the claim of a home.

    Parameters
    ----------
    status
        HTTP status of its answer.
    body
        The answer, a `Status` in JSON.
    """
    told = _message(body)
    if found := _QUOTA.search(told):
        return StartFailure(
            "quota",
            f"The cluster has no room for this lab: its quota '{found['quota']}' does not allow another "
            f"{found['requested'].replace(',', ', ')}; choose a smaller size, or try again when other labs have ended.",
            status=_TOO_MANY,
        )
    if status == _FORBIDDEN:
        return StartFailure(
            "forbidden", f"The cluster refuses this lab ({told or 'forbidden'}); tell an administrator."
        )
    return StartFailure(
        "refused", f"The cluster did not take this lab ({told or f'status {status}'}); try again later."
    )


def waits(event: Mapping[str, Any]) -> str:
    """What an event of Kubernetes means, for the person who waits."""
    return WAITS.get(event.get("reason", ""), _sentence(str(event.get("message") or "Something changed.")))


def _of_container(container: Mapping[str, Any], pod: Mapping[str, Any]) -> StartFailure | None:
    state, last = container.get("state") or {}, container.get("lastState") or {}
    waiting = state.get("waiting") or {}
    ended = state.get("terminated") or last.get("terminated") or {}
    reason = waiting.get("reason")
    if reason in _HOPELESS_IMAGE:
        return _no_image(pod, waiting)
    if reason in _WRONG_CONTAINER:
        told = _sentence(waiting.get("message") or str(reason))
        return StartFailure("container", f"Your lab cannot be made: {told} Tell an administrator.")
    if ended.get("reason") == "OOMKilled":
        return StartFailure("memory", f"Your lab needed more than its {_memory(pod)}: choose a larger size.")
    if reason == "CrashLoopBackOff":
        return StartFailure(
            "exited",
            f"The image {_image(pod)} ends again and again (exit code {ended.get('exitCode', 'unknown')}): it may have "
            "no jupyterhub-singleuser, or what you installed in your home breaks it; choose another image.",
        )
    return None


def _no_image(pod: Mapping[str, Any], waiting: Mapping[str, Any]) -> StartFailure:
    told = str(waiting.get("message") or waiting.get("reason") or "unknown").strip().rstrip(".")
    return StartFailure(
        "image", f"The image {_image(pod)} cannot be fetched ({told}): choose another one, or tell an administrator."
    )


def _containers(status: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for kind in ("initContainerStatuses", "containerStatuses"):
        yield from status.get(kind) or ()


def _memory(pod: Mapping[str, Any]) -> str:
    limits: Iterable[str] = (
        (each.get("resources") or {}).get("limits", {}).get("memory", "") for each in pod["spec"]["containers"]
    )
    limit = next(iter(limits), "")
    told = memory_text(int(limit)) if str(limit).isdecimal() else str(limit)
    return f"{told} of memory" if told else "memory"


def _image(pod: Mapping[str, Any]) -> str:
    return f"'{pod['spec']['containers'][0]['image']}'"


def _message(body: str) -> str:
    try:
        document = json.loads(body)
    except ValueError:
        return ""
    return str(document.get("message", "")).strip().rstrip(".") if isinstance(document, dict) else ""


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    return text if text.endswith((".", "!", "?")) else f"{text}."
