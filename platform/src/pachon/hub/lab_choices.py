"""What people choose before their lab starts: size, image, and the group it is charged to."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from jinja2 import Environment, FileSystemLoader

from pachon.app.lab_settings import LabImageSettings, LabSettings, LabSizeSettings
from pachon.core.errors import UsageError
from pachon.core.resources import Resources
from pachon.hub.pages import FOLDER

NOBODY = ""
"""Charged to the person alone."""
_OPTIONS = ("size", "image", "group")


class _Named(Protocol):
    @property
    def name(self) -> str: ...


_Choice = TypeVar("_Choice", bound=_Named)


@dataclass(frozen=True, slots=True)
class LabChoice:
    """A size, an image, and the group whose pool is charged; empty for none."""

    size: LabSizeSettings
    image: LabImageSettings
    group: str = NOBODY


def chosen(labs: LabSettings, options: Mapping[str, object], *, groups: Collection[str]) -> LabChoice:
    """What somebody chose, by the options that a form or a request gave; what they left open is as recommended.

    Parameters
    ----------
    groups
        Those of the person's groups that have a pool.

    Raises
    ------
    UsageError
        If there is no such choice; no other option is allowed either.
    """
    unknown = sorted(set(options) - set(_OPTIONS))
    if unknown:
        raise UsageError(f"'{unknown[0]}' cannot be chosen for a lab; what can is {', '.join(_OPTIONS)}.")
    group = str(options.get("group") or NOBODY)
    if group and group not in groups:
        allowed = ", ".join(f"'{name}'" for name in sorted(groups)) or "none"
        raise UsageError(f"No lab of yours can be charged to the group '{group}'; your groups with a pool: {allowed}.")
    size = _of_name(labs.sizes, options.get("size") or labs.sizes[0].name, what="size")
    return LabChoice(size, _of_name(labs.images, options.get("image") or recommended(labs).name, what="image"), group)


def recommended(labs: LabSettings) -> LabImageSettings:
    """The image that is offered first."""
    return next((image for image in labs.images if image.recommended), labs.images[0])


def from_form(form: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """The options that a filled form gives; JupyterHub's own fields are left out."""
    return {name: form[name][0] for name in _OPTIONS if form.get(name)}


def form(labs: LabSettings, *, last: Mapping[str, object], groups: Iterable[str]) -> str:
    """The form, as HTML without a `<form>` around it.

    Parameters
    ----------
    last
        What the person chose last time.
    groups
        Those of the person's groups that have a pool.
    """
    environment = Environment(loader=FileSystemLoader(FOLDER), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    sizes = [(size.name, str(Resources.of(size.cpu, size.memory_bytes))) for size in labs.sizes]
    picked = {
        "size": _known(last.get("size"), [name for name, _ in sizes], sizes[0][0]),
        "image": _known(last.get("image"), [image.name for image in labs.images], recommended(labs).name),
        "group": last.get("group") or NOBODY,
    }
    return environment.get_template("lab_options.html").render(
        sizes=sizes, images=labs.images, groups=sorted(groups), picked=picked
    )


def _known(name: object, names: Collection[str], otherwise: str) -> str:
    return str(name) if name in names else otherwise


def _of_name(choices: Sequence[_Choice], name: object, *, what: str) -> _Choice:
    for choice in choices:
        if choice.name == name:
            return choice
    allowed = ", ".join(choice.name for choice in choices)
    raise UsageError(f"There is no {what} '{name}' of labs; allowed are {allowed}.")
