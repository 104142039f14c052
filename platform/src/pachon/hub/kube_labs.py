"""Labs as pods, one a person and name, admitted by the ledger on the pod as it is finally made.

The order at a start is: the choice, the releases that the owner may read, the home, the pod with everything that an
administrator's hook makes of it, a reservation of what that pod takes, its secret, the pod. A crash between any two of
these leaves nothing that the ledger does not find by itself.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from jupyterhub.spawner import SpawnException
from kubernetes_asyncio.client import (
    V1EnvVar,
    V1EnvVarSource,
    V1ObjectMeta,
    V1PersistentVolumeClaimVolumeSource,
    V1Pod,
    V1Secret,
    V1SecretKeySelector,
    V1Volume,
    V1VolumeMount,
)
from kubernetes_asyncio.client.exceptions import ApiException
from kubespawner import KubeSpawner
from traitlets import Any as AnyTrait
from traitlets import Unicode

from pachon.app.lab_settings import LabSettings
from pachon.core.errors import PachonError, QuotaError, UnavailableError, UsageError
from pachon.core.failpoints import failpoint
from pachon.core.resources import pod_limits
from pachon.hub import lab_choices, release_folders, start_failures
from pachon.hub.lab_choices import LabChoice
from pachon.hub.reservations import PodClaim, Reservations
from pachon.hub.start_failures import StartFailure

POOL, RESERVATION = "pachon/pool", "pachon/reservation"
"""Annotations of a pod, by which the ledger knows it."""
_RELEASES = "releases"
_SECRETS = ("JUPYTERHUB_API_TOKEN", "JPY_API_TOKEN")
_LOOK_EVERY_S = 1.0
_TOO_MANY, _CONFLICT, _NOT_FOUND, _BAD_REQUEST, _FAULT = 429, 409, 404, 400, 500


def _trait(text: str, *, default: object = None) -> Any:  # noqa: ANN401 -- holds a value of its annotated type
    return AnyTrait(default, help=text).tag(config=True)


class KubeLabSpawner(KubeSpawner):  # type: ignore[misc]
    """Starts a lab as a pod in the labs' namespace, and in no other."""

    labs: LabSettings = _trait("The settings of labs.")
    releases_root: Path = _trait("Folder of releases, as the Web APIs name it.")
    pools: frozenset[str] = _trait("Groups with a pool.", default=frozenset())
    platform_url = Unicode(help="Base of the Web APIs, which keep the ledger and the rights.").tag(config=True)
    platform_token = Unicode(help="Token of the service `labs`, for both.").tag(config=True)

    _choice: LabChoice | None = None
    _folders: Mapping[str, Path] = {}
    _reservation: str | None = None
    _uid: str | None = None

    # What people choose

    def _options_form_default(self) -> str:
        return lab_choices.form(self.labs, last=self.user_options, groups=self._own_pools())

    def _options_from_form_default(self) -> Any:  # noqa: ANN401 -- a function, as traitlets wants it
        return lab_choices.from_form

    def _own_pools(self) -> frozenset[str]:
        return self.pools & {group.name for group in self.user.groups}

    async def load_user_options(self) -> None:
        """Take what was chosen, and find out which releases the owner may read now.

        Raises
        ------
        SpawnException
            If something was chosen that there is not, or the pod would leave the labs' namespace.
        """
        self.namespace = self.labs.namespace
        await super().load_user_options()
        if self.namespace != self.labs.namespace:
            raise _failed(
                StartFailure(
                    "namespace", f"Labs run in '{self.labs.namespace}' alone, not in '{self.namespace}'.", _BAD_REQUEST
                )
            )
        try:
            choice = lab_choices.chosen(self.labs, self.user_options, groups=self._own_pools())
        except UsageError as error:
            raise _failed(StartFailure("choice", error.message, _BAD_REQUEST)) from error
        self._choice = choice
        self.image = choice.image.image
        self.cpu_limit = self.cpu_guarantee = choice.size.cpu
        self.mem_limit = self.mem_guarantee = choice.size.memory_bytes
        self._folders = await self._readable()

    async def _readable(self) -> Mapping[str, Path]:
        """The release folders that the owner may read, relative to the root of the claim."""
        if self.labs.storage.releases_claim is None:
            return {}
        try:
            folders = await release_folders.ask(
                self.platform_url, self.platform_token, name=self.user.name, groups=self._groups()
            )
        except UnavailableError as error:
            self.log.warning("The lab of %s starts without releases: %s", self.user.name, error.__cause__)
            return {}
        root = self.releases_root
        return {name: path.relative_to(root) for name, path in folders.items() if path.is_relative_to(root)}

    def _groups(self) -> tuple[str, ...]:
        return tuple(sorted(group.name for group in self.user.groups))

    # The pod

    async def get_pod_manifest(self) -> V1Pod:
        """The pod, with the release folders as read-only mounts and the tokens out of sight."""
        pod: V1Pod = await super().get_pod_manifest()
        container = pod.spec.containers[0]
        if self._folders:
            claim = V1PersistentVolumeClaimVolumeSource(claim_name=self.labs.storage.releases_claim, read_only=True)
            pod.spec.volumes = [*(pod.spec.volumes or ()), V1Volume(name=_RELEASES, persistent_volume_claim=claim)]
            mounts = [self._release_mount(*each) for each in sorted(self._folders.items())]
            container.volume_mounts = [*(container.volume_mounts or ()), *mounts]
        container.env = [self._out_of_sight(each) for each in container.env or ()]
        if self._choice is not None and self._choice.group:
            pod.metadata.annotations[POOL] = self._choice.group
        return pod

    def _release_mount(self, release_id: str, folder: Path) -> V1VolumeMount:
        path = f"{self.labs.releases_path}/{release_id}"
        return V1VolumeMount(name=_RELEASES, mount_path=path, sub_path=str(folder), read_only=True)

    def _out_of_sight(self, variable: V1EnvVar) -> V1EnvVar:
        """A token comes from the person's secret: whoever may read pods does not read tokens."""
        if variable.name not in _SECRETS:
            return variable
        key = V1SecretKeySelector(name=self.pod_name, key=variable.name)
        return V1EnvVar(name=variable.name, value_from=V1EnvVarSource(secret_key_ref=key))

    # Its start

    async def _start(self) -> str:
        """Start the pod; give up as soon as waiting is useless, and say why in a sentence."""
        self._reservation = self._uid = None
        starting = asyncio.ensure_future(super()._start())
        watching = asyncio.ensure_future(self._hopeless())
        try:
            await asyncio.wait({starting, watching}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                return str(await starting)
            raise _failed(watching.result())
        except TimeoutError as error:
            raise _failed(start_failures.late(self._pod(), waited_s=self.start_timeout)) from error
        except ApiException as error:
            raise _failed(start_failures.refused(error.status, str(error.body or ""))) from error
        finally:
            for task in (starting, watching):
                task.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await task

    async def _hopeless(self) -> StartFailure:
        """Wait until the pod cannot start any more."""
        while True:
            pod = self._pod()
            failure = None if pod is None or self._uid != pod["metadata"]["uid"] else start_failures.hopeless(pod)
            if failure is not None:
                return failure
            await asyncio.sleep(_LOOK_EVERY_S)

    def _pod(self) -> Mapping[str, Any] | None:
        """The pod as it was last seen."""
        if self.pod_reflector is None:
            return None
        pod: Mapping[str, Any] | None = self.pod_reflector.pods.get(f"{self.namespace}/{self.pod_name}")
        return pod

    async def _make_create_pod_request(self, pod: V1Pod, request_timeout: float) -> bool:
        """Reserve what the final pod takes, then create it; called again as long as it gives False."""
        if self._reservation is None:
            self._reservation = await self._reserve(pod)
            failpoint("start.after-reserve")
        await self._put_secret()
        try:
            made = await asyncio.wait_for(self.api.create_namespaced_pod(self.namespace, pod), request_timeout)
        except TimeoutError:
            return False
        except ApiException as error:
            if error.status == _CONFLICT:
                await self.stop(now=True)
                return False
            await self._give_up(error.status)
            raise
        failpoint("start.after-create")
        await self._confirm(made)
        return True

    async def _give_up(self, status: int) -> None:
        """Give the reservation back if it is certain that no pod has its name; else the ledger finds out by itself."""
        is_certain = status < _FAULT and self._pod() is None
        if is_certain and self._reservation is not None:
            await self._best_effort(self._ledger().cancel(self._reservation), "give back a reservation")

    async def _reserve(self, pod: V1Pod) -> str:
        try:
            claim = self._claim(self._as_json(pod))
            reservation = await self._ledger().reserve(claim)
        except QuotaError as error:
            raise _failed(StartFailure("allocation", error.message, _TOO_MANY)) from error
        except UsageError as error:
            raise _failed(StartFailure("limits", f"{error.message.rstrip('.')}; tell an administrator.")) from error
        except UnavailableError as error:
            raise _failed(StartFailure("ledger", error.message)) from error
        pod.metadata.annotations[RESERVATION] = reservation
        return reservation

    async def _confirm(self, made: V1Pod) -> None:
        """Tell the ledger of the pod as the API server made it.

        Raises
        ------
        SpawnException
            If the hub was away for so long that the place was given to others: the pod is taken away again.
        """
        self._uid = made.metadata.uid
        claim = self._claim(self._as_json(made))
        try:
            await self._ledger().confirm(str(self._reservation), claim, str(self._uid))
        except QuotaError as error:
            await self.stop(now=True)
            raise _failed(StartFailure("allocation", error.message, _TOO_MANY)) from error
        except UnavailableError as error:
            self.log.warning("The ledger was not told of pod %s, which it will see: %s", self.pod_name, error)

    def _claim(self, pod: Mapping[str, Any]) -> PodClaim:
        return PodClaim(
            namespace=self.namespace,
            pod=self.pod_name,
            owner=self.user.name,
            groups=self._groups(),
            server=self.name or "",
            pool=self._choice.group if self._choice is not None else lab_choices.NOBODY,
            size=pod_limits(pod["spec"]),
        )

    def _as_json(self, pod: V1Pod) -> Mapping[str, Any]:
        document: Mapping[str, Any] = self.api.api_client.sanitize_for_serialization(pod)
        return document

    async def _put_secret(self) -> None:
        """Keep the lab's tokens in a secret of its own, named as the pod."""
        known = self.get_env()
        data = {name: base64.b64encode(known[name].encode()).decode() for name in _SECRETS if known.get(name)}
        metadata = V1ObjectMeta(name=self.pod_name, labels=self._build_common_labels({}))
        secret = V1Secret(metadata=metadata, data=data, type="Opaque")
        try:
            await self.api.create_namespaced_secret(self.namespace, secret)
        except ApiException as error:
            if error.status != _CONFLICT:
                raise
            await self.api.patch_namespaced_secret(self.pod_name, self.namespace, secret)

    # Its end

    async def stop(self, now: bool = False) -> None:  # noqa: FBT001, FBT002 -- as JupyterHub calls it
        """Delete the pod; once it is seen to be gone, its secret and its place in the ledger go too."""
        await self._start_watching_pods()
        pod = self._pod()
        await super().stop(now)
        if pod is None:
            return
        uid = pod["metadata"]["uid"]
        released = self._ledger().release(self.namespace, self.pod_name, uid)
        await self._best_effort(released, f"give back the place of pod {uid}")
        if uid == self._uid or self._reservation is None:
            await self._delete_secret()

    async def _delete_secret(self) -> None:
        try:
            await self.api.delete_namespaced_secret(self.pod_name, self.namespace)
        except ApiException as error:
            if error.status != _NOT_FOUND:
                self.log.warning("The secret %s stays, since the cluster refuses: %s", self.pod_name, error.reason)

    async def _best_effort(self, telling: Coroutine[Any, Any, None], what: str) -> None:
        """Tell the ledger what it finds out by itself a little later."""
        try:
            await telling
        except PachonError as error:
            self.log.warning("The ledger was not asked to %s, which it will see: %s", what, error)

    def _ledger(self) -> Reservations:
        return Reservations(self.platform_url, self.platform_token)

    # What the person who waits reads

    async def progress(self) -> AsyncIterator[dict[str, Any]]:
        """What happens, in words that need no knowledge of Kubernetes."""
        async for event in super().progress():
            raw = event.get("raw_event")
            yield event if raw is None else {**event, "message": start_failures.waits(raw)}


def _failed(failure: StartFailure) -> SpawnException:
    return SpawnException(failure.message, reason=failure.reason, status_code=failure.status)
