"""Settings of labs that are pods, and of what they may use."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

_GIBIBYTE = 1024**3
_SHORT_NAME = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"


class Group(BaseModel):
    """A group of settings: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class LabImageSettings(Group):
    """An image that people may choose for their lab."""

    name: str = Field(pattern=_SHORT_NAME, description="Short name, by which it is chosen.")
    image: str = Field(min_length=1, description="Image with tag or digest.")
    description: str = Field("", description="What it brings, for people.")
    recommended: bool = Field(default=False, description="Whether it is the one offered first.")


class LabSizeSettings(Group):
    """A size that people may choose for their lab: request and limit."""

    name: str = Field(pattern=_SHORT_NAME, description="Short name, by which it is chosen.")
    cpu: float = Field(gt=0, description="Processors.")
    memory_bytes: int = Field(ge=256 * 1024**2, description="Memory.")


class LabStorageSettings(Group):
    """What labs that are pods see of storage."""

    home_bytes: int = Field(10 * _GIBIBYTE, ge=1, description="Size of a person's home.")
    home_class: str | None = Field(None, description="Storage class of homes; default: the cluster's.")
    home_access_mode: Literal["ReadWriteOnce", "ReadWriteMany"] = Field(
        "ReadWriteOnce", description="Access mode of homes: several labs of one person on several nodes need the other."
    )
    releases_claim: str | None = Field(
        None,
        description="Claim in the labs' namespace whose root is `data.path`: labs mount, read-only, those folders of "
        "it that their owner may read. Without one they see none.",
    )


class LabSettings(Group):
    """Labs: where they run, and what people may choose."""

    spawner: Literal["local", "kubernetes"] = Field(
        "local", description="What a lab is: a process on this machine, or a pod. The settings below are for pods."
    )
    namespace: str = Field("pachon-labs", min_length=1, description="Namespace of labs, and of nothing else.")
    images: tuple[LabImageSettings, ...] = Field(
        (), description="Images that people choose from; any with `jupyterhub-singleuser` works."
    )
    sizes: tuple[LabSizeSettings, ...] = Field(
        (
            LabSizeSettings(name="small", cpu=1, memory_bytes=4 * _GIBIBYTE),
            LabSizeSettings(name="medium", cpu=2, memory_bytes=8 * _GIBIBYTE),
            LabSizeSettings(name="large", cpu=4, memory_bytes=16 * _GIBIBYTE),
        ),
        min_length=1,
        description="Sizes that people choose from; the first is offered first.",
    )
    storage: LabStorageSettings = Field(LabStorageSettings(), description="What labs see of storage.")
    user_id: int = Field(1000, ge=1, description="Number of the user and the group that a lab runs as.")
    home_path: str = Field("/home/lab", pattern="^/.", description="Where a lab finds its home.")
    releases_path: str = Field("/releases", pattern="^/.", description="Where a lab finds the release folders.")
    named_servers: int = Field(0, ge=0, description="Labs that a person may have beside the first.")
    start_timeout_s: int = Field(300, ge=1, description="How long a lab may take to start, image included, seconds.")
    pull_policy: Literal["Always", "IfNotPresent", "Never"] = Field(
        "IfNotPresent", description="When nodes pull images of labs."
    )
    pull_secrets: tuple[str, ...] = Field((), description="Secrets with the registry's credentials.")
    node_selector: dict[str, str] = Field({}, description="Labels of the nodes that labs run on.")

    @model_validator(mode="after")
    def _known_by_name(self) -> Self:
        for kind, choices in (("images", self.images), ("sizes", self.sizes)):
            names = [each.name for each in choices]
            if len(set(names)) < len(names):
                message = f"labs.{kind} has two choices of one name: give each its own"
                raise ValueError(message)
        if self.spawner == "kubernetes" and not self.images:
            message = "labs.images is empty: name at least one image for labs"
            raise ValueError(message)
        return self


class CapSettings(Group):
    """A limit on what labs have together."""

    cpu: float | None = Field(None, gt=0, description="Processors; default: no such limit.")
    memory_bytes: int | None = Field(None, ge=1, description="Memory; default: no such limit.")


class CapacitySettings(Group):
    """The whole facility."""

    cpu: float | None = Field(None, gt=0, description="Processors; default: what the nodes offer that are ready.")
    memory_bytes: int | None = Field(None, ge=1, description="Memory; default: what the nodes offer that are ready.")


class AllocationSettings(Group):
    """The part of the facility that user computing may take, where labs are pods."""

    share: float = Field(0.1, gt=0, le=1, description="That part, of processors and of memory.")
    capacity: CapacitySettings = Field(CapacitySettings(), description="The whole facility.")
    node_selector: str = Field("", description="Label selector of the nodes that make the facility; default: all.")
    per_user: CapSettings = Field(
        CapSettings(cpu=8, memory_bytes=32 * _GIBIBYTE), description="What the labs of one person may have together."
    )
    pools: dict[str, CapSettings] = Field(
        {}, description="What the labs that are charged to a group may have together, by group."
    )
    reservation_s: float = Field(
        120, ge=60, description="After how long a reservation is forgotten whose pod nobody has seen, seconds."
    )
    look_every_s: float = Field(10, gt=0, le=60, description="How often the pods that run are counted, seconds.")
    stale_s: float = Field(
        60, gt=0, description="For how long such a count is believed; without a newer one no lab starts, seconds."
    )
