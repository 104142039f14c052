"""The pod that a start makes, in which order the ledger is told of it, and what people read when it fails."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jupyterhub.spawner import SpawnException
from kubernetes_asyncio.client import V1Container
from kubernetes_asyncio.client.exceptions import ApiException

from pachon.core.errors import QuotaError, UnavailableError
from pachon.core.resources import Resources
from pachon.hub.start_failures import waits
from support.kube_double import LABS, SpawnerDouble, spawner

GIBIBYTE = 1024**3
QUOTA = (
    'pods "jupyter-novice" is forbidden: exceeded quota: labs, requested: limits.cpu=2,limits.memory=8Gi, '
    "used: limits.cpu=15,limits.memory=60Gi, limited: limits.cpu=16,limits.memory=64Gi"
)


async def start(one: SpawnerDouble) -> None:
    await one.start()


def started(one: SpawnerDouble) -> dict[str, Any]:
    """The pod of a start, as JSON."""
    asyncio.run(start(one))
    document: dict[str, Any] = one.api.api_client.sanitize_for_serialization(one.api.created[-1])
    return document


def failure(one: SpawnerDouble) -> SpawnException:
    with pytest.raises(SpawnException) as raised:
        asyncio.run(start(one))
    return raised.value


def test_the_pod_meets_the_restricted_standard_and_shows_no_token(tmp_path: Path) -> None:
    one = spawner(tmp_path)
    pod = started(one)
    spec, container = pod["spec"], pod["spec"]["containers"][0]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["securityContext"]["runAsUser"] == LABS.user_id
    assert (spec["automountServiceAccountToken"], spec["enableServiceLinks"]) == (False, False)
    assert {kind for volume in spec["volumes"] for kind in volume} == {"name", "persistentVolumeClaim"}
    assert "secret-token" not in json.dumps(pod)
    secret = one.api.secrets[pod["metadata"]["name"]]
    assert base64.b64decode(secret["JUPYTERHUB_API_TOKEN"]) == b"secret-token"
    referred = {each["name"]: each["valueFrom"]["secretKeyRef"] for each in container["env"] if "valueFrom" in each}
    assert referred["JUPYTERHUB_API_TOKEN"] == {"name": "jupyter-novice", "key": "JUPYTERHUB_API_TOKEN"}


def test_size_image_and_pool_are_as_chosen_and_else_as_recommended(tmp_path: Path) -> None:
    one = spawner(tmp_path, groups=("deep-team", "others"), size="large", image="plain", group="deep-team")
    pod = started(one)
    container = pod["spec"]["containers"][0]
    assert container["resources"]["limits"] == container["resources"]["requests"] == {"cpu": 4, "memory": 16 * GIBIBYTE}
    assert container["image"] == "lab:plain"
    assert pod["metadata"]["annotations"]["pachon/pool"] == "deep-team"
    assert (one.ledger.claims[0].pool, one.ledger.claims[0].groups) == ("deep-team", ("deep-team", "others"))
    plain = started(spawner(tmp_path))["spec"]["containers"][0]
    assert (plain["image"], plain["resources"]["limits"]["cpu"]) == ("lab:1", 1)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"size": "huge"}, "There is no size 'huge' of labs; allowed are small, medium, large."),
        ({"image": "evil:1"}, "There is no image 'evil:1' of labs; allowed are plain, science."),
        ({"group": "deep-team"}, "your groups with a pool: none"),
        ({"namespace": "default"}, "'namespace' cannot be chosen for a lab"),
    ],
)
def test_what_is_not_offered_cannot_be_chosen(tmp_path: Path, options: dict[str, str], told: str) -> None:
    one = spawner(tmp_path, **options)
    refused = failure(one)
    assert (refused.status_code, told in refused.message) == (400, True)
    assert one.ledger.told == []


def test_a_pod_stays_in_the_namespace_of_labs_whatever_a_profile_says(tmp_path: Path) -> None:
    one = spawner(tmp_path)
    one.profile_list = [{"display_name": "x", "default": True, "kubespawner_override": {"namespace": "default"}}]
    assert failure(one).message == "Labs run in 'pachon-labs' alone, not in 'default'."
    assert (one.ledger.told, one.api.created) == ([], [])


def test_the_final_pod_is_what_is_reserved_a_hooks_additions_included(tmp_path: Path) -> None:
    one = spawner(tmp_path)

    def add(_spawner: object, pod: Any) -> Any:
        amounts = {"cpu": "500m", "memory": "1Gi"}
        pod.spec.containers.append(V1Container(name="side", image="side:1", resources={"limits": amounts}))
        return pod

    one.modify_pod_hook = add
    started(one)
    assert [claim.size for claim in one.ledger.claims] == [Resources(1500, 5 * GIBIBYTE)] * 2


def test_a_container_without_limits_is_not_started(tmp_path: Path) -> None:
    one = spawner(tmp_path)

    def add(_spawner: object, pod: Any) -> Any:
        pod.spec.init_containers = [V1Container(name="first", image="first:1")]
        return pod

    one.modify_pod_hook = add
    assert "The container 'first' has no limit for cpu and memory" in failure(one).message
    assert (one.ledger.told, one.api.created) == ([], [])


def test_the_ledger_is_asked_before_the_pod_is_made_and_told_when_it_is_gone(tmp_path: Path) -> None:
    one = spawner(tmp_path, server="big")
    pod = started(one)
    assert pod["metadata"]["annotations"]["pachon/reservation"] == "reservation-1"
    assert one.ledger.told == ["reserve", "confirm reservation-1 uid-1"]
    asyncio.run(one.stop())
    assert one.ledger.told[2:] == ["release pachon-labs/jupyter-novice--big uid-1"]
    assert (one.api.pods, one.api.secrets) == ({}, {})
    asyncio.run(one.stop())
    assert len(one.ledger.told) == 3


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [(QuotaError("Full."), 429, "allocation"), (UnavailableError("Away."), 503, "ledger")],
)
def test_without_a_reservation_no_pod_is_made_and_the_reason_is_told(
    tmp_path: Path, error: Any, status: int, reason: str
) -> None:
    one = spawner(tmp_path)
    one.ledger.refusal = error
    refused = failure(one)
    assert (refused.status_code, refused.message, refused.reason) == (status, str(error), reason)
    assert (one.api.created, one.api.secrets) == ([], {})


def test_a_pod_whose_place_was_given_to_others_meanwhile_is_taken_away_again(tmp_path: Path) -> None:
    one = spawner(tmp_path)
    one.ledger.refuses_confirmation = QuotaError("Too late.")
    assert (failure(one).message, one.api.pods) == ("Too late.", {})
    assert one.ledger.told[-1] == "release pachon-labs/jupyter-novice uid-1"


def refusal(status: int, message: str) -> ApiException:
    error = ApiException(status=status, reason="refused")
    error.body = json.dumps({"kind": "Status", "message": message})
    return error


def test_a_refusal_by_the_clusters_own_quota_reads_like_one_of_ours_and_gives_the_reservation_back(
    tmp_path: Path,
) -> None:
    one = spawner(tmp_path)
    one.api.refusals = [refusal(403, QUOTA)]
    refused = failure(one)
    assert refused.status_code == 429
    assert "its quota 'labs' does not allow another limits.cpu=2, limits.memory=8Gi; choose" in refused.message
    assert one.ledger.told == ["reserve", "cancel reservation-1"]


def test_a_reservation_stays_where_nobody_knows_whether_a_pod_was_made(tmp_path: Path) -> None:
    for prepare in (lambda one: one.api.refusals.append(refusal(500, "etcd")), _with_an_older_pod):
        one = spawner(tmp_path)
        prepare(one)
        failure(one)
        assert one.ledger.told == ["reserve"]


def _with_an_older_pod(one: SpawnerDouble) -> None:
    one.api.pods["pachon-labs/jupyter-novice"] = {"metadata": {"uid": "uid-0"}}
    one.api.refusals.append(refusal(403, "no"))


def test_an_older_pod_of_the_name_is_ended_first(tmp_path: Path) -> None:
    one = spawner(tmp_path)
    _with_an_older_pod(one)
    one.api.refusals = [refusal(409, "exists")]
    pod = started(one)
    assert pod["metadata"]["uid"] == "uid-1"
    released = "release pachon-labs/jupyter-novice uid-0"
    assert one.ledger.told == ["reserve", released, "confirm reservation-1 uid-1"]
    assert set(one.api.secrets) == {"jupyter-novice"}


def test_releases_are_mounted_read_only_one_by_one(tmp_path: Path) -> None:
    one = spawner(tmp_path)
    one.folders = {"sky": Path("sky"), "deep": Path("fast/deep")}
    spec = started(one)["spec"]
    mounts = [each for each in spec["containers"][0]["volumeMounts"] if each["name"] == "releases"]
    assert mounts == [
        {"name": "releases", "mountPath": f"/releases/{name}", "subPath": folder, "readOnly": True}
        for name, folder in (("deep", "fast/deep"), ("sky", "sky"))
    ]
    claims = {each["name"]: each["persistentVolumeClaim"] for each in spec["volumes"]}
    assert claims["releases"] == {"claimName": "releases", "readOnly": True}


def test_homes_of_different_people_never_have_one_name_and_all_labs_of_a_person_share_theirs(tmp_path: Path) -> None:
    people = ("al", "alice", "al-", "al--ice", "Al", "al.ice", "al@ice", "a" * 60, "a" * 61)
    names = [spawner(tmp_path, name).pvc_name for name in people]
    assert len(set(names)) == len(people)
    assert spawner(tmp_path, "al", "ice").pvc_name == spawner(tmp_path, "al").pvc_name
    pods = {spawner(tmp_path, *who).pod_name for who in (("al", "ice"), ("al--ice", ""), ("al", ""), ("al-ice", ""))}
    assert len(pods) == 4


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    state = {"name": "notebook", "ready": False, "state": {"waiting": {"reason": reason, "message": message}}}
    return {"phase": "Pending", "podIP": None, "containerStatuses": [state]}


def ended(reason: str, code: int) -> dict[str, Any]:
    last = {"terminated": {"reason": reason, "exitCode": code}}
    looping = waiting("CrashLoopBackOff")
    looping["containerStatuses"][0]["lastState"] = last
    return looping


@pytest.mark.parametrize(
    ("status", "reason", "told"),
    [
        (
            waiting("ImagePullBackOff", "manifest unknown."),
            "image",
            "The image 'lab:1' cannot be fetched (manifest unknown): choose another one, or tell an administrator.",
        ),
        (ended("OOMKilled", 137), "memory", "Your lab needed more than its 4 GiB of memory: choose a larger size."),
        (ended("Error", 2), "exited", "The image 'lab:1' ends again and again (exit code 2)"),
        (
            waiting("CreateContainerConfigError", 'secret "x" not found'),
            "container",
            'Your lab cannot be made: secret "x" not found. Tell an administrator.',
        ),
        (
            {"phase": "Failed", "reason": "Evicted", "message": "The node was low on memory."},
            "failed",
            "The machine ended your lab while it started: The node was low on memory. Start it again.",
        ),
    ],
)
def test_a_start_without_hope_ends_at_once_with_its_reason(
    tmp_path: Path, status: dict[str, Any], reason: str, told: str
) -> None:
    refused = failure(spawner(tmp_path, status=status))
    assert refused.reason == reason
    assert refused.message.startswith(told)


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (
            {
                "phase": "Pending",
                "podIP": None,
                "conditions": [
                    {
                        "type": "PodScheduled",
                        "status": "False",
                        "message": "0/3 nodes are available: 3 Insufficient cpu.",
                    }
                ],
            },
            "no machine has room for it (0/3 nodes are available: 3 Insufficient cpu); choose a smaller size",
        ),
        (waiting("ContainerCreating"), "its files or its software were not ready"),
        (waiting("ErrImagePull", "timeout"), "The image 'lab:1' cannot be fetched (timeout)"),
    ],
)
def test_a_start_that_takes_too_long_says_what_it_waited_for(tmp_path: Path, status: dict[str, Any], told: str) -> None:
    labs = LABS.model_copy(update={"start_timeout_s": 1})
    assert told in failure(spawner(tmp_path, labs=labs, status=status)).message


def test_who_waits_reads_words_that_need_no_knowledge_of_kubernetes() -> None:
    assert waits({"reason": "Pulling", "message": 'Pulling image "lab:1"'}).startswith("The software is being fetched")
    assert waits({"reason": "Novelty", "message": "something  else"}) == "something else."


def test_the_form_offers_what_there_is_and_what_was_chosen_last(tmp_path: Path) -> None:
    one = spawner(tmp_path, groups=("deep-team", "no-pool"), size="medium")
    form = one.options_form
    checked: Callable[[str], bool] = lambda text: f"{text} checked" in form  # noqa: E731 -- two words shorter
    assert checked('name="size" value="medium"')
    assert checked('name="image" value="science"')
    assert checked('name="group" value=""')
    assert 'value="deep-team"' in form
    assert "no-pool" not in form
    filled = {"size": ["large"], "group": ["deep-team"], "_xsrf": ["x"], "image": []}
    assert one.run_options_from_form(filled) == {"size": "large", "group": "deep-team"}
