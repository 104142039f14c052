"""What holds of every rendering of the chart. Each rule tells what breaks it; the mutations show that each one can."""

from __future__ import annotations

import base64
import math
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from pachon.app.secrets import load_or_make
from pachon.app.settings import Settings
from pachon.app.supervisor.programs import door_urls
from support.chart.helm import Manifest, Rendered

_KEEP = "helm.sh/resource-policy"
_CLAIMS = ("releases", "workspace", "hub", "database")
_MAY = {
    "hub": {
        "pods": {"get", "list", "watch", "create", "delete"},
        "persistentvolumeclaims": {"get", "list", "watch", "create", "delete"},
        "secrets": {"get", "create", "patch", "delete"},
        "events": {"get", "list", "watch"},
    },
    "api": {"pods": {"list"}},
}
_PROXY_HEALTH = "/_chp_healthz"


def every_container_has_requests_and_limits(rendered: Rendered) -> Iterator[str]:
    for name, container in rendered.containers():
        resources = container.get("resources", {})
        for kind in ("requests", "limits"):
            if set(resources.get(kind, ())) != {"cpu", "memory"}:
                yield f"{name} has no {kind} of both"


def every_pod_is_restricted(rendered: Rendered) -> Iterator[str]:
    for name, _, pod in rendered.pods():
        security = pod.get("securityContext", {})
        if not security.get("runAsNonRoot") or not security.get("runAsUser"):
            yield f"{name} may run as root"
        if security.get("seccompProfile") != {"type": "RuntimeDefault"}:
            yield f"{name} has no seccomp profile"
        if {"hostNetwork", "hostPID", "hostIPC"} & set(pod):
            yield f"{name} shares something with its node"
        if any("hostPath" in volume for volume in pod.get("volumes", ())):
            yield f"{name} mounts a folder of its node"
    for name, container in rendered.containers():
        wanted = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
        if container.get("securityContext") != wanted:
            yield f"{name} is not locked: {container.get('securityContext')}"


def only_hub_and_web_apis_have_a_token_of_kubernetes(rendered: Rendered) -> Iterator[str]:
    for name, metadata, pod in rendered.pods():
        needs_one = metadata["labels"]["app.kubernetes.io/component"] in _MAY
        if pod.get("automountServiceAccountToken", True) is not needs_one:
            yield f"{name} has a token: {not needs_one}"
    if any(account.get("automountServiceAccountToken") is not False for account in rendered.of_kind("ServiceAccount")):
        yield "an account hands its token to whoever uses it"


def hub_and_web_apis_may_make_and_count_labs_and_nothing_else(rendered: Rendered) -> Iterator[str]:
    labs = rendered.one("ResourceQuota", "labs")["metadata"]["namespace"]
    yield from (f"{each['metadata']['name']} holds everywhere" for each in rendered.of_kind("ClusterRoleBinding"))
    for each in rendered.of_kind("Role", "RoleBinding"):
        if each["metadata"]["namespace"] != labs:
            yield f"{each['kind']} {each['metadata']['name']} holds in {each['metadata']['namespace']}"
    may: dict[str, dict[str, set[str]]] = {}
    for role in rendered.of_kind("Role"):
        for resource, verb in (
            (each, verb) for rule in role["rules"] for each in rule["resources"] for verb in rule["verbs"]
        ):
            component = may.setdefault(role["metadata"]["labels"]["app.kubernetes.io/component"], {})
            component.setdefault(resource, set()).add(verb)
    if may != _MAY:
        yield f"roles are {may}"


def services_lead_to_pods(rendered: Rendered) -> Iterator[str]:
    for service in rendered.of_kind("Service"):
        name = service["metadata"]["name"]
        pods = [pod for _, metadata, pod in rendered.pods() if _selects(service["spec"]["selector"], metadata)]
        ports = {port["name"]: port["containerPort"] for pod in pods for port in _ports(pod)}
        for port in service["spec"]["ports"]:
            if ports.get(port["targetPort"]) != port["port"]:
                yield f"{name} leads to port {port['targetPort']}, and pods have {ports}"
    yield from _hosts_in_the_settings(rendered)


def _hosts_in_the_settings(rendered: Rendered) -> Iterator[str]:
    services = {service["metadata"]["name"]: service["spec"]["ports"] for service in rendered.of_kind("Service")}
    listen = _settings_document(rendered)["listen"]
    for name in ("hub", "api", "portal", "proxy_api"):
        host, port = listen[f"{name}_host"], listen[f"{name}_port"]
        service, _, namespace = host.partition(".")
        if namespace != rendered.namespace or port not in [each["port"] for each in services.get(service, ())]:
            yield f"the settings look for {name} at {host}:{port}, where no service is"


def routes_lead_to_services(rendered: Rendered) -> Iterator[str]:
    services = {service["metadata"]["name"]: service["spec"]["ports"] for service in rendered.of_kind("Service")}
    wanted = {"/": "api", "/portal": "portal", "/hub": "proxy", "/user": "proxy"}
    found: dict[str, str] = {}
    for path, name, port in chain(_ingress_routes(rendered), _gateway_routes(rendered)):
        found.setdefault(path, name.rsplit("-", 1)[-1])
        if port not in chain.from_iterable((each["name"], each["port"]) for each in services.get(name, ())):
            yield f"{path} leads to {name}:{port}, where no service is"
    if found not in ({}, wanted):
        yield f"routes are {found}"


def _ingress_routes(rendered: Rendered) -> Iterator[tuple[str, str, object]]:
    for rule in chain.from_iterable(each["spec"]["rules"] for each in rendered.of_kind("Ingress")):
        for path in rule["http"]["paths"] if not rule["host"].startswith("*") else ():
            service = path["backend"]["service"]
            yield path["path"], service["name"], service["port"]["name"]


def _gateway_routes(rendered: Rendered) -> Iterator[tuple[str, str, object]]:
    for rule in chain.from_iterable(each["spec"]["rules"] for each in rendered.of_kind("HTTPRoute")):
        for match in rule["matches"]:
            (backend,) = rule["backendRefs"]
            yield match["path"]["value"], backend["name"], backend["port"]


def browsers_stay_with_one_portal(rendered: Rendered) -> Iterator[str]:
    """By a cookie on the Portal's path: none of ours is sent to labs."""
    if rendered.one("Service", "-portal")["spec"].get("sessionAffinity") != "ClientIP":
        yield "behind the proxy a browser changes Portals"
    for ingress in rendered.of_kind("Ingress"):
        if ingress["metadata"]["name"].endswith("-portal"):
            service = rendered.one("Service", "-portal")["metadata"].get("annotations", {})
            told = str(sorted((ingress["metadata"].get("annotations", {}) | service).items()))
            if "pachon-portal" not in told or "/portal" not in told:
                yield f"the ingress of the Portal sets no cookie on its path: {told}"
    for route in rendered.of_kind("HTTPRoute"):
        for rule in route["spec"]["rules"]:
            paths = [match["path"]["value"] for match in rule.get("matches", ())]
            if "/portal" in paths and rule.get("sessionPersistence", {}).get("type") != "Cookie":
                yield "the gateway sets no cookie for the Portal"


def every_pod_is_closed_but_for_what_it_needs(rendered: Rendered) -> Iterator[str]:
    policies = rendered.of_kind("NetworkPolicy")
    own = [each["spec"] for each in policies if each["metadata"]["namespace"] == rendered.namespace]
    for name, metadata, _ in rendered.pods():
        opening = [each for each in own if _selects(each["podSelector"].get("matchLabels", {}), metadata)]
        if not any(_denies(each) for each in opening):
            yield f"{name} is not closed"
        if not any(each.get("egress") for each in opening) and "prepull" not in name:
            yield f"{name} has no policy of its own"
    labs = rendered.one("ResourceQuota", "labs")["metadata"]["namespace"]
    in_labs = [each["spec"] for each in policies if each["metadata"]["namespace"] == labs]
    if not any(_denies(each) and each["podSelector"] == {} for each in in_labs):
        yield "labs are not closed"
    if not any(each.get("ingress") and each.get("egress") and each["podSelector"] == {} for each in in_labs):
        yield "labs are closed to hub and proxy"


def _denies(policy: Manifest) -> bool:
    both_ways = set(policy["policyTypes"]) == {"Ingress", "Egress"}
    return both_ways and not policy.get("ingress") and not policy.get("egress")


def nothing_reaches_the_metadata_of_a_cloud(rendered: Rendered) -> Iterator[str]:
    for policy in rendered.of_kind("NetworkPolicy"):
        for rule in policy["spec"].get("egress", ()):
            for block in (peer["ipBlock"] for peer in rule.get("to", ()) if "ipBlock" in peer):
                if block["cidr"] == "0.0.0.0/0" and "169.254.0.0/16" not in block.get("except", ()):
                    yield f"{policy['metadata']['name']} lets pods reach 169.254.169.254"


def the_settings_are_those_of_the_code(rendered: Rendered) -> Iterator[str]:
    try:
        load_settings(rendered)
    except ValidationError as error:
        yield str(error)


def load_settings(rendered: Rendered) -> Settings:
    """The rendered settings file, read by the class that reads it in every pod."""
    before = os.environ.get("PACHON_SETTINGS")
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(rendered.one("ConfigMap", "-settings")["data"]["pachon.yaml"])
        file.flush()
        os.environ["PACHON_SETTINGS"] = file.name
        try:
            return Settings()
        finally:
            os.environ.pop("PACHON_SETTINGS")
            if before is not None:
                os.environ["PACHON_SETTINGS"] = before


def _settings_document(rendered: Rendered) -> dict[str, Any]:
    return load_settings(rendered).model_dump(mode="json")


def every_variable_is_a_setting(rendered: Rendered) -> Iterator[str]:
    """What pods are told beside the file is what the platform tells its processes on one machine."""
    with tempfile.TemporaryDirectory() as home:
        made = load_or_make(Path(home), ("admin",)).environment(Settings())
    plain = {"PACHON_SETTINGS", "PACHON_HOME", "PACHON_DATABASE__URL"}
    for name, container in rendered.containers():
        told = {each["name"] for each in container.get("env", ()) if each["name"].startswith("PACHON_")}
        yield from (f"{name} is told {variable}" for variable in told - plain - set(made))


def probes_ask_what_processes_answer(rendered: Rendered) -> Iterator[str]:
    served = {urlsplit(url).path for url in door_urls(Settings())} | {_PROXY_HEALTH}
    for name, container in rendered.containers():
        runs_on = container["name"] in {"hub", "api", "portal", "proxy", "database"}
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            asks = container.get(probe, {})
            if runs_on and not asks:
                yield f"{name} has no {probe}"
            if "httpGet" in asks and asks["httpGet"]["path"] not in served:
                yield f"{name} asks {asks['httpGet']['path']}"
            if "httpGet" in asks and asks["httpGet"]["port"] not in [port["name"] for port in container["ports"]]:
                yield f"{name} asks port {asks['httpGet']['port']}"


def changed_settings_and_secrets_make_new_pods(rendered: Rendered) -> Iterator[str]:
    wanted = {
        "hub": {"checksum/settings", "checksum/secrets"},
        "api": {"checksum/settings", "checksum/secrets"},
        "portal": {"checksum/settings", "checksum/secrets"},
        "proxy": {"checksum/token"},
        "database": {"checksum/password"},
    }
    for name, metadata, _ in rendered.pods():
        component = metadata["labels"]["app.kubernetes.io/component"]
        found = {key for key in metadata.get("annotations", {}) if key.startswith("checksum/")}
        if found != wanted.get(component, set()):
            yield f"{name} has {found}"


def a_drain_is_never_held_up(rendered: Rendered) -> Iterator[str]:
    guarded = set()
    for budget in rendered.of_kind("PodDisruptionBudget"):
        if budget["spec"].get("maxUnavailable") != 1 or "minAvailable" in budget["spec"]:
            yield f"{budget['metadata']['name']} may hold up a drain"
        guarded.add(budget["metadata"]["name"])
    scaled = {
        each["metadata"]["name"]: each["spec"]["minReplicas"] for each in rendered.of_kind("HorizontalPodAutoscaler")
    }
    several = {
        name
        for each in rendered.of_kind("Deployment")
        for name in [each["metadata"]["name"]]
        if each["spec"].get("replicas", scaled.get(name, 1)) > 1
    }
    if guarded != several:
        yield f"budgets are for {guarded}, several pods for {several}"


def the_quota_follows_the_cap(rendered: Rendered) -> Iterator[str]:
    """The cap that the ledger keeps, and the sizes that the hub offers: both are in the settings."""
    settings = load_settings(rendered)
    quota, limits = rendered.one("ResourceQuota", "labs"), rendered.one("LimitRange", "labs")
    allocation, capacity = settings.allocation, settings.allocation.capacity
    cpu, memory = (
        math.floor(allocation.share * (amount or 0)) for amount in (1000 * (capacity.cpu or 0), capacity.memory_bytes)
    )
    hard = quota["spec"]["hard"]
    for kind in ("limits", "requests"):
        if (hard[f"{kind}.cpu"], hard[f"{kind}.memory"]) != (f"{cpu}m", str(memory)):
            yield f"{kind} of the quota are {hard}, the cap {cpu}m and {memory}"
    largest, home = (each["max"] for each in limits["spec"]["limits"])
    sizes = settings.labs.sizes
    wanted = (f"{math.floor(1000 * max(each.cpu for each in sizes))}m", str(max(each.memory_bytes for each in sizes)))
    if (largest["cpu"], largest["memory"]) != wanted:
        yield f"the largest container is {largest}, the largest size {wanted}"
    if home["storage"] != str(settings.labs.storage.home_bytes):
        yield f"the largest claim is {home}, a home {settings.labs.storage.home_bytes}"
    if {each["metadata"]["namespace"] for each in (quota, limits)} != {settings.labs.namespace}:
        yield f"the hub makes labs in {settings.labs.namespace}"


def labs_are_restricted(rendered: Rendered) -> Iterator[str]:
    for namespace in rendered.of_kind("Namespace"):
        for mode in ("enforce", "audit", "warn"):
            if namespace["metadata"]["labels"].get(f"pod-security.kubernetes.io/{mode}") != "restricted":
                yield f"{namespace['metadata']['name']} does not {mode} restricted Pod Security"


def images_are_pinned(rendered: Rendered) -> Iterator[str]:
    for name, container in rendered.containers():
        if re.search(r"(:(?!latest$)[\w.-]+|@sha256:[0-9a-f]{64})$", container["image"]) is None:
            yield f"{name} runs {container['image']}"


def the_schema_is_brought_up_before_an_upgrade(rendered: Rendered) -> Iterator[str]:
    jobs = [each for each in rendered.of_kind("Job") if each["metadata"]["name"].endswith("-migrations")]
    hooks = [each["metadata"].get("annotations", {}).get("helm.sh/hook", "") for each in jobs]
    if hooks != ["post-install,pre-upgrade"]:
        yield f"migrations run at {hooks}"
    for job in jobs:
        used = str(job["spec"]["template"]["spec"].get("volumes"))
        if "configMap" in used:
            yield "migrations wait for an object that comes after them"


def what_people_own_outlives_the_release(rendered: Rendered) -> Iterator[str]:
    """Homes are in the labs' namespace, and end with it."""
    for each in rendered.of_kind("PersistentVolumeClaim", "Namespace"):
        if each["metadata"].get("annotations", {}).get(_KEEP) != "keep":
            yield f"{each['kind']} {each['metadata']['name']} ends with the release"
    kept = [each for each in rendered.manifests if _KEEP in each["metadata"].get("annotations", {})]
    if any(each["kind"] not in {"PersistentVolumeClaim", "Namespace"} for each in kept):
        yield f"{[each['kind'] for each in kept]} outlive the release"
    claims = [each["metadata"]["name"].rsplit("-", 1)[-1] for each in rendered.of_kind("PersistentVolumeClaim")]
    if not set(claims) <= set(_CLAIMS):
        yield f"claims are {claims}"


def secrets_are_in_secrets_alone(rendered: Rendered) -> Iterator[str]:
    values = {
        base64.b64decode(value).decode() for secret in rendered.of_kind("Secret") for value in secret["data"].values()
    }
    for each in rendered.manifests:
        if each["kind"] != "Secret":
            text = str(each)
            yield from (
                f"{each['kind']} {each['metadata']['name']} holds a secret" for value in values if value in text
            )


def every_object_is_labelled_and_placed(rendered: Rendered) -> Iterator[str]:
    for each in rendered.manifests:
        labels = each["metadata"].get("labels", {})
        if not {"app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/component"} <= set(labels):
            yield f"{each['kind']} {each['metadata']['name']} has no labels"
        if each["kind"] != "Namespace" and "namespace" not in each["metadata"]:
            yield f"{each['kind']} {each['metadata']['name']} has no namespace"
        for port in each.get("spec", {}).get("ports", ()) if each["kind"] == "Service" else ():
            if "protocol" not in port:
                yield f"{each['metadata']['name']} has a port without a protocol"


def a_scale_down_lets_queries_finish(rendered: Rendered) -> Iterator[str]:
    """The pod first leaves the service, then ends, and is given time for both; a query runs no longer than that."""
    pod = rendered.one("Deployment", "-api")["spec"]["template"]["spec"]
    settings = load_settings(rendered)
    (container,) = pod["containers"]
    waits_s = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    if pod["terminationGracePeriodSeconds"] <= waits_s + settings.listen.finish_s:
        yield "Web APIs are killed before they end"
    if settings.listen.finish_s < settings.queries.sync_timeout_s:
        yield "Web APIs end before their queries"


def _selects(selector: dict[str, str], metadata: Manifest) -> bool:
    return selector.items() <= metadata["labels"].items()


def _ports(pod: Manifest) -> list[Manifest]:
    return [port for container in pod["containers"] for port in container.get("ports", ())]


RULES: tuple[Callable[[Rendered], Iterator[str]], ...] = (
    every_container_has_requests_and_limits,
    every_pod_is_restricted,
    only_hub_and_web_apis_have_a_token_of_kubernetes,
    hub_and_web_apis_may_make_and_count_labs_and_nothing_else,
    services_lead_to_pods,
    routes_lead_to_services,
    browsers_stay_with_one_portal,
    every_pod_is_closed_but_for_what_it_needs,
    nothing_reaches_the_metadata_of_a_cloud,
    the_settings_are_those_of_the_code,
    every_variable_is_a_setting,
    probes_ask_what_processes_answer,
    changed_settings_and_secrets_make_new_pods,
    a_drain_is_never_held_up,
    the_quota_follows_the_cap,
    labs_are_restricted,
    images_are_pinned,
    the_schema_is_brought_up_before_an_upgrade,
    what_people_own_outlives_the_release,
    secrets_are_in_secrets_alone,
    every_object_is_labelled_and_placed,
    a_scale_down_lets_queries_finish,
)
